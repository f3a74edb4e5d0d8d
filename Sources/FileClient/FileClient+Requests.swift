import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Signing

/// How requests travel: attempt by attempt, until an edge has decided or none is left to ask.
extension FileClient {
    /// What became of one attempt.
    private enum Attempt {
        case answered(HTTPClientResponse)
        case failed(EdgeFailure, EdgeRefusal?)
    }

    /// Sends a request until an edge decides on it, and returns the answer with its body unread.
    ///
    /// - Parameters:
    ///   - attempts: used on when the answer's body turns out to be bad.
    ///   - bodyBytes: the size of what `body` gives; it is asked anew for each attempt.
    func send(
        _ request: EdgeRequest, _ attempts: inout EdgeAttempts, bodyBytes: UInt64 = 0,
        body: () -> RequestBody = { .none }
    ) async throws(FileClientFault) -> HTTPClientResponse {
        while true {
            let edge = self.options.edges[attempts.edge]
            let outgoing = try self.sign(request, for: edge)
            switch try await self.attempt(outgoing, request, edge, body(), bodyBytes) {
            case .answered(let response):
                self.answered(at: attempts.edge)
                return try await self.judge(response, request)
            case .failed(let failure, let reason):
                try await self.prepareNext(
                    &attempts, after: failure, reason, subject: request.subject)
            }
        }
    }

    /// Sends a request and reads its answer whole; a longer one than `limitBytes` is a fault.
    ///
    /// - Parameter body: is small, and signed for as the rest of the request.
    func fetch(
        _ request: EdgeRequest, body: [UInt8] = [],
        limitBytes: Int = TransferBounds.smallAnswerBytes
    ) async throws(FileClientFault) -> (head: ResponseHead, body: [UInt8], edge: EdgeAddress) {
        var attempts = self.attempts()
        var request = request
        if !body.isEmpty { request.payload = .hash(SHA256.hash(body)) }
        while true {
            let response = try await self.send(
                request, &attempts, bodyBytes: UInt64(body.count)
            ) { body.isEmpty ? .none : .bytes(body) }
            do throws(HTTPClientFault) {
                let body = try await response.collect(limit: limitBytes)
                return (response.head, body, self.options.edges[attempts.edge])
            } catch .responseTooLarge(let limit) {
                throw .answerTooLarge(subject: request.subject, limitBytes: limit)
            } catch {
                let failure = try Self.failure(
                    of: error, request, self.options.edges[attempts.edge])
                try await self.prepareNext(&attempts, after: failure, subject: request.subject)
            }
        }
    }

    /// Reads what is left of an answer that has said yes in its head, so that the connection can be
    /// used again.
    static func readAway(_ response: HTTPClientResponse) async {
        do throws(HTTPClientFault) {
            _ = try await response.collect(limit: TransferBounds.smallAnswerBytes)
        } catch {
            response.close()
        }
    }

    /// Takes note of a failure and waits for the time of the next attempt; throws when there is none.
    func prepareNext(
        _ attempts: inout EdgeAttempts, after failure: EdgeFailure, _ reason: EdgeRefusal? = nil,
        subject: String
    ) async throws(FileClientFault) {
        let (edge, count) = (attempts.edge, attempts.attemptCount)
        self.took(failure, at: edge)
        switch attempts.failed(failure, at: self.loop.now, jitter: self.drawJitter()) {
        case .again(_, let pause): if pause > .zero { try await self.pause(for: pause) }
        case .giveUp:
            throw .noEdgeAnswered(
                subject: subject, edge: self.options.edges[edge], last: failure, reason: reason,
                attempts: count)
        }
    }

    private func attempt(
        _ outgoing: OutgoingRequest, _ request: EdgeRequest, _ edge: EdgeAddress,
        _ body: RequestBody, _ bodyBytes: UInt64
    ) async throws(FileClientFault) -> Attempt {
        do throws(HTTPClientFault) {
            let response = try await self.exchange(
                outgoing, with: edge, body: body, bodyBytes: bodyBytes)
            guard let failure = Self.failure(of: response.head) else { return .answered(response) }
            // Read away, so that the connection can carry the next attempt.
            let text = try await response.collect(limit: TransferBounds.smallAnswerBytes)
            return .failed(failure, EdgeRefusal(status: response.head.status, body: text))
        } catch {
            return .failed(try Self.failure(of: error, request, edge), nil)
        }
    }

    /// Gives an answer that says yes, or that the caller is prepared for, to the caller.
    private func judge(
        _ response: HTTPClientResponse, _ request: EdgeRequest
    ) async throws(FileClientFault) -> HTTPClientResponse {
        let status = response.head.status
        if status.isSuccess || request.acceptedRefusals.contains(status) { return response }
        var body: [UInt8] = []
        do throws(HTTPClientFault) {
            body = try await response.collect(limit: TransferBounds.smallAnswerBytes)
        } catch {
            // The status says enough; its explanation did not arrive.
        }
        throw .refused(EdgeRefusal(status: status, body: body), subject: request.subject)
    }

    /// Nil when the edge has decided, be it yes or no.
    private static func failure(of head: ResponseHead) -> EdgeFailure? {
        switch head.status {
        case .unavailable, .tooManyRequests:
            let seconds = head.fields.text("retry-after").flatMap { UInt32($0) }
            return .overloaded(retryAfter: seconds.map { .seconds(Int64($0)) })
        case .internalError, .badGateway, .gatewayTimeout, .requestTimeout:
            return .failed(status: head.status.rawValue)
        default: return nil
        }
    }

    /// What a fault of the transport means for the next attempt; throws what no attempt can mend.
    static func failure(
        of fault: HTTPClientFault, _ request: EdgeRequest, _ edge: EdgeAddress
    ) throws(FileClientFault) -> EdgeFailure {
        switch fault {
        case .connection(.refused), .connection(.unreachable): return .unreachable
        case .connection(.insecure(let reason)): return .untrusted(reason: reason)
        case .connection(.deadlineExceeded), .deadlineExceeded: return .timedOut
        case .connection(.reset), .connection(.closed), .connection(.endedEarly),
            .connection(.addressInUse), .connection(.system), .responseTruncated,
            .tooManyWaiting:
            return .broken
        case .responseRefused: throw .malformedAnswer(subject: request.subject)
        case .responseTooLarge(let limit):
            throw .answerTooLarge(subject: request.subject, limitBytes: limit)
        case .bodySourceFailed, .bodyLengthMismatch:
            throw .changedWhileSent(path: request.subject)
        case .noSecurity: throw .noSecurity(edge)
        }
    }
}
