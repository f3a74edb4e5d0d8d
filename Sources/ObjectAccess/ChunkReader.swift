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

/// Fetches frames of chunks from stores: what `ChunkRead` decides.
final class ChunkReader: Sendable {
    /// Some frames of a chunk, and what they are opened with.
    struct Wanted: Sendable {
        let frames: Range<Int>
        let chunk: ChunkReference
        /// Of the chunk's bucket.
        let slot: Slot
        let bucketKey: SymmetricKey
    }

    private let environment: any Environment
    private let cluster: ClusterClient
    private let badCopies: BadCopyFiling
    private let counters: ObjectAccessCounters
    /// How long each store takes to answer a read.
    private let scores = StoreScores()
    private let hedges = Mutex(HedgeBudget())

    init(
        environment: any Environment, cluster: ClusterClient, counters: ObjectAccessCounters
    ) {
        self.environment = environment
        self.cluster = cluster
        self.badCopies = BadCopyFiling(cluster: cluster, counters: counters)
        self.counters = counters
    }

    private enum Event: Sendable {
        /// The sealed size of each frame that was asked for, and the bytes.
        case answered(NodeID, lengths: [Int], body: [[UInt8]])
        case failed(NodeID, ChunkFault, isStoreAtFault: Bool)
        /// Later than the 95th percentile.
        case late(NodeID)
        case overdue(NodeID)
    }

    /// Reads a run of frames, each from whichever copy brings it first; every byte is proven.
    func read(
        _ wanted: Wanted, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> [UInt8] {
        let chunk = wanted.chunk
        guard let layout = SealedLayout(plainBytes: Int(chunk.plainLength)),
            !wanted.frames.isEmpty, wanted.frames.upperBound <= layout.frameCount
        else { throw .broken("chunk \(chunk.name) has no frames \(wanted.frames)") }
        var read = ChunkRead(wanted.frames, copies: self.rankedCopies(of: chunk))
        var assembly = FrameAssembly(
            wanted.frames, of: layout, name: chunk.name, bucketKey: wanted.bucketKey)
        /// Who was asked, for what, and when.
        var asked: [(ask: ChunkRead.Ask, at: Instant)] = []
        self.hedges.withLock { $0.readBegan() }
        await withTaskGroup(of: Event.self) { group in
            func ask(_ next: ChunkRead.Ask?) {
                guard let next else { return }
                asked.append((next, self.environment.now))
                group.addTask { await self.ask(next, of: chunk, by: deadline) }
                let patience = self.scores.readPatience(with: next.node)
                group.addTask {
                    do { try await loop.sleep(for: patience.hedge) } catch {}
                    return .late(next.node)
                }
            }
            ask(read.start())
            while read.outcome == .undecided, let event = await group.next() {
                switch event {
                case .answered(let node, let lengths, let body):
                    guard let entry = asked.first(where: { $0.ask.node == node }) else { continue }
                    let now = self.environment.now
                    self.scores.observe(node, now - entry.at, at: now)
                    let bad = assembly.take(entry.ask.frames, lengths: lengths, body: body)
                    self.note(bad)
                    ask(read.answered(by: node, bad: bad))
                case .failed(let node, let fault, let isStoreAtFault):
                    self.counters.copiesFailed.add()
                    if isStoreAtFault {
                        self.scores.disappointed(by: node, at: self.environment.now)
                    }
                    ask(read.failed(node, fault))
                case .late(let node):
                    guard read.isWaiting(for: node) else { continue }
                    ask(self.hedge(node, &read))
                    let patience = self.scores.readPatience(with: node)
                    group.addTask {
                        do { try await loop.sleep(for: patience.overdue - patience.hedge) } catch {}
                        return .overdue(node)
                    }
                case .overdue(let node):
                    guard read.isWaiting(for: node) else { continue }
                    self.scores.disappointed(by: node, at: self.environment.now)
                    self.counters.copiesOverdue.add()
                    ask(read.isOverdue(node))
                }
            }
            group.cancelAll()
        }
        self.file(read.badCopies, of: ChunkKey(slot: wanted.slot, name: chunk.name), on: loop)
        try self.conclude(read, of: chunk.name, asked)
        return assembly.finish()
    }

    private func file(_ nodes: [NodeID], of key: ChunkKey, on loop: any EventLoop) {
        for node in nodes {
            self.counters.copiesNeedingRepair.add()
            self.badCopies.file(.init(chunk: key, node: node), on: loop)
        }
    }

    /// Throws unless every frame is there; what was asked and is not waited for is noted.
    private func conclude(
        _ read: ChunkRead, of name: ChunkName, _ asked: [(ask: ChunkRead.Ask, at: Instant)]
    ) throws(AccessFault) {
        switch read.outcome {
        case .complete:
            let now = self.environment.now
            for (ask, began) in asked where read.isWaiting(for: ask.node) {
                self.scores.outpaced(ask.node, after: now - began, at: now)
            }
        case .undecided:
            throw .unavailable("the read of chunk \(name) was given up")
        case .unreadable(let faults):
            let reasons = faults.keys.sorted().map {
                "node \($0): \(faults[$0].debugDescription)"
            }
            throw .unreadable(
                "no copy of chunk \(name) can be read: " + reasons.joined(separator: "; "))
        }
    }

    /// Whom to ask beside a copy that is late, where there is somebody and the budget allows.
    private func hedge(_ node: NodeID, _ read: inout ChunkRead) -> ChunkRead.Ask? {
        guard read.canHedge else { return nil }
        guard self.hedges.withLock({ $0.takeHedge() }) else {
            self.counters.hedgesDenied.add()
            return nil
        }
        guard let ask = read.isLate(node) else { return nil }
        self.counters.hedgedReads.add()
        return ask
    }

    private func note(_ bad: [(frame: Int, fault: ChunkFault)]) {
        guard !bad.isEmpty else { return }
        self.counters.copiesFailed.add()
        for (_, fault) in bad {
            switch fault {
            case .notAuthentic: self.counters.framesRefused.add()
            case .checksumMismatch: self.counters.framesRotten.add()
            case .missing, .device, .unreachable: break
            }
        }
    }

    private func ask(
        _ ask: ChunkRead.Ask, of chunk: ChunkReference, by deadline: Instant
    ) async -> Event {
        let name = chunk.name
        let request = PeerRequest(
            kind: StoreCallKind.readChunk,
            head: ReadChunkRequest(name: name, frames: ask.frames).encoded)
        let node = ask.node
        let response: PeerResponse
        do throws(CallFault) {
            response = try await self.cluster.peers.call(
                node, request, lane: .bulk, deadline: deadline)
        } catch {
            return .failed(node, .unreachable(name, node), isStoreAtFault: !error.isOurs)
        }
        do throws(FormatFault) {
            switch try ReadChunkAnswer(decoding: response.head) {
            case .found(chunk.sealedLength, let lengths):
                return .answered(node, lengths: lengths.map { Int($0) }, body: response.body)
            case .found:
                let fault = ChunkFault.notAuthentic(name, frame: ask.frames.lowerBound)
                return .failed(node, fault, isStoreAtFault: false)
            case .missing: return .failed(node, .missing(name), isStoreAtFault: false)
            case .device(let reason):
                return .failed(node, .device(name, reason: reason), isStoreAtFault: true)
            }
        } catch {
            return .failed(node, .unreachable(name, node), isStoreAtFault: true)
        }
    }

    /// The nodes that may hold a copy, best first.
    private func rankedCopies(of chunk: ChunkReference) -> [NodeID] {
        let layout = self.cluster.layout
        let homes =
            layout.map { $0.homes(of: chunk.name.partition(partitionBits: $0.partitionBits)) }
            ?? []
        let candidates = homes + chunk.exceptions.filter { !homes.contains($0) }
        var standings = self.scores.standings(of: candidates, at: self.environment.now)
        for place in standings.indices {
            let node = standings[place].node
            standings[place].isLocal = node == self.cluster.node
            standings[place].isLive = self.cluster.isLive(node)
        }
        return ChunkRead.ranked(standings)
    }
}

extension CallFault {
    /// Whether the call ended for a reason on this side, which says nothing of the store.
    fileprivate var isOurs: Bool {
        switch self {
        case .cancelled, .shuttingDown, .tooLarge: true
        case .unreachable, .deadlineExceeded, .refused, .connectionLost, .overloaded, .malformed:
            false
        }
    }
}
