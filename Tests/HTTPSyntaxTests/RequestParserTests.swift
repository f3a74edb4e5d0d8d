import HTTPSyntax
import Testing

@Suite struct RequestParserTests {
    @Test func `a head gives its parts as they were sent`() throws {
        let head = try #require(
            requestHead(
                "PUT /b//a/../%7e%41+b?x=%20&y HTTP/1.1\r\nHost: s3.example:9000\r\n"
                    + "X-Amz-Meta-A:  v 1 \t\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"))
        #expect(head.method == .put)
        #expect(string(head.target) == "/b//a/../%7e%41+b?x=%20&y")
        #expect(string(head.path) == "/b//a/../%7e%41+b")
        #expect(head.query.map(string) == "x=%20&y")
        #expect(head.host.map(string) == "s3.example:9000")
        #expect(head.fields.text("x-amz-meta-a") == "v 1")
        #expect(head.fields.first(named: "X-AMZ-meta-A").map(string) == "v 1")
        #expect(head.framing == .length(5))
        #expect(head.contentLength == 5)
        #expect(head.expectsContinue)
        #expect(head.keepsAlive)
    }

    @Test func `names come in lower case and values untouched`() throws {
        let head = try #require(requestHead("GET / HTTP/1.1\r\nHOST: A\r\nX-Thing: MiXed\r\n\r\n"))
        #expect(string(head.fields.name(at: 1)) == "x-thing")
        #expect(string(head.fields.value(at: 1)) == "MiXed")
        #expect(head.host.map(string) == "A")
    }

    @Test func `fields of one name are found in order and join into one list`() throws {
        let head = try #require(
            requestHead("GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nB: 1\r\naccept: y\r\n\r\n"))
        #expect(head.fields.all("accept").map(string) == ["x", "y"])
        #expect(head.fields.joined("accept").map { string($0[...]) } == "x, y")
        #expect(head.fields.joined("none") == nil)
        #expect(!head.fields.contains("none"))
    }

    @Test(
        arguments: [
            ("/", "/", nil), ("/?", "/", ""), ("/a?b?c", "/a", "b?c"),
            ("http://h/a?b", "/a", "b"), ("HTTP://h", "/", nil), ("http://h?q", "/", "q"),
        ] as [(String, String, String?)])
    func `a target is split at its first question mark`(
        target: String, path: String, query: String?
    ) throws {
        let head = try #require(requestHead("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(string(head.path) == path)
        #expect(head.query.map(string) == query)
        #expect(head.host.map(string) == (target.lowercased().hasPrefix("http") ? "h" : "x"))
    }

    @Test func `options may ask about the server as a whole`() throws {
        let head = try #require(requestHead("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(string(head.path) == "*")
        #expect(refusal("GET * HTTP/1.1\r\nHost: x\r\n\r\n") == .malformedTarget)
    }

    @Test(arguments: [
        ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: TE, Close\r\n", false),
        ("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("HTTP/1.0", "", false), ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
    ])
    func `the version and the connection options say whether the connection lives on`(
        version: String, field: String, keepsAlive: Bool
    ) throws {
        let head = try #require(requestHead("GET / \(version)\r\nHost: a\r\n\(field)\r\n"))
        #expect(head.keepsAlive == keepsAlive)
    }

    @Test func `an old client neither needs a host nor waits for a continue`() throws {
        let head = try #require(requestHead("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"))
        #expect(head.host == nil)
        #expect(head.expectation == .none)
    }

    @Test func `an unknown expectation is reported`() throws {
        let head = try #require(requestHead("GET / HTTP/1.1\r\nHost: a\r\nExpect: gold\r\n\r\n"))
        #expect(head.expectation == .unknown)
    }

    @Test func `one empty line before a request is skipped and a second one is not`() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(read("\r\n" + request + "\r\n" + request).requests.count == 2)
        #expect(refusal("\r\n\r\n" + request) == .emptyLines)
    }

    @Test func `pipelined requests come out one by one`() {
        let reading = read(
            "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                + "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2;x=y\r\nde\r\nA\r\n0123456789\r\n0\r\nSum: 9\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        #expect(
            reading.requests == [
                "POST /1|/1|-|a 1.1 length(3) keeps[host=a][content-length=3]\nabc",
                "POST /2|/2|-|a 1.1 chunked keeps[host=a][transfer-encoding=chunked]\n"
                    + "de0123456789[sum=9]",
                "GET /3|/3|-|a 1.1 none keeps[host=a]\n",
            ])
        #expect(reading.leftover == 0)
    }

    @Test func `each bound is met exactly at its edge`() {
        let limits = HeadLimits(startLineBytes: 20, headBytes: 60, fieldCount: 3)
        func refused(_ text: String) -> HTTPRefusal? {
            read(Array(text.utf8), cuts: [], limits: limits).refusal
        }
        #expect(refused("GET /12345 HTTP/1.1\r\n") == .requestLineTooLong)
        #expect(refused("GET /123 HTTP/1.1\r\n") == nil)
        let fits = "GET / HTTP/1.1\r\nHost: a\r\nB: " + String(repeating: "x", count: 28)
        #expect(fits.utf8.count + 4 == 60)
        #expect(refused(fits + "\r\n\r\n") == nil)
        #expect(refused(fits + "x\r\n\r\n") == .headTooLarge)
        #expect(refused("GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 2\r\n\r\n") == nil)
        #expect(
            refused("GET / HTTP/1.1\r\nHost: a\r\nB: 1\r\nC: 2\r\nD: 3\r\n\r\n") == .tooManyFields)
    }

    @Test func `a refusal tells the client which limit it met`() {
        #expect(HTTPRefusal.requestLineTooLong.status == .targetTooLong)
        #expect(HTTPRefusal.tooManyFields.status == .headTooLarge)
        #expect(HTTPRefusal.unknownTransferCoding.status == .notImplemented)
        #expect(HTTPRefusal.unsupportedVersion.status == .versionNotSupported)
        for refusal in HTTPRefusal.allCases { #expect(400..<600 ~= refusal.status.rawValue) }
    }
}
