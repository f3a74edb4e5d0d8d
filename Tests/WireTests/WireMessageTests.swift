import Primitives
import Testing
import Wire

@Suite struct WireMessageTests {
    private struct Pair: WireMessage, Equatable {
        var name: String
        var number: UInt16
        init(name: String, number: UInt16) {
            self.name = name
            self.number = number
        }
        init(from reader: inout ByteReader) throws(FormatFault) {
            self.name = try reader.readString(limit: 10)
            self.number = try reader.read()
        }
        func encode(into writer: inout ByteWriter) {
            writer.writeString(self.name)
            writer.write(self.number)
        }
    }

    @Test func `a message comes back as it was`() throws {
        let pair = Pair(name: "a", number: 0x0201)
        #expect(Hex.encode(pair.encoded) == "01000000610102")
        #expect(try Pair(decoding: pair.encoded) == pair)
    }

    @Test func `bytes behind a message are a fault`() {
        #expect(throws: FormatFault.trailing(count: 1)) {
            try Pair(decoding: Pair(name: "a", number: 1).encoded + [0])
        }
    }
}
