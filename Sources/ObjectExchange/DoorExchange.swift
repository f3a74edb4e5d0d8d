import HTTPSyntax
import HTTPTransport
import IORuntime
import ObjectAccess
import Primitives

/// One request at a door: what was asked, by when metadata must have answered, and the response,
/// with the fields that every response has. It belongs to the connection's task.
package final class DoorExchange {
    package let request: HTTPRequest
    package let id: RequestID
    /// For metadata. The time that a body takes is bounded by the transport's least rate.
    package let deadline: Instant
    /// The loop that the request is served on.
    package let loop: any EventLoop

    /// What was answered; nil before.
    package private(set) var status: Status?
    package private(set) var receivedBytes: UInt64 = 0
    package private(set) var sentBytes: UInt64 = 0
    /// For the log: what lies behind a refusal.
    package private(set) var cause: String?

    private let exchange: HTTPExchange
    /// `Server` and `x-amz-id-2`.
    private let commonFields: FieldBlock

    package init(
        _ request: HTTPRequest, _ exchange: HTTPExchange, id: RequestID, deadline: Instant,
        commonFields: FieldBlock
    ) {
        self.request = request
        self.exchange = exchange
        self.id = id
        self.deadline = deadline
        self.commonFields = commonFields
        self.loop = exchange.loop
    }

    /// The fields that are the same in every response of a process.
    package static func commonFields(of node: NodeID) -> FieldBlock {
        var fields = FieldBlock()
        fields.addChecked("Server", "Holdfast")
        fields.addChecked(
            "x-amz-id-2", RequestID(incarnation: 0, count: 0, node: node).host)
        return fields
    }

    package var head: RequestHead { self.request.head }

    /// The fields that a response begins with.
    package func makeFields() -> FieldBlock {
        var fields = self.commonFields
        fields.addChecked("x-amz-request-id", self.id.text)
        return fields
    }

    // MARK: The request's body

    func readBody(upTo limit: Int) async throws(HTTPExchangeFault) -> [UInt8] {
        let bytes = try await self.exchange.readBody(upTo: limit)
        self.receivedBytes += UInt64(bytes.count)
        return bytes
    }

    func readBody(
        into bytes: inout [UInt8], at part: Range<Int>
    ) async throws(HTTPExchangeFault) -> Int {
        let count = try await self.exchange.readBody(into: &bytes, at: part)
        self.receivedBytes += UInt64(count)
        return count
    }

    // MARK: The response

    /// Answers with a whole body. A client that is gone is not told.
    package func respond(_ status: Status, _ fields: FieldBlock, body: [UInt8] = []) async {
        self.status = status
        let response = OutgoingResponse(status, fields: fields)
        do throws(HTTPExchangeFault) {
            try await self.exchange.respond(response, body: body)
            if self.head.method != .head { self.sentBytes += UInt64(body.count) }
        } catch {
            self.cause = "\(error)"
        }
    }

    /// - Parameter fields: what `makeFields` made, and more.
    package func respond(xml: XMLWriter, _ fields: FieldBlock? = nil) async {
        var fields = fields ?? self.makeFields()
        fields.addChecked("Content-Type", "application/xml")
        await self.respond(.ok, fields, body: xml.bytes)
    }

    package func refuse(_ refusal: S3Refusal) async {
        self.cause = refusal.cause
        var fields = self.makeFields()
        if refusal.status == .unavailable { fields.add("Retry-After", number: 1) }
        if let size = refusal.unsatisfiedSize { fields.add(.unsatisfied(size: size)) }
        guard !refusal.status.forbidsBody else {
            await self.respond(refusal.status, fields)
            return
        }
        fields.addChecked("Content-Type", "application/xml")
        let document = refusal.document(resource: self.head.path, id: self.id)
        await self.respond(refusal.status, fields, body: document)
    }

    /// Answers with parts of what `reader` reads. What cannot be read at once is refused; what
    /// fails later cuts the connection, so that no client takes a part for the whole.
    package func stream(
        _ status: Status, _ fields: FieldBlock, _ body: OutgoingRanges, of reader: ObjectReader
    ) async throws(S3Refusal) {
        let parts: [MultipartRanges.Part]
        let suffix: [UInt8]
        switch body {
        case .one(let range):
            parts = [MultipartRanges.Part(prefix: [], range: range)]
            suffix = []
        case .several(let ranges):
            parts = ranges.parts
            suffix = ranges.suffix
        }
        for (position, part) in parts.enumerated() {
            reader.restrict(to: part.range)
            var slice: ArraySlice<UInt8>?
            do throws(AccessFault) { slice = try await reader.next() } catch {
                guard position > 0 else { throw S3Refusal(of: error) }
                return self.cut("\(error)")
            }
            do throws(HTTPExchangeFault) {
                if position == 0 {
                    self.status = status
                    try self.exchange.start(
                        OutgoingResponse(status, fields: fields), length: body.lengthBytes)
                }
                try await self.write(part.prefix[...])
                // Taken out, so that what is sent is not held while the next is fetched.
                while let bytes = slice.take() {
                    try await self.write(bytes)
                    do throws(AccessFault) { slice = try await reader.next() } catch {
                        return self.cut("\(error)")
                    }
                }
            } catch {
                self.cause = "\(error)"
                return
            }
        }
        do throws(HTTPExchangeFault) {
            try await self.write(suffix[...])
            try self.exchange.finish()
        } catch {
            self.cause = "\(error)"
        }
    }

    private func write(_ bytes: consuming ArraySlice<UInt8>) async throws(HTTPExchangeFault) {
        let count = UInt64(bytes.count)
        try await self.exchange.write([bytes])
        self.sentBytes += count
    }

    private func cut(_ cause: String) {
        self.cause = cause
        self.exchange.abort()
    }

    /// Answers HEAD, where `length` is that of the body that GET would have.
    package func respondToHead(_ status: Status, _ fields: FieldBlock, length: UInt64) {
        self.status = status
        do throws(HTTPExchangeFault) {
            try self.exchange.start(OutgoingResponse(status, fields: fields), length: length)
            try self.exchange.finish()
        } catch {
            self.cause = "\(error)"
        }
    }
}
