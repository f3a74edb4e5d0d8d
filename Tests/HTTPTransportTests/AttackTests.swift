import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Testing

/// What strangers do to a server, in virtual time: whatever they break off, hold back or never end, the
/// server forgets them, takes a bounded amount from each, and serves others.
@Suite struct AttackTests {
    private static let put =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n"
        + "0\r\nTrailer: z\r\n\r\n"

    private static func connect(_ environment: MemoryEnvironment) throws -> ScriptedClient {
        let address = SocketAddress(host: "memory", port: 1001)
        return ScriptedClient(stream: try environment.connectNow(to: address))
    }

    private static func stillServes(_ environment: MemoryEnvironment) async throws {
        let client = try self.connect(environment)
        try await client.send("GET /size/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(try await client.readToEnd().hasSuffix("\r\n\r\nx"))
        client.stream.close()
    }

    @Test(arguments: [true, false])
    func `a client that breaks off anywhere is forgotten`(isReset: Bool) throws {
        try serve { first, environment, server in
            first.stream.close()
            for count in 0...Self.put.utf8.count {
                let client = try Self.connect(environment)
                if count > 0 { try await client.send(String(Self.put.prefix(count))) }
                if isReset {
                    client.stream.close()
                } else {
                    client.stream.finishWriting()
                    _ = try await client.readToEnd()
                    client.stream.close()
                }
            }
            // Two seconds of politeness are all that any of them may have left.
            try await environment.memoryLoop.sleep(for: .seconds(3))
            #expect(server.connectionCount == 0)
            try await Self.stillServes(environment)
        }
    }

    @Test func `a client that has said all it will say is answered`() throws {
        try serve { client, _, _ in
            try await client.send(Self.put + "GET /size/3 HTTP/1.1\r\nHost: a\r\n\r\n")
            client.stream.finishWriting()
            let text = try await client.readToEnd()
            #expect(text.contains("\r\n\r\nhelloHTTP/1.1 200 OK\r\n"))
            #expect(text.hasSuffix("\r\n\r\nxxx"))
        }
    }

    @Test(arguments: [
        ("", "GET /size/1 HTTP/1.1\r\nX: ", "aaaaaaaaaaaaaaaa"),
        ("", "GET /size/1 HTTP/1.1\r\n", "X: aaaaaaaaaa\r\n"),
        ("", "GET /", "aaaaaaaaaaaaaaaa"),
        ("", "\r\n", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"),
        ("/echo", "", "0000000000000000"),
        ("/echo", "1;", "aaaaaaaaaaaaaaaa"),
        ("/echo", "0\r\n", "X: aaaaaaaaaa\r\n"),
        ("/ignore", "", "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n"),
    ])
    func `of what never ends a bounded amount is taken`(
        path: String, start: String, endless: String
    ) throws {
        let head = "POST \(path) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        try serve { client, environment, server in
            try await client.send((path.isEmpty ? "" : head) + start)
            let piece = String(repeating: endless, count: 256)
            var sent = 0
            await #expect(throws: StreamFault.self) {
                while sent < 16 << 20 {
                    try await client.send(piece)
                    sent += piece.utf8.count
                }
            }
            // A head or line, what is read for politeness, and what lies in the connection.
            #expect(sent < 65_536 + 262_144 + 1_048_576 + 4 * 65_536)
            client.stream.close()
            try await environment.memoryLoop.sleep(for: .seconds(3))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `a flood of half heads is bounded, and over when their time is`() throws {
        var settings = HTTPServerSettings()
        settings.connectionLimit = 50
        try serve(settings: settings) { first, environment, server in
            first.stream.close()
            try await environment.memoryLoop.sleep(for: .milliseconds(1))
            #expect(server.connectionCount == 0)
            var flood: [ScriptedClient] = []
            var turnedAway = 0
            for _ in 0..<200 {
                let client = try Self.connect(environment)
                do { try await client.send("GET / HT") } catch { turnedAway += 1 }
                flood.append(client)
            }
            try await environment.memoryLoop.sleep(for: .seconds(1))
            #expect(server.connectionCount == 50 && turnedAway <= 150)
            try await environment.memoryLoop.sleep(for: .seconds(13))
            #expect(server.connectionCount == 0)
            try await Self.stillServes(environment)
            for client in flood { client.stream.close() }
        }
    }

    @Test func `what follows a head that two readers could differ on is never answered`() throws {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: xchunked",
            "X: y\r\n Content-Length: 5", "X: a\nContent-Length: 5",
        ] {
            try serve { client, _, _ in
                try await client.send(
                    "POST /echo HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n0\r\n\r\n"
                        + "GET /size/9 HTTP/1.1\r\nHost: a\r\n\r\n")
                let text = try await client.readToEnd()
                #expect(text.ranges(of: "HTTP/1.1 ").count == 1, "\(fields)")
                #expect(text.contains("Connection: close\r\n"))
            }
        }
    }
}
