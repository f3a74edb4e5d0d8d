import ChunkProtocol
import Cryptography
import Primitives

/// The plain bytes of a chunk that is still arriving, each where its sealed form will lie: in frames
/// with room for a tag behind each. So a body is read into the memory that it is sealed in and sent
/// from: it is not copied on the way, and takes its memory once.
package struct ChunkDraft: Sendable {
    private static let frameBytes = SealedLayout.frameBytes
    private static let strideBytes = SealedLayout.frameBytes + SealedLayout.tagBytes

    /// Pieces of whole frames, all of them filled.
    private var pieces: [[UInt8]] = []
    /// The piece that is being filled, the only one whose last frame may be a short one.
    private var current: [UInt8] = []
    /// Plain bytes that `current` has room for, and that it holds.
    private var currentRoomBytes = 0
    private var currentBytes = 0

    package private(set) var plainBytes = 0
    /// Plain bytes that there is room for altogether.
    package private(set) var roomBytes = 0
    package var isFull: Bool { self.plainBytes == self.roomBytes }

    package init() {}

    /// Bytes at hand.
    package init(_ plain: [UInt8]) {
        guard !plain.isEmpty else { return }
        self.grow(by: plain.count)
        while !self.isFull {
            let part = self.nextPart
            let next = plain[self.plainBytes..<self.plainBytes + part.count]
            self.current.replaceSubrange(part, with: next)
            self.took(part.count)
        }
    }

    // MARK: Room

    /// How much the draft may grow next, where `bytes` are wanted: a short frame is filled up first.
    package func growth(upTo bytes: Int) -> Int {
        let inFrame = self.currentRoomBytes % Self.frameBytes
        return inFrame == 0 ? bytes : min(bytes, Self.frameBytes - inFrame)
    }

    /// Makes room for `bytes` more, which `growth` allows.
    package mutating func grow(by bytes: Int) {
        invariant(self.isFull, "a draft grows when it is full")
        invariant(bytes == self.growth(upTo: bytes), "short frames are filled up first")
        if self.currentRoomBytes % Self.frameBytes > 0 {
            var larger = Self.memory(for: self.currentRoomBytes + bytes)
            let filled = Self.offset(of: self.currentBytes)
            larger.replaceSubrange(..<filled, with: self.current[..<filled])
            self.current = larger
            self.currentRoomBytes += bytes
        } else {
            if self.currentBytes > 0 { self.pieces.append(self.current) }
            self.current = Self.memory(for: bytes)
            self.currentRoomBytes = bytes
            self.currentBytes = 0
        }
        self.roomBytes += bytes
    }

    /// Not cleared: only what was put in is ever looked at.
    private static func memory(for plainBytes: Int) -> [UInt8] {
        let frames = (plainBytes + Self.frameBytes - 1) / Self.frameBytes
        let size = plainBytes + frames * SealedLayout.tagBytes
        return [UInt8](unsafeUninitializedCapacity: size) { _, count in count = size }
    }

    /// Where the plain byte number `position` of a piece lies.
    private static func offset(of position: Int) -> Int {
        position / Self.frameBytes * Self.strideBytes + position % Self.frameBytes
    }

    // MARK: Filling

    /// Where the next bytes go: the rest of a frame.
    private var nextPart: Range<Int> {
        let start = Self.offset(of: self.currentBytes)
        let ofFrame = Self.frameBytes - self.currentBytes % Self.frameBytes
        return start..<start + min(ofFrame, self.currentRoomBytes - self.currentBytes)
    }

    private mutating func took(_ count: Int) {
        self.currentBytes += count
        self.plainBytes += count
    }

    /// Reads the next bytes, at least one, and says how many; 0 at the end of the body.
    ///
    /// - Precondition: there is room.
    package mutating func read(from source: any BodySource) async throws(BodyFault) -> Int {
        invariant(!self.isFull, "a draft has room for what is read")
        let count = try await source.read(into: &self.current, at: self.nextPart)
        self.took(count)
        return count
    }

    /// All plain bytes in one piece.
    package var joined: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(self.plainBytes)
        for piece in self.pieces + [self.current] {
            var left = self.plainBytes - bytes.count
            var start = 0
            while left > 0, start < piece.count {
                let count = min(left, Self.frameBytes, piece.count - start - SealedLayout.tagBytes)
                bytes += piece[start..<start + count]
                left -= count
                start += Self.strideBytes
            }
        }
        return bytes
    }

    // MARK: Sealing

    /// Seals all frames where they lie. What is left is an empty draft.
    package mutating func seal(
        _ name: ChunkName, bucketKey: SymmetricKey, isCompressing: Bool
    ) -> SealedChunk {
        var digests = BodyDigests(for: StatedBody())
        return self.seal(
            name, bucketKey: bucketKey, isCompressing: isCompressing, digests: &digests)
    }

    /// Goes over all frames once: feeds each to `digests` and seals it where it lies. What is left
    /// is an empty draft.
    mutating func seal(
        _ name: ChunkName, bucketKey: SymmetricKey, isCompressing: Bool,
        digests: inout BodyDigests
    ) -> SealedChunk {
        guard let layout = SealedLayout(plainBytes: self.plainBytes) else {
            brokenInvariant("a chunk has 1 byte to 16 MiB, not \(self.plainBytes)")
        }
        var sealer = FrameSealer(
            codec: FrameCodec(chunk: name, bucketKey: bucketKey),
            compressor: FrameCompressor(isOn: isCompressing), frameCount: layout.frameCount)
        for piece in self.pieces.indices {
            let plainBytes = self.pieces[piece].count / Self.strideBytes * Self.frameBytes
            sealer.seal(&self.pieces[piece], holding: plainBytes, &digests)
        }
        var pieces = self.pieces
        if self.currentBytes > 0 {
            sealer.seal(&self.current, holding: self.currentBytes, &digests)
            pieces.append(self.current)
        }
        let plainBytes = self.plainBytes
        self = ChunkDraft()
        return SealedChunk(
            name: name, plainBytes: plainBytes, sealed: pieces, frames: sealer.frames)
    }
}

/// Seals the frames of one chunk, piece by piece.
private struct FrameSealer {
    let codec: FrameCodec
    var compressor: FrameCompressor
    let frameCount: Int
    private(set) var frames: [SealedFrame] = []

    init(codec: FrameCodec, compressor: FrameCompressor, frameCount: Int) {
        self.codec = codec
        self.compressor = compressor
        self.frameCount = frameCount
        self.frames.reserveCapacity(frameCount)
    }

    /// Seals the frames of a piece in place. Compressed ones are shorter, and those behind move up;
    /// the piece ends behind the last.
    mutating func seal(
        _ piece: inout [UInt8], holding plainBytes: Int, _ digests: inout BodyDigests
    ) {
        let used = piece.withUnsafeMutableBytes { bytes in
            withUnsafeTemporaryAllocation(
                byteCount: SealedLayout.frameBytes, alignment: 64
            ) { scratch in
                var (left, start, end) = (plainBytes, 0, 0)
                while left > 0 {
                    let count = min(left, SealedLayout.frameBytes)
                    let plain = UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
                    digests.update(plain)
                    let room = UnsafeMutableRawBufferPointer(
                        rebasing: bytes[end..<end + count + SealedLayout.tagBytes])
                    let size = self.codec.seal(
                        plain, number: self.frames.count,
                        isLast: self.frames.count == self.frameCount - 1, &self.compressor,
                        scratch: scratch, into: room)
                    self.frames.append(SealedFrame(UnsafeRawBufferPointer(rebasing: room[..<size])))
                    left -= count
                    start += count + SealedLayout.tagBytes
                    end += size
                }
                return end
            }
        }
        piece.removeLast(piece.count - used)
    }
}
