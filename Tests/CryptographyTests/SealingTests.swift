import Cryptography
import Primitives
import Testing

@Suite struct SealingTests {
    private static let bucketKey = SymmetricKey(bytes: Array(0..<32))
    private static let chunk = ChunkName(incarnation: 0x0102_0304, counter: 5)

    private func sealing(of chunk: ChunkName = Self.chunk) throws -> FrameSealing {
        FrameSealing(bucketKey: try #require(Self.bucketKey), chunk: chunk)
    }

    /// Stored bytes: this value never changes.
    @Test func `format 1 of a sealed frame has these bytes`() throws {
        let sealed = try self.sealing().seal(Array("hello".utf8), number: 3, isLast: true)
        #expect(Hex.encode(sealed) == "0306062c529a7adc08318d1d04acc0b6f78f6d0de8")
    }

    /// The keys were computed by RFC 5869 with another library's HMAC (CPython's), and are written
    /// here as they came: extract with a salt of 32 zeros, expand with the label and the name.
    @Test(arguments: [
        (
            Self.chunk, UInt64(3), true, Array("hello".utf8),
            "a039ef8ad2c9a9fb4a3f77f7c41482c737062443fd115e84bdbf677a1f49ff23"
        ),
        (
            ChunkName(incarnation: 1 << 63, counter: .max), 0, false, [],
            "0c92ab7e643c203f32868b9e6a792ddc505b9c0236123bb9a3e467cb0c811152"
        ),
    ])
    func `a chunk's key comes from its bucket's key and its name by HKDF`(
        chunk: ChunkName, number: UInt64, isLast: Bool, plain: [UInt8], key: String
    ) throws {
        let bytes = try #require(Hex.decode(key))
        let key = try #require(SymmetricKey(bytes: bytes))
        var nonce = (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        nonce += [0, 0, 0, isLast ? 1 : 0]
        #expect(
            try self.sealing(of: chunk).seal(plain, number: number, isLast: isLast)
                == AES256GCM.seal(plain, key: key, nonce: nonce))
    }

    /// Stored bytes, computed by another library (pyca/cryptography): this value never changes.
    @Test func `a compressed frame is bound to its plain size`() throws {
        var sealed = [UInt8](repeating: 0, count: 21)
        let content = Array("hello".utf8)
        var plain = [UInt8](repeating: 0, count: 5)
        let sealing = try self.sealing()
        _ = content.withUnsafeBytes { content in
            sealed.withUnsafeMutableBytes {
                sealing.seal(content, number: 3, isLast: true, plainBytes: 70, into: $0)
            }
        }
        #expect(Hex.encode(sealed) == "0306062c52653f1f0ee021a6fab023707b03e65a31")
        for (plainBytes, isOpen) in [(70, true), (71, false), (5, false), (nil, false)] {
            let opened = sealed.withUnsafeBytes { sealed in
                plain.withUnsafeMutableBytes {
                    sealing.open(
                        sealed, number: 3, isLast: true, plainBytes: plainBytes, into: $0)
                }
            }
            #expect((opened == 5) == isOpen)
        }
    }

    @Test func `a frame opens as itself and as no other`() throws {
        let sealing = try self.sealing()
        let frame = [UInt8](repeating: 0xa5, count: FrameSealing.frameSizeBytes)
        let sealed = sealing.seal(frame, number: 1, isLast: false)
        #expect(sealed.count == frame.count + FrameSealing.overheadBytes)
        #expect(sealing.open(sealed[...], number: 1, isLast: false) == frame)
        #expect(sealing.open(sealed[...], number: 2, isLast: false) == nil)
        #expect(sealing.open(sealed[...], number: 1, isLast: true) == nil)
        let other = ChunkName(incarnation: 0x0102_0304, counter: 6)
        #expect(try self.sealing(of: other).open(sealed[...], number: 1, isLast: false) == nil)
        let otherKey = try #require(SymmetricKey(bytes: [UInt8](repeating: 1, count: 32)))
        let otherBucket = FrameSealing(bucketKey: otherKey, chunk: Self.chunk)
        #expect(otherBucket.open(sealed[...], number: 1, isLast: false) == nil)
    }

    @Test func `a frame is sealed and opened in place`() throws {
        let sealing = try self.sealing()
        let frame = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        var buffer = frame + [UInt8](repeating: 0, count: FrameSealing.overheadBytes)
        let sealedSize = buffer.withUnsafeMutableBytes { buffer in
            sealing.seal(
                UnsafeRawBufferPointer(rebasing: buffer[..<1000]), number: 0, isLast: true,
                into: buffer)
        }
        #expect(sealedSize == buffer.count)
        #expect(buffer == sealing.seal(frame, number: 0, isLast: true))
        let size = buffer.withUnsafeMutableBytes { buffer in
            sealing.open(UnsafeRawBufferPointer(buffer), number: 0, isLast: true, into: buffer)
        }
        #expect(size == 1000)
        #expect(Array(buffer[..<1000]) == frame)
    }

    @Test func `an empty last frame proves that a chunk is empty`() throws {
        let sealed = try self.sealing().seal([], number: 0, isLast: true)
        #expect(sealed.count == FrameSealing.overheadBytes)
        #expect(try self.sealing().open(sealed[...], number: 0, isLast: true) == [])
    }

    /// Stored bytes: this value never changes.
    @Test func `format 1 of a wrapped secret has these bytes`() throws {
        let master = MasterKey(try #require(Self.bucketKey))
        let envelope = master.wrap(
            Array("secret".utf8), context: "bucket key of photos",
            nonce: [UInt8](repeating: 9, count: 12))
        #expect(
            Hex.encode(envelope)
                == "01a9efaff2ad1b6e42eb17f0982094deb2"
                + "090909090909090909090909c07d6b49e2eb249b9196ca43044a3c9061d80f4af4d3")
        #expect(WrappedSecret.masterKey(of: envelope) == master.id)
    }

    @Test func `a wrapped secret opens only for its context, with its key, unchanged`() throws {
        let master = MasterKey(try #require(Self.bucketKey))
        let other = MasterKey(try #require(SymmetricKey(bytes: [UInt8](repeating: 3, count: 32))))
        let secret = Array("wJalrXUtnFEMI".utf8)
        let envelope = master.wrap(
            secret, context: "access key AKIA", nonce: [UInt8](repeating: 9, count: 12))
        #expect(master.unwrap(envelope, context: "access key AKIA") == secret)
        #expect(master.unwrap(envelope, context: "access key AKIB") == nil)
        #expect(other.unwrap(envelope, context: "access key AKIA") == nil)
        for position in envelope.indices {
            var changed = envelope
            changed[position] ^= 0x80
            #expect(master.unwrap(changed, context: "access key AKIA") == nil)
            #expect(master.unwrap(Array(envelope[..<position]), context: "access key AKIA") == nil)
        }
    }
}
