import ClusterClient
import Consensus
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// Brings the files of a state that another node holds ready into a directory here, piece by piece,
/// at a bounded rate, and goes on where an earlier fetch ended.
///
/// What is in the directory is believed only by its checksum: a file that a crash has torn, or that
/// belongs to another state, is completed or thrown away by what the manifest says. So a newer state
/// of the same node costs only the files that are new in it.
struct SnapshotFetch: Sendable {
    let group: GroupID
    let offered: OfferedSnapshot
    let directory: String
    let environment: any Environment
    let loop: any EventLoop
    let peers: any Peers
    let settings: SnapshotSettings
    let counters: SnapshotCounters
    /// Whether to go on: false when the node stops or a newer state is offered.
    let mayGoOn: @Sendable () async -> SnapshotFault?

    /// When the next piece may be asked for, so that the rate is kept.
    private var nextPiece: Instant

    init(
        _ group: GroupID, _ offered: OfferedSnapshot, into directory: String, _ meta: MetaNode,
        mayGoOn: @escaping @Sendable () async -> SnapshotFault?
    ) {
        self.group = group
        self.offered = offered
        self.directory = directory
        self.environment = meta.environment
        self.loop = meta.loop
        self.peers = meta.peers
        self.settings = meta.settings.log.snapshots
        self.counters = meta.counters.snapshots
        self.mayGoOn = mayGoOn
        self.nextPiece = meta.environment.now
    }

    /// Returns when every file is there, durable and proven by its checksum.
    mutating func run() async throws(SnapshotFault) -> SnapshotManifest {
        let manifest = try await self.manifest()
        try await self.prepare(for: manifest)
        for position in manifest.files.indices { try await self.fetch(position, of: manifest) }
        let directory = self.directory
        try await self.onDisk { (files) throws(FileFault) in try files.syncDirectory(directory) }
        return manifest
    }

    private func manifest() async throws(SnapshotFault) -> SnapshotManifest {
        let request = SnapshotManifestRequest(
            group: self.group, snapshot: self.offered.offer.snapshot)
        let response = try await self.call(
            PeerRequest(kind: SnapshotFormat.manifestKind, head: request.encoded))
        let manifest: SnapshotManifest
        do throws(FormatFault) {
            manifest = try SnapshotManifest(decoding: response.fittedMessage)
        } catch { throw .malformed(error) }
        guard manifest.anchor == self.offered.offer.anchor else { throw .otherState }
        return manifest
    }

    /// Makes the directory, and leaves nothing in it that is not of this state.
    private func prepare(for manifest: SnapshotManifest) async throws(SnapshotFault) {
        let directory = self.directory
        let sizes = Dictionary(
            uniqueKeysWithValues: manifest.files.map { ($0.name, $0.sizeBytes) })
        try await self.onDisk { (files) throws(FileFault) in
            try files.makeDirectoryDurably(directory)
            for name in try files.list(directory) {
                let path = "\(directory)/\(name)"
                guard let size = sizes[name], let status = try files.status(path),
                    status.sizeBytes <= size
                else {
                    try files.remove(path)
                    continue
                }
            }
        }
    }

    // MARK: Files

    private mutating func fetch(
        _ position: Int, of manifest: SnapshotManifest
    ) async throws(SnapshotFault) {
        let file = manifest.files[position]
        let path = "\(self.directory)/\(file.name)"
        for _ in 0..<SnapshotLimits.fileAttempts {
            var (size, checksum) = try await self.onDisk {
                (files) throws(FileFault) -> (UInt64, UInt32) in
                try files.status(path) == nil ? (0, 0) : try files.checksum(of: path)
            }
            self.counters.bytesResumed.add(size)
            while size < file.sizeBytes {
                let bytes = try await self.piece(position, at: size, of: file)
                let offset = size
                try await self.onDisk { (files) throws(FileFault) in
                    let file = try files.open(path, .openOrCreate)
                    defer { file.close() }
                    try file.write(bytes, at: offset)
                }
                checksum = CRC32C.of(bytes, after: checksum)
                size += UInt64(bytes.count)
            }
            let isWhole = size == file.sizeBytes && checksum == file.checksum
            try await self.onDisk { (files) throws(FileFault) in
                guard isWhole else { return try files.remove(path) }
                let file = try files.open(path, .openOrCreate)
                defer { file.close() }
                try file.sync()
            }
            if isWhole { return }
        }
        throw .checksum(file: file.name)
    }

    private mutating func piece(
        _ position: Int, at offset: UInt64, of file: SnapshotManifest.File
    ) async throws(SnapshotFault) -> [UInt8] {
        let count = min(UInt64(self.settings.pieceBytes), file.sizeBytes - offset)
        try await self.keepRate(Int(count))
        let request = SnapshotPieceRequest(
            group: self.group, snapshot: self.offered.offer.snapshot, file: UInt32(position),
            offset: offset, count: UInt32(count))
        let response = try await self.call(
            PeerRequest(kind: SnapshotFormat.pieceKind, head: request.encoded))
        let bytes = response.body.count == 1 ? response.body[0] : Array(response.body.joined())
        do throws(FormatFault) {
            var head = ByteReader(response.head)
            let recorded: UInt32 = try head.read()
            let computed = CRC32C.of(bytes)
            guard recorded == computed else {
                throw .checksumMismatch(recorded: recorded, computed: computed)
            }
            guard bytes.count == Int(count) else { throw .truncated(offset: bytes.count) }
        } catch { throw .malformed(error) }
        self.counters.piecesReceived.add()
        self.counters.bytesReceived.add(count)
        return bytes
    }

    /// Waits so long that no more than the rate is asked for; time that was spent elsewhere is not
    /// made up for by a burst.
    private mutating func keepRate(_ count: Int) async throws(SnapshotFault) {
        let now = self.environment.now
        if self.nextPiece > now {
            do { try await self.loop.sleep(for: self.nextPiece - now) } catch { throw .stopped }
        }
        let time = Int64(count) * 1_000_000_000 / Int64(max(self.settings.bytesPerSecond, 1))
        self.nextPiece = max(self.nextPiece, now) + .nanoseconds(time)
    }

    // MARK: Calls and files

    /// Asks, and asks again while the other side is not reached, for a bounded time.
    private func call(_ request: PeerRequest) async throws(SnapshotFault) -> PeerResponse {
        var attempt = 1
        while true {
            if let reason = await self.mayGoOn() { throw reason }
            do throws(CallFault) {
                return try await self.peers.call(
                    self.offered.from, request, lane: .bulk,
                    deadline: self.environment.now + SnapshotLimits.callTimeout)
            } catch {
                switch error {
                case .refused, .malformed, .tooLarge, .shuttingDown, .cancelled:
                    throw .call(error)
                case .unreachable, .deadlineExceeded, .connectionLost, .overloaded:
                    guard attempt < SnapshotLimits.callAttempts else { throw .call(error) }
                }
            }
            attempt += 1
            do { try await self.loop.sleep(for: SnapshotLimits.callPause) } catch {
                throw .stopped
            }
        }
    }

    private func onDisk<Value: Sendable>(
        _ work: @escaping @Sendable (any FileSystem) throws(FileFault) -> Value
    ) async throws(SnapshotFault) -> Value {
        let files = self.environment.files
        do throws(FileFault) {
            return try await self.environment.blocking(.disk) { () throws(FileFault) in
                try work(files)
            }
        } catch { throw .file(error) }
    }
}
