import HTTPSyntax
import IORuntime
import Primitives

/// A response whose head is here and whose body is read through it. When the body was read to its
/// end the connection goes back to the client; when the response is let go before, it is closed.
package final class HTTPClientResponse {
    package let head: ResponseHead
    private let messages: MessageStream
    private let body: BodyReader
    private let pool: ConnectionPool
    private let endpoint: HTTPEndpoint
    private let isReusable: Bool
    private var isReleased = false

    init(
        _ head: ResponseHead, _ messages: MessageStream, _ settings: HTTPClientSettings,
        isReusable: Bool, pool: ConnectionPool, endpoint: HTTPEndpoint
    ) {
        self.head = head
        self.messages = messages
        self.body = BodyReader(messages, framing: head.framing, limits: settings.limits)
        self.pool = pool
        self.endpoint = endpoint
        self.isReusable = isReusable && head.keepsAlive
        if self.body.decoder.isEnded { self.release() }
    }

    deinit { self.close() }

    /// Reads up to `limit` bytes of the body; none at its end.
    package func read(upTo limit: Int) async throws(HTTPClientFault) -> [UInt8] {
        do throws(BodyReader.Fault) {
            let bytes = try await self.body.read(upTo: limit, by: .distantFuture)
            if self.body.decoder.isEnded { self.release() }
            return bytes
        } catch {
            throw self.broken(error)
        }
    }

    /// Reads body bytes into `buffer` and says how many; 0 at the end.
    package func read(
        into buffer: UnsafeMutableRawBufferPointer
    ) async throws(HTTPClientFault) -> Int {
        do throws(BodyReader.Fault) {
            let count = try await self.body.read(into: buffer, by: .distantFuture)
            if self.body.decoder.isEnded { self.release() }
            return count
        } catch {
            throw self.broken(error)
        }
    }

    /// The whole body, or `.responseTooLarge` when it has more than `limit` bytes.
    package func collect(limit: Int) async throws(HTTPClientFault) -> [UInt8] {
        var collected: [UInt8] = []
        while true {
            let bytes = try await self.read(upTo: min(65_536, limit - collected.count + 1))
            if bytes.isEmpty { return collected }
            guard collected.count + bytes.count <= limit else {
                self.close()
                throw .responseTooLarge(limit: limit)
            }
            collected += bytes
        }
    }

    /// The fields behind a chunked body, once it was read to its end.
    package var trailers: Fields { self.body.decoder.trailers }

    /// Gives the rest of the response up.
    package func close() {
        guard !self.isReleased else { return }
        self.isReleased = true
        self.messages.stream.close()
        self.pool.release(self.endpoint, keeping: nil)
    }

    /// Hands the connection back when it can carry another request: bytes that nobody asked for
    /// would be taken for the next response.
    private func release() {
        guard !self.isReleased else { return }
        guard self.isReusable, self.messages.received.isEmpty else {
            self.close()
            return
        }
        self.isReleased = true
        self.pool.release(self.endpoint, keeping: self.messages.stream)
    }

    private func broken(_ fault: BodyReader.Fault) -> HTTPClientFault {
        self.close()
        switch fault {
        case .refused(let refusal): return .responseRefused(refusal)
        case .stream(.endedEarly): return .responseTruncated
        case .stream(let fault): return HTTPClientFault(fault)
        }
    }
}
