import Primitives
import Testing

@Suite struct TextCodingsTests {
    @Test func `hexadecimal reads both cases and writes the lower`() {
        #expect(Hex.encode([0x00, 0xff, 0x1a]) == "00ff1a")
        #expect(Hex.decode("00Ff1A") == [0x00, 0xff, 0x1a])
        #expect(Hex.decode("") == [])
    }

    @Test(arguments: ["0", "0g", "000", " 00", "0x00", "\u{ff10}0"])
    func `what is not hexadecimal is nothing`(text: String) {
        #expect(Hex.decode(text) == nil)
    }

    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func `base 64 agrees with its RFC`(plain: String, coded: String) {
        #expect(Base64.encode(Array(plain.utf8)) == coded)
        #expect(Base64.decode(coded) == Array(plain.utf8))
    }

    @Test func `the form for links has no character that a link would escape`() {
        let bytes: [UInt8] = [0xfb, 0xff, 0xbf, 0xfe]
        #expect(Base64.encode(bytes) == "+/+//g==")
        #expect(Base64.encodeForURL(bytes) == "-_-__g")
        #expect(Base64.decodeForURL("-_-__g") == bytes)
        #expect(Base64.decode("-_-__g==") == nil)
        #expect(Base64.decodeForURL("-_-__g==") == nil)
    }

    /// Zh== would decode to the same byte as Zg==.
    @Test(arguments: [
        "Zg=", "Zg", "Z", "Z===", "Zh==", "Zm9=", "Zm 9", "====", "Zg==Zg==", "Zm9v\n",
    ])
    func `a text that is not the one encoding of its bytes is nothing`(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func `every byte string comes back`() {
        var generator = SeededGenerator(seed: 1)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64.decodeForURL(Base64.encodeForURL(bytes)) == bytes)
        }
    }
}
