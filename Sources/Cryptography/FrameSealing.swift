package import Primitives

/// Seals the frames of one chunk, each alone, so that a range can be read and authenticated without
/// the rest.
///
/// Format 1, for ever. Key: HKDF-SHA256 of the bucket's key, empty salt, info "holdfast chunk 1"
/// and the chunk's incarnation and counter. Nonce: the frame's number (8 bytes), three zeros, and 1
/// for the last frame else 0, so that frames can be neither moved nor cut off. A sealed frame is
/// the ciphertext and a 16-byte tag. Where the content is the compressed form of a frame, the number of
/// plain bytes (4 bytes) is authenticated with it, so that neither form is ever taken for the other,
/// whatever somebody believes of the frame's size. Numbers are little-endian. A chunk's name is never
/// used again, so no nonce meets its key twice, as long as a chunk is sealed once and retries send the
/// same bytes.
package struct FrameSealing: Sendable {
    /// Plaintext of every frame but the last, which has 1 to this many bytes (0 in an empty chunk).
    package static let frameSizeBytes = 65_536
    package static let overheadBytes = AES256GCM.tagSizeBytes
    private static let label = Array("holdfast chunk 1".utf8)

    private let key: SymmetricKey

    package init(bucketKey: SymmetricKey, chunk: ChunkName) {
        var info = ByteWriter()
        info.writeRaw(Self.label)
        info.write(chunk.incarnation)
        info.write(chunk.counter)
        self.key = bucketKey.derived(for: info.bytes)
    }

    /// Seals a frame into the front of `output`, which may begin where `frame` does; returns the
    /// sealed size.
    ///
    /// - Parameter plainBytes: how many bytes the frame has when it is restored, if `frame` is its
    ///   compressed form; nil for plain bytes.
    package func seal(
        _ frame: UnsafeRawBufferPointer, number: UInt64, isLast: Bool, plainBytes: Int? = nil,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        invariant(frame.count <= Self.frameSizeBytes, "a frame has at most 64 KiB")
        AES256GCM.seal(
            frame, key: self.key, nonce: Self.nonce(number, isLast: isLast),
            associated: Self.associated(plainBytes), into: output)
        return frame.count + Self.overheadBytes
    }

    /// Opens a frame into the front of `output` and returns its size; nil when these are not just
    /// the bytes that were sealed as just this frame, in this form.
    package func open(
        _ sealed: UnsafeRawBufferPointer, number: UInt64, isLast: Bool, plainBytes: Int? = nil,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard sealed.count <= Self.frameSizeBytes + Self.overheadBytes,
            AES256GCM.open(
                sealed, key: self.key, nonce: Self.nonce(number, isLast: isLast),
                associated: Self.associated(plainBytes), into: output)
        else { return nil }
        return sealed.count - Self.overheadBytes
    }

    package func seal(_ frame: [UInt8], number: UInt64, isLast: Bool) -> [UInt8] {
        invariant(frame.count <= Self.frameSizeBytes, "a frame has at most 64 KiB")
        return AES256GCM.seal(frame, key: self.key, nonce: Self.nonce(number, isLast: isLast))
    }

    package func open(
        _ sealed: ArraySlice<UInt8>, number: UInt64, isLast: Bool
    ) -> [UInt8]? {
        AES256GCM.open(sealed, key: self.key, nonce: Self.nonce(number, isLast: isLast))
    }

    private static func associated(_ plainBytes: Int?) -> [UInt8] {
        guard let plainBytes else { return [] }
        var length = ByteWriter(capacity: 4)
        length.write(UInt32(plainBytes))
        return length.bytes
    }

    private static func nonce(_ number: UInt64, isLast: Bool) -> [UInt8] {
        var nonce = ByteWriter(capacity: AES256GCM.nonceSizeBytes)
        nonce.write(number)
        nonce.writeRaw([0, 0, 0, isLast ? 1 : 0])
        return nonce.bytes
    }
}
