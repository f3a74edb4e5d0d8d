import Cryptography
import IORuntime
import Primitives
import Synchronization

/// A large object on its way down in parts, several at once and through several edges, into a file
/// beside its place. The file takes the place only when all bytes are there and right; until then it
/// stays, and the next run goes on with it.
final class PartDownload: Sendable {
    private let client: FileClient
    private let object: ObjectFacts
    private let directory: String
    private let name: String
    private let temporary: String
    private let progress: TransferProgress
    private let state = Mutex(PartCounts())

    private struct Opened: Sendable {
        let file: any File
        let record: PartialRecord
    }

    /// - Parameter name: the path below `directory`; must have been checked by `DownloadName`.
    init(
        _ client: FileClient, _ object: ObjectFacts, as name: String, in directory: String,
        _ progress: TransferProgress
    ) {
        self.client = client
        self.object = object
        self.directory = directory
        self.name = name
        self.progress = progress
        let folder = PartialDownload.folders(of: name).last.map { "\(directory)/\($0)" }
        // The same for each run, so that the next one finds it.
        let digits = Hex.encode(SHA256.hash(Array(name.utf8))).prefix(16)
        self.temporary = "\(folder ?? directory)/.holdfast-\(digits).part"
    }

    func run(sync: Bool) async throws(FileClientFault) {
        try await PartialDownload.makeFolders(
            PartialDownload.folders(of: self.name), in: self.directory, self.client.environment)
        for round in 1... {
            let opened = try await self.open()
            defer { opened.file.close() }
            do throws(FileClientFault) { try await self.fetchParts(into: opened) } catch {
                let isOver = error.endsDownload
                self.progress.ended(self.state.withLock { $0 }, isWhole: false, waits: !isOver)
                if isOver { try await self.remove() }
                throw error
            }
            guard let mismatch = try await self.mismatch(of: opened.file) else {
                try await self.finish(opened.file, sync: sync)
                return self.progress.ended(
                    self.state.withLock { $0 }, isWhole: true, waits: false)
            }
            self.progress.ended(self.state.withLock { $0 }, isWhole: false, waits: false)
            self.state.withLock { $0 = PartCounts() }
            try await self.remove()
            guard round < TransferBounds.mostCorruptedAnswers else {
                throw .corrupted(
                    subject: self.object.path.description, expected: mismatch.expected,
                    received: mismatch.received)
            }
        }
    }

    /// Opens the file of an earlier run, or makes one.
    private func open() async throws(FileClientFault) -> Opened {
        let (files, path) = (self.client.environment.files, self.temporary)
        let size = self.object.sizeBytes
        let fresh = PartialRecord(
            etag: self.object.etag,
            plan: PartPlan(sizeBytes: size, wanted: self.client.options.partBytes))
        enum Opening: Sendable {
            case opened(Opened)
            case inTheWay(FileKind)
            case busy
        }
        let opening = try await self.blocking { () throws(FileFault) -> Opening in
            let kind = try files.kind(path)
            guard kind == nil || kind == .file else { return .inTheWay(kind ?? .special) }
            let file = try files.open(path, .openOrCreate)
            do throws(FileFault) {
                guard try file.tryLock() else {
                    file.close()
                    return .busy
                }
                let bytes = try file.read(PartialRecord.limitBytes, at: size)
                if let record = PartialRecord(bytes, etag: fresh.etag, sizeBytes: size) {
                    return .opened(Opened(file: file, record: record))
                }
                try file.truncate(to: 0)
                try file.write(fresh.bytes, at: size)
                return .opened(Opened(file: file, record: fresh))
            } catch {
                file.close()
                throw error
            }
        }
        switch opening {
        case .opened(let opened): return opened
        case .inTheWay(let kind): throw .blockedByEntry(path: path, kind)
        case .busy: throw .busy(path: "\(self.directory)/\(self.name)")
        }
    }

    private func fetchParts(into opened: Opened) async throws(FileClientFault) {
        let record = opened.record
        for part in record.isThere.indices where record.isThere[part] {
            let range = record.plan.range(part)
            self.stands(range.upperBound - range.lowerBound, isKept: true)
        }
        let stop = TransferStop()
        await self.client.inParallel(record.missing, until: stop) { part in
            do throws(FileClientFault) {
                try await self.client.slots.holding { () async throws(FileClientFault) in
                    try await self.fetch(part, into: opened)
                }
            } catch {
                stop.end(with: error)
            }
        }
        if let fault = stop.fault { throw fault }
    }

    private func fetch(_ part: Int, into opened: Opened) async throws(FileClientFault) {
        let (file, range) = (opened.file, opened.record.plan.range(part))
        var movedBytes = 0
        do throws(FileClientFault) {
            try await self.client.read(range, of: self.object) {
                (bytes, offset) async throws(FileClientFault) -> Bool in
                try await self.blocking { () throws(FileFault) in
                    try file.write(bytes, at: offset)
                }
                movedBytes += bytes.count
                self.progress.moved(bytes.count)
                return true
            }
            let mark = opened.record.markOffset(part)
            try await self.blocking { () throws(FileFault) in try file.write([1], at: mark) }
        } catch {
            self.progress.takenBack(UInt64(movedBytes))
            throw error
        }
        self.stands(UInt64(movedBytes), isKept: false)
    }

    private func stands(_ bytes: UInt64, isKept: Bool) {
        self.state.withLock { counts in
            if isKept { counts.keptBytes += bytes } else { counts.movedBytes += bytes }
            counts.standingBytes += bytes
        }
        if isKept { self.progress.kept(bytes) }
        self.progress.stands(bytes)
    }

    private func mismatch(
        of file: any File
    ) async throws(FileClientFault) -> (expected: String, received: String)? {
        try await self.client.mismatch(
            self.object.check, of: file, sizeBytes: self.object.sizeBytes)
    }

    private func finish(_ file: any File, sync: Bool) async throws(FileClientFault) {
        let (files, temporary) = (self.client.environment.files, self.temporary)
        let (path, size) = ("\(self.directory)/\(self.name)", self.object.sizeBytes)
        let inTheWay = try await self.blocking { () throws(FileFault) -> FileKind? in
            if try files.kind(path) == .directory { return .directory }
            try file.truncate(to: size)
            if sync { try file.sync() }
            try files.rename(temporary, to: path)
            if sync { try files.syncDirectory(PartialDownload.parent(of: path)) }
            return nil
        }
        if let inTheWay { throw .blockedByEntry(path: path, inTheWay) }
    }

    private func remove() async throws(FileClientFault) {
        let (files, temporary) = (self.client.environment.files, self.temporary)
        try await self.blocking { () throws(FileFault) in try files.remove(temporary) }
    }

    private func blocking<Value: Sendable>(
        _ work: @escaping @Sendable () throws(FileFault) -> Value
    ) async throws(FileClientFault) -> Value {
        do throws(FileFault) {
            return try await self.client.environment.blocking(.disk, throwing: work)
        } catch {
            throw .file(error)
        }
    }
}

extension FileClientFault {
    /// Whether what has come so far is of no use to a later run.
    fileprivate var endsDownload: Bool {
        if case .changedWhileRead = self { true } else { false }
    }
}

extension FileClient {
    /// Holds a file's bytes against a check; nil when they are right.
    func mismatch(
        _ check: ContentCheck, of file: any File, sizeBytes: UInt64
    ) async throws(FileClientFault) -> (expected: String, received: String)? {
        guard !check.isNone else { return nil }
        var check = check
        var position: UInt64 = 0
        while position < sizeBytes {
            let (offset, before) = (position, check)
            let count = Int(min(UInt64(TransferBounds.pieceBytes), sizeBytes - position))
            do throws(FileFault) {
                let (read, after) = try await self.environment.blocking(.disk) {
                    () throws(FileFault) -> (Int, ContentCheck) in
                    let piece = try file.read(count, at: offset)
                    return (piece.count, before.updated(with: piece))
                }
                check = after
                guard read > 0 else { break }
                position += UInt64(read)
            } catch { throw .file(error) }
        }
        return check.mismatch
    }

    /// Whether the file has the content that the object has, as far as the edge's checksum says.
    func isSame(_ path: String, as object: ObjectFacts) async throws(FileClientFault) -> Bool {
        guard !object.check.isNone else { return false }
        let files = self.environment.files
        let file: (any File)?
        do throws(FileFault) {
            file = try await self.environment.blocking(.disk) {
                () throws(FileFault) -> (any File)? in
                guard let status = try files.status(path), !status.isDirectory,
                    status.sizeBytes == object.sizeBytes
                else { return nil }
                return try files.open(path, .read)
            }
        } catch { throw .file(error) }
        guard let file else { return false }
        defer { file.close() }
        return try await self.mismatch(object.check, of: file, sizeBytes: object.sizeBytes) == nil
    }
}
