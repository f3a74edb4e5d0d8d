import Catalog
import ClusterClient
import IORuntime
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Testing

/// Production nodes (five unless told otherwise) that have joined, a bucket, and a client, for stories told by a test.
struct Stage: Sendable {
    let simulator: Simulator
    let cluster: SimulatedCluster
    let client: SimulatedClient

    init(seed: UInt64 = 1, _ settings: SimulatedClusterSettings = SimulatedClusterSettings()) throws
    {
        self.simulator = Simulator(seed: seed)
        self.cluster = try SimulatedCluster(self.simulator, settings)
        self.client = SimulatedClient(self.cluster, bucket: try #require(BucketName("photos")))
    }

    subscript(_ index: Int) -> SimulatedNode { self.cluster.machines[index] }

    /// Starts the cluster, makes the bucket, tells the story to its end, and takes the world apart.
    func tell(
        within span: Duration = .seconds(300),
        _ story: @escaping @Sendable (Stage) async throws -> Void
    ) {
        self.cluster.start()
        self.simulator.spawn("story") {
            do {
                try await self.wait("all nodes join") { stage in
                    stage.cluster.running.count == stage.cluster.machines.count
                }
                _ = try await self.succeed { await $0.createBucket(through: self[0]) }
                try await story(self)
            } catch { Issue.record(error) }
        }
        let outcome = self.simulator.run(for: span)
        #expect(outcome.ending == .finished, "unfinished: \(outcome.unfinished)")
        #expect(outcome.blockingCallsOnLoops == 0)
        self.simulator.discard()
    }

    struct Tired: Error { let reason: String }

    /// Waits until something holds, for a minute at most.
    func wait(_ what: String, until holds: (Stage) -> Bool) async throws {
        let end = self.simulator.now + .seconds(60)
        while !holds(self) {
            guard self.simulator.now < end else { throw Tired(reason: what) }
            try await self.simulator.loop.sleep(for: .milliseconds(5))
        }
    }

    /// Repeats a request that may be repeated until it succeeds, for a minute at most.
    @discardableResult
    func succeed<Value>(
        _ request: (SimulatedClient) async -> SimulatedClient.Answer<Value>
    ) async throws -> Value {
        let end = self.simulator.now + .seconds(60)
        while true {
            let answer = await request(self.client)
            if case .success(let value) = answer { return value }
            guard self.simulator.now < end else { throw Tired(reason: "\(answer as Any)") }
            try await self.simulator.loop.sleep(for: .milliseconds(5))
        }
    }

    /// Puts objects through one node each and reads each back through every node that runs.
    func expect(_ objects: [ObjectKey: [UInt8]]) async throws {
        for (key, body) in objects.sorted(by: { $0.key < $1.key }) {
            for machine in self.cluster.running {
                let found = try await self.succeed { await $0.get(key, through: machine) }
                #expect(found.body == body, "\(key) through \(machine.name)")
            }
        }
    }

    func node(_ index: Int) throws -> Node { try #require(self.cluster.node(on: self[index])) }

    /// The machine that leads the bucket's group.
    func leader() async throws -> SimulatedNode {
        let group = try #require(
            try self.node(0).cluster.group(owning: self.client.bucket.slot))
        return try #require(await self.cluster.leader(of: group))
    }

    /// All machines but one.
    func others(than machine: SimulatedNode) -> [SimulatedNode] {
        self.cluster.machines.filter { $0 !== machine }
    }
}

func key(_ text: String) throws -> ObjectKey { try #require(ObjectKey(text)) }

/// Bytes that differ from those of every other seed.
func bytes(_ count: Int, _ seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return generator.bytes(count)
}
