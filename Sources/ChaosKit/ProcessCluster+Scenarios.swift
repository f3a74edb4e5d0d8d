import FileClient
import IORuntime
import Primitives

/// What every scenario does with its cluster.
extension ProcessCluster {
    /// Starts all nodes, lets `prepare` make what clients need, and has `strike` do its work while
    /// `load` goes on. However that comes out, the load is told to end, and waited for.
    nonisolated func run<Value: Sendable>(
        preparing prepare: () async throws(FileClientFault) -> Void,
        under load: @escaping @Sendable () async -> Void, endedBy end: () async -> Void,
        _ strike: () async throws(ProcessClusterFault) -> Value
    ) async throws(ChaosFault) -> Value {
        do throws(ProcessClusterFault) { try await self.startAll() } catch {
            throw .cluster(error)
        }
        do throws(FileClientFault) { try await prepare() } catch { throw .client(error) }
        async let loading: Void = load()
        let result: Result<Value, ProcessClusterFault>
        do throws(ProcessClusterFault) { result = .success(try await strike()) } catch {
            result = .failure(error)
        }
        await end()
        await loading
        do throws(ProcessClusterFault) { return try result.get() } catch { throw .cluster(error) }
    }

    /// The leader of each group, as the leaders themselves say.
    func leaders() async -> [UInt32: NodeID] {
        var leaders: [UInt32: NodeID] = [:]
        for (node, status) in zip(self.nodes, await self.statuses(of: self.nodes)) {
            for group in status?.groups ?? [] where group.role == "leader" {
                leaders[group.group] = node
            }
        }
        return leaders
    }

    /// Waits, however things stand.
    nonisolated func wait(for span: Duration) async throws(ProcessClusterFault) {
        do { try await self.loop.sleep(for: span) } catch { throw .cancelled }
    }

    /// Looks again and again whether something holds; false when it does not within the limit.
    nonisolated func wait(
        within limit: Duration, lookingEvery span: Duration,
        until holds: () async throws(ProcessClusterFault) -> Bool
    ) async throws(ProcessClusterFault) -> Bool {
        let deadline = self.loop.now + limit
        while try await !holds() {
            guard self.loop.now < deadline else { return false }
            try await self.wait(for: span)
        }
        return true
    }
}
