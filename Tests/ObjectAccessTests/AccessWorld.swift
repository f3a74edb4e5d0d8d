import Catalog
import ClusterClient
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Testing

/// One edge before a fake cluster, in the simulator.
struct AccessWorld: Sendable {
    let simulator: Simulator
    let node: SimulatedNode
    let cluster: FakeCluster
    let access: ObjectAccess
    let client: ClusterClient
    var loop: any EventLoop { self.node.environment.loops[0] }

    init(seed: UInt64 = 1, _ settings: ObjectAccessSettings = Self.small) throws {
        self.simulator = Simulator(seed: seed)
        self.node = self.simulator.makeNode("edge", host: "10.0.0.1")
        let environment = self.node.environment
        self.cluster = try FakeCluster(loop: environment.loops[0])
        self.client = ClusterClient(
            ClusterClientSettings(metaNodes: [NodeID(1)]), node: NodeID(1),
            environment: environment, loop: environment.loops[0], peers: self.cluster)
        self.access = ObjectAccess(settings, environment: environment, cluster: self.client)
    }

    /// Chunks of two frames and a little, so that bodies of many chunks are small.
    static var small: ObjectAccessSettings {
        var settings = ObjectAccessSettings()
        settings.inlineBytes = 1000
        settings.chunkBytes = Self.chunkBytes
        return settings
    }

    static let chunkBytes = 150_000

    func run(
        sourceLocation: SourceLocation = #_sourceLocation,
        _ work: @escaping @Sendable () async throws -> Void
    ) {
        self.simulator.spawn("work", on: self.node.environment.simulatedLoops[0]) {
            do {
                try await self.client.start()
                try await work()
            } catch { Issue.record("\(error)", sourceLocation: sourceLocation) }
        }
        let outcome = self.simulator.run(for: .seconds(600))
        #expect(outcome.ending == .finished, sourceLocation: sourceLocation)
        self.simulator.discard()
    }

    func put(
        _ key: String, _ source: any BodySource, _ stated: StatedBody = StatedBody()
    ) async throws -> StoredObject {
        var options = PutOptions()
        options.stated = stated
        return try await self.access.put(
            try Self.key(key), in: try Self.bucket, source, options, on: self.loop,
            deadline: self.loop.now + .seconds(20))
    }

    func put(
        _ key: String, _ bytes: [UInt8], _ stated: StatedBody = StatedBody()
    ) async throws -> StoredObject {
        try await self.put(key, BytesSource(bytes), stated)
    }

    /// The bytes of a range of an object, through a reader of its own.
    func get(_ key: String, _ range: Range<UInt64>? = nil) async throws -> [UInt8] {
        let reader = try await self.access.read(
            try Self.key(key), in: try Self.bucket, on: self.loop,
            deadline: self.loop.now + .seconds(20))
        if let range { reader.restrict(to: range) }
        var bytes: [UInt8] = []
        while let part = try await reader.next() { bytes += part }
        return bytes
    }

    static func key(_ text: String) throws -> ObjectKey { try #require(ObjectKey(text)) }
    static var bucket: BucketName { get throws { try #require(BucketName("photos")) } }
}

/// Gives what it has in pieces of a chosen size, and then what went wrong.
final class FaultySource: BodySource {
    private var rest: ArraySlice<UInt8>
    private let fault: BodyFault?
    init(_ bytes: [UInt8], fault: BodyFault?) {
        self.rest = bytes[...]
        self.fault = fault
    }

    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        if self.rest.isEmpty, let fault = self.fault { throw fault }
        let part = self.rest.prefix(min(limit, 40_000))
        self.rest = self.rest.dropFirst(part.count)
        return Array(part)
    }
}

/// Bytes that repeat with a prime period, so that no two frames are alike.
func someBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    var bytes = generator.bytes(min(count, 4099))
    while bytes.count < count { bytes += bytes.prefix(min(4099, count - bytes.count)) }
    return bytes
}
