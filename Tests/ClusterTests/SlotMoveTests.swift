import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

extension ClusterTests {
    @Test func `slots move to and fro under load, and no request fails`() async throws {
        try await withCluster { fixture in
            let load = SlotLoad(on: fixture.cluster)
            try await load.fill()
            async let work: Void = load.run()
            for group in [4, 2] {
                let before = await load.requests
                let said = try await fixture.holdfast([
                    "slots", "move", "--dir", fixture.cluster.plan.directory,
                    "--from", "\(SlotLoad.slots.lowerBound)",
                    "--to", "\(SlotLoad.slots.upperBound)", "--group", "\(group)",
                ])
                let last = said.split(separator: "\n").last ?? ""
                #expect(
                    last == "slots \(SlotLoad.slots.lowerBound)-\(SlotLoad.slots.upperBound) "
                        + "are group \(group)'s")
                // Every edge has been asked since by everybody, whatever it believed of the slots.
                try await load.goesOn(
                    from: before, by: SlotLoad.clientCount * fixture.cluster.nodes.count * 2)
            }
            await load.end()
            await work
            #expect(await load.failures == [])
            try await load.compareAll()
        }
    }
}

/// Clients that put and get through all edges, each in keys of its own, so that each knows what it
/// must find. Every request is made once, at one edge: none may fail and be saved by a second try.
private actor SlotLoad {
    /// The slots that move; they are the first group's when a cluster is made.
    static let slots = 0...8_191
    static let clientCount = 6
    private static let bucketCount = 3
    private static let keysPerClient = 30
    private static let patience: Duration = .seconds(90)
    /// Failures that are kept; one is too many.
    private static let mostFailures = 10

    nonisolated let loop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }
    private nonisolated let everyEdge: FileClient
    private nonisolated let edges: [FileClient]
    private nonisolated let buckets: [String]
    /// What was acknowledged last of each object.
    private var contents: [RemotePath: SeededContent] = [:]
    private var isEnding = false
    private(set) var requests = 0
    private(set) var failures: [String] = []

    init(on cluster: ProcessCluster) {
        self.loop = cluster.loop
        var once = EdgeAttempts.Limits()
        once.mostRounds = 1
        let attempts = once
        self.everyEdge = cluster.client()
        self.edges = cluster.nodes.map { cluster.client(edgesOf: [$0], attempts: attempts) }
        self.buckets = BucketNames.first(
            Self.bucketCount, "moving", in: Range(Self.slots))
    }

    /// Makes the buckets, and some objects in them for the move to carry.
    func fill() async throws {
        for bucket in self.buckets { try await self.everyEdge.ensureBucket(bucket) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in 0..<Self.clientCount {
                group.addTask {
                    for number in 0..<Self.keysPerClient {
                        try await self.put(client, number, through: self.everyEdge)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    func end() { self.isEnding = true }

    /// Waits until so many more requests are answered than had been.
    func goesOn(from before: Int, by more: Int) async throws {
        let end = self.loop.now + Self.patience
        while self.requests < before + more, self.failures.isEmpty {
            guard self.loop.now < end else { throw TestFault("requests do not go on") }
            try await self.loop.sleep(for: .milliseconds(20))
        }
    }

    /// Works until it is told to end.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for client in 0..<Self.clientCount { group.addTask { await self.work(client) } }
        }
    }

    /// Reads everything through every edge.
    func compareAll() async throws {
        for object in self.contents.keys.sorted(by: { $0.description < $1.description }) {
            for (place, edge) in self.edges.enumerated() {
                let bytes = try await edge.bytes(of: object, limit: 1 << 20)
                let isSame = bytes == self.contents[object]?.bytes
                #expect(isSame, "\(object) through edge \(place + 1)")
            }
        }
    }

    private func work(_ client: Int) async {
        var random = SeededGenerator(seed: UInt64(client))
        while !self.isEnding, self.failures.isEmpty {
            let number = Int.random(in: 0..<Self.keysPerClient, using: &random)
            let writer = Int.random(in: self.edges.indices, using: &random)
            let reader = Int.random(in: self.edges.indices, using: &random)
            do throws(FileClientFault) {
                try await self.put(client, number, through: self.edges[writer])
                try await self.get(client, number, through: self.edges[reader])
            } catch { self.note("edges \(writer + 1) and \(reader + 1): \(error)") }
        }
    }

    private func object(_ client: Int, _ number: Int) -> RemotePath {
        RemotePath(
            bucket: self.buckets[(client + number) % self.buckets.count],
            key: "client-\(client)/\(number)")
    }

    private func put(
        _ client: Int, _ number: Int, through edge: FileClient
    ) async throws(FileClientFault) {
        self.requests += 1
        // Every third one is of chunks; the others rest in metadata.
        let content = SeededContent(
            seed: UInt64(self.requests), sizeBytes: self.requests % 3 == 0 ? 40_000 : 700)
        let object = self.object(client, number)
        try await edge.put(bytes: content.bytes, as: object)
        self.contents[object] = content
    }

    private func get(
        _ client: Int, _ number: Int, through edge: FileClient
    ) async throws(FileClientFault) {
        self.requests += 1
        let object = self.object(client, number)
        let bytes = try await edge.bytes(of: object, limit: 1 << 20)
        guard bytes != self.contents[object]?.bytes else { return }
        self.note(bytes == nil ? "\(object) is not there" : "\(object) is another object")
    }

    private func note(_ failure: String) {
        guard self.failures.count < Self.mostFailures else { return }
        self.failures.append(failure)
    }
}
