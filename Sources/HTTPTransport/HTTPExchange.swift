import HTTPSyntax
import IORuntime
import Primitives
import Synchronization

/// One request's body and its response, for as long as the responder is at work. It belongs to the
/// connection's task.
package final class HTTPExchange {
    /// How far the response has come.
    private enum Phase {
        /// Nothing was written.
        case awaited
        /// The head was written; `written` body bytes followed it.
        case streaming(OutgoingFraming, written: UInt64)
        case finished
        /// The connection was cut on purpose.
        case aborted
    }

    private let head: RequestHead
    private let messages: MessageStream
    /// Nil when the request has no body.
    private let body: BodyReader?
    private let settings: HTTPServerSettings
    private let date: [UInt8]
    private let server: ServerStanding
    private var phase = Phase.awaited
    private var continueIsOwed: Bool
    /// Whether the connection ends with this exchange.
    private(set) var isLast: Bool

    /// Smaller bodies are copied behind their heads, and leave in one piece with other responses.
    private static let copiedBodyBytes = 16_384

    init(
        _ head: RequestHead, _ messages: MessageStream, _ settings: HTTPServerSettings,
        date: [UInt8], server: ServerStanding
    ) {
        self.head = head
        self.messages = messages
        self.body =
            head.framing == .none
            ? nil : BodyReader(messages, framing: head.framing, limits: settings.limits)
        self.settings = settings
        self.date = date
        self.continueIsOwed = head.expectsContinue
        self.server = server
        self.isLast = !head.keepsAlive
    }

    /// The loop that the connection is served on, and the responder with it.
    package var loop: any EventLoop { self.messages.loop }

    // MARK: The request's body

    /// Reads up to `limit` bytes of the body; none at its end. A client that waits for leave to
    /// send its body gets it with the first read.
    package func readBody(upTo limit: Int) async throws(HTTPExchangeFault) -> [UInt8] {
        guard let body = self.body else { return [] }
        self.grantContinue()
        do throws(BodyReader.Fault) {
            return try await body.read(upTo: limit, by: .distantFuture)
        } catch {
            throw self.broken(error)
        }
    }

    /// Reads body bytes into `buffer` and says how many; 0 at the end.
    package func readBody(
        into buffer: UnsafeMutableRawBufferPointer
    ) async throws(HTTPExchangeFault) -> Int {
        guard let body = self.body else { return 0 }
        self.grantContinue()
        do throws(BodyReader.Fault) {
            return try await body.read(into: buffer, by: .distantFuture)
        } catch {
            throw self.broken(error)
        }
    }

    /// Reads body bytes into a part of `bytes` and says how many; 0 at the end.
    package func readBody(
        into bytes: inout [UInt8], at part: Range<Int>
    ) async throws(HTTPExchangeFault) -> Int {
        guard let body = self.body else { return 0 }
        self.grantContinue()
        do throws(BodyReader.Fault) {
            return try await body.read(into: &bytes, at: part, by: .distantFuture)
        } catch {
            throw self.broken(error)
        }
    }

    /// The whole body, or `.bodyTooLarge`: at once where the head states more than `limit`.
    package func collectBody(limit: Int) async throws(HTTPExchangeFault) -> [UInt8] {
        if let stated = self.head.contentLength, stated > UInt64(limit) {
            throw .bodyTooLarge(limit: limit)
        }
        var collected: [UInt8] = []
        while true {
            let bytes = try await self.readBody(upTo: min(65_536, limit - collected.count + 1))
            if bytes.isEmpty { return collected }
            guard collected.count + bytes.count <= limit else {
                throw .bodyTooLarge(limit: limit)
            }
            collected += bytes
        }
    }

    /// The fields behind a chunked body, once it was read to its end.
    package var trailers: Fields { self.body?.decoder.trailers ?? .none }

    private func grantContinue() {
        guard self.continueIsOwed else { return }
        self.continueIsOwed = false
        // Bytes that are here already say that the client has not waited (RFC 9110 §10.1.1).
        guard case .awaited = self.phase, self.messages.received.isEmpty else { return }
        OutgoingResponse(.continues).append(
            to: &self.messages.pending, date: [], framing: .none, connection: .implied)
    }

    private func broken(_ fault: BodyReader.Fault) -> HTTPExchangeFault {
        self.isLast = true
        switch fault {
        case .refused(let refusal): return .bodyMalformed(refusal)
        case .stream(.endedEarly): return .bodyTruncated
        case .stream(.deadlineExceeded): return .tooSlow
        case .stream(let fault): return .connection(fault)
        }
    }

    // MARK: The response

    /// Answers with a head and a whole body. HEAD, 204 and 304 leave the body out.
    package func respond(
        _ response: OutgoingResponse, body: [UInt8] = []
    ) async throws(HTTPExchangeFault) {
        let framing: OutgoingFraming =
            response.status.forbidsBody ? .none : .length(UInt64(body.count))
        try self.begin(response, framing)
        self.phase = .finished
        guard self.head.method != .head, !response.status.forbidsBody else { return }
        if body.count <= Self.copiedBodyBytes {
            self.messages.pending.append(contentsOf: body)
        } else {
            try await self.send([body[...]])
        }
    }

    /// Begins a response whose body follows in `write` calls. Without a length the body is sent in
    /// chunks, or, to an HTTP/1.0 client, up to the end of the connection.
    package func start(
        _ response: OutgoingResponse, length: UInt64?
    ) throws(HTTPExchangeFault) {
        let framing: OutgoingFraming
        if response.status.forbidsBody {
            framing = .none
        } else if let length {
            framing = .length(length)
        } else if self.head.minorVersion >= 1 {
            framing = .chunked
        } else {
            framing = .untilClose
            self.isLast = true
        }
        try self.begin(response, framing)
        self.phase = .streaming(framing, written: 0)
    }

    /// Sends body bytes, without copying them, and waits until the system has taken them. For HEAD
    /// they are only counted.
    package func write(_ slices: [ArraySlice<UInt8>]) async throws(HTTPExchangeFault) {
        guard case .streaming(let framing, let before) = self.phase else { throw .outOfOrder }
        let count = slices.reduce(0) { $0 + $1.count }
        guard count > 0 else { return }
        let written = before + UInt64(count)
        self.phase = .streaming(framing, written: written)
        switch framing {
        case .length(let stated):
            guard written <= stated else {
                self.abort()
                throw .lengthMismatch(stated: stated, written: written)
            }
            if self.head.method != .head { try await self.send(slices) }
        case .chunked:
            guard self.head.method != .head else { return }
            ChunkedEncoding.appendPrefix(ofChunk: count, to: &self.messages.pending)
            try await self.send(slices + [ChunkedEncoding.chunkEnd[...]])
        case .untilClose:
            if self.head.method != .head { try await self.send(slices) }
        case .none: break
        }
    }

    package func write(_ bytes: [UInt8]) async throws(HTTPExchangeFault) {
        try await self.write([bytes[...]])
    }

    /// Sends what was written so far without waiting for more, for responses that trickle.
    package func flush() async throws(HTTPExchangeFault) { try await self.send([]) }

    /// Ends a response that was begun. One that has fewer bytes than its head states is cut off.
    package func finish(trailers: FieldBlock = FieldBlock()) throws(HTTPExchangeFault) {
        guard case .streaming(let framing, let written) = self.phase else { throw .outOfOrder }
        self.phase = .finished
        guard self.head.method != .head else { return }
        switch framing {
        case .length(let stated):
            guard written == stated else {
                self.abort()
                throw .lengthMismatch(stated: stated, written: written)
            }
        case .chunked: ChunkedEncoding.appendEnd(trailers: trailers, to: &self.messages.pending)
        case .none, .untilClose: break
        }
    }

    /// Cuts the connection: the client sees that what it has is not the whole.
    package func abort() {
        self.phase = .aborted
        self.isLast = true
        self.messages.stream.close()
    }

    private func begin(
        _ response: OutgoingResponse, _ framing: OutgoingFraming
    ) throws(HTTPExchangeFault) {
        guard case .awaited = self.phase, !response.status.isInterim else { throw .outOfOrder }
        if self.server.isDraining.load(ordering: .relaxed) { self.isLast = true }
        // Whether a client that was not told to go on sends its body is anybody's guess.
        if self.continueIsOwed && self.body != nil { self.isLast = true }
        if let rest = self.body?.decoder.remaining,
            rest > UInt64(self.settings.discardLimitBytes)
        {
            self.isLast = true
        }
        let persistent: ConnectionOption = self.head.minorVersion == 0 ? .keepAlive : .implied
        response.append(
            to: &self.messages.pending, date: self.date, framing: framing,
            connection: self.isLast ? .close : persistent)
    }

    private func send(_ slices: [ArraySlice<UInt8>]) async throws(HTTPExchangeFault) {
        do throws(StreamFault) { try await self.messages.send(slices) } catch {
            self.isLast = true
            throw error == .deadlineExceeded ? .tooSlow : .connection(error)
        }
    }

    // MARK: For the connection

    /// Brings the exchange to an end after the responder has returned; false when the connection
    /// was cut and nothing more can be said on it.
    func settle() async -> Bool {
        switch self.phase {
        case .awaited:
            self.isLast = true
            do throws(HTTPExchangeFault) {
                try await self.respond(OutgoingResponse(.internalError))
            } catch {
                return false
            }
        case .streaming:
            self.abort()
            return false
        case .aborted: return false
        case .finished: break
        }
        if !self.isLast, let body = self.body, !body.decoder.isEnded { await self.discard(body) }
        return true
    }

    /// Reads the rest of the body away, so that the next request can be found.
    private func discard(_ body: BodyReader) async {
        var left = self.settings.discardLimitBytes
        do throws(BodyReader.Fault) {
            while !body.decoder.isEnded, left > 0 {
                left -= try await body.read(upTo: 16_384, by: .distantFuture).count
            }
        } catch {
            // Without its end there is no next request.
        }
        self.isLast = !body.decoder.isEnded
    }
}
