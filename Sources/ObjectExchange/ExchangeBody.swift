import HTTPTransport
import ObjectAccess

/// The body of a request as it stands behind the HTTP framing.
package final class ExchangeBody: BodySource {
    private let exchange: DoorExchange
    private var roomBytes: UInt64

    /// - Parameter limitBytes: a longer body is refused.
    package init(_ exchange: DoorExchange, limitBytes: UInt64 = .max) {
        self.exchange = exchange
        self.roomBytes = limitBytes
    }

    /// Why the body was refused, where that says more than a `BodyFault`.
    package private(set) var refusal: S3Refusal?

    package func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        let bytes: [UInt8]
        do throws(HTTPExchangeFault) {
            bytes = try await self.exchange.readBody(upTo: limit)
        } catch { throw BodyFault(error) }
        try self.take(bytes.count)
        return bytes
    }

    package func read(
        into bytes: inout [UInt8], at part: Range<Int>
    ) async throws(BodyFault) -> Int {
        let count: Int
        do throws(HTTPExchangeFault) {
            count = try await self.exchange.readBody(into: &bytes, at: part)
        } catch { throw BodyFault(error) }
        try self.take(count)
        return count
    }

    private func take(_ count: Int) throws(BodyFault) {
        guard UInt64(count) <= self.roomBytes else {
            self.refusal = S3Refusal(.entityTooLarge)
            throw .malformed("the body is over its limit")
        }
        self.roomBytes -= UInt64(count)
    }
}

extension BodyFault {
    package init(_ fault: HTTPExchangeFault) {
        switch fault {
        case .bodyTruncated: self = .truncated
        case .bodyMalformed(let refusal): self = .malformed("\(refusal)")
        case .tooSlow: self = .tooSlow
        case .connection(let fault): self = .connection("\(fault)")
        case .bodyTooLarge, .outOfOrder, .lengthMismatch: self = .malformed("\(fault)")
        }
    }
}
