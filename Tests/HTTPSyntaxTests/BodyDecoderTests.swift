import HTTPSyntax
import Primitives
import Testing

@Suite struct BodyDecoderTests {
    @Test func `a run may be read past the decoder`() {
        var decoder = BodyDecoder(.length(10))
        #expect(decoder.run == 10)
        #expect(decoder.remaining == 10)
        decoder.tookRun(4)
        let step = Array("abcdefGET".utf8).withUnsafeBytes { decoder.step($0) }
        #expect(step == .bytes(0..<6))
        #expect(decoder.isEnded)
        #expect(Array("GET".utf8).withUnsafeBytes { decoder.step($0) } == .end(consumed: 0))
    }

    @Test func `a chunk's bytes may be read past the decoder`() {
        var decoder = BodyDecoder(.chunked)
        #expect(decoder.remaining == nil)
        #expect(Array("a\r\n".utf8).withUnsafeBytes { decoder.step($0) } == .needMore(consumed: 3))
        #expect(decoder.run == 10)
        decoder.tookRun(10)
        #expect(decoder.run == 0)
        #expect(
            Array("\r\n0\r\n\r\nX".utf8).withUnsafeBytes { decoder.step($0) } == .end(consumed: 7))
        #expect(decoder.isEnded)
    }

    @Test func `only a body without a stated end may end with the stream`() {
        var open = BodyDecoder(.untilClose)
        #expect(Array("ab".utf8).withUnsafeBytes { open.step($0) } == .bytes(0..<2))
        let openEnded = open.streamEnded()
        #expect(openEnded && open.isEnded)
        for (framing, mayEnd) in [
            (BodyFraming.length(3), false), (.chunked, false), (.none, true),
        ] {
            var decoder = BodyDecoder(framing)
            let ended = decoder.streamEnded()
            #expect(ended == mayEnd)
        }
    }

    @Test func `chunk lines and trailers are bounded`() {
        let limits = HeadLimits(chunkLineBytes: 10, trailerBytes: 12)
        func refused(_ text: String) -> HTTPRefusal? {
            var decoder = BodyDecoder(.chunked, limits: limits)
            guard
                case .refused(let refusal) = Array(text.utf8).withUnsafeBytes({ decoder.step($0) })
            else { return nil }
            return refusal
        }
        #expect(refused("1;aaaaaa\r\n") == nil)
        #expect(refused("1;aaaaaaa\r\n") == .chunkLineTooLong)
        #expect(refused("1;aaaaaaaa") == .chunkLineTooLong)
        #expect(refused("0\r\nAbc: 45\r\n\r") == nil)
        #expect(refused("0\r\nAbc: 4567\r\n\r\n") == .trailersTooLarge)
    }

    @Test(arguments: [
        // One byte a chunk is fair, extensions beside large chunks are, and a few long ones.
        ("1\r\na\r\n", 100_000, true),
        (
            "400;chunk-signature=0123456789abcdef\r\n\(String(repeating: "d", count: 1_024))\r\n",
            500, true
        ),
        ("1;\(String(repeating: "x", count: 1_000))\r\na\r\n", 16, true),
        ("1;\(String(repeating: "x", count: 1_000))\r\na\r\n", 17, false),
        ("1;\(String(repeating: "x", count: 30))\r\na\r\n", 10_000, false),
    ])
    func `chunk lines may not outweigh the body by much`(chunk: String, count: Int, isTaken: Bool) {
        var decoder = BodyDecoder(.chunked)
        let bytes = Array(chunk.utf8)
        for _ in 0..<count {
            var rest = bytes[...]
            reading: while true {
                switch rest.withUnsafeBytes({ decoder.step($0) }) {
                case .needMore(let consumed):
                    rest = rest.dropFirst(consumed)
                    break reading
                case .bytes(let range): rest = rest.dropFirst(range.upperBound)
                case .end: Issue.record("the body has no end")
                case .refused(let refusal):
                    #expect(refusal == .chunkLinesOutweighBody && !isTaken)
                    return
                }
            }
        }
        #expect(isTaken)
    }

    @Test func `what the encoder writes the decoder reads`() {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            var text: [UInt8] = []
            var body: [UInt8] = []
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                let count = Int.random(
                    in: 1...(1 << Int.random(in: 1...12, using: &generator)), using: &generator)
                let chunk = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                ChunkedEncoding.appendPrefix(ofChunk: count, to: &text)
                text += chunk + ChunkedEncoding.chunkEnd
                body += chunk
            }
            ChunkedEncoding.appendEnd(to: &text)
            var decoder = BodyDecoder(.chunked)
            var decoded: [UInt8] = []
            reading: while true {
                switch text.withUnsafeBytes({ decoder.step($0) }) {
                case .bytes(let range):
                    decoded += text[range]
                    text.removeFirst(range.upperBound)
                case .end(let consumed):
                    text.removeFirst(consumed)
                    break reading
                case .needMore, .refused:
                    Issue.record("the encoder wrote what the decoder does not take")
                    break reading
                }
            }
            #expect(decoded == body)
            #expect(text.isEmpty)
        }
    }

    @Test(arguments: [(1, "1"), (15, "f"), (16, "10"), (65_536, "10000"), (4096, "1000")])
    func `a chunk's size is written without leading zeros`(count: Int, text: String) {
        var output: [UInt8] = []
        ChunkedEncoding.appendPrefix(ofChunk: count, to: &output)
        #expect(string(output[...]) == text + "\r\n")
    }
}
