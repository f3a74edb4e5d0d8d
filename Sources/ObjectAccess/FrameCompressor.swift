import CZstdShim
import Primitives

/// Decides, frame after frame of one chunk, whether a frame is compressed before it is sealed.
///
/// The frames before say what may be expected: as long as compressing pays, every frame is tried.
/// One that does not pay is stored as it is, and so are the next ones without a look: first one,
/// then twice as many each time, at most `longestPause`, until a frame pays again. So a body that
/// cannot be compressed costs a sample now and then, and one that changes its nature in the middle is
/// noticed. A frame is not even tried when its bytes look random.
package struct FrameCompressor: Sendable {
    /// zstd's. Level 3 saves less than a tenth more and takes up to twice the time.
    static let level: Int32 = 1
    /// Below this, zstd's own head and the rounding of stored sizes leave nothing to gain.
    static let smallestBytes = 128
    /// What must be saved for a frame to be kept compressed: an eighth of it. Every read pays for
    /// what is saved once.
    static let savedShare = 8
    /// The most frames that are stored without a look: 1 MiB.
    static let longestPause = 16

    /// What became of a frame.
    package enum Verdict: Equatable, Sendable {
        /// Its compressed form has this many bytes.
        case compressed(bytes: Int)
        case stored(Reason)
    }

    /// Why a frame is stored as it is.
    package enum Reason: Equatable, Sendable {
        case switchedOff
        case tooSmall
        /// By the distribution of the bytes of a sample.
        case looksRandom
        /// It was compressed, and too little was saved.
        case doesNotPay
        /// Frames shortly before did not pay.
        case pausing
    }

    private let isOn: Bool
    /// Frames to come that are stored without a look.
    private var pausedFrames = 0
    private var nextPause = 1

    package init(isOn: Bool = true) { self.isOn = isOn }

    /// Compresses a frame into the front of `output` where that pays.
    ///
    /// - Parameter output: as long as the frame, and not overlapping it. What it holds where the
    ///   verdict is `stored` must not be read.
    package mutating func compress(
        _ frame: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> Verdict {
        guard self.isOn else { return .stored(.switchedOff) }
        guard frame.count >= Self.smallestBytes else { return .stored(.tooSmall) }
        if self.pausedFrames > 0 {
            self.pausedFrames -= 1
            return .stored(.pausing)
        }
        guard !ByteSpread.looksRandom(frame) else { return self.pause(.looksRandom) }
        let limit = frame.count - frame.count / Self.savedShare
        invariant(output.count >= limit, "a compressed frame needs room")
        let size = holdfast_zstd_compress(
            Self.level, frame.baseAddress, frame.count, output.baseAddress, limit)
        guard size > 0 else { return self.pause(.doesNotPay) }
        self.nextPause = 1
        return .compressed(bytes: size)
    }

    private mutating func pause(_ reason: Reason) -> Verdict {
        self.pausedFrames = self.nextPause
        self.nextPause = min(self.nextPause * 2, Self.longestPause)
        return .stored(reason)
    }

    /// Restores a frame whose plain size is known: `plain` is filled just to its end, or it is false
    /// and what `plain` holds must not be read. Nothing beyond `plain` is ever written, and no memory
    /// is taken for what the compressed bytes claim.
    package static func decompress(
        _ compressed: UnsafeRawBufferPointer, into plain: UnsafeMutableRawBufferPointer
    ) -> Bool {
        holdfast_zstd_decompress(
            compressed.baseAddress, compressed.count, plain.baseAddress, plain.count) == 1
    }
}

/// Whether bytes are spread as random ones are, which neither compressed nor encrypted ones and few
/// others do. A trial of zstd would cost forty times as much.
enum ByteSpread {
    /// Taken in pieces from all over the frame.
    static let sampleBytes = 1024
    private static let pieces = 8

    /// Counts the pairs of equal bytes in a sample. Random bytes have n(n-1)/256 of them (each
    /// unordered pair counted twice), give or take 2% in this sample. Up to an eighth above that no
    /// code for single bytes would save 2.5%; clearly below it the bytes are spread too evenly to
    /// be random, as those of a counter are. Random bytes that repeat themselves within the frame are
    /// taken for random.
    static func looksRandom(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard frame.count >= Self.sampleBytes else { return false }
        let pairs = withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 256) { counts in
            counts.initialize(repeating: 0)
            let pieceBytes = Self.sampleBytes / Self.pieces
            let stride = (frame.count - pieceBytes) / (Self.pieces - 1)
            for piece in 0..<Self.pieces {
                let start = piece * stride
                for offset in start..<start + pieceBytes { counts[Int(frame[offset])] += 1 }
            }
            return counts.reduce(0) { $0 + Int($1) * (Int($1) - 1) }
        }
        let expected = Self.sampleBytes * (Self.sampleBytes - 1) / 256
        return (expected - expected / 16..<expected + expected / 8).contains(pairs)
    }
}
