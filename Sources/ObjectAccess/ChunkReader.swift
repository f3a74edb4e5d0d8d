import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import PeerTransport
import Placement
import Primitives
import Telemetry
import Wire

/// Fetches frames of chunks from stores: what `ChunkRead` decides.
final class ChunkReader: Sendable {
    private let environment: any Environment
    private let cluster: ClusterClient
    private let counters: ObjectAccessCounters
    /// How long each store takes to answer a read.
    private let scores = StoreScores()

    init(
        environment: any Environment, cluster: ClusterClient, counters: ObjectAccessCounters
    ) {
        self.environment = environment
        self.cluster = cluster
        self.counters = counters
    }

    private enum ReadOutcome: Sendable {
        case answered(NodeID, [UInt8])
        case failed(NodeID, ChunkFault)
        case late(NodeID)
    }

    /// Reads a run of a chunk's frames from any copy, opened: every byte is proven by its tag.
    func read(
        _ frames: Range<Int>, of chunk: ChunkReference, bucketKey: SymmetricKey,
        on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> [UInt8] {
        guard let layout = SealedLayout(plainBytes: Int(chunk.plainLength)) else {
            throw .broken("chunk \(chunk.name) is said to have \(chunk.plainLength) bytes")
        }
        let copies = self.rankedCopies(of: chunk)
        var read = ChunkRead(copies: copies)
        var plain: [UInt8]?
        await withTaskGroup(of: ReadOutcome.self) { group in
            func ask(_ node: NodeID?) {
                guard let node else { return }
                group.addTask {
                    await self.ask(
                        node, for: frames, of: chunk, layout, bucketKey, deadline: deadline)
                }
                let patience = self.scores.patience(with: node, at: self.environment.now)
                group.addTask {
                    do { try await loop.sleep(for: patience) } catch {}
                    return .late(node)
                }
            }
            ask(read.start())
            while read.outcome == .undecided, let outcome = await group.next() {
                switch outcome {
                case .answered(let node, let bytes):
                    read.answered(by: node)
                    plain = bytes
                case .failed(let node, let fault):
                    self.counters.copiesFailed.add()
                    ask(read.failed(node, fault))
                case .late(let node):
                    guard read.waiting.contains(node) else { continue }
                    self.scores.wasLate(node, at: self.environment.now)
                    if let other = read.isLate() {
                        self.counters.hedgedReads.add()
                        ask(other)
                    }
                }
            }
            group.cancelAll()
        }
        self.counters.copiesNeedingRepair.add(UInt64(read.needsRepair.count))
        if let plain { return plain }
        var reasons: [String] = []
        if case .unreadable(let faults) = read.outcome {
            reasons = faults.keys.sorted().map { "node \($0): \(faults[$0].debugDescription)" }
        }
        throw .unreadable(
            "no copy of chunk \(chunk.name) can be read: " + reasons.joined(separator: "; "))
    }

    private func ask(
        _ node: NodeID, for frames: Range<Int>, of chunk: ChunkReference,
        _ layout: SealedLayout, _ bucketKey: SymmetricKey, deadline: Instant
    ) async -> ReadOutcome {
        let name = chunk.name
        let request = PeerRequest(
            kind: StoreCallKind.readChunk,
            head: ReadChunkRequest(name: name, frames: frames).encoded)
        let begun = self.environment.now
        let response: PeerResponse
        do throws(CallFault) {
            response = try await self.cluster.peers.call(
                node, request, lane: .bulk, deadline: deadline)
        } catch {
            return .failed(node, .unreachable(name, node))
        }
        let lengths: [UInt32]
        do throws(FormatFault) {
            switch try ReadChunkAnswer(decoding: response.head) {
            case .found(chunk.sealedLength, let found):
                if let bad = found.firstIndex(of: 0) {
                    return .failed(node, .checksumMismatch(name, frame: frames.lowerBound + bad))
                }
                lengths = found
            case .found: return .failed(node, .notAuthentic(name, frame: frames.lowerBound))
            case .missing: return .failed(node, .missing(name))
            case .device(let reason): return .failed(node, .device(name, reason: reason))
            }
        } catch {
            return .failed(node, .unreachable(name, node))
        }
        let sealed = response.joinedBody
        do throws(ChunkFault) {
            let plain = try SealedChunk.open(
                sealed, lengths: lengths, frames: frames, of: layout, name: name,
                bucketKey: bucketKey)
            self.scores.observe(node, self.environment.now - begun)
            return .answered(node, plain)
        } catch {
            self.counters.framesRefused.add()
            return .failed(node, error)
        }
    }

    /// The nodes that may hold a copy, best first; those believed dead last of all.
    private func rankedCopies(of chunk: ChunkReference) -> [NodeID] {
        let layout = self.cluster.layout
        let homes =
            layout.map { $0.homes(of: chunk.name.partition(partitionBits: $0.partitionBits)) }
            ?? []
        let candidates = homes + chunk.exceptions.filter { !homes.contains($0) }
        let expected = self.scores.expectedMicroseconds(at: self.environment.now)
        let ranked = ChunkRead.ranked(
            candidates, local: self.cluster.node, expectedMicroseconds: expected)
        return ranked.filter(self.cluster.isLive) + ranked.filter { !self.cluster.isLive($0) }
    }
}

extension PeerResponse {
    /// The body in one piece; copied only where it came in several.
    fileprivate var joinedBody: [UInt8] {
        if self.body.count == 1 { return self.body[0] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(self.body.reduce(0) { $0 + $1.count })
        for piece in self.body { bytes.append(contentsOf: piece) }
        return bytes
    }
}
