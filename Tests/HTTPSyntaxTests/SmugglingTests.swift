import HTTPSyntax
import Testing

/// Requests on whose end two readers could differ (RFC 9112 §11.2; Linhart, Klein, Heled and Orrin,
/// "HTTP Request Smuggling", 2005; Kettle, "HTTP Desync Attacks", 2019).
private let smugglers: [(String, HTTPRefusal)] = [
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", .contentLengthWithTransferEncoding),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", .contentLengthWithTransferEncoding),
    ("Content-Length: 5\r\nContent-Length: 6", .repeatedContentLength),
    ("Content-Length: 5\r\nContent-Length: 5", .repeatedContentLength),
    ("Content-Length: 5, 5", .repeatedContentLength),
    ("Content-Length: 5,6", .repeatedContentLength),
    ("Content-Length: +5", .malformedContentLength),
    ("Content-Length: -5", .malformedContentLength),
    ("Content-Length: 0x5", .malformedContentLength),
    ("Content-Length: 5 5", .malformedContentLength),
    ("Content-Length: 5.0", .malformedContentLength),
    ("Content-Length:", .malformedContentLength),
    ("Content-Length: 18446744073709551621", .malformedContentLength),
    ("Content-Length : 5", .malformedFieldName),
    ("Content-Length\t: 5", .malformedFieldName),
    (" Content-Length: 5", .foldedField),
    ("X: y\r\n Content-Length: 5", .foldedField),
    ("X: y\r\n\tz", .foldedField),
    ("Transfer-Encoding: xchunked", .unknownTransferCoding),
    ("Transfer-Encoding: chunked, identity", .unknownTransferCoding),
    ("Transfer-Encoding: gzip, chunked", .unknownTransferCoding),
    ("Transfer-Encoding: chunked, chunked", .unknownTransferCoding),
    ("Transfer-Encoding: identity", .unknownTransferCoding),
    ("Transfer-Encoding: \"chunked\"", .unknownTransferCoding),
    ("Transfer-Encoding: chunked;q=1", .unknownTransferCoding),
    ("Transfer-Encoding:", .unknownTransferCoding),
    ("Transfer-Encoding: \u{b}chunked", .forbiddenByteInField),
    ("Transfer-Encoding : chunked", .malformedFieldName),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .repeatedTransferEncoding),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", .repeatedTransferEncoding),
    ("X: a\rTransfer-Encoding: chunked", .forbiddenByteInField),
    ("X: a\nTransfer-Encoding: chunked", .bareLineFeed),
    ("X: a\r\r", .forbiddenByteInField),
    ("X: a\0b", .forbiddenByteInField),
    ("X: a\u{7f}b", .forbiddenByteInField),
    ("X\0: a", .malformedFieldName),
    ("X(: a", .malformedFieldName),
    ("X\u{e9}: a", .malformedFieldName),
    (": a", .malformedFieldName),
    ("no colon", .malformedFieldName),
    ("nocolon", .malformedFieldName),
    ("Host: b", .repeatedHost),
    ("\rX: a", .malformedFieldName),
]

@Suite struct SmugglingTests {
    @Test(arguments: smugglers)
    func `a head on which two readers could differ is refused`(
        fields: String, refusal expected: HTTPRefusal
    ) {
        #expect(refusal("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\nhello") == expected)
    }

    @Test(
        arguments: [
            ("GET  / HTTP/1.1", .malformedTarget), ("GET /  HTTP/1.1", .malformedTarget),
            (" GET / HTTP/1.1", .malformedRequestLine), ("GET / HTTP/1.1 ", .malformedRequestLine),
            ("GET\t/\tHTTP/1.1", .malformedRequestLine), ("GET / http/1.1", .malformedRequestLine),
            ("GET /", .malformedRequestLine), ("GET HTTP/1.1", .malformedRequestLine),
            ("G@T / HTTP/1.1", .malformedRequestLine), ("GET / HTTP/1.1x", .malformedRequestLine),
            ("GET /a b HTTP/1.1", .malformedTarget), ("GET /a\tb HTTP/1.1", .malformedTarget),
            ("GET /a\0b HTTP/1.1", .malformedTarget), ("GET /#f HTTP/1.1", .malformedTarget),
            ("GET a HTTP/1.1", .malformedTarget), ("GET http:// HTTP/1.1", .malformedTarget),
            ("GET http://u@h/ HTTP/1.1", .malformedTarget),
            ("GET ftp://h/ HTTP/1.1", .malformedTarget),
            ("CONNECT h:1 HTTP/1.1", .tunnelRequested), ("GET / HTTP/2.0", .unsupportedVersion),
            ("PRI * HTTP/2.0", .unsupportedVersion), ("GET / HTTP/1.2", .unsupportedVersion),
            ("GET / HTTP/0.9", .unsupportedVersion),
        ] as [(String, HTTPRefusal)])
    func `a request line in no known form is refused`(line: String, refusal expected: HTTPRefusal) {
        #expect(refusal("\(line)\r\nHost: a\r\n\r\n") == expected)
    }

    @Test(arguments: ["a b", "a/b", "u@h", "a?b", "a\"b", "h\\"])
    func `a host that is no host is refused`(host: String) {
        #expect(refusal("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n") == .malformedHost)
    }

    @Test func `the new version needs a host and the old one has no transfer codings`() {
        #expect(refusal("GET / HTTP/1.1\r\nX: y\r\n\r\n") == .missingHost)
        #expect(
            refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                == .transferEncodingInOldVersion)
    }

    @Test func `a line that ends in a bare line feed is refused at once`() {
        #expect(refusal("GET / HTTP/1.1\n") == .bareLineFeed)
        #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\n\n") == .bareLineFeed)
    }

    @Test(
        arguments: [
            ("5\nhello\r\n0\r\n\r\n", .bareLineFeed),
            ("5 \r\nhello\r\n0\r\n\r\n", .malformedChunkSize),
            (" 5\r\nhello\r\n0\r\n\r\n", .malformedChunkSize), ("\r\nhello", .malformedChunkSize),
            ("0x5\r\nhello\r\n", .malformedChunkSize), ("-1\r\n", .malformedChunkSize),
            ("10000000000000005\r\nhello\r\n", .malformedChunkSize), ("G\r\n", .malformedChunkSize),
            ("5;a\nb\r\nhello\r\n", .bareLineFeed), ("5;a\rb\r\nhello\r\n", .malformedChunkSize),
            ("5\r\nhelloX", .unterminatedChunk), ("5\r\nhello\n0\r\n\r\n", .unterminatedChunk),
            ("5\r\nhello\rX", .unterminatedChunk), ("0\r\n X: y\r\n\r\n", .foldedField),
            ("0\r\nX : y\r\n\r\n", .malformedFieldName), ("0\r\nX: y\n\r\n", .bareLineFeed),
            ("0\r\n\n", .bareLineFeed),
        ] as [(String, HTTPRefusal)])
    func `a chunk on which two readers could differ is refused`(
        body: String, refusal expected: HTTPRefusal
    ) {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(refusal(head + body) == expected)
    }
}
