import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives

/// A client that sends just the bytes it is told, for tests of the server.
struct ScriptedClient {
    let stream: any ByteStream

    func send(_ text: String) async throws {
        try await self.stream.write(Array(text.utf8), by: self.soon)
    }

    /// Everything until the server ends the connection.
    func readToEnd(within span: Duration = .seconds(300)) async throws -> String {
        var all: [UInt8] = []
        let deadline = self.stream.loop.now + span
        while true {
            guard let bytes = try self.readNow() else {
                try await self.stream.readable(by: deadline)
                continue
            }
            if bytes.isEmpty { return String(decoding: all, as: UTF8.self) }
            all += bytes
        }
    }

    /// Reads until `end` has come, and no further than that wait needs.
    func read(until end: String) async throws -> String {
        var all: [UInt8] = []
        let deadline = self.soon
        while true {
            let text = String(decoding: all, as: UTF8.self)
            if text.hasSuffix(end) { return text }
            guard let bytes = try self.readNow() else {
                try await self.stream.readable(by: deadline)
                continue
            }
            if bytes.isEmpty { return text + "<end>" }
            all += bytes
        }
    }

    private var soon: Instant { self.stream.loop.now + .seconds(300) }

    private func readNow() throws -> [UInt8]? {
        var count: Int?
        var buffer = [UInt8](repeating: 0, count: 16_384)
        try buffer.withUnsafeMutableBytes { count = try self.stream.readNow(into: $0) }
        return count.map { Array(buffer.prefix($0)) }
    }
}

/// Answers with what a closure does.
struct Responding: HTTPResponder {
    let act: @Sendable (HTTPRequest, HTTPExchange) async throws -> Void

    init(_ act: @escaping @Sendable (HTTPRequest, HTTPExchange) async throws -> Void) {
        self.act = act
    }

    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async {
        do { try await self.act(request, exchange) } catch {
            guard let status = (error as? HTTPExchangeFault)?.status else { return }
            do { try await exchange.respond(OutgoingResponse(status)) } catch {
                // The connection is gone; the test looks at its other end.
            }
        }
    }
}

/// `/echo` gives the body back, `/stream` does so piece by piece, `/ignore` leaves it unread,
/// `/size/N` answers with N bytes.
let echo = Responding { request, exchange in
    let path = String(decoding: request.head.path, as: UTF8.self)
    if path == "/echo" {
        let body = try await exchange.collectBody(limit: 1_000_000)
        try await exchange.respond(OutgoingResponse(.ok), body: body)
    } else if path == "/stream" {
        try exchange.start(OutgoingResponse(.ok), length: nil)
        while case let piece = try await exchange.readBody(upTo: 10_000), !piece.isEmpty {
            try await exchange.write(piece)
        }
        try exchange.finish()
    } else if path == "/ignore" {
        try await exchange.respond(OutgoingResponse(.ok), body: Array("ignored".utf8))
    } else if path.hasPrefix("/size/"), let size = Int(path.dropFirst(6)) {
        try await exchange.respond(
            OutgoingResponse(.ok), body: Array(repeating: UInt8(ascii: "x"), count: size))
    } else {
        try await exchange.respond(OutgoingResponse(.notFound))
    }
}

let anywhere = SocketAddress(host: "memory", port: 0)
