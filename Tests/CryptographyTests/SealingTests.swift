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
                == "01090909090909090909090909c07d6b49e2eba7977750e574520e683cdca47bd18c33")
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
