import Cryptography
import FileClient
import HTTPTransport
import IORuntime
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing

/// Simulated machines: one edge each, and last the machine of a person.
struct EdgeWorld {
    let simulator: Simulator
    let store = FakeStore()
    let edges: [FakeEdge]
    let edgeNodes: [SimulatedNode]
    let person: SimulatedNode
    /// Edges and client speak through a channel in which each end is known.
    let isSecure: Bool

    init(
        seed: UInt64 = 1, troubles: [[FakeEdge.Trouble?]] = [[]], pageKeys: Int = 1000,
        isSecure: Bool = false
    ) {
        self.isSecure = isSecure
        let simulator = Simulator(seed: seed)
        let store = self.store
        self.simulator = simulator
        let nodes = troubles.indices.map {
            simulator.makeNode("edge\($0)", host: "10.0.0.\($0 + 1)")
        }
        self.edgeNodes = nodes
        self.edges = troubles.enumerated().map {
            FakeEdge(
                store, number: $0, loop: nodes[$0].environment.loops[0], troubles: $1,
                pageKeys: pageKeys)
        }
        self.person = simulator.makeNode("person", host: "10.0.0.99")
    }

    static let port: UInt16 = 8080

    private var addresses: [EdgeAddress] {
        self.edgeNodes.map {
            EdgeAddress(SocketAddress(host: $0.host, port: Self.port), isSecure: self.isSecure)
        }
    }

    /// Starts the edges and runs `work` on the person's machine to its end.
    ///
    /// - Parameter configure: what the client is told besides.
    @discardableResult
    func run(
        configure: @escaping @Sendable (inout FileClientOptions) -> Void = { _ in },
        _ work: @escaping @Sendable (FileClient, any Environment) async throws -> Void
    ) -> SimulationOutcome {
        for (node, edge) in zip(self.edgeNodes, self.edges) {
            let environment = node.environment
            let address = SocketAddress(host: node.host, port: Self.port)
            let security =
                self.isSecure
                ? ClearChannelSecurity(identity: .anonymous, hostNames: [node.host]) : nil
            environment.simulatedLoops[0].spawn {
                let server = HTTPServer(environment, security: security, responder: edge)
                do throws(StreamFault) { _ = try await server.start(on: address) } catch {
                    Issue.record(error)
                }
            }
        }
        let environment = self.person.environment
        let addresses = self.addresses
        let security = self.isSecure ? ClearChannelSecurity(identity: .anonymous) : nil
        self.simulator.spawn("work", on: environment.simulatedLoops[0]) {
            do {
                // The edges listen first.
                try await environment.loops[0].sleep(for: .seconds(1))
                var options = FileClientOptions(
                    edges: addresses, accessKey: "key", secret: Redacted("secret"))
                configure(&options)
                let client = FileClient(
                    environment, loop: environment.loops[0], options: options, security: security)
                try await work(client, environment)
            } catch {
                Issue.record(error)
            }
        }
        let outcome = self.simulator.run(for: .seconds(3600))
        #expect(outcome.unfinished == [])
        #expect(outcome.blockingCallsOnLoops == 0)
        return outcome
    }
}

extension Environment {
    func write(_ path: String, _ bytes: [UInt8]) async throws {
        let files = self.files
        try await self.blocking(.disk) { () throws(FileFault) in
            if let slash = path.lastIndex(of: "/") {
                try files.makeDirectory(String(path[..<slash]))
            }
            let file = try files.open(path, .openOrCreate)
            try file.write(bytes, at: 0)
            try file.truncate(to: UInt64(bytes.count))
            file.close()
        }
    }

    func read(_ path: String) async throws -> [UInt8] {
        let files = self.files
        return try await self.blocking(.disk) { () throws(FileFault) in
            try files.contents(of: path, limit: 64 << 20)
        }
    }

    func names(_ path: String) async throws -> [String] {
        let files = self.files
        return try await self.blocking(.disk) { () throws(FileFault) in try files.list(path) }
    }

    func isMissing(_ path: String) async throws -> Bool {
        let files = self.files
        return try await self.blocking(.disk) { () throws(FileFault) in
            try files.kind(path) == nil
        }
    }

    private func blocking<Value: Sendable>(
        _ lane: BlockingLane, _ work: @escaping @Sendable () throws(FileFault) -> Value
    ) async throws -> Value {
        try await self.blocking(lane, throwing: work)
    }
}

/// What a transfer reported, in order.
final class Reports: Sendable {
    private let state = Mutex<[TransferEvent]>([])
    var events: [TransferEvent] { self.state.withLock { $0 } }
    var sink: @Sendable (TransferEvent) -> Void {
        { event in self.state.withLock { $0.append(event) } }
    }
}

/// Bytes that a seed decides. They repeat after a prime number, so that no two pieces are equal and
/// one in the wrong place is seen.
func noise(_ count: Int, seed: UInt64 = 7) -> [UInt8] {
    let period = 65_521
    var generator = SeededGenerator(seed: seed)
    let block = (0..<min(count, period)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes += block.prefix(count - bytes.count) }
    return bytes
}
