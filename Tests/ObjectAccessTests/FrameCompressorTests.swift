import Cryptography
import ObjectAccess
import Primitives
import Testing

/// What was decided for bodies of all kinds, and why. The sizes are bounds, because releases of the
/// library differ by a few bytes.
@Suite struct FrameCompressorTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let name: String
        let body: [UInt8]
        /// Runs of equal verdicts: C compressed, S too small, R looks random, N does not pay,
        /// P pausing.
        let verdicts: String
        /// Bytes at rest beside the tags, in hundredths of the body.
        let percent: ClosedRange<Int>
        var testDescription: String { self.name }
    }

    static let table = [
        Row(name: "text", body: Bodies.text(256 << 10), verdicts: "4C", percent: 15...45),
        Row(name: "JSON", body: Bodies.json(256 << 10), verdicts: "4C", percent: 20...55),
        Row(name: "zeros", body: Bodies.zeros(1 << 20), verdicts: "16C", percent: 0...1),
        Row(
            name: "a byte that counts up", body: Bodies.counting(128 << 10), verdicts: "2C",
            percent: 0...2),
        Row(name: "base64", body: Bodies.base64(128 << 10), verdicts: "2C", percent: 74...80),
        Row(
            name: "random", body: Bodies.random(2 << 20),
            verdicts: "1R1P1R2P1R4P1R8P1R12P", percent: 100...100),
        Row(
            name: "like JPEG", body: Bodies.stuffed(256 << 10), verdicts: "1R1P1R1P",
            percent: 100...100),
        Row(
            name: "zstd already", body: Bodies.compressed(256 << 10), verdicts: "1R1P1R1P",
            percent: 100...100),
        // Entropy of log2(200) = 7.6 bits a byte: a twentieth could be saved.
        Row(
            name: "readings", body: Bodies.readings(256 << 10), verdicts: "1N1P1N1P",
            percent: 100...100),
        Row(
            name: "text, photos, text",
            body: Bodies.text(128 << 10) + Bodies.stuffed(128 << 10) + Bodies.text(256 << 10),
            verdicts: "2C1R1P4C", percent: 35...55),
        Row(
            name: "photos, text", body: Bodies.stuffed(320 << 10) + Bodies.text(320 << 10),
            verdicts: "1R1P1R2P5C", percent: 55...75),
        Row(name: "a few words", body: Bodies.text(100), verdicts: "1S", percent: 100...100),
        Row(name: "a note", body: Bodies.text(600), verdicts: "1C", percent: 40...87),
        Row(name: "a token", body: Bodies.random(600), verdicts: "1N", percent: 100...100),
        Row(name: "a thumbnail", body: Bodies.stuffed(4096), verdicts: "1R", percent: 100...100),
        Row(name: "nothing", body: [], verdicts: "1S", percent: 0...100),
    ]

    @Test(arguments: table)
    func `each frame is compressed only where a sample says that it pays`(row: Row) {
        var compressor = FrameCompressor()
        var verdicts: [Character] = []
        var restingBytes = 0
        var output = [UInt8](repeating: 0, count: FrameCodec.frameBytes)
        let starts = stride(from: 0, to: max(row.body.count, 1), by: FrameCodec.frameBytes)
        for start in starts {
            let frame = row.body[start..<min(start + FrameCodec.frameBytes, row.body.count)]
            let verdict = frame.withUnsafeBytes { frame in
                output.withUnsafeMutableBytes { compressor.compress(frame, into: $0) }
            }
            restingBytes += frame.count
            switch verdict {
            case .compressed(let bytes):
                verdicts.append("C")
                restingBytes += bytes - frame.count
                #expect(bytes <= frame.count - frame.count / 8)
                var plain = [UInt8](repeating: 1, count: frame.count)
                let isRestored = output[..<bytes].withUnsafeBytes { compressed in
                    plain.withUnsafeMutableBytes {
                        FrameCompressor.decompress(compressed, into: $0)
                    }
                }
                #expect(isRestored && plain == Array(frame))
            case .stored(.switchedOff): verdicts.append("O")
            case .stored(.tooSmall): verdicts.append("S")
            case .stored(.looksRandom): verdicts.append("R")
            case .stored(.doesNotPay): verdicts.append("N")
            case .stored(.pausing): verdicts.append("P")
            }
        }
        #expect(Self.runs(of: verdicts) == row.verdicts)
        #expect(row.percent.contains(restingBytes * 100 / max(row.body.count, 1)))
    }

    private static func runs(of verdicts: [Character]) -> String {
        var runs: [(Character, Int)] = []
        for verdict in verdicts {
            if runs.last?.0 == verdict {
                runs[runs.count - 1].1 += 1
            } else {
                runs.append((verdict, 1))
            }
        }
        return runs.map { "\($1)\($0)" }.joined()
    }

    @Test func `switched off, nothing is looked at`() {
        var compressor = FrameCompressor(isOn: false)
        let verdict = Bodies.zeros(1000).withUnsafeBytes { frame in
            // No room at all: it would trap if anything was written.
            compressor.compress(frame, into: UnsafeMutableRawBufferPointer(start: nil, count: 0))
        }
        #expect(verdict == .stored(.switchedOff))
    }
}

@Suite struct FrameDecompressionTests {
    private func compressed(_ plain: [UInt8]) throws -> [UInt8] {
        var compressor = FrameCompressor()
        var output = [UInt8](repeating: 0, count: plain.count)
        let verdict = plain.withUnsafeBytes { plain in
            output.withUnsafeMutableBytes { compressor.compress(plain, into: $0) }
        }
        guard case .compressed(let bytes) = verdict else {
            Issue.record("\(verdict)")
            return []
        }
        return Array(output[..<bytes])
    }

    /// With guard bytes behind: they stay as they are whatever is decompressed.
    private func decompress(_ compressed: [UInt8], to plainBytes: Int) -> [UInt8]? {
        var room = [UInt8](repeating: 0xa5, count: plainBytes + 64)
        let isDone = room.withUnsafeMutableBytes { room in
            compressed.withUnsafeBytes {
                FrameCompressor.decompress(
                    $0, into: UnsafeMutableRawBufferPointer(rebasing: room[..<plainBytes]))
            }
        }
        #expect(room[plainBytes...].allSatisfy { $0 == 0xa5 })
        return isDone ? Array(room[..<plainBytes]) : nil
    }

    @Test func `only the stated number of bytes is given, and nothing may follow`() throws {
        let plain = Bodies.text(10_000)
        let whole = try self.compressed(plain)
        #expect(self.decompress(whole, to: 10_000) == plain)
        #expect(self.decompress(whole, to: 9_999) == nil)
        #expect(self.decompress(whole, to: 10_001) == nil)
        #expect(self.decompress(whole + [0], to: 10_000) == nil)
        #expect(self.decompress(whole + whole, to: 20_000) == nil)
        // A skippable frame (RFC 8878 §3.1.2) has no content, before or behind.
        let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]
        #expect(self.decompress(whole + skippable, to: 10_000) == nil)
        #expect(self.decompress(skippable + whole, to: 10_000) == nil)
        #expect(self.decompress([], to: 0) == nil)
        for count in 0..<whole.count where count % 7 == 0 {
            #expect(self.decompress(Array(whole[..<count]), to: 10_000) == nil)
        }
    }

    @Test func `a small frame that would grow beyond its place is refused`() throws {
        let bomb = try self.compressed(Bodies.zeros(FrameCodec.frameBytes))
        #expect(bomb.count < 100)
        #expect(self.decompress(bomb, to: 16) == nil)
        // The head says 4 GiB (RFC 8878 §3.1.1.1: eight bytes of content size, window of 2 GiB).
        let huge: [UInt8] =
            [0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0xa8, 0, 0, 0, 0, 1, 0, 0, 0] + [0x03, 0, 0x80, 7]
        #expect(self.decompress(huge, to: FrameCodec.frameBytes) == nil)
    }

    @Test func `thousands of damaged frames give their size or nothing`() throws {
        var random = SeededGenerator(seed: 7)
        let seeds = try [
            Bodies.text(3000), Bodies.json(2000), Bodies.zeros(FrameCodec.frameBytes),
        ].map(self.compressed)
        var refused = 0
        for _ in 0..<3000 {
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &random)]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: .min ... .max, using: &random)
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
            }
            if self.decompress(bytes, to: 3000) == nil { refused += 1 }
        }
        #expect(refused > 1500)
    }
}

/// Bodies of one kind each, the same in every run.
enum Bodies {
    private static let words = [
        "the", "chunk", "store", "of", "a", "segment", "index", "Raft", "and", "holds", "every",
        "frame", "bucket", "is", "leader", "entry", "in", "copy", "node", "sealed", "before",
    ]

    static func text(_ bytes: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 1)
        var text: [UInt8] = []
        while text.count < bytes {
            let word = self.words[Int.random(in: 0..<self.words.count, using: &random)]
            text += word.utf8
            text.append(Int.random(in: 0..<9, using: &random) == 0 ? 0x0a : 0x20)
        }
        return Array(text[..<bytes])
    }

    static func json(_ bytes: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 2)
        var text: [UInt8] = []
        var number = 0
        while text.count < bytes {
            let size = Int.random(in: 0..<1 << 30, using: &random)
            let tag = Hex.encode((0..<8).map { _ in UInt8.random(in: 0...255, using: &random) })
            text +=
                "{\"id\":\(number),\"size\":\(size),\"tag\":\"\(tag)\",\"state\":\"live\"}\n".utf8
            number += 1
        }
        return Array(text[..<bytes])
    }

    static func zeros(_ bytes: Int) -> [UInt8] { [UInt8](repeating: 0, count: bytes) }

    static func counting(_ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: $0) }
    }

    static func random(_ bytes: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 3)
        return (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next() >> 56) }
    }

    static func readings(_ bytes: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 4)
        return (0..<bytes).map { _ in UInt8.random(in: 0..<200, using: &random) }
    }

    static func base64(_ bytes: Int) -> [UInt8] {
        Array(Base64.encode(self.random(bytes)).utf8.prefix(bytes))
    }

    /// Random, with a zero behind each 0xff, as in the scans of a JPEG (ITU T.81 §B.1.1.5).
    static func stuffed(_ bytes: Int) -> [UInt8] {
        var stuffed: [UInt8] = []
        for byte in self.random(bytes) {
            stuffed.append(byte)
            if byte == 0xff { stuffed.append(0) }
        }
        return Array(stuffed[..<bytes])
    }

    /// What the compressor makes of text, one frame behind the other.
    static func compressed(_ bytes: Int) -> [UInt8] {
        var compressed: [UInt8] = []
        var compressor = FrameCompressor()
        var output = [UInt8](repeating: 0, count: FrameCodec.frameBytes)
        let text = self.text(bytes * 8)
        for start in stride(from: 0, to: text.count, by: FrameCodec.frameBytes) {
            let verdict = text[start..<min(start + FrameCodec.frameBytes, text.count)]
                .withUnsafeBytes { frame in
                    output.withUnsafeMutableBytes { compressor.compress(frame, into: $0) }
                }
            if case .compressed(let size) = verdict { compressed += output[..<size] }
            if compressed.count >= bytes { break }
        }
        return Array(compressed[..<bytes])
    }
}
