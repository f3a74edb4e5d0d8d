import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import PeerTransport
import Placement
import Primitives
import Synchronization
import Telemetry
import Wire

/// Carries chunks to and from stores: what `ChunkWrite` and `ChunkRead` decide.
final class ChunkTransfer: Sendable {
    private let environment: any Environment
    private let cluster: ClusterClient
    private let counters: ObjectAccessCounters
    /// A running estimate of how long each store takes, in microseconds.
    private let latencies = Mutex<[NodeID: StoreLatency]>([:])

    init(
        environment: any Environment, cluster: ClusterClient, counters: ObjectAccessCounters
    ) {
        self.environment = environment
        self.cluster = cluster
        self.counters = counters
    }

    // MARK: Writing

    private enum SendOutcome: Sendable {
        case stored(NodeID)
        case failed(NodeID, String)
        case late(NodeID)
    }

    /// Brings a sealed chunk to as many different nodes as the promise needs; each has it durably
    /// when this returns.
    func write(
        _ chunk: SealedChunk, on loop: any EventLoop, deadline: Instant
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
        var write = ChunkWrite(set, homes: homes)
        var reasons: [String] = []
        await withTaskGroup(of: SendOutcome.self) { group in
            func send(to nodes: [NodeID]) {
                for node in nodes {
                    if !homes.contains(node) { self.counters.handoffWrites.add() }
                    group.addTask { await self.send(chunk, to: node, deadline: deadline) }
                    let patience = self.patience(with: node)
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
                case .late(let node):
                    guard write.waiting.contains(node) else { continue }
                    self.wasLate(node)
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
                sealedLength: UInt32(chunk.sealed.count), exceptions: exceptions)
            return (reference, layout.version)
        case .unavailable, .undecided:
            throw .unavailable(
                "too few stores took a chunk: " + reasons.joined(separator: "; "))
        }
    }

    private func send(
        _ chunk: SealedChunk, to node: NodeID, deadline: Instant
    ) async -> SendOutcome {
        let put = PutChunkRequest(
            name: chunk.name, sealedBytes: UInt32(chunk.sealed.count),
            frameChecksums: chunk.frameChecksums)
        let request = PeerRequest(
            kind: StoreCallKind.putChunk, head: put.encoded, body: [chunk.sealed])
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
            guard answer == .stored else { return .failed(node, "\(answer)") }
        } catch {
            return .failed(node, "its answer cannot be read: \(error)")
        }
        self.observe(node, self.environment.now - begun)
        return .stored(node)
    }

    // MARK: Reading

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
                        node, for: frames, of: chunk.name, layout, bucketKey, deadline: deadline)
                }
                let patience = self.patience(with: node)
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
                    self.wasLate(node)
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
        _ node: NodeID, for frames: Range<Int>, of name: ChunkName, _ layout: SealedLayout,
        _ bucketKey: SymmetricKey, deadline: Instant
    ) async -> ReadOutcome {
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
        do throws(FormatFault) {
            switch try ReadChunkAnswer(decoding: response.head) {
            case .found(let sealedBytes) where Int(sealedBytes) == layout.sealedBytes: break
            case .found: return .failed(node, .notAuthentic(name, frame: frames.lowerBound))
            case .missing: return .failed(node, .missing(name))
            case .checksumMismatch(let frame):
                return .failed(node, .checksumMismatch(name, frame: Int(frame)))
            case .device(let reason): return .failed(node, .device(name, reason: reason))
            }
        } catch {
            return .failed(node, .unreachable(name, node))
        }
        let sealed = response.joinedBody
        do throws(ChunkFault) {
            let plain = try SealedChunk.open(
                sealed, frames: frames, of: layout, name: name, bucketKey: bucketKey)
            self.observe(node, self.environment.now - begun)
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
        let now = self.environment.now
        let expected = self.latencies.withLock { latencies in
            latencies.compactMapValues { $0.expectedMicroseconds(at: now) }
        }
        let ranked = ChunkRead.ranked(
            candidates, local: self.cluster.node, expectedMicroseconds: expected)
        return ranked.filter(self.cluster.isLive) + ranked.filter { !self.cluster.isLive($0) }
    }

    // MARK: How long stores take

    private func observe(_ node: NodeID, _ span: Duration) {
        let microseconds = Int(span.wholeNanoseconds / 1000)
        self.latencies.withLock { $0[node, default: StoreLatency()].observe(microseconds) }
    }

    private func wasLate(_ node: NodeID) {
        let now = self.environment.now
        self.latencies.withLock { $0[node, default: StoreLatency()].wasLate(at: now) }
    }

    /// How long to wait for a node before somebody else is asked as well.
    private func patience(with node: NodeID) -> Duration {
        let now = self.environment.now
        return self.latencies.withLock { $0[node, default: StoreLatency()].patience(at: now) }
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
