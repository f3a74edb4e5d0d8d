import Cryptography
import HTTPSyntax
import IORuntime
import Primitives
import Synchronization

/// Listens on every loop of an environment, and has requests answered by a responder.
package final class HTTPServer: Sendable {
    private let environment: any Environment
    private let lanes: [ServerLane]
    private let standing = ServerStanding()

    /// `security` is nil for clear text.
    package init(
        _ environment: any Environment, settings: HTTPServerSettings = HTTPServerSettings(),
        security: (any ChannelSecurity)? = nil, responder: any HTTPResponder
    ) {
        self.environment = environment
        let standing = self.standing
        self.lanes = environment.loops.map { loop in
            ServerLane(
                loop, environment: environment, settings: settings, security: security,
                responder: responder, server: standing)
        }
    }

    /// Listens on `address` and serves. Returns the address with the port that the system chose,
    /// where that was left to it. On a fault nothing listens.
    package func start(on address: SocketAddress) async throws(StreamFault) -> SocketAddress {
        var bound = address
        for lane in self.lanes {
            do throws(StreamFault) {
                let listener = try self.environment.listen(on: bound, loop: lane.loop)
                bound.port = listener.address.port
                await lane.start(listener)
            } catch {
                for lane in self.lanes { await lane.closeListener() }
                throw error
            }
        }
        return bound
    }

    /// How many connections are open.
    package var connectionCount: Int { self.standing.connections.load(ordering: .relaxed) }

    /// Takes no more connections, ends each one after the request that it serves, and cuts off at
    /// `deadline` those that are still at work. Returns when all are gone.
    package func drain(by deadline: Instant) async {
        self.standing.isDraining.store(true, ordering: .relaxed)
        for lane in self.lanes { await lane.beginDrain(by: deadline) }
        for lane in self.lanes { await lane.emptied() }
    }
}

/// The connections of one loop.
actor ServerLane {
    nonisolated let loop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }

    private let environment: any Environment
    private let settings: HTTPServerSettings
    private let security: (any ChannelSecurity)?
    private let responder: any HTTPResponder
    private let server: ServerStanding

    private var listener: (any Listener)?
    private var connections: [UInt64: ConnectionStanding] = [:]
    private var nextConnection: UInt64 = 0
    private var waitingForEmpty: [UnsafeContinuation<Void, Never>] = []

    /// After a fault of `accept`, such as too many open files, before the next attempt.
    private static let acceptPause: Duration = .milliseconds(100)

    init(
        _ loop: any EventLoop, environment: any Environment, settings: HTTPServerSettings,
        security: (any ChannelSecurity)?, responder: any HTTPResponder, server: ServerStanding
    ) {
        self.loop = loop
        self.environment = environment
        self.settings = settings
        self.security = security
        self.responder = responder
        self.server = server
    }

    func start(_ listener: any Listener) {
        self.listener = listener
        self.loop.spawn { await self.acceptConnections(of: listener) }
    }

    private func acceptConnections(of listener: any Listener) async {
        while true {
            do throws(StreamFault) {
                self.admit(try await listener.accept())
            } catch .closed {
                return
            } catch {
                do { try await self.loop.sleep(for: Self.acceptPause) } catch { return }
            }
        }
    }

    private func admit(_ stream: any ByteStream) {
        let open = self.server.connections.add(1, ordering: .relaxed).newValue
        guard open <= self.settings.connectionLimit else {
            self.turnAway(stream)
            return
        }
        let standing = ConnectionStanding(stream)
        let number = self.nextConnection
        self.nextConnection += 1
        self.connections[number] = standing
        self.loop.spawn {
            await self.serve(stream, standing)
            await self.ended(number)
        }
    }

    private nonisolated func serve(
        _ stream: any ByteStream, _ standing: ConnectionStanding
    ) async {
        var channel = stream
        if let security = self.security {
            do throws(StreamFault) {
                channel = try await security.secure(
                    stream, as: .server, deadline: self.loop.now + self.settings.handshakeTimeout)
            } catch {
                stream.close()
                return
            }
        }
        let connection = ServerConnection(
            channel, isSecure: self.security != nil, environment: self.environment,
            settings: self.settings, responder: self.responder, server: self.server,
            standing: standing)
        await connection.serve()
    }

    private func ended(_ number: UInt64) {
        self.connections[number] = nil
        self.server.connections.subtract(1, ordering: .relaxed)
        if self.connections.isEmpty { self.resumeWaiting() }
    }

    /// One attempt to say why, without holding anything for it.
    private func turnAway(_ stream: any ByteStream) {
        defer {
            stream.close()
            self.server.connections.subtract(1, ordering: .relaxed)
        }
        guard self.security == nil else { return }
        var response = OutgoingResponse(.unavailable)
        response.fields.add("Retry-After", number: 1)
        var text: [UInt8] = []
        response.append(
            to: &text, date: Array(HTTPDate.text(self.environment.wallClock).utf8),
            framing: .length(0), connection: .close)
        text.withUnsafeBytes { bytes in
            do throws(StreamFault) {
                _ = try stream.writeNow([bytes])
                stream.finishWriting()
            } catch {
                // It is closed either way.
            }
        }
    }

    func closeListener() {
        self.listener?.close()
        self.listener = nil
    }

    func beginDrain(by deadline: Instant) {
        self.closeListener()
        self.closeConnections { $0.isIdle.load(ordering: .relaxed) }
        guard !self.connections.isEmpty else { return }
        self.loop.spawn {
            do { try await self.loop.sleep(for: deadline - self.loop.now) } catch { return }
            await self.closeConnections { _ in true }
        }
    }

    private func closeConnections(where isMeant: (ConnectionStanding) -> Bool) {
        for number in self.connections.keys.sorted() {
            if let standing = self.connections[number], isMeant(standing) {
                standing.stream.close()
            }
        }
    }

    /// Returns when the last connection has ended.
    func emptied() async {
        if self.connections.isEmpty { return }
        await withUnsafeContinuation { self.waitingForEmpty.append($0) }
    }

    private func resumeWaiting() {
        let waiting = self.waitingForEmpty
        self.waitingForEmpty = []
        for continuation in waiting { continuation.resume() }
    }
}
