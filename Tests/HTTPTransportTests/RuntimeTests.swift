import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

/// A megabyte and a half that no two places of which look alike.
private let largeBody: [UInt8] = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }

/// Sends a few requests of each kind and says what came back.
private func converse(
    _ client: HTTPClient, _ endpoint: HTTPEndpoint, now: Instant
) async throws -> [String] {
    var notes: [String] = []
    func note(_ method: Method, _ target: String, _ body: RequestBody = .none) async throws {
        let response = try await client.send(
            try OutgoingRequest(method, target: target, host: "h"), to: endpoint, body: body,
            deadline: now + .seconds(300))
        let bytes = try await response.collect(limit: 4_000_000)
        notes.append("\(response.head.status.rawValue) \(bytes.count) \(StableHash.of(bytes))")
    }
    try await note(.get, "/size/10")
    try await note(.put, "/keep", .bytes(largeBody))
    try await note(.get, "/keep")
    try await note(.head, "/keep")
    try await note(.get, "/none")
    return notes
}

private let expectedNotes = [
    "200 10 \(StableHash.of(Array(repeating: UInt8(ascii: "x"), count: 10)))",
    "200 0 \(StableHash.of([]))", "200 1500000 \(StableHash.of(largeBody))",
    "200 0 \(StableHash.of([]))", "404 0 \(StableHash.of([]))",
]

/// Keeps one body, read and written in pieces.
private final class Keeper: HTTPResponder {
    private let kept = Mutex<[ArraySlice<UInt8>]>([])

    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async {
        guard request.head.path.elementsEqual("/keep".utf8) else {
            return await echo.respond(to: request, exchange)
        }
        do {
            if request.head.method == .put {
                var pieces: [ArraySlice<UInt8>] = []
                while case let piece = try await exchange.readBody(upTo: 100_000), !piece.isEmpty {
                    pieces.append(piece[...])
                }
                self.kept.withLock { $0 = pieces }
                try await exchange.respond(OutgoingResponse(.ok))
            } else {
                let pieces = self.kept.withLock { $0 }
                let length = pieces.reduce(0) { $0 + $1.count }
                try exchange.start(OutgoingResponse(.ok), length: UInt64(length))
                try await exchange.write(pieces)
                try exchange.finish()
            }
        } catch {
            exchange.abort()
        }
    }
}

@Suite struct RuntimeTests {
    /// A machine that stalls for seconds must not look like a slow peer here.
    private static let patience = Duration.seconds(300)

    private static var serverSettings: HTTPServerSettings {
        var settings = HTTPServerSettings()
        settings.headTimeout = Self.patience
        settings.idleTimeout = Self.patience
        settings.handshakeTimeout = Self.patience
        settings.rateWindow = Self.patience
        return settings
    }

    private static var clientSettings: HTTPClientSettings {
        var settings = HTTPClientSettings()
        settings.connectTimeout = Self.patience
        settings.idleTimeout = Self.patience
        settings.rateWindow = Self.patience
        return settings
    }

    /// Serves on real sockets and talks to the server, from loop to loop.
    private func converseOverSockets(
        server security: (any ChannelSecurity)?, client clientSecurity: (any ChannelSecurity)?,
        secureHost: String?
    ) async throws -> [String] {
        let environment = RealEnvironment(loopCount: 2)
        defer { environment.stop() }
        let server = HTTPServer(
            environment, settings: Self.serverSettings, security: security, responder: Keeper())
        let address = try await server.start(on: SocketAddress(host: "127.0.0.1", port: 0))
        let loop = environment.loops[1]
        let notes = Mutex<[String]>([])
        let work = loop.spawn {
            let client = HTTPClient(
                environment, loop: loop, security: clientSecurity, settings: Self.clientSettings)
            let endpoint = HTTPEndpoint(address, secureHost: secureHost)
            do {
                let result = try await converse(client, endpoint, now: loop.now)
                notes.withLock { $0 = result }
            } catch {
                notes.withLock { $0 = ["\(error)"] }
            }
            client.closeUnused()
        }
        await work.finished()
        await server.drain(by: environment.now + Self.patience)
        #expect(server.connectionCount == 0)
        return notes.withLock { $0 }
    }

    @Test func `requests go over real sockets`() async throws {
        let notes = try await self.converseOverSockets(
            server: nil, client: nil, secureHost: nil)
        #expect(notes == expectedNotes)
    }

    @Test func `requests go over TLS, and only to the host that was meant`() async throws {
        let cluster = try #require(ClusterID(bytes: Array(repeating: 5, count: 16)))
        let environment = RealEnvironment(loopCount: 1)
        let now = environment.wallClock
        environment.stop()
        let authority = try CertificateAuthority.make(cluster: cluster, now: now)
        let door = try TLSChannelSecurity.doors(
            certificate: try authority.issueDoor(names: ["s3.example"], now: now))
        let client = try TLSChannelSecurity.doors(
            trust: .authorities(authority.pem.certificatePEM))
        let notes = try await self.converseOverSockets(
            server: door, client: client, secureHost: "s3.example")
        #expect(notes == expectedNotes)
        let elsewhere = try await self.converseOverSockets(
            server: door, client: client, secureHost: "other.example")
        #expect(elsewhere.first?.contains("insecure") == true)
    }

    @Test(arguments: [UInt64(1), 2, 3], [nil, "s3.example"])
    func `requests go over the simulated network, one seed one trace`(
        seed: UInt64, secureHost: String?
    ) throws {
        func run() -> (SimulationOutcome, [String]) {
            let simulator = Simulator(seed: seed)
            let client = simulator.makeNode("client", host: "10.0.0.1").environment
            let server = simulator.makeNode("server", host: "10.0.0.2").environment
            let security = secureHost.map {
                ClearChannelSecurity(identity: .anonymous, hostNames: [$0])
            }
            let notes = Mutex<[String]>([])
            simulator.spawn("talk", on: client.simulatedLoops[0]) {
                do {
                    let http = HTTPServer(server, security: security, responder: Keeper())
                    let address = try await http.start(
                        on: SocketAddress(host: "10.0.0.2", port: 80))
                    let loop = client.loops[0]
                    let result = try await converse(
                        HTTPClient(client, loop: loop, security: security),
                        HTTPEndpoint(address, secureHost: secureHost), now: loop.now)
                    notes.withLock { $0 = result }
                } catch {
                    notes.withLock { $0 = ["\(error)"] }
                }
            }
            let outcome = simulator.run(for: .seconds(600))
            return (outcome, notes.withLock { $0 })
        }
        let first = run()
        #expect(first.0.ending == .finished)
        #expect(first.1 == expectedNotes)
        #expect(run().0 == first.0)
    }
}
