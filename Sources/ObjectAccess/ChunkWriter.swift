import Catalog
import ChunkProtocol
import ClusterClient
import IORuntime
import PeerTransport
import Placement
import Primitives
import Telemetry
import Wire

/// Brings chunks to stores: what `ChunkWrite` decides.
final class ChunkWriter: Sendable {
    private let environment: any Environment
    private let cluster: ClusterClient
    private let counters: ObjectAccessCounters
    /// How long each store takes to make a chunk durable, for each class of sizes apart: what is
    /// usual for a large chunk would hide a store that is late with a small one, and what is usual
    /// for a small one would have every large one stored by others too.
    private let scores = SizeClass.allCases.map { _ in StoreScores() }

    private enum SizeClass: Int, CaseIterable {
        case small
        case medium
        case large

        init(sealedBytes: Int) {
            self =
                switch sealedBytes {
                case ..<(256 << 10): .small
                case ..<(2 << 20): .medium
                case _: .large
                }
        }
    }

    private func scores(of chunk: SealedChunk) -> StoreScores {
        self.scores[SizeClass(sealedBytes: chunk.sealedBytes).rawValue]
    }

    init(
        environment: any Environment, cluster: ClusterClient, counters: ObjectAccessCounters
    ) {
        self.environment = environment
        self.cluster = cluster
        self.counters = counters
    }

    private enum SendOutcome: Sendable {
        case stored(NodeID)
        case failed(NodeID, String)
        case full(NodeID)
        case late(NodeID)
    }

    /// Brings a sealed chunk to as many different nodes as the promise needs; each has it durably
    /// when this returns.
    func write(
        _ chunk: SealedChunk, slot: Slot, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> (reference: ChunkReference, placedBy: LayoutVersion) {
        guard let layout = self.cluster.layout else {
            throw .unavailable("this node does not know the layout yet")
        }
        let partition = chunk.name.partition(partitionBits: layout.partitionBits)
        let set: WriteSet
        switch layout.chooseWriteSet(for: partition, isLive: self.cluster.isLive) {
        case .write(let chosen): set = chosen
        case .refused(let live, let needed):
            throw .unavailable("\(live) stores are reachable and \(needed) copies are promised")
        }
        let homes = layout.homes(of: partition)
        let scores = self.scores(of: chunk)
        var write = ChunkWrite(set, homes: homes)
        var reasons: [String] = []
        await withTaskGroup(of: SendOutcome.self) { group in
            func send(to nodes: [NodeID]) {
                for node in nodes {
                    if !homes.contains(node) { self.counters.handoffWrites.add() }
                    group.addTask { await self.send(chunk, slot, to: node, deadline: deadline) }
                    let patience = scores.patience(with: node, at: self.environment.now)
                    group.addTask {
                        do { try await loop.sleep(for: patience) } catch {}
                        return .late(node)
                    }
                }
            }
            send(to: write.start())
            while write.outcome == .undecided, let outcome = await group.next() {
                switch outcome {
                case .stored(let node): send(to: write.stored(by: node))
                case .failed(let node, let reason):
                    reasons.append("node \(node): \(reason)")
                    send(to: write.failed(node))
                case .full(let node):
                    reasons.append("node \(node): full")
                    send(to: write.refusedFull(node))
                case .late(let node):
                    guard write.waiting.contains(node) else { continue }
                    scores.disappointed(by: node, at: self.environment.now)
                    send(to: write.isLate(node))
                }
            }
            // What is still on its way may make a surplus copy, which does no harm.
            group.cancelAll()
        }
        switch write.outcome {
        case .durable(_, let exceptions):
            let reference = ChunkReference(
                name: chunk.name, plainLength: UInt32(chunk.plainBytes),
                sealedLength: UInt32(chunk.sealedBytes), exceptions: exceptions)
            return (reference, layout.version)
        case .diskFull:
            self.counters.refusedFull.add()
            throw .diskFull(
                "too few stores have room for a chunk: " + reasons.joined(separator: "; "))
        case .unavailable, .undecided:
            throw .unavailable(
                "too few stores took a chunk: " + reasons.joined(separator: "; "))
        }
    }

    private func send(
        _ chunk: SealedChunk, _ slot: Slot, to node: NodeID, deadline: Instant
    ) async -> SendOutcome {
        let put = PutChunkRequest(name: chunk.name, slot: slot, frames: chunk.frames)
        let request = PeerRequest(
            kind: StoreCallKind.putChunk, head: put.encoded, body: chunk.sealed)
        let begun = self.environment.now
        let response: PeerResponse
        do throws(CallFault) {
            response = try await self.cluster.peers.call(
                node, request, lane: .bulk, deadline: deadline)
        } catch {
            return .failed(node, "\(error)")
        }
        do throws(FormatFault) {
            let answer = try PutChunkAnswer(decoding: response.head)
            switch answer {
            case .stored: break
            case .full: return .full(node)
            case .overloaded, .checksumMismatch, .device: return .failed(node, "\(answer)")
            }
        } catch {
            return .failed(node, "its answer cannot be read: \(error)")
        }
        let now = self.environment.now
        self.scores(of: chunk).observe(node, now - begun, at: now)
        return .stored(node)
    }
}
