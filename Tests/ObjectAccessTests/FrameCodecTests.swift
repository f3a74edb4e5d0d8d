import Cryptography
import ObjectAccess
import Primitives
import Testing

@Suite struct FrameCodecTests {
    private static let chunk = ChunkName(incarnation: 0x0102_0304, counter: 5)

    private func codec(_ keyByte: UInt8 = 7) throws -> FrameCodec {
        let key = try #require(SymmetricKey(bytes: [UInt8](repeating: keyByte, count: 32)))
        return FrameCodec(chunk: Self.chunk, bucketKey: key)
    }

    @Test(arguments: [
        ("text", Bodies.text(4096), true), ("random", Bodies.random(4096), false),
        ("zeros", Bodies.zeros(65_536), true), ("one byte", [9], false), ("nothing", [], false),
    ])
    func `whole bytes come back as they were, and their sealed size tells their form`(
        name: String, plain: [UInt8], isShorter: Bool
    ) throws {
        let codec = try self.codec()
        let sealed = codec.sealWhole(plain, isCompressing: true)
        #expect((sealed.count < plain.count + FrameCodec.tagBytes) == isShorter)
        #expect(codec.openWhole(sealed, plainBytes: plain.count) == plain)
        let stored = codec.sealWhole(plain, isCompressing: false)
        #expect(stored.count == plain.count + FrameCodec.tagBytes)
        #expect(codec.openWhole(stored, plainBytes: plain.count) == plain)
    }

    @Test func `a frame opens to just the bytes of its place, under its key, or not at all`() throws
    {
        let codec = try self.codec()
        let plain = Bodies.text(4096)
        let sealed = codec.sealWhole(plain, isCompressing: true)
        for plainBytes in [
            0, 1, sealed.count - FrameCodec.tagBytes, 4095, 4097, 65_536, 65_537, -1,
        ] {
            #expect(codec.openWhole(sealed, plainBytes: plainBytes) == nil)
        }
        #expect(try self.codec(8).openWhole(sealed, plainBytes: 4096) == nil)
        for place in stride(from: 0, to: sealed.count, by: 11) {
            var changed = sealed
            changed[place] ^= 0x10
            #expect(codec.openWhole(changed, plainBytes: 4096) == nil)
            #expect(codec.openWhole(Array(sealed[..<place]), plainBytes: 4096) == nil)
        }
    }

    /// Whoever holds the key may seal anything; what is no compressed frame is refused behind its tag.
    @Test func `authentic bytes that are not one compressed frame are refused`() throws {
        let key = try #require(SymmetricKey(bytes: [UInt8](repeating: 7, count: 32)))
        let sealing = FrameSealing(bucketKey: key, chunk: Self.chunk)
        let text = Bodies.text(1000)
        var sealed = [UInt8](repeating: 0, count: text.count + FrameCodec.tagBytes)
        _ = text.withUnsafeBytes { text in
            sealed.withUnsafeMutableBytes {
                sealing.seal(text, number: 0, isLast: true, plainBytes: 1001, into: $0)
            }
        }
        #expect(try self.codec().openWhole(sealed, plainBytes: 1001) == nil)
        #expect(try self.codec().openWhole(sealed, plainBytes: 1000) == nil)
    }
}
