import CachePolicy
import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import ObjectAccess
import OrderedStorage
import PeerTransport
import Placement
import Primitives
import SimulatedRuntime
import Wire

/// How a store of the fake cluster takes calls.
enum Mood: Sendable, Equatable {
    case sound
    case full
    case unreachable
    case slow(Duration)
    /// Takes a body in at this pace.
    case paced(bytesPerSecond: Int)
    /// Holds its copies with one bit of the last frame asked for changed.
    case rotten
    /// Finds by its checksum that the second frame of each copy is not what was written.
    case scratched
    /// Has lost its copies.
    case empty
}

/// Five nodes of which one is everybody's leader: plays stores and groups, and writes down in which
/// order things happened. `@unchecked Sendable`: touched on the simulator's thread only.
final class FakeCluster: Peers, @unchecked Sendable {
    struct Copy {
        let request: PutChunkRequest
        let sealed: [UInt8]
    }

    let layout: Layout
    let loop: any EventLoop
    var moods: [NodeID: Mood] = [:]
    /// Whether a commit that is applied is never answered.
    var losesAnswersOfCommits = false
    /// Whether the group's disks have no room for the end of an upload.
    var hasNoRoomToComplete = false
    private(set) var copies: [NodeID: [ChunkName: Copy]] = [:]
    private(set) var commits: [PutObject] = []
    /// For each commit, how many nodes held each of its chunks when it came.
    private(set) var holdersAtCommit: [[Int]] = []
    private(set) var chunkReads: [NodeID] = []
    /// The frames of each read, beside who was asked.
    private(set) var frameReads: [Range<Int>] = []
    private(set) var queries: [CatalogQuery] = []
    /// The operations that were proposed, without those that open sessions.
    private(set) var operations: [CatalogOperation] = []
    /// The longest head that any call had.
    private(set) var longestHeadBytes = 0
    let group: FakeGroup

    static let buckets = ["photos", "archive"].compactMap { BucketName($0) }
    static let nodes = (1...5).map { NodeID(UInt32($0)) }
    static func key(of bucket: BucketName) -> [UInt8] {
        [UInt8](repeating: bucket == Self.buckets[0] ? 42 : 43, count: 32)
    }

    init(loop: any EventLoop) throws {
        self.loop = loop
        guard let owner = OwnerID("owner") else { throw StoreFault.corrupt("no owner") }
        self.group = try FakeGroup(buckets: Self.buckets, owner: owner)
        self.layout = try LayoutBuilder.build(
            version: LayoutVersion(1),
            nodes: Self.nodes.map { NodeDescriptor(id: $0, zone: "z\($0.rawValue % 3)") },
            partitionBits: 8)
    }

    func send(_ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane) {}
    func sendUrgent(_ node: NodeID, kind: UInt16, _ message: [UInt8]) {}

    func call(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async throws(CallFault) -> PeerResponse {
        do { try await self.loop.sleep(for: .microseconds(500)) } catch {
            throw .cancelled(mayHaveRun: false)
        }
        self.longestHeadBytes = max(self.longestHeadBytes, request.head.count)
        do {
            switch request.kind {
            case MetaCallKind.propose:
                let before = self.commits.count
                let answer = try self.decide(ProposeRequest(decoding: request.head))
                if !self.losesAnswersOfCommits || self.commits.count == before { return answer }
            case MetaCallKind.query: return try self.answer(QueryRequest(decoding: request.head))
            case MetaCallKind.readIndex:
                return PeerResponse(head: ReadIndexAnswer.index(self.group.index).encoded)
            case MetaCallKind.follow:
                return await self.answer(try FollowRequest(decoding: request.head))
            case MetaCallKind.bucketKey:
                let bucket = try BucketKeyRequest(decoding: request.head).bucket
                return PeerResponse(head: try self.open(bucket).encoded)
            default: break
            }
        } catch let fault as FormatFault {
            throw .malformed(fault)
        } catch {
            throw .malformed(.invalid(field: "\(error)", offset: 0))
        }
        if request.kind == MetaCallKind.propose { throw .connectionLost(mayHaveRun: true) }
        return try await self.store(node, request)
    }
}

// MARK: - Stores

extension FakeCluster {
    private func store(
        _ node: NodeID, _ request: PeerRequest
    ) async throws(CallFault) -> PeerResponse {
        let mood = self.moods[node] ?? .sound
        if mood == .unreachable { throw .unreachable(node) }
        var delay: Duration?
        if case .slow(let span) = mood { delay = span }
        if case .paced(let bytesPerSecond) = mood {
            let bytes = request.body.reduce(0) { $0 + $1.count }
            delay = .microseconds(bytes * 1_000_000 / bytesPerSecond)
        }
        if let span = delay {
            do { try await self.loop.sleep(for: span) } catch { throw .cancelled(mayHaveRun: true) }
        }
        do throws(FormatFault) {
            if request.kind == StoreCallKind.putChunk {
                let put = try PutChunkRequest(decoding: request.head)
                if mood == .full { return PeerResponse(head: PutChunkAnswer.full.encoded) }
                self.copies[node, default: [:]][put.name] = Copy(
                    request: put, sealed: request.body.reduce(into: []) { $0 += $1 })
                return PeerResponse(head: PutChunkAnswer.stored.encoded)
            }
            return self.read(try ReadChunkRequest(decoding: request.head), from: node, mood)
        } catch { throw .malformed(error) }
    }

    private func read(
        _ request: ReadChunkRequest, from node: NodeID, _ mood: Mood
    ) -> PeerResponse {
        self.chunkReads.append(node)
        self.frameReads.append(request.frames)
        guard mood != .empty, let copy = self.copies[node]?[request.name],
            request.frames.upperBound <= copy.request.frames.count
        else { return PeerResponse(head: ReadChunkAnswer.missing.encoded) }
        var lengths = copy.request.frames[request.frames].map(\.sealedBytes)
        var frames: [UInt8] = []
        for frame in request.frames {
            if mood == .scratched, frame == 1 {
                lengths[frame - request.frames.lowerBound] = 0
            } else {
                let range = copy.request.frames.sealedRange(ofFrames: frame..<frame + 1)
                frames += copy.sealed[range]
            }
        }
        if mood == .rotten { frames[frames.count - 1] ^= 1 }
        let half = frames.count / 2
        return PeerResponse(
            head: ReadChunkAnswer.found(
                chunkSealedBytes: UInt32(copy.request.sealedBytes), frameLengths: lengths
            ).encoded,
            body: [Array(frames[..<half]), Array(frames[half...])])
    }

    var filed: [FileBadCopy] {
        self.operations.compactMap { operation in
            guard case .fileBadCopy(let copy) = operation else { return nil }
            return copy
        }
    }

    func holders(of chunk: ChunkName) -> [NodeID] {
        Self.nodes.filter { self.copies[$0]?[chunk] != nil }
    }
}

// MARK: - Groups

extension FakeCluster {
    private func open(_ bucket: BucketName) throws(StoreFault) -> BucketKeyAnswer {
        guard Self.buckets.contains(bucket),
            case .bucket(let found) = try self.group.answer(.bucket(bucket))
        else { return .noSuchBucket }
        return .found(found.withoutKey, key: Self.key(of: bucket))
    }

    private func answer(_ request: FollowRequest) async -> PeerResponse {
        _ = await self.group.applied.wait(
            for: request.after.next, atMost: .seconds(1), on: self.loop)
        let news = self.group.ring.news(after: request.after)
        return PeerResponse(head: (news.map { FollowAnswer.news($0) } ?? .nothing).encoded)
    }

    private func answer(_ request: QueryRequest) throws(StoreFault) -> PeerResponse {
        let answer: CatalogAnswer
        switch request.query {

        case .tables(let known):
            let groups = [GroupID.system, GroupID(1)].map {
                GroupDescriptor(id: $0, voters: Self.nodes)
            }
            let table = GroupTable(version: 1, dealingSlotsTo: groups)
            answer = .tables(
                known.groupTable == 0
                    ? ClusterTables(layout: self.layout, groupTable: table) : ClusterTables())
        case let query: answer = try self.group.answer(query)
        }
        self.queries.append(request.query)
        return PeerResponse(
            fitting: QueryAnswer.answer(answer, applied: self.group.index).encoded)
    }

    private func decide(_ request: ProposeRequest) throws -> PeerResponse {
        var results: [CommandResult] = []
        for bytes in request.commands {
            let command = try CatalogCommand(decoding: bytes)
            if case .allocateIncarnation = command.operation {
                results.append(.incarnation(7))
                continue
            }
            if case .completeUpload = command.operation, self.hasNoRoomToComplete {
                return PeerResponse(head: ProposeAnswer.refused(.diskFull).encoded)
            }
            self.note(command.operation)
            results += try self.group.apply([command])
        }
        return PeerResponse(head: ProposeAnswer.applied(at: LogIndex(1), results: results).encoded)
    }

    private func note(_ operation: CatalogOperation) {
        if case .openSession = operation { return }
        self.operations.append(operation)
        if case .putObject(let put) = operation {
            self.commits.append(put)
            self.noteHolders(of: put.content)
        }
        if case .putPart(let put) = operation, case .content(let content) = put.source {
            self.noteHolders(of: content)
        }
    }

    private func noteHolders(of content: ObjectContent) {
        guard case .chunks(let chunks) = content.manifest else { return }
        self.holdersAtCommit.append(chunks.map { self.holders(of: $0.name).count })
    }
}
