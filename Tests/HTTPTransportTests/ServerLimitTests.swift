import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Testing

@Suite struct ServerLimitTests {
    @Test func `a head that does not come to its end is given up`() throws {
        try serve { client, environment, _ in
            let start = environment.now
            try await client.send("GET / HTTP/1.1\r\nHo")
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            #expect(environment.now - start == .seconds(10))
        }
    }

    @Test func `a client that drips a head gets no more time for it`() throws {
        try serve { client, environment, _ in
            let start = environment.now
            for byte in "GET / HTTP/" {
                try await client.send(String(byte))
                try await environment.memoryLoop.sleep(for: .milliseconds(900))
            }
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            #expect(environment.now - start < .seconds(12))
        }
    }

    @Test func `a silent connection is closed sooner when it never spoke`() throws {
        try serve { client, environment, _ in
            let start = environment.now
            let text = try await client.readToEnd()
            #expect(text == "")
            #expect(environment.now - start == .seconds(10))
        }
        try serve { client, environment, server in
            try await client.send("GET /size/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await client.read(until: "x")
            let start = environment.now
            let text = try await client.readToEnd()
            #expect(text == "")
            #expect(environment.now - start == .seconds(60))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `a body slower than the least rate is given up`() throws {
        try serve { client, environment, _ in
            let start = environment.now
            try await client.send(
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            async let drips: Void = {
                for _ in 0..<40 {
                    try await client.send("0123456789")
                    try await environment.memoryLoop.sleep(for: .seconds(1))
                }
            }()
            #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            #expect(environment.now - start >= .seconds(30))
            #expect(environment.now - start < .seconds(33))
            do {
                try await drips
                Issue.record("the server went on reading")
            } catch let fault as StreamFault {
                #expect(fault == .reset)
            }
        }
    }

    @Test func `a body just above the least rate is taken`() throws {
        try serve { client, environment, _ in
            try await client.send(
                "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
            for _ in 0..<40 {
                try await client.send(String(repeating: "b", count: 1500))
                try await environment.memoryLoop.sleep(for: .seconds(1))
            }
            try await client.send("GET /size/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let text = try await client.readToEnd()
            #expect(text.contains("ignored"))
            #expect(text.hasSuffix("Connection: close\r\n\r\nx"))
        }
    }

    @Test func `a client that does not take its response is given up`() throws {
        try serve(capacity: 1000) { client, environment, server in
            try await client.send("GET /size/100000 HTTP/1.1\r\nHost: a\r\n\r\n")
            try await environment.memoryLoop.sleep(for: .seconds(29))
            #expect(server.connectionCount == 1)
            try await environment.memoryLoop.sleep(for: .seconds(4))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `one connection too many is told so`() throws {
        var settings = HTTPServerSettings()
        settings.connectionLimit = 1
        try serve(settings: settings) { first, environment, server in
            try await first.send("GET /size/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await first.read(until: "x")
            let address = SocketAddress(host: "memory", port: 1001)
            let second = ScriptedClient(stream: try environment.connectNow(to: address))
            let text = try await second.readToEnd()
            #expect(text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(text.contains("Retry-After: 1\r\n"))
            first.stream.close()
            try await environment.memoryLoop.sleep(for: .seconds(1))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `a drain ends idle connections at once and busy ones after their request`() throws {
        let responder = Responding { _, exchange in
            let body = try await exchange.collectBody(limit: 100)
            try await exchange.respond(OutgoingResponse(.ok), body: body)
        }
        try serve(responder) { idle, environment, server in
            let address = SocketAddress(host: "memory", port: 1001)
            let busy = ScriptedClient(stream: try environment.connectNow(to: address))
            try await busy.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
            try await environment.memoryLoop.sleep(for: .milliseconds(1))
            #expect(server.connectionCount == 2)

            let start = environment.now
            async let drained: Void = server.drain(by: start + .seconds(100))
            #expect(try await idle.readToEnd() == "")
            #expect(throws: StreamFault.refused(address)) {
                try environment.connectNow(to: address)
            }
            try await environment.memoryLoop.sleep(for: .seconds(5))
            try await busy.send("cd")
            let text = try await busy.readToEnd()
            #expect(text.hasSuffix("Connection: close\r\n\r\nabcd"))
            busy.stream.close()
            await drained
            #expect(environment.now - start < .seconds(6))
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `a drain cuts off at its deadline what is still at work`() throws {
        try serve { client, environment, server in
            try await client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
            try await environment.memoryLoop.sleep(for: .milliseconds(1))
            let start = environment.now
            await server.drain(by: start + .seconds(3))
            #expect(environment.now - start == .seconds(3))
            #expect(server.connectionCount == 0)
            _ = client
        }
    }
}
