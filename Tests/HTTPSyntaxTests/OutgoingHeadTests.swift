import HTTPSyntax
import Primitives
import Testing

@Suite struct OutgoingHeadTests {
    @Test func `a response is written as it is read`() throws {
        var response = OutgoingResponse(.partialContent)
        try response.fields.add("Server", "holdfast")
        response.fields.add(ContentRange.bytes(0..<5, size: 10))
        response.fields.add(etag: try #require(EntityTag("abc")))
        response.fields.add("Age", number: 7)
        var output: [UInt8] = []
        let date = Array(HTTPDate.text(Timestamp(milliseconds: 784_111_777_000)).utf8)
        response.append(to: &output, date: date, framing: .length(5), connection: .close)
        #expect(
            string(output[...])
                == "HTTP/1.1 206 Partial Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                + "Server: holdfast\r\nContent-Range: bytes 0-4/10\r\nETag: \"abc\"\r\nAge: 7\r\n"
                + "Content-Length: 5\r\nConnection: close\r\n\r\n")
        var parser = ResponseParser()
        let outcome = output.withUnsafeBytes { parser.parse($0, answering: .get) }
        guard case .head(let head, let consumed) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(consumed == output.count)
        #expect(head.status == .partialContent)
        #expect(head.framing == .length(5))
        #expect(!head.keepsAlive)
        #expect(head.fields.text("etag") == "\"abc\"")
    }

    @Test func `a request is written as it is read`() throws {
        var request = try OutgoingRequest(.put, target: "/b/k%20?x=1", host: "h:80")
        try request.fields.add("X-A", "1")
        var output: [UInt8] = []
        request.append(
            to: &output, framing: .chunked, connection: .implied, expectsContinue: true)
        let head = try #require(requestHead(string(output[...])))
        #expect(string(head.target) == "/b/k%20?x=1")
        #expect(head.isChunked && head.expectsContinue && head.keepsAlive)
    }

    @Test(arguments: ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "\u{7f}"])
    func `a value cannot write fields of its own`(value: String) {
        var fields = FieldBlock()
        #expect(throws: FieldFault.forbiddenByte(field: "X-A")) { try fields.add("X-A", value) }
        #expect(fields.isEmpty)
    }

    @Test(arguments: ["", "a b", "a:b", "a\r\n", "é"])
    func `a name must be a token`(name: String) {
        var fields = FieldBlock()
        #expect(throws: FieldFault.malformedName(name)) { try fields.add(name, "x") }
    }

    @Test(arguments: ["Content-Length", "transfer-encoding", "CONNECTION", "Date"])
    func `framing fields cannot be set from outside`(name: String) {
        var fields = FieldBlock()
        #expect(throws: FieldFault.reserved(name.lowercased())) { try fields.add(name, "x") }
    }

    @Test func `a target or host cannot end the request line`() {
        #expect(throws: FieldFault.forbiddenByte(field: "target")) {
            try OutgoingRequest(.get, target: "/a HTTP/1.1\r\nX: y", host: "h")
        }
        #expect(throws: FieldFault.forbiddenByte(field: "Host")) {
            try OutgoingRequest(.get, target: "/", host: "h\r\nX: y")
        }
        #expect(throws: FieldFault.malformedName("G T")) {
            try OutgoingRequest(.other("G T"), target: "/", host: "h")
        }
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Method.get, BodyFraming.length(3)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", .head, .none),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", .get, .none),
        ("HTTP/1.1 304\r\nContent-Length: 3\r\n\r\n", .get, .none),
        ("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", .get, .chunked),
        ("HTTP/1.1 200 OK\r\n\r\n", .get, .untilClose), ("HTTP/1.1 100 C\r\n\r\n", .put, .none),
    ])
    func `a response's framing follows from method, status and fields`(
        text: String, method: Method, framing: BodyFraming
    ) {
        var parser = ResponseParser()
        let outcome = Array(text.utf8).withUnsafeBytes { parser.parse($0, answering: method) }
        guard case .head(let head, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(head.framing == framing)
        #expect(head.keepsAlive == (framing != .untilClose))
    }

    @Test(arguments: [
        ("HTTP/1.1 20 OK\r\n\r\n", HTTPRefusal.malformedStatusLine),
        ("HTTP/1.1 2000 OK\r\n\r\n", .malformedStatusLine),
        ("HTTP/1.1 099 OK\r\n\r\n", .malformedStatusLine),
        ("ICY 200 OK today\r\n\r\n", .malformedStatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", .unsupportedVersion),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            .contentLengthWithTransferEncoding
        ),
    ])
    func `a response that cannot be trusted is refused`(text: String, expected: HTTPRefusal) {
        var parser = ResponseParser()
        let outcome = Array(text.utf8).withUnsafeBytes { parser.parse($0, answering: .get) }
        guard case .refused(let refusal) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(refusal == expected)
    }
}
