/// A response to be sent: its status and those fields that do not frame it.
package struct OutgoingResponse: Equatable, Sendable {
    package var status: Status
    package var fields: FieldBlock

    package init(_ status: Status, fields: FieldBlock = FieldBlock()) {
        self.status = status
        self.fields = fields
    }

    /// Appends the head as text (RFC 9112 §4), with the fields that frame the message.
    ///
    /// `date` is the text of `HTTPDate` for now, made once a second by the caller; interim
    /// responses carry none.
    package func append(
        to output: inout [UInt8], date: [UInt8], framing: OutgoingFraming,
        connection: ConnectionOption
    ) {
        output.append(text: "HTTP/1.1 ")
        let code = self.status.rawValue
        output.append(UInt8(ascii: "0") + UInt8(code / 100 % 10))
        output.append(UInt8(ascii: "0") + UInt8(code / 10 % 10))
        output.append(UInt8(ascii: "0") + UInt8(code % 10))
        output.append(ByteClass.space)
        output.append(text: self.status.phrase)
        if !date.isEmpty {
            output.append(text: "\r\nDate: ")
            output.append(contentsOf: date)
        }
        output.append(text: "\r\n")
        output.append(contentsOf: self.fields.bytes)
        output.append(framing, connection)
    }
}

/// A request to be sent: its line and those fields that do not frame it.
package struct OutgoingRequest: Equatable, Sendable {
    package let method: Method
    /// In origin form, escaped as the server is to see it.
    package let target: String
    /// The value of the Host field.
    package let host: String
    package var fields: FieldBlock

    /// Refuses what would not be one well-formed head.
    package init(
        _ method: Method, target: String, host: String, fields: FieldBlock = FieldBlock()
    ) throws(FieldFault) {
        let name = method.description
        guard !name.isEmpty, name.utf8.count <= Method.longestBytes,
            name.utf8.allSatisfy(ByteClass.isToken)
        else { throw .malformedName(name) }
        guard target.utf8.first == ByteClass.slash || target == "*",
            target.utf8.allSatisfy(ByteClass.isTarget)
        else { throw .forbiddenByte(field: "target") }
        guard !host.isEmpty, host.utf8.allSatisfy(ByteClass.isHost) else {
            throw .forbiddenByte(field: "Host")
        }
        self.method = method
        self.target = target
        self.host = host
        self.fields = fields
    }

    /// Appends the head as text (RFC 9112 §3), with the fields that frame the message.
    package func append(
        to output: inout [UInt8], framing: OutgoingFraming, connection: ConnectionOption,
        expectsContinue: Bool
    ) {
        output.append(contentsOf: self.method.description.utf8)
        output.append(ByteClass.space)
        output.append(contentsOf: self.target.utf8)
        output.append(text: " HTTP/1.1\r\nHost: ")
        output.append(contentsOf: self.host.utf8)
        output.append(text: "\r\n")
        output.append(contentsOf: self.fields.bytes)
        if expectsContinue { output.append(text: "Expect: 100-continue\r\n") }
        output.append(framing, connection)
    }
}

/// How the end of a body that we send is marked.
package enum OutgoingFraming: Equatable, Sendable {
    /// No body, and no field about one: 1xx, 204, 304, requests without content.
    case none
    case length(UInt64)
    case chunked
    /// The end of the connection marks it: for HTTP/1.0 clients, when the length is not known.
    case untilClose
}

/// What the Connection field says; nothing where the version's default is meant.
package enum ConnectionOption: Equatable, Sendable {
    case implied
    case close
    case keepAlive
}

extension [UInt8] {
    fileprivate mutating func append(text: StaticString) {
        self.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// The framing fields and the empty line that ends a head.
    fileprivate mutating func append(_ framing: OutgoingFraming, _ connection: ConnectionOption) {
        switch framing {
        case .none, .untilClose: break
        case .length(let length):
            self.append(text: "Content-Length: ")
            self.append(decimal: length)
            self.append(text: "\r\n")
        case .chunked: self.append(text: "Transfer-Encoding: chunked\r\n")
        }
        switch connection {
        case .implied: self.append(text: "\r\n")
        case .close: self.append(text: "Connection: close\r\n\r\n")
        case .keepAlive: self.append(text: "Connection: keep-alive\r\n\r\n")
        }
    }

    private mutating func append(decimal number: UInt64) {
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            self.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
