import HTTPSyntax
import Primitives
import Testing

private let seeds: [String] = [
    "GET /a/b?c=d HTTP/1.1\r\nHost: s3.local:9000\r\nX-Amz-Date: 20130524T000000Z\r\nAccept: */*\r\n\r\n",
    "PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\nhello world",
    "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;e=1\r\n world\r\n0\r\nT: 1\r\n\r\n",
    "\r\nGET http://h:1/p?q HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close, x\r\n\r\n",
]

private let spice: [[UInt8]] = [
    "\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", "Content-Length: 3\r\n", "Host: b\r\n",
    "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "fffffffffffffff\r\n", "HTTP/1.1", "?", "%", ";",
].map { Array($0.utf8) }

/// One to three messages of the seeds, with up to three pieces changed.
private func stream(_ generator: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
        bytes += Array(seeds[Int.random(in: 0..<seeds.count, using: &generator)].utf8)
    }
    for _ in 0..<Int.random(in: 0...3, using: &generator) where !bytes.isEmpty {
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: position)
        case 2:
            let piece = spice[Int.random(in: 0..<spice.count, using: &generator)]
            bytes.insert(contentsOf: piece, at: position)
        default: bytes.removeSubrange(position..<min(bytes.count, position + 7))
        }
    }
    return bytes
}

@Suite struct FuzzTests {
    @Test func `bytes mean the same however they are cut`() {
        var generator = SeededGenerator(seed: 1)
        var refusals: Set<HTTPRefusal> = []
        var complete = 0
        for _ in 0..<6_000 {
            let bytes = stream(&generator)
            let whole = read(bytes, cuts: [])
            if let refusal = whole.refusal { refusals.insert(refusal) }
            complete += whole.requests.count
            let single = generator.next() % 8 == 0
            let cuts =
                single
                ? Array(0..<bytes.count)
                : (0..<4).map { _ in Int.random(in: 0...bytes.count, using: &generator) }.sorted()
            #expect(read(bytes, cuts: cuts) == whole, "\(String(decoding: bytes, as: UTF8.self))")
        }
        // The inputs reach both sides of most checks.
        #expect(refusals.count >= 15)
        #expect(complete > 3_000)
    }

    @Test func `noise of any bytes is read without a trap`() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...200, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let halves = read(bytes, cuts: [count / 2])
            #expect(halves == read(bytes, cuts: []))
            var parser = ResponseParser()
            _ = bytes.withUnsafeBytes { parser.parse($0, answering: .get) }
            _ = HTTPDate.parse(bytes[...])
            _ = RangeRequest(bytes[...])?.answer(size: 100)
            _ = ContentRange(bytes[...])
            _ = EntityTagList(bytes[...])
            if let decoded = PercentCoding.decode(bytes[...]) { #expect(decoded.count <= count) }
        }
    }

    @Test func `values of the small grammars survive any change of their text`() {
        var generator = SeededGenerator(seed: 3)
        let texts = [
            "bytes=0-99,200-,-5", "bytes 0-9/100", "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994", "W/\"a\", \"b\"", "%41%zz+",
        ].map { Array($0.utf8) }
        for _ in 0..<20_000 {
            var bytes = texts[Int.random(in: 0..<texts.count, using: &generator)]
            for _ in 0..<2 {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[position] = UInt8.random(in: 0x20...0x7e, using: &generator)
            }
            if case .partial(let range) = RangeRequest(bytes[...])?.answer(size: 50) {
                #expect(range.upperBound <= 50 && !range.isEmpty)
            }
            if case .bytes(let range, let size) = ContentRange(bytes[...]) {
                #expect(range.upperBound <= size ?? .max)
            }
            if let time = HTTPDate.parse(bytes[...]) {
                #expect(HTTPDate.parse(Array(HTTPDate.text(time).utf8)[...]) == time)
            }
            if case .tags(let tags) = EntityTagList(bytes[...]) {
                for tag in tags {
                    #expect(EntityTag.parse(Array(tag.description.utf8)[...]) == tag)
                }
            }
        }
    }
}
