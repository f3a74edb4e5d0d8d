import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Synchronization
import Testing

/// Runs `script` with a client and a server that answers with `responder`.
private func converse(
    _ responder: any HTTPResponder = echo, client: HTTPClientSettings = HTTPClientSettings(),
    server settings: HTTPServerSettings = HTTPServerSettings(), capacity: Int = 65_536,
    _ script: @escaping @Sendable (HTTPClient, HTTPEndpoint, MemoryEnvironment) async throws -> Void
) throws {
    let environment = MemoryEnvironment()
    environment.capacity = capacity
    try environment.memoryLoop.run {
        let server = HTTPServer(environment, settings: settings, responder: responder)
        let address = try await server.start(on: anywhere)
        let client = HTTPClient(environment, loop: environment.memoryLoop, settings: client)
        try await script(client, HTTPEndpoint(address), environment)
    }
}

extension HTTPClient {
    fileprivate func text(
        _ method: Method, _ target: String, _ endpoint: HTTPEndpoint, body: RequestBody = .none,
        expectsContinue: Bool = false, deadline: Instant
    ) async throws -> String {
        let request = try OutgoingRequest(method, target: target, host: "h")
        let response = try await self.send(
            request, to: endpoint, body: body, expectsContinue: expectsContinue,
            deadline: deadline)
        let body = try await response.collect(limit: 1_000_000)
        return "\(response.head.status.rawValue) " + String(decoding: body, as: UTF8.self)
    }
}

@Suite struct ClientTests {
    @Test func `one connection carries one request after the other`() throws {
        try converse { client, endpoint, environment in
            let soon = environment.now + .seconds(10)
            for word in ["a", "b", ""] {
                let text = try await client.text(
                    .put, "/echo", endpoint, body: .bytes(Array(word.utf8)), deadline: soon)
                #expect(text == "200 " + word)
            }
            let streamed = try await client.text(
                .post, "/stream", endpoint, body: .bytes(Array("piece".utf8)), deadline: soon)
            #expect(streamed == "200 piece")
            let head = try await client.text(.head, "/size/9", endpoint, deadline: soon)
            #expect(head == "200 ")
            #expect(environment.accepted.count == 1)
        }
    }

    @Test func `a large body goes up and comes down through small buffers`() throws {
        try converse(capacity: 10_000) { client, endpoint, environment in
            let request = try OutgoingRequest(.post, target: "/echo", host: "h")
            let pieces = Mutex(30)
            let response = try await client.send(
                request, to: endpoint,
                body: .stream(length: 60_000) {
                    let left = pieces.withLock { count in
                        count -= 1
                        return count
                    }
                    return left >= 0 ? Array(repeating: UInt8(left), count: 2000)[...] : nil
                }, deadline: environment.now + .seconds(10))
            let body = try await response.collect(limit: 60_000)
            #expect(body.count == 60_000)
            #expect(body.first == 29 && body.last == 0)
        }
    }

    @Test func `an answer of success that comes early does not stop the body`() throws {
        try converse { client, endpoint, environment in
            let body = Array(repeating: UInt8(ascii: "e"), count: 50_000)
            let text = try await client.text(
                .post, "/stream", endpoint, body: .bytes(body),
                deadline: environment.now + .seconds(10))
            #expect(text.utf8.count == 50_004)
            #expect(environment.accepted.count == 1)
        }
    }

    @Test func `a kept connection that was closed is replaced without a word`() throws {
        try converse { client, endpoint, environment in
            let soon = environment.now + .seconds(1000)
            #expect(try await client.text(.get, "/size/1", endpoint, deadline: soon) == "200 x")
            environment.accepted[0].close()
            #expect(try await client.text(.get, "/size/1", endpoint, deadline: soon) == "200 x")
            #expect(environment.accepted.count == 2)
            // Kept for longer than the client trusts it.
            try await environment.memoryLoop.sleep(for: .seconds(31))
            #expect(try await client.text(.get, "/size/1", endpoint, deadline: soon) == "200 x")
            #expect(environment.accepted.count == 3)
        }
    }

    @Test func `a connection lost before any answer is tried again only where that is safe`() throws
    {
        let asked = Mutex<[String]>([])
        let responder = Responding { request, exchange in
            let number = asked.withLock { asked in
                asked.append(request.head.method.description)
                return asked.count
            }
            if number.isMultiple(of: 2) { return exchange.abort() }
            try await exchange.respond(OutgoingResponse(.ok))
        }
        try converse(responder) { client, endpoint, environment in
            let soon = environment.now + .seconds(10)
            let first = try await client.text(.get, "/", endpoint, deadline: soon)
            // Lost on the kept connection, then answered on a fresh one.
            let second = try await client.text(.put, "/", endpoint, deadline: soon)
            #expect([first, second] == ["200 ", "200 "])
            await #expect(throws: HTTPClientFault.connection(.endedEarly)) {
                try await client.text(
                    .post, "/", endpoint, body: .bytes([1]), deadline: soon)
            }
            #expect(asked.withLock { $0 } == ["GET", "PUT", "PUT", "POST"])
        }
    }

    @Test func `leave to send a body is waited for, but not forever`() throws {
        try converse { client, endpoint, environment in
            let soon = environment.now + .seconds(10)
            let text = try await client.text(
                .put, "/echo", endpoint, body: .bytes([65]), expectsContinue: true, deadline: soon)
            #expect(text == "200 A")
        }
        let late = Responding { _, exchange in
            // Bytes are there when the body is read, so that no leave is given any more.
            let body = try await exchange.collectBody(limit: 10)
            try await exchange.respond(OutgoingResponse(.ok), body: body)
        }
        let slow = Responding { request, exchange in
            await late.respond(to: request, exchange)
        }
        try converse(slow) { client, endpoint, environment in
            let text = try await client.text(
                .put, "/", endpoint, body: .bytes([66]), expectsContinue: true,
                deadline: environment.now + .seconds(10))
            #expect(text == "200 B")
        }
    }

    @Test func `a refused body is never asked for`() throws {
        let responder = Responding { _, exchange in
            try await exchange.respond(OutgoingResponse(.forbidden))
        }
        try converse(responder) { client, endpoint, environment in
            let body = RequestBody.stream(length: 1_000_000_000) {
                Issue.record("the body was asked for")
                return nil
            }
            let text = try await client.text(
                .put, "/", endpoint, body: body, expectsContinue: true,
                deadline: environment.now + .seconds(10))
            #expect(text == "403 ")
        }
    }

    @Test func `an answer that comes before the whole body is heard`() throws {
        let responder = Responding { _, exchange in
            try await exchange.respond(OutgoingResponse(.forbidden))
        }
        try converse(responder) { client, endpoint, environment in
            let given = Mutex(0)
            let body = RequestBody.stream(length: 1_000_000_000) {
                given.withLock { $0 += 50_000 }
                return Array(repeating: 1, count: 50_000)[...]
            }
            let text = try await client.text(
                .put, "/", endpoint, body: body, deadline: environment.now + .seconds(10))
            #expect(text == "403 ")
            #expect(given.withLock { $0 } < 2_000_000)
        }
    }

    @Test func `a body source that fails or miscounts is a fault`() throws {
        struct Broken: Error {}
        try converse { client, endpoint, environment in
            let soon = environment.now + .seconds(10)
            await #expect(throws: HTTPClientFault.bodySourceFailed) {
                try await client.text(
                    .put, "/echo", endpoint, body: .stream(length: 3) { throw Broken() },
                    deadline: soon)
            }
            await #expect(throws: HTTPClientFault.bodyLengthMismatch(stated: 3, given: 4)) {
                try await client.text(
                    .put, "/echo", endpoint,
                    body: .stream(length: 3) { [1, 2, 3, 4] }, deadline: soon)
            }
            await #expect(throws: HTTPClientFault.bodyLengthMismatch(stated: 3, given: 0)) {
                try await client.text(
                    .put, "/echo", endpoint, body: .stream(length: 3) { nil }, deadline: soon)
            }
        }
    }

    @Test func `a response cut short is not taken for the whole`() throws {
        let responder = Responding { _, exchange in
            try exchange.start(OutgoingResponse(.ok), length: 10)
            try await exchange.write(Array("half".utf8))
        }
        try converse(responder) { client, endpoint, environment in
            await #expect(throws: HTTPClientFault.responseTruncated) {
                try await client.text(
                    .get, "/", endpoint, deadline: environment.now + .seconds(10))
            }
        }
    }

    @Test func `a silent server is not waited for beyond the deadline`() throws {
        let responder = Responding { _, exchange in _ = try await exchange.readBody(upTo: 1) }
        try converse(responder) { client, endpoint, environment in
            let silent = try environment.listen(
                on: SocketAddress(host: "memory", port: 9), loop: environment.memoryLoop)
            let start = environment.now
            await #expect(throws: HTTPClientFault.deadlineExceeded) {
                try await client.text(
                    .get, "/", HTTPEndpoint(silent.address), deadline: start + .seconds(7))
            }
            #expect(environment.now - start == .seconds(7))
            _ = endpoint
        }
    }

    @Test func `nobody listening is a refusal and TLS without means a fault`() throws {
        try converse { client, endpoint, environment in
            let soon = environment.now + .seconds(10)
            let nobody = SocketAddress(host: "memory", port: 9)
            await #expect(throws: HTTPClientFault.connection(.refused(nobody))) {
                try await client.text(.get, "/", HTTPEndpoint(nobody), deadline: soon)
            }
            await #expect(throws: HTTPClientFault.noSecurity) {
                let secure = HTTPEndpoint(endpoint.address, secureHost: "h")
                _ = try await client.text(.get, "/", secure, deadline: soon)
            }
        }
    }

    @Test func `requests beyond the connections of an endpoint wait their turn`() throws {
        var settings = HTTPClientSettings()
        settings.connectionsPerEndpoint = 2
        settings.waitingRequests = 3
        let responder = Responding { request, exchange in
            _ = try await exchange.collectBody(limit: 1)
            try await exchange.respond(OutgoingResponse(.ok), body: [67])
        }
        try converse(responder, client: settings) { client, endpoint, environment in
            let soon = environment.now + .seconds(10)
            let held = try await client.send(
                try OutgoingRequest(.get, target: "/", host: "h"), to: endpoint, deadline: soon)
            let texts = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await client.text(.get, "/", endpoint, deadline: soon)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(texts == Array(repeating: "200 C", count: 4))
            #expect(environment.accepted.count == 2)
            held.close()

            let first = try await client.send(
                try OutgoingRequest(.get, target: "/", host: "h"), to: endpoint, deadline: soon)
            let second = try await client.send(
                try OutgoingRequest(.get, target: "/", host: "h"), to: endpoint, deadline: soon)
            await #expect(throws: HTTPClientFault.deadlineExceeded) {
                try await client.text(
                    .get, "/", endpoint, deadline: environment.now + .seconds(1))
            }
            first.close()
            second.close()
        }
    }

    @Test func `a response that talks on is not followed by another request`() throws {
        let environment = MemoryEnvironment()
        try environment.memoryLoop.run {
            let listener = try environment.listen(on: anywhere, loop: environment.memoryLoop)
            environment.memoryLoop.spawn {
                do {
                    while true {
                        let server = ScriptedClient(stream: try await listener.accept())
                        _ = try await server.read(until: "\r\n\r\n")
                        try await server.send(
                            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 Evil\r\n\r\n"
                        )
                    }
                } catch {
                    // The listener was closed: the end of the test.
                }
            }
            let client = HTTPClient(environment, loop: environment.memoryLoop)
            let endpoint = HTTPEndpoint(listener.address)
            for _ in 0..<2 {
                let soon = environment.now + .seconds(5)
                #expect(try await client.text(.get, "/", endpoint, deadline: soon) == "200 x")
            }
            #expect(environment.accepted.count == 2)
            listener.close()
        }
    }
}
