import HTTPSyntax
import Primitives
import Testing

private func bytes(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

@Suite struct FieldGrammarTests {
    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ])
    func `all three forms of a date mean the same second`(text: String) {
        #expect(HTTPDate.parse(bytes(text)) == Timestamp(milliseconds: 784_111_777_000))
    }

    @Test(arguments: [
        "", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "0", "yesterday",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
    ])
    func `what is no date is none`(text: String) {
        #expect(HTTPDate.parse(bytes(text)) == nil)
    }

    @Test func `a date is written with all its digits`() {
        #expect(
            HTTPDate.text(Timestamp(milliseconds: 1_078_012_800_999))
                == "Sun, 29 Feb 2004 00:00:00 GMT")
    }

    @Test(
        arguments: [
            ("bytes=0-4", .partial(0..<5)), ("bytes=5-", .partial(5..<10)),
            ("bytes=5-99", .partial(5..<10)), ("bytes=-3", .partial(7..<10)),
            ("bytes=-99", .partial(0..<10)), ("Bytes=9-9", .partial(9..<10)),
            ("bytes=0-99999999999999999999999", .partial(0..<10)),
            ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=0-0,20-", .partial(0..<1)), ("bytes=5-6, 0-7, -1", .partial(0..<10)),
            ("bytes=20-,30-", .unsatisfiable),
            ("bytes=4-2", nil), ("bytes=", nil), ("bytes=a-b", nil), ("bytes=1", nil),
            ("bytes=-", nil),
            ("items=0-4", nil), ("bytes=0-1-2", nil), ("bytes 0-4", nil), ("bytes=0--1", nil),
        ] as [(String, RangeRequest.Answer?)])
    func `a range asks for bytes that exist or is ignored`(
        text: String, answer: RangeRequest.Answer?
    ) {
        #expect(RangeRequest(bytes(text))?.answer(size: 10) == answer)
    }

    @Test(
        arguments: [
            // Apart, in the order asked for; joined, in ascending order.
            ("bytes=900-,0-9", .several([900..<1_000, 0..<10])),
            ("bytes=900-,0-9,5-20", .several([0..<21, 900..<1_000])),
            ("bytes=0-0,81-81", .several([0..<1, 81..<82])), ("bytes=0-0,80-80", .partial(0..<81)),
            ("bytes=0-,0-,0-,0-", .partial(0..<1_000)),
        ] as [(String, RangeRequest.Answer?)])
    func `no byte is sent twice however often it is asked for`(
        text: String, answer: RangeRequest.Answer?
    ) {
        #expect(RangeRequest(bytes(text))?.answer(size: 1_000) == answer)
    }

    @Test func `too many ranges are ignored and an empty representation has none`() {
        let many = (0...RangeRequest.mostRanges).map { "\($0)-\($0)" }.joined(separator: ",")
        #expect(RangeRequest(bytes("bytes=" + many)) == nil)
        #expect(RangeRequest(bytes("bytes=0-"))?.answer(size: 0) == .unsatisfiable)
        #expect(RangeRequest(bytes("bytes=-5"))?.answer(size: 0) == .unsatisfiable)
    }

    @Test(arguments: [
        ContentRange.bytes(0..<5, size: 10), .bytes(3..<4, size: nil), .unsatisfied(size: 7),
    ])
    func `a content range is read as it was written`(range: ContentRange) {
        #expect(ContentRange(bytes(range.description)) == range)
    }

    @Test(arguments: ["bytes 5-4/10", "bytes 0-10/10", "bytes */*", "bytes 0-4", "0-4/10"])
    func `a content range that contradicts itself is none`(text: String) {
        #expect(ContentRange(bytes(text)) == nil)
    }

    @Test func `tags are read with quotes, weak marks, and without quotes`() throws {
        let a = try #require(EntityTag("a"))
        let weak = try #require(EntityTag("b,c", isWeak: true))
        #expect(EntityTagList(bytes("\"a\" ,, W/\"b,c\"")) == .tags([a, weak]))
        #expect(EntityTagList(bytes("a")) == .tags([a]))
        #expect(EntityTagList(bytes(" * ")) == .any)
        for text in ["", ",", "\"a", "\"a\" \"b\"", "a b", "\"a b\""] {
            #expect(EntityTagList(bytes(text)) == nil, "\(text)")
        }
        #expect(EntityTag("a\"b") == nil)
    }

    @Test(arguments: [
        ("abc-_.~XYZ019", "abc-_.~XYZ019"), ("a b/c+", "a%20b%2Fc%2B"), ("ü*", "%C3%BC%2A"),
    ])
    func `all but the unreserved bytes is escaped`(plain: String, escaped: String) {
        #expect(string(PercentCoding.encode(plain.utf8)[...]) == escaped)
        #expect(PercentCoding.decode(bytes(escaped)) == Array(plain.utf8))
    }

    @Test func `a path keeps its slashes and a plus sign stays one`() {
        #expect(
            string(PercentCoding.encode("/a//b c".utf8, keepingSlashes: true)[...]) == "/a//b%20c")
        #expect(PercentCoding.decode(bytes("a+b%2b")) == Array("a+b+".utf8))
        for text in ["%", "%4", "%zz", "a%"] { #expect(PercentCoding.decode(bytes(text)) == nil) }
    }

    @Test func `a query falls into its parameters as they were sent`() {
        let parameters = QueryParameter.split(bytes("delete&a=%20b=+&&=x&c="))
        #expect(parameters.map { string($0.name) } == ["delete", "a", "", "c"])
        #expect(parameters.map { $0.value.map(string) } == [nil, "%20b=+", "x", ""])
    }
}
