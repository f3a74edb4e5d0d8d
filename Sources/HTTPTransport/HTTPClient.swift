import Cryptography
import HTTPSyntax
import IORuntime
import Primitives

/// Sends requests and reads their responses, over connections that it keeps.
///
/// A client belongs to one loop: it is used by tasks of that loop only.
package final class HTTPClient: Sendable {
    private let environment: any Environment
    private let loop: any EventLoop
    private let security: (any ChannelSecurity)?
    private let settings: HTTPClientSettings
    private let pool: ConnectionPool

    package init(
        _ environment: any Environment, loop: any EventLoop,
        security: (any ChannelSecurity)? = nil, settings: HTTPClientSettings = HTTPClientSettings()
    ) {
        self.environment = environment
        self.loop = loop
        self.security = security
        self.settings = settings
        self.pool = ConnectionPool(loop, settings)
    }

    /// Sends a request and returns when the head of its final response is here; the response gives
    /// the body. `deadline` is for all up to that head; the body is held to the least rate.
    ///
    /// A request on a kept connection that the server turns out to have closed is sent once more
    /// on a fresh one, when it is idempotent and its body can be given again, or when none of the
    /// body was sent (RFC 9112 §9.3.1).
    package func send(
        _ request: OutgoingRequest, to endpoint: HTTPEndpoint, body: RequestBody = .none,
        expectsContinue: Bool = false, deadline: Instant
    ) async throws(HTTPClientFault) -> HTTPClientResponse {
        try await self.pool.acquire(endpoint, by: deadline)
        do throws(HTTPClientFault) {
            var firstFault: HTTPClientFault?
            if let stream = self.pool.reusable(endpoint) {
                let exchange = self.exchange(request, body, on: stream, expectsContinue)
                do throws(HTTPClientFault) {
                    return try await self.response(exchange, endpoint, by: deadline)
                } catch  where exchange.mayTryAgain(after: error) {
                    // The kept connection was closed under us; a fresh one will tell.
                    firstFault = error
                }
            }
            let stream: any ByteStream
            do throws(HTTPClientFault) {
                stream = try await self.connect(endpoint, by: deadline)
            } catch {
                // That nobody listens now says nothing of what became of the request before.
                throw firstFault ?? error
            }
            let exchange = self.exchange(request, body, on: stream, expectsContinue)
            return try await self.response(exchange, endpoint, by: deadline)
        } catch {
            self.pool.release(endpoint, keeping: nil)
            throw error
        }
    }

    /// Closes the connections that are not in use.
    package func closeUnused() { self.pool.closeUnused() }

    private func exchange(
        _ request: OutgoingRequest, _ body: RequestBody, on stream: any ByteStream,
        _ expectsContinue: Bool
    ) -> ClientExchange {
        ClientExchange(
            request, body, on: stream, expectsContinue: expectsContinue, settings: self.settings)
    }

    private func response(
        _ exchange: ClientExchange, _ endpoint: HTTPEndpoint, by deadline: Instant
    ) async throws(HTTPClientFault) -> HTTPClientResponse {
        do throws(HTTPClientFault) {
            let head = try await exchange.run(by: deadline)
            return HTTPClientResponse(
                head, exchange.messages, self.settings, isReusable: exchange.isReusable,
                pool: self.pool, endpoint: endpoint)
        } catch {
            exchange.messages.stream.close()
            throw error
        }
    }

    private func connect(
        _ endpoint: HTTPEndpoint, by deadline: Instant
    ) async throws(HTTPClientFault) -> any ByteStream {
        let limit = min(deadline, self.loop.now + self.settings.connectTimeout)
        do throws(StreamFault) {
            guard let host = endpoint.secureHost else {
                return try await self.environment.connect(
                    to: endpoint.address, on: self.loop, deadline: limit)
            }
            guard let security = self.security else { throw StreamFault.closed }
            let stream = try await self.environment.connect(
                to: endpoint.address, on: self.loop, deadline: limit)
            return try await security.secure(stream, as: .clientOfHost(host), deadline: limit)
        } catch {
            if endpoint.secureHost != nil, self.security == nil { throw .noSecurity }
            throw HTTPClientFault(error)
        }
    }
}
