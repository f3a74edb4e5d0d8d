import HTTPSyntax
import IORuntime
import Primitives
import Synchronization

/// What the server knows of a connection while its task is elsewhere.
final class ConnectionStanding: Sendable {
    let stream: any ByteStream
    /// Whether the connection waits for a request of which no byte has come.
    let isIdle = Atomic<Bool>(true)

    init(_ stream: any ByteStream) {
        self.stream = stream
    }
}

/// What all connections of a server share.
final class ServerStanding: Sendable {
    let connections = Atomic<Int>(0)
    let isDraining = Atomic<Bool>(false)
}

/// Serves one connection, from its first byte to its last, in one task.
final class ServerConnection {
    private let environment: any Environment
    private let settings: HTTPServerSettings
    private let responder: any HTTPResponder
    private let server: ServerStanding
    private let standing: ConnectionStanding
    private let messages: MessageStream
    private let isSecure: Bool
    private var date = DateText()

    init(
        _ stream: any ByteStream, isSecure: Bool, environment: any Environment,
        settings: HTTPServerSettings, responder: any HTTPResponder, server: ServerStanding,
        standing: ConnectionStanding
    ) {
        self.environment = environment
        self.settings = settings
        self.responder = responder
        self.server = server
        self.standing = standing
        self.isSecure = isSecure
        self.messages = MessageStream(
            stream, receiveLimitBytes: settings.limits.headBytes + 1024,
            leastBytesPerSecond: settings.leastBytesPerSecond, rateWindow: settings.rateWindow)
    }

    /// Serves until the connection ends, and leaves its stream closed.
    func serve() async {
        do throws(StreamFault) {
            try await self.serveRequests()
        } catch {
            // The client is gone, or the server wants no more of it: an ordinary end.
        }
        self.messages.stream.close()
    }

    private func serveRequests() async throws(StreamFault) {
        // A fresh connection has to say something soon; later ones may idle.
        var deadline = self.messages.loop.now + self.settings.headTimeout
        var parser = RequestParser(limits: self.settings.limits)
        while true {
            switch parser.parse(self.messages.received.bytes) {
            case .head(let head, let consumed):
                self.standing.isIdle.store(false, ordering: .relaxed)
                self.messages.received.consume(consumed)
                guard await self.exchange(head) else { return }
                if self.messages.messageServed() { try await self.messages.yield() }
                deadline = .distantFuture
            case .refused(let refusal):
                await self.refuse(with: refusal.status)
                return
            case .needMore:
                guard try await self.receive(&deadline) else { return }
            }
        }
    }

    /// Waits for more bytes of a head; false when there will be none. `deadline` is that of the
    /// head, or far away when none was set for it.
    private func receive(_ deadline: inout Instant) async throws(StreamFault) -> Bool {
        let isBetweenRequests = self.messages.received.isEmpty
        if try !self.messages.flushNow() { try await self.messages.flush() }
        if let count = try self.messages.fillNow() { return count > 0 }

        if isBetweenRequests {
            if self.server.isDraining.load(ordering: .relaxed) { return false }
            self.messages.rest()
            self.standing.isIdle.store(true, ordering: .relaxed)
            let limit = min(deadline, self.messages.loop.now + self.settings.idleTimeout)
            try await self.messages.readable(by: limit)
            return true
        }
        self.standing.isIdle.store(false, ordering: .relaxed)
        if deadline == .distantFuture {
            deadline = self.messages.loop.now + self.settings.headTimeout
        }
        do throws(StreamFault) {
            try await self.messages.readable(by: deadline)
        } catch .deadlineExceeded {
            await self.refuse(with: .requestTimeout)
            return false
        }
        return true
    }

    /// Has one request answered; false when the connection ends with it.
    private func exchange(_ head: RequestHead) async -> Bool {
        let exchange = HTTPExchange(
            head, self.messages, self.settings,
            date: self.date.text(at: self.environment.wallClock),
            server: self.server)
        if head.expectation == .unknown {
            await self.refuse(with: .expectationFailed)
            return false
        }
        let request = HTTPRequest(
            head: head, remoteAddress: self.messages.stream.remoteAddress, isSecure: self.isSecure)
        await self.responder.respond(to: request, exchange)
        guard await exchange.settle() else { return false }
        if exchange.isLast {
            await self.linger()
            return false
        }
        return true
    }

    /// Answers what cannot be served, and ends the connection.
    private func refuse(with status: Status) async {
        OutgoingResponse(status).append(
            to: &self.messages.pending, date: self.date.text(at: self.environment.wallClock),
            framing: .length(0), connection: .close)
        await self.linger()
    }

    private func linger() async {
        await self.messages.linger(
            limitBytes: self.settings.lingerLimitBytes, timeout: self.settings.lingerTimeout)
    }
}

/// The text of the Date field, made once a second.
struct DateText {
    private var seconds: Int64 = .min
    private var bytes: [UInt8] = []

    mutating func text(at time: Timestamp) -> [UInt8] {
        if time.seconds != self.seconds {
            self.seconds = time.seconds
            self.bytes = Array(HTTPDate.text(time).utf8)
        }
        return self.bytes
    }
}
