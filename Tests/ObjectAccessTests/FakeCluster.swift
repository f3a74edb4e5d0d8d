import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import ObjectAccess
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
    /// Holds its copies with one bit of the last frame asked for changed.
    case rotten
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
    private(set) var copies: [NodeID: [ChunkName: Copy]] = [:]
    private(set) var commits: [PutObject] = []
    /// For each commit, how many nodes held each of its chunks when it came.
    private(set) var holdersAtCommit: [[Int]] = []
    private(set) var chunkReads: [NodeID] = []
    private var objects: [ObjectKey: (ObjectHead, Manifest)] = [:]

    static let nodes = (1...5).map { NodeID(UInt32($0)) }
    static let bucketKey = [UInt8](repeating: 42, count: 32)
    private static let bucketVersion = VersionID(rawValue: 9)

    init(loop: any EventLoop) throws {
        self.loop = loop
        self.layout = try LayoutBuilder.build(
            version: LayoutVersion(1),
            nodes: Self.nodes.map { NodeDescriptor(id: $0, zone: "z\($0.rawValue % 3)") },
            partitionBits: 8)
    }

    func send(_ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane) {}

    func call(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async throws(CallFault) -> PeerResponse {
        do { try await self.loop.sleep(for: .microseconds(500)) } catch {
            throw .cancelled(mayHaveRun: false)
        }
        do throws(FormatFault) {
            switch request.kind {
            case MetaCallKind.propose:
                let before = self.commits.count
                let answer = try self.decide(ProposeRequest(decoding: request.head))
                if !self.losesAnswersOfCommits || self.commits.count == before { return answer }
            case MetaCallKind.query: return try self.answer(QueryRequest(decoding: request.head))
            case MetaCallKind.bucketKey:
                let bucket = try BucketKeyRequest(decoding: request.head).bucket
                return PeerResponse(head: self.open(bucket).encoded)
            default: break
            }
        } catch { throw .malformed(error) }
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
        if case .slow(let span) = mood {
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
        guard mood != .empty, let copy = self.copies[node]?[request.name],
            request.frames.upperBound <= copy.request.frames.count
        else { return PeerResponse(head: ReadChunkAnswer.missing.encoded) }
        var frames = Array(copy.sealed[copy.request.frames.sealedRange(ofFrames: request.frames)])
        if mood == .rotten { frames[frames.count - 1] ^= 1 }
        let half = frames.count / 2
        return PeerResponse(
            head: ReadChunkAnswer.found(
                chunkSealedBytes: UInt32(copy.request.sealedBytes),
                frameLengths: copy.request.frames[request.frames].map(\.sealedBytes)
            ).encoded,
            body: [Array(frames[..<half]), Array(frames[half...])])
    }

    func holders(of chunk: ChunkName) -> [NodeID] {
        Self.nodes.filter { self.copies[$0]?[chunk] != nil }
    }
}

// MARK: - Groups

extension FakeCluster {
    private func open(_ bucket: BucketName) -> BucketKeyAnswer {
        let owner = OwnerID("owner")
        guard let owner, bucket.text == "photos" else { return .noSuchBucket }
        return .found(
            Bucket(
                name: bucket, version: Self.bucketVersion, owner: owner,
                created: Timestamp(milliseconds: 1), wrappedKey: []),
            key: Self.bucketKey)
    }

    private func answer(_ request: QueryRequest) -> PeerResponse {
        let answer: CatalogAnswer
        switch request.query {
        case .layout: answer = .layout(self.layout)
        case .groupTable:
            let groups = [GroupID.system, GroupID(1)].map {
                GroupDescriptor(id: $0, voters: Self.nodes)
            }
            answer = .groupTable(GroupTable(version: 1, dealingSlotsTo: groups))
        case .object(_, let key, _):
            answer = self.objects[key].map { .object($0, $1) } ?? .absent
        default: answer = .absent
        }
        return PeerResponse(
            fitting: QueryAnswer.answer(answer, applied: LogIndex(1)).encoded)
    }

    private func decide(
        _ request: ProposeRequest
    ) throws(FormatFault) -> PeerResponse {
        var results: [CommandResult] = []
        for bytes in request.commands {
            let command = try CatalogCommand(decoding: bytes)
            switch command.operation {
            case .allocateIncarnation: results.append(.incarnation(7))
            case .openSession: results.append(.sessionOpened(firstSequence: 1))
            case .putObject(let put):
                results.append(self.commit(put))
            default: results.append(.malformed)
            }
        }
        return PeerResponse(head: ProposeAnswer.applied(at: LogIndex(1), results: results).encoded)
    }

    private func commit(_ put: PutObject) -> CommandResult {
        self.commits.append(put)
        guard put.content.sealedFor == Self.bucketVersion else { return .bucketReplaced }
        let manifest = put.content.manifest
        if case .chunks(let chunks) = manifest {
            self.holdersAtCommit.append(chunks.map { self.holders(of: $0.name).count })
        }
        let version = VersionID(rawValue: UInt64(self.commits.count))
        var isInline = false
        if case .inline = manifest { isInline = true }
        self.objects[put.key] = (
            ObjectHead(
                version: version, manifest: ManifestID(rawValue: version.rawValue),
                isInline: isInline, sealedFor: Self.bucketVersion,
                size: put.size, modified: Timestamp(milliseconds: 5), entityTag: put.entityTag,
                sha256: put.sha256, checksums: put.checksums, attributes: put.attributes),
            manifest
        )
        return .stored(version, at: Timestamp(milliseconds: 5))
    }
}
