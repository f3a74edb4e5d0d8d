import Catalog
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// The life of chunks, as stores and readers take part in it.
extension ClusterClient {
    /// Has an operation decided in one group that may be repeated without harm and speaks of many
    /// slots: each of its chunks is answered for itself.
    package func propose(
        _ operation: CatalogOperation, in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> CommandResult {
        invariant(operation.mayRepeat, "without an identity only what may be repeated is sent")
        self.counters.commands.add()
        let command = CatalogCommand(operation: operation)
        return try await self.decide(command, in: group, deadline: deadline).result
    }

    /// Notes in metadata that a node's copy of a chunk is missing or bad, for repair to look at.
    ///
    /// Best effort, in the background, and returns at once: a reader has another copy to turn to.
    /// The same complaint goes once in `BadCopyFilings.memory` complaints, and all together at a
    /// bounded rate, so that a broken disk does not make the readers a burden on metadata.
    package func fileBadCopy(_ chunk: ChunkKey, on node: NodeID) {
        let filed = FileBadCopy(chunk: chunk, node: node)
        let now = self.environment.now
        guard self.state.withLock({ $0.badCopies.admits(filed, at: now) }) else {
            return self.counters.badCopiesHeldBack.add()
        }
        self.loop.spawn {
            let deadline = self.environment.now + self.settings.callTimeout
            do throws(ClusterFault) {
                _ = try await self.submit(.fileBadCopy(filed), deadline: deadline)
                self.counters.badCopiesFiled.add()
            } catch {
                self.counters.badCopiesHeldBack.add()
                self.state.withLock { $0.badCopies.failed(filed) }
            }
        }
    }
}

/// Which complaints of bad copies are passed on. A pure value.
package struct BadCopyFilings: Sendable {
    /// How many complaints are remembered as made.
    package static let memory = 4_096
    /// How many may be made at once after a silence, and how long each takes to earn.
    package static let burst = 64
    package static let interval: Duration = .milliseconds(200)

    private var known: Set<Complaint> = []
    /// The complaints in `known`, the oldest first.
    private var order: [Complaint] = []
    private var next = 0
    /// When the burst is whole again.
    private var restored = Instant(nanoseconds: 0)

    private struct Complaint: Hashable, Sendable {
        let chunk: ChunkKey
        let node: NodeID
    }

    package init() {}

    /// Whether this complaint is new, and there is room for it now.
    package mutating func admits(_ filed: FileBadCopy, at now: Instant) -> Bool {
        let complaint = Complaint(chunk: filed.chunk, node: filed.node)
        guard !self.known.contains(complaint) else { return false }
        let restored = max(self.restored, now) + Self.interval
        guard restored - now <= Self.interval * Self.burst else { return false }
        self.restored = restored
        self.remember(complaint)
        return true
    }

    /// The complaint was not heard: it may be made again.
    package mutating func failed(_ filed: FileBadCopy) {
        self.known.remove(Complaint(chunk: filed.chunk, node: filed.node))
    }

    private mutating func remember(_ complaint: Complaint) {
        if self.order.count < Self.memory {
            self.order.append(complaint)
        } else {
            self.known.remove(self.order[self.next])
            self.order[self.next] = complaint
            self.next = (self.next + 1) % Self.memory
        }
        self.known.insert(complaint)
    }
}
