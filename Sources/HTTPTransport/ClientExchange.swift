import HTTPSyntax
import IORuntime
import Primitives

/// One request on one connection, up to the head of its final response.
final class ClientExchange {
    let messages: MessageStream
    private let request: OutgoingRequest
    private let body: RequestBody
    private let expectsContinue: Bool
    private let settings: HTTPClientSettings
    private var parser: ResponseParser

    /// Whether a byte of a response has come.
    private var wasAnswered = false
    private var bodyWasBegun = false
    private var bodyWasFinished = false
    /// A head of success that came while the body was being sent.
    private var earlyHead: ResponseHead?

    /// While the body cannot leave, we look this often whether the server has answered already.
    private static let answerCheckInterval: Duration = .milliseconds(100)
    /// Smaller bodies leave in one piece with their head.
    private static let copiedBodyBytes = 16_384

    init(
        _ request: OutgoingRequest, _ body: RequestBody, on stream: any ByteStream,
        expectsContinue: Bool, settings: HTTPClientSettings
    ) {
        self.request = request
        self.body = body
        if case .none = body {
            self.expectsContinue = false
        } else {
            self.expectsContinue = expectsContinue
        }
        self.settings = settings
        self.parser = ResponseParser(limits: settings.limits)
        self.messages = MessageStream(
            stream, receiveLimitBytes: settings.limits.headBytes + 1024,
            leastBytesPerSecond: settings.leastBytesPerSecond, rateWindow: settings.rateWindow)
    }

    /// Whether the connection can carry another request, as far as this side is concerned.
    var isReusable: Bool { self.bodyWasFinished }

    func mayTryAgain(after fault: HTTPClientFault) -> Bool {
        guard !self.wasAnswered, case .connection = fault else { return false }
        guard self.bodyWasBegun else { return self.hasBody || self.request.method.isIdempotent }
        if case .stream = self.body { return false }
        return self.request.method.isIdempotent
    }

    private var hasBody: Bool {
        if case .none = self.body { false } else { true }
    }

    /// Sends the request and waits for the final response. A server may refuse before it has the
    /// whole body, and then the rest is not sent; one that agrees early is sent all of it.
    func run(by deadline: Instant) async throws(HTTPClientFault) -> ResponseHead {
        self.request.append(
            to: &self.messages.pending, framing: self.framing, connection: .implied,
            expectsContinue: self.expectsContinue)
        if self.expectsContinue {
            let limit = min(deadline, self.messages.loop.now + self.settings.continueTimeout)
            if let head = try await self.leaveToGoOn(by: limit) { return head }
        }
        do throws(HTTPClientFault) {
            if let head = try await self.sendBody(by: deadline) { return head }
        } catch {
            // A server that refuses a body may close before it has read all of it, with its answer
            // already on the way.
            guard case .connection = error, let head = try self.nextHead() ?? self.earlyHead else {
                throw error
            }
            return head
        }
        return try await self.finalHead(by: deadline)
    }

    private var framing: OutgoingFraming {
        switch self.body {
        case .none:
            // Servers want a length with these methods even when it is zero (RFC 9110 §8.6).
            switch self.request.method {
            case .put, .post, .patch: .length(0)
            case .get, .head, .delete, .options, .other: .none
            }
        case .bytes(let bytes): .length(UInt64(bytes.count))
        case .stream(let length, _): .length(length)
        }
    }

    // MARK: Sending

    /// Nil when the body may be sent; a head when the server has decided without it.
    private func leaveToGoOn(by limit: Instant) async throws(HTTPClientFault) -> ResponseHead? {
        do throws(HTTPClientFault) {
            return try await self.finalHead(by: limit, orInterim: true)
        } catch .deadlineExceeded {
            return nil
        }
    }

    private func sendBody(by deadline: Instant) async throws(HTTPClientFault) -> ResponseHead? {
        switch self.body {
        case .none:
            try await self.flush(by: deadline)
        case .bytes(let bytes):
            self.bodyWasBegun = !bytes.isEmpty
            if bytes.count <= Self.copiedBodyBytes {
                self.messages.pending.append(contentsOf: bytes)
                try await self.flush(by: deadline)
            } else if let head = try await self.send(bytes[...], by: deadline) {
                return head
            }
        case .stream(let length, let next):
            if let head = try await self.sendStream(length, next, by: deadline) { return head }
        }
        self.bodyWasFinished = true
        return nil
    }

    private func sendStream(
        _ length: UInt64, _ next: () async throws -> ArraySlice<UInt8>?, by deadline: Instant
    ) async throws(HTTPClientFault) -> ResponseHead? {
        var given: UInt64 = 0
        while true {
            self.bodyWasBegun = true
            let piece: ArraySlice<UInt8>?
            do { piece = try await next() } catch { throw .bodySourceFailed }
            guard let piece else { break }
            given += UInt64(piece.count)
            guard given <= length else {
                throw .bodyLengthMismatch(stated: length, given: given)
            }
            if let head = try await self.send(piece, by: deadline) { return head }
        }
        guard given == length else { throw .bodyLengthMismatch(stated: length, given: given) }
        try await self.flush(by: deadline)
        return nil
    }

    /// Sends one piece of the body, with an eye on what the server says meanwhile.
    private func send(
        _ bytes: ArraySlice<UInt8>, by deadline: Instant
    ) async throws(HTTPClientFault) -> ResponseHead? {
        var sent = 0
        while sent < bytes.count || self.messages.hasPending {
            if let head = try self.nextHead() { return head }
            do throws(StreamFault) {
                let taken = try self.messages.sendNow([bytes], skipping: sent)
                sent += taken.ofSlices
                if taken.nothing { try await self.waitToSend(by: deadline) }
            } catch {
                throw HTTPClientFault(error)
            }
        }
        if self.messages.mustYield {
            do throws(StreamFault) { try await self.messages.yield() } catch {
                throw HTTPClientFault(error)
            }
        }
        return nil
    }

    private func waitToSend(by deadline: Instant) async throws(StreamFault) {
        let now = self.messages.loop.now
        guard now < deadline else { throw .deadlineExceeded }
        try await self.messages.writable(
            by: min(deadline, now + Self.answerCheckInterval))
    }

    private func flush(by deadline: Instant) async throws(HTTPClientFault) {
        do throws(StreamFault) { try await self.messages.flush(by: deadline) } catch {
            throw HTTPClientFault(error)
        }
    }

    // MARK: Receiving

    /// Waits for the final head, or, if asked, for leave to go on (nil).
    private func finalHead(
        by deadline: Instant, orInterim: Bool
    ) async throws(HTTPClientFault) -> ResponseHead? {
        while true {
            switch try self.parse() {
            case .final(let head): return head
            case .interim(let status):
                if orInterim, status == .continues { return nil }
            case .needMore:
                if try self.fillNow() { continue }
                do throws(StreamFault) { try await self.messages.readable(by: deadline) } catch {
                    throw HTTPClientFault(error)
                }
            }
        }
    }

    private func finalHead(by deadline: Instant) async throws(HTTPClientFault) -> ResponseHead {
        while true {
            if let head = self.earlyHead { return head }
            if let head = try await self.finalHead(by: deadline, orInterim: false) { return head }
        }
    }

    /// The final head if it is here already and ends the sending.
    private func nextHead() throws(HTTPClientFault) -> ResponseHead? {
        while self.earlyHead == nil {
            switch try self.parse() {
            case .final(let head):
                guard head.status.isSuccess else { return head }
                self.earlyHead = head
            case .interim: continue
            case .needMore:
                guard try self.fillNow() else { return nil }
            }
        }
        return nil
    }

    /// Reads what has come; false when nothing has.
    private func fillNow() throws(HTTPClientFault) -> Bool {
        do throws(StreamFault) {
            guard let count = try self.messages.fillNow() else { return false }
            guard count > 0 else { throw StreamFault.endedEarly }
            self.wasAnswered = true
            return true
        } catch {
            throw HTTPClientFault(error)
        }
    }

    private enum Parsed {
        case final(ResponseHead)
        case interim(Status)
        case needMore
    }

    private func parse() throws(HTTPClientFault) -> Parsed {
        let received = self.messages.received
        switch self.parser.parse(received.bytes, answering: self.request.method) {
        case .needMore: return .needMore
        case .refused(let refusal): throw .responseRefused(refusal)
        case .head(let head, let consumed):
            received.consume(consumed)
            return head.status.isInterim ? .interim(head.status) : .final(head)
        }
    }
}
