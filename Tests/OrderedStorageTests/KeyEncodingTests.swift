import OrderedStorage
import Primitives
import Testing

@Suite struct KeyEncodingTests {
    /// A tuple of every kind of component, with its order written down naively.
    private struct Tuple: Equatable {
        var name: [UInt8]
        var sign: Int32
        var version: UInt64
        var tail: [UInt8]

        init(from random: inout SeededGenerator) {
            // Few values, so that prefixes, equal components and the escaped bytes meet often.
            let alphabet: [UInt8] = [0x00, 0x01, 0x02, 0x61, 0xfe, 0xff]
            func bytes() -> [UInt8] {
                (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    alphabet.randomElement(using: &random) ?? 0
                }
            }
            self.name = bytes()
            self.sign = [Int32.min, -2, -1, 0, 1, .max].randomElement(using: &random) ?? 0
            self.version = [0, 1, 255, 256, UInt64.max].randomElement(using: &random) ?? 0
            self.tail = bytes()
        }

        var key: [UInt8] {
            var writer = KeyWriter()
            writer.writeEscaped(self.name)
            writer.write(self.sign)
            writer.writeDescending(self.version)
            writer.writeRaw(self.tail)
            return writer.key
        }

        init(decoding key: [UInt8]) throws(FormatFault) {
            var reader = KeyReader(key)
            self.name = try reader.readEscaped()
            self.sign = try reader.read()
            self.version = try reader.readDescending()
            self.tail = reader.readRest()
        }

        func precedes(_ other: Self) -> Bool {
            if self.name != other.name { return self.name.lexicographicallyPrecedes(other.name) }
            if self.sign != other.sign { return self.sign < other.sign }
            if self.version != other.version { return self.version > other.version }
            return self.tail.lexicographicallyPrecedes(other.tail)
        }
    }

    @Test func `keys sort as the tuples they encode`() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            let (a, b) = (Tuple(from: &random), Tuple(from: &random))
            #expect(a.key.lexicographicallyPrecedes(b.key) == a.precedes(b), "\(a) and \(b)")
            #expect(KeyOrder.precedes(a.key, b.key) == a.precedes(b), "\(a) and \(b)")
            #expect((a.key == b.key) == (a == b), "\(a) and \(b)")
        }
    }

    @Test func `a key gives back its components`() throws {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<5_000 {
            let tuple = Tuple(from: &random)
            #expect(try Tuple(decoding: tuple.key) == tuple)
        }
    }

    @Test func `the bytes of a key stay what they are`() {
        var writer = KeyWriter()
        writer.write(UInt16(0x0102))
        writer.write(Int8(-1))
        writer.writeEscaped([0x61, 0x00, 0x62])
        writer.writeDescending(UInt16(1))
        writer.writeRaw([0x00])
        let golden: [UInt8] = [
            0x01, 0x02, 0x7f, 0x61, 0x00, 0xff, 0x62, 0x00, 0x01, 0xff, 0xfe, 0x00,
        ]
        #expect(writer.key == golden)
    }

    @Test func `a prefix range covers just the strings that begin with the prefix`() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let prefix = Tuple(from: &random).name
            let tuple = Tuple(from: &random)
            var writer = KeyWriter()
            writer.writeEscapedPrefix(prefix)
            let range = KeyRange(prefix: writer.key)
            #expect(range.contains(tuple.key) == tuple.name.starts(with: prefix))
        }
    }

    @Test(
        arguments: [
            [], [0x61], [0x61, 0x00], [0x61, 0x00, 0x02], [0x00, 0x00], [0x00, 0x01, 0x80],
        ] as [[UInt8]])
    func `a damaged key is a fault`(_ key: [UInt8]) {
        #expect(throws: FormatFault.self) { try Tuple(decoding: key) }
    }

    @Test func `no bytes make the reader trap, and what it accepts encodes to the same bytes`() {
        var random = SeededGenerator(seed: 4)
        var accepted = 0
        for _ in 0..<20_000 {
            var key = Tuple(from: &random).key
            for _ in 0..<Int.random(in: 0...2, using: &random) where !key.isEmpty {
                let index = Int.random(in: 0..<key.count, using: &random)
                if Bool.random(using: &random) {
                    key[index] = UInt8.random(in: 0...255, using: &random)
                } else {
                    key.removeSubrange(index...)
                }
            }
            guard let tuple = try? Tuple(decoding: key) else { continue }
            accepted += 1
            #expect(tuple.key == key)
        }
        #expect(accepted > 1_000)
    }
}
