import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Testing

private let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

/// Runs `script` as a client of a server that answers with `responder`.
func serve(
    _ responder: any HTTPResponder = echo, settings: HTTPServerSettings = HTTPServerSettings(),
    capacity: Int = 65_536,
    _ script:
        @escaping @Sendable (ScriptedClient, MemoryEnvironment, HTTPServer) async throws -> Void
) throws {
    let environment = MemoryEnvironment()
    environment.capacity = capacity
    try environment.memoryLoop.run {
        let server = HTTPServer(environment, settings: settings, responder: responder)
        let address = try await server.start(on: anywhere)
        let client = ScriptedClient(stream: try environment.connectNow(to: address))
        try await script(client, environment, server)
    }
}

@Suite struct ServerTests {
    @Test func `requests of one connection are answered in order`() throws {
        try serve { client, _, _ in
            try await client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            #expect(
                try await client.read(until: "abc")
                    == "HTTP/1.1 200 OK\r\n\(date)Content-Length: 3\r\n\r\nabc")
            try await client.send("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 404 Not Found\r\n\(date)Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
    }

    @Test func `pipelined requests are answered in order and in one write`() throws {
        try serve { client, environment, _ in
            let one = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
            let last = "GET /size/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            try await client.send(one + "1" + one + "2" + last)
            let text = try await client.readToEnd()
            let head = "HTTP/1.1 200 OK\r\n\(date)Content-Length: "
            #expect(
                text == "\(head)1\r\n\r\n1\(head)1\r\n\r\n2\(head)2\r\nConnection: close\r\n\r\nxx")
            #expect(environment.accepted[0].writes.count == 1)
        }
    }

    @Test(arguments: [1, 3, 64])
    func `a request means the same however its bytes are cut`(readLimit: Int) throws {
        try serve { client, environment, _ in
            environment.accepted[0].readLimit = readLimit
            try await client.send(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
                    + "\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
            #expect(try await client.readToEnd().hasSuffix("Connection: close\r\n\r\nhello world"))
        }
    }

    @Test func `leave to send a body is given when it is read and not before`() throws {
        try serve { client, _, _ in
            let head = "HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
            try await client.send("POST /echo " + head)
            #expect(try await client.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("hi")
            #expect(try await client.read(until: "hi").hasPrefix("HTTP/1.1 200 OK\r\n"))
            try await client.send("POST /ignore " + head)
            let refused = try await client.readToEnd()
            #expect(refused.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(refused.hasSuffix("Connection: close\r\n\r\nignored"))
        }
    }

    @Test func `an expectation nobody knows fails`() throws {
        try serve { client, _, _ in
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nExpect: gold\r\n\r\n")
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 417 Expectation Failed\r\n"))
        }
    }

    @Test func `a head that cannot be trusted is refused and ends the connection`() throws {
        try serve { client, _, _ in
            try await client.send(
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /size/1 HTTP/1.1\r\n\r\n")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 400 Bad Request\r\n\(date)Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
    }

    @Test func `a malformed chunk ends the connection behind its answer`() throws {
        try serve { client, _, _ in
            try await client.send(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
            let text = try await client.readToEnd()
            #expect(text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(text.contains("Connection: close\r\n"))
        }
    }

    @Test func `a small body that nobody wanted is read away and a large one ends the connection`()
        throws
    {
        var settings = HTTPServerSettings()
        settings.discardLimitBytes = 10
        try serve(settings: settings) { client, _, _ in
            let body = "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: "
            try await client.send(body + "10\r\n\r\n0123456789")
            #expect(try await client.read(until: "ignored").hasPrefix("HTTP/1.1 200 OK\r\n"))
            try await client.send(body + "11\r\n\r\n0123456789")
            let text = try await client.readToEnd()
            #expect(text.hasSuffix("Connection: close\r\n\r\nignored"))
        }
    }

    @Test func `an endless chunked body that nobody wanted ends the connection`() throws {
        try serve { client, environment, _ in
            try await client.send(
                "POST /ignore HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try await client.read(until: "ignored").hasPrefix("HTTP/1.1 200 OK\r\n"))
            let chunk = "8000\r\n" + String(repeating: "z", count: 0x8000) + "\r\n"
            var sent = 0
            await #expect(throws: StreamFault.self) {
                while sent < 1000 {
                    try await client.send(chunk)
                    sent += 1
                }
            }
            // What is dropped to find the next request, what is dropped for politeness, and what
            // lies in the connection.
            #expect(sent * 0x8000 < 262_144 + 1_048_576 + 4 * 65_536)
        }
    }

    @Test func `heads without a body say its length and send none`() throws {
        try serve { client, _, _ in
            try await client.send(
                "HEAD /size/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 200 OK\r\n\(date)Content-Length: 5\r\nConnection: close\r\n\r\n")
        }
    }

    @Test(arguments: [Status.noContent, .notModified])
    func `statuses that forbid a body send neither body nor length`(status: Status) throws {
        let responder = Responding { _, exchange in
            try await exchange.respond(OutgoingResponse(status), body: [1, 2, 3])
        }
        try serve(responder) { client, _, _ in
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 \(status)\r\n\(date)Connection: close\r\n\r\n")
        }
    }

    @Test func `an old client is kept only if it asks and gets no chunks`() throws {
        try serve { client, _, _ in
            try await client.send("GET /size/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(
                try await client.read(until: "x")
                    == "HTTP/1.1 200 OK\r\n\(date)Content-Length: 1\r\nConnection: keep-alive\r\n\r\nx"
            )
            try await client.send(
                "POST /stream HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 200 OK\r\n\(date)Connection: close\r\n\r\nok")
        }
    }

    @Test func `a large body streams through in constant memory`() throws {
        try serve(capacity: 20_000) { client, environment, _ in
            let count = 3_000_000
            async let sent: Void = {
                try await client.send(
                    "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n"
                        + "Connection: close\r\n\r\n")
                try await client.send(String(repeating: "y", count: count))
            }()
            let text = try await client.readToEnd()
            try await sent
            #expect(text.utf8.filter { $0 == UInt8(ascii: "y") }.count == count)
            #expect(text.hasSuffix("\r\n0\r\n\r\n"))
        }
    }

    @Test func `a response that its maker gives up is cut and not padded`() throws {
        let responder = Responding { _, exchange in
            try exchange.start(OutgoingResponse(.ok), length: 10)
            try await exchange.write(Array("half".utf8))
        }
        try serve(responder) { client, _, _ in
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 200 OK\r\n\(date)Content-Length: 10\r\n\r\nhalf")
        }
    }

    @Test func `more or fewer bytes than stated are a fault`() throws {
        let responder = Responding { request, exchange in
            try exchange.start(OutgoingResponse(.ok), length: 3)
            if request.head.path.elementsEqual("/more".utf8) {
                await #expect(throws: HTTPExchangeFault.lengthMismatch(stated: 3, written: 4)) {
                    try await exchange.write(Array("four".utf8))
                }
            } else {
                try await exchange.write(Array("2!".utf8))
                #expect(throws: HTTPExchangeFault.lengthMismatch(stated: 3, written: 2)) {
                    try exchange.finish()
                }
            }
        }
        for path in ["/more", "/fewer"] {
            try serve(responder) { client, _, _ in
                try await client.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
                let text = try await client.readToEnd()
                #expect(!text.contains("four"))
            }
        }
    }

    @Test func `a responder that says nothing answers 500`() throws {
        try serve(Responding { _, _ in }) { client, _, _ in
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(
                try await client.readToEnd()
                    == "HTTP/1.1 500 Internal Server Error\r\n\(date)"
                    + "Content-Length: 0\r\nConnection: close\r\n\r\n")
        }
    }

    @Test func `there is one response to a request`() throws {
        let responder = Responding { _, exchange in
            try await exchange.respond(OutgoingResponse(.ok))
            await #expect(throws: HTTPExchangeFault.outOfOrder) {
                try await exchange.respond(OutgoingResponse(.notFound))
            }
            await #expect(throws: HTTPExchangeFault.outOfOrder) { try await exchange.write([1]) }
        }
        try serve(responder) { client, _, _ in
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func `a body over its limit is refused before it is sent`() throws {
        let responder = Responding { _, exchange in
            _ = try await exchange.collectBody(limit: 4)
        }
        try serve(responder) { client, _, _ in
            try await client.send(
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 413 Content Too Large\r\n"))
        }
    }
}
