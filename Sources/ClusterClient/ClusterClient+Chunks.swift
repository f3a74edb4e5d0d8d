import Catalog
import IORuntime
import Primitives
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
}
