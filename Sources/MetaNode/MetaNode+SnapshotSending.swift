import Catalog
import ClusterClient
import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Telemetry
import Wire

/// A leader's side of a snapshot: a copy of the state is made while nothing is applied, held ready
/// below `outgoing/`, and offered again with every heartbeat of a follower that needs it. The
/// follower fetches it at its own pace (`SnapshotFetch`); the copy and the log behind it stay until
/// nobody has fetched for as long as the lease.
extension MetaNode {
    static let outgoingDirectory = "outgoing"

    // MARK: Making and offering

    /// A follower has come before the log's beginning. It hears of the copy that there is, or one is
    /// made: once, however many need it.
    func offerSnapshot(to peer: NodeID, _ driver: GroupDriver) {
        guard !driver.isFenced else { return }
        let group = driver.group
        if let held = self.snapshotShelf[group],
            held.manifest.anchor.index >= driver.standing.truncated.index
        {
            self.snapshotShelf.offered(held.id, of: group, to: peer)
            self.counters.snapshots.offered.add()
            let offer = SnapshotOffer(snapshot: held.id, anchor: held.manifest.anchor)
            self.post(.input(group, .offerSnapshot(offer, to: peer)))
            return
        }
        let isReachable = driver.replica.status.peers.contains {
            $0.node == peer && $0.isRecentlyActive
        }
        // This is heard with every heartbeat, and to read a large state takes many of them.
        if isReachable, self.disk.space == .ample, !driver.isMakingSnapshot {
            driver.wantsCheckpoint = true
        }
    }

    /// Begins the copy that is wanted, once nothing is being applied: then it is known exactly
    /// through which entry the state goes.
    func checkpointIfIdle(_ driver: GroupDriver) {
        guard driver.wantsCheckpoint, !driver.isApplying, !driver.isCheckpointing,
            !driver.isHalted, !driver.isFenced, !driver.standing.isStateRefused
        else { return }
        driver.wantsCheckpoint = false
        driver.isCheckpointing = true
        driver.isMakingSnapshot = true
        // From here on, so that the log goes on from the copy whatever is made durable meanwhile.
        driver.snapshotPin = driver.applied
        let id = SnapshotID(
            self.environment.randomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        let checkpoint = Checkpoint(
            state: driver.state, applied: driver.applied, truncated: driver.standing.truncated,
            tables: self.tables, files: self.environment.files,
            directory: "\(self.settings.directory)/\(Self.outgoingDirectory)/\(driver.group)-\(id)")
        self.loop.spawn { await self.makeSnapshot(id, checkpoint) }
    }

    private func makeSnapshot(_ id: SnapshotID, _ checkpoint: Checkpoint) async {
        let group = checkpoint.state.group
        do throws(SnapshotFault) {
            let anchor = try await self.environment.blocking(.metadata) {
                () throws(SnapshotFault) in try checkpoint.make()
            }
            // The state may go on; the copy does not change any more.
            self.endCheckpoint(of: group)
            var files: [SnapshotManifest.File] = []
            for name in try await self.environment.blocking(
                .disk,
                throwing: { () throws(SnapshotFault) in try checkpoint.names() })
            {
                files.append(
                    try await self.environment.blocking(.disk) {
                        () throws(SnapshotFault) in try checkpoint.file(name)
                    })
            }
            guard !self.isFenced(group) else { throw .fenced }
            self.hold(
                HeldSnapshot(
                    group: group, id: id,
                    manifest: SnapshotManifest(anchor: anchor, files: files),
                    directory: checkpoint.directory,
                    leaseEnd: self.environment.now + self.settings.log.snapshots.lease))
        } catch {
            self.endCheckpoint(of: group)
            self.groups[group]?.isMakingSnapshot = false
            self.groups[group]?.snapshotPin = nil
            self.counters.snapshots.failed.add()
            self.logger.warning(
                "no snapshot can be made", ["group": "\(group)", "reason": "\(error)"])
            await self.discard(checkpoint.directory)
        }
    }

    /// Entries may be applied again.
    private func endCheckpoint(of group: GroupID) {
        guard let driver = self.groups[group], driver.isCheckpointing else { return }
        driver.isCheckpointing = false
        self.applyIfIdle(group)
        self.tellWhoWaitsForQuiet()
    }

    private func hold(_ snapshot: HeldSnapshot) {
        let replaced = self.snapshotShelf[snapshot.group]
        self.snapshotShelf.put(snapshot)
        self.groups[snapshot.group]?.isMakingSnapshot = false
        self.counters.snapshots.made.add()
        self.logger.info(
            "snapshot made",
            [
                "group": "\(snapshot.group)", "through": "\(snapshot.manifest.anchor)",
                "bytes": snapshot.manifest.sizeBytes, "files": snapshot.manifest.files.count,
            ])
        self.loop.spawn {
            if let replaced { await self.discard(replaced.directory) }
            await self.keepUntilLeaseEnds(snapshot)
        }
    }

    private func keepUntilLeaseEnds(_ snapshot: HeldSnapshot) async {
        while true {
            let now = self.environment.now
            switch self.snapshotShelf.expire(snapshot.id, of: snapshot.group, at: now) {
            case .gone: return
            case .later(let end):
                do { try await self.loop.sleep(for: end - now) } catch { return }
            case .ended:
                if let driver = self.groups[snapshot.group], !driver.isMakingSnapshot {
                    driver.snapshotPin = nil
                }
                return await self.discard(snapshot.directory)
            }
        }
    }

    /// Lets go of the copy that is held, and makes none: what it is a copy of is wrong.
    func dropSnapshot(of driver: GroupDriver) {
        driver.wantsCheckpoint = false
        guard let held = self.snapshotShelf.drop(driver.group) else { return }
        if !driver.isMakingSnapshot { driver.snapshotPin = nil }
        self.loop.spawn { await self.discard(held.directory) }
    }

    nonisolated func discard(_ directory: String) async {
        let fault = await self.environment.blocking(.disk) { () -> FileFault? in
            do throws(FileFault) {
                try self.environment.files.removeTree(directory)
                return nil
            } catch { return error }
        }
        guard let fault else { return }
        self.logger.warning(
            "files of a snapshot stay until the next start",
            ["directory": directory, "reason": "\(fault)"])
    }

    // MARK: Giving

    /// Answers who fetches a state; nil when the call is of another kind.
    nonisolated func answerSnapshot(
        _ request: PeerRequest, from peer: NodeID
    ) async throws(FormatFault) -> PeerAnswer? {
        switch request.kind {
        case SnapshotFormat.manifestKind:
            let asked = try SnapshotManifestRequest(decoding: request.head)
            guard let held = self.held(asked.snapshot, of: asked.group, for: peer) else {
                return Self.unknownSnapshot
            }
            return .response(PeerResponse(fitting: held.manifest.encoded))
        case SnapshotFormat.pieceKind:
            let asked = try SnapshotPieceRequest(decoding: request.head)
            guard let held = self.held(asked.snapshot, of: asked.group, for: peer) else {
                return Self.unknownSnapshot
            }
            return await self.piece(asked, of: held)
        case SnapshotFormat.wantedKind:
            let wanted = try SnapshotWantedRequest(decoding: request.head)
            guard let answer = await self.stateWanted(wanted, by: peer) else {
                return .refused(
                    code: SnapshotFormat.Refusal.notHere, message: "led by another node")
            }
            return .response(PeerResponse(head: answer.encoded))
        default: return nil
        }
    }

    private nonisolated func held(
        _ id: SnapshotID, of group: GroupID, for peer: NodeID
    ) -> HeldSnapshot? {
        self.snapshotShelf.fetched(
            id, of: group, by: peer,
            leaseEnd: self.environment.now + self.settings.log.snapshots.lease)
    }

    private static let unknownSnapshot = PeerAnswer.refused(
        code: SnapshotFormat.Refusal.unknown, message: "not held, or not for you")

    private nonisolated func piece(
        _ asked: SnapshotPieceRequest, of held: HeldSnapshot
    ) async -> PeerAnswer {
        let files = held.manifest.files
        guard Int(asked.file) < files.count,
            case let (end, overflows) = asked.offset.addingReportingOverflow(UInt64(asked.count)),
            !overflows, end <= files[Int(asked.file)].sizeBytes
        else {
            return .refused(
                code: SnapshotFormat.Refusal.outOfBounds, message: "no such bytes")
        }
        let path = "\(held.directory)/\(files[Int(asked.file)].name)"
        let outcome = await self.environment.blocking(.disk) {
            () -> Result<[UInt8], FileFault> in
            do throws(FileFault) {
                let file = try self.environment.files.open(path, .read)
                defer { file.close() }
                return .success(try file.read(Int(asked.count), at: asked.offset))
            } catch { return .failure(error) }
        }
        switch outcome {
        case .success(let bytes) where bytes.count == Int(asked.count):
            self.counters.snapshots.piecesSent.add()
            self.counters.snapshots.bytesSent.add(UInt64(bytes.count))
            var head = ByteWriter()
            head.write(CRC32C.of(bytes))
            return .response(PeerResponse(head: head.bytes, body: [bytes]))
        case .success:
            return .refused(
                code: SnapshotFormat.Refusal.unreadable, message: "\(path) is cut short")
        case .failure(let fault):
            return .refused(code: SnapshotFormat.Refusal.unreadable, message: "\(fault)")
        }
    }
}

/// Why a state could not be copied or fetched.
enum SnapshotFault: Error, Equatable, Sendable {
    case store(StoreFault)
    case file(FileFault)
    case log(RaftLogTables.Fault)
    /// The entry that the state ends with is not in the log.
    case noAnchor(LogIndex)
    /// The one who holds the state refused, or was not reached for too long.
    case call(CallFault)
    case malformed(FormatFault)
    /// The manifest is of another state than the one that was offered.
    case otherState
    /// A file's bytes are not those that its checksum stands for, though fetched again.
    case checksum(file: String)
    /// A majority contradicts the state that was copied.
    case fenced
    /// A newer offer takes the place of this one.
    case superseded
    /// The node stops.
    case stopped
}

/// Makes a copy of a state and reads what it consists of, in the pool.
private struct Checkpoint: Sendable {
    let state: GroupState
    let applied: LogIndex
    let truncated: LogAnchor
    let tables: RaftLogTables
    let files: any FileSystem
    let directory: String

    /// Blocking.
    func make() throws(SnapshotFault) -> LogAnchor {
        let anchor: LogAnchor?
        do throws(RaftLogTables.Fault) {
            anchor =
                self.applied == self.truncated.index
                ? self.truncated
                : try self.tables.anchor(of: self.applied, in: self.state.group)
        } catch { throw .log(error) }
        guard let anchor else { throw .noAnchor(self.applied) }
        do throws(FileFault) {
            let parent = self.directory.lastIndex(of: "/").map { self.directory[..<$0] }
            try self.files.makeDirectoryDurably(String(parent ?? "."))
        } catch { throw .file(error) }
        do throws(StoreFault) { try self.state.store.checkpoint(into: self.directory) } catch {
            throw .store(error)
        }
        return anchor
    }

    /// Blocking.
    func names() throws(SnapshotFault) -> [String] {
        do throws(FileFault) { return try self.files.list(self.directory) } catch {
            throw .file(error)
        }
    }

    /// Blocking; reads the whole file.
    func file(_ name: String) throws(SnapshotFault) -> SnapshotManifest.File {
        do throws(FileFault) {
            let (size, checksum) = try self.files.checksum(of: "\(self.directory)/\(name)")
            return SnapshotManifest.File(name: name, sizeBytes: size, checksum: checksum)
        } catch { throw .file(error) }
    }
}

extension FileSystem {
    /// The size of a file and the CRC-32C of all its bytes. Blocking.
    func checksum(of path: String) throws(FileFault) -> (sizeBytes: UInt64, checksum: UInt32) {
        let file = try self.open(path, .read)
        defer { file.close() }
        var checksum: UInt32 = 0
        var offset: UInt64 = 0
        while true {
            let bytes = try file.read(SnapshotFormat.mostPieceBytes, at: offset)
            checksum = CRC32C.of(bytes, after: checksum)
            offset += UInt64(bytes.count)
            if bytes.count < SnapshotFormat.mostPieceBytes { return (offset, checksum) }
        }
    }
}
