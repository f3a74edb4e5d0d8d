import ChunkProtocol
import Cryptography
import Primitives

/// The plain bytes of a run of a chunk's frames, put together from what one or several copies sent.
/// No frame is taken that its tag does not prove.
package struct FrameAssembly {
    private let places: FramePlaces
    private var plain: [UInt8] = []
    /// By place in the run, from the first answer on.
    private var isProven: [Bool] = []

    package init(
        _ frames: Range<Int>, of layout: SealedLayout, name: ChunkName, bucketKey: SymmetricKey
    ) {
        self.places = FramePlaces(
            frames: frames, layout: layout, name: name,
            codec: FrameCodec(chunk: name, bucketKey: bucketKey))
    }

    /// Opens what one copy sent, each frame into its place.
    ///
    /// - Parameters:
    ///   - asked: the frames it was asked for, a part of this run.
    ///   - lengths: the sealed size of each of them; 0 where its checksum at rest did not hold.
    ///   - body: those that have a size, one behind the other, in pieces of any size.
    /// - Returns: the frames of `asked` that it did not bring, and why.
    package mutating func take(
        _ asked: Range<Int>, lengths: [Int], body: [[UInt8]]
    ) -> [(frame: Int, fault: ChunkFault)] {
        guard lengths.count == asked.count,
            lengths.reduce(0, +) == body.reduce(0, { $0 + $1.count })
        else { return asked.map { ($0, .notAuthentic(self.places.name, frame: $0)) } }
        let sent = SentFrames(frames: asked, lengths: lengths, body: body)
        let places = self.places
        var proven = self.isProven
        var bad: [(frame: Int, fault: ChunkFault)] = []
        if proven.isEmpty {
            proven = [Bool](repeating: false, count: places.frames.count)
            let size = places.plainRange.count
            self.plain = [UInt8](unsafeUninitializedCapacity: size) { output, count in
                let output = UnsafeMutableRawBufferPointer(output)
                bad = places.fill(output, with: sent, &proven)
                // What is lacking would otherwise be what the memory held before.
                for (place, isThere) in proven.enumerated() where !isThere {
                    places.room(for: places.frames.lowerBound + place, in: output)
                        .initializeMemory(as: UInt8.self, repeating: 0)
                }
                count = size
            }
        } else {
            self.plain.withUnsafeMutableBytes { bad = places.fill($0, with: sent, &proven) }
        }
        self.isProven = proven
        return bad
    }

    /// All of the run; to be called when every frame is there.
    package consuming func finish() -> [UInt8] {
        invariant(self.isProven.allSatisfy(\.self), "only proven frames are handed out")
        return self.plain
    }
}

/// What one copy sent.
private struct SentFrames {
    let frames: Range<Int>
    let lengths: [Int]
    let body: [[UInt8]]
}

/// Where each frame of a run goes, and what opens it.
private struct FramePlaces {
    let frames: Range<Int>
    let layout: SealedLayout
    let name: ChunkName
    let codec: FrameCodec

    /// The run's plain bytes, in positions of the chunk.
    var plainRange: Range<Int> {
        let first = self.layout.plainRange(ofFrame: self.frames.lowerBound)
        let last = self.layout.plainRange(ofFrame: self.frames.upperBound - 1)
        return first.lowerBound..<last.upperBound
    }

    func room(
        for frame: Int, in output: UnsafeMutableRawBufferPointer
    ) -> UnsafeMutableRawBufferPointer {
        let range = self.layout.plainRange(ofFrame: frame)
        let start = range.lowerBound - self.plainRange.lowerBound
        return UnsafeMutableRawBufferPointer(rebasing: output[start..<start + range.count])
    }

    /// Opens the frames that are not proven yet into their places.
    func fill(
        _ output: UnsafeMutableRawBufferPointer, with sent: SentFrames, _ proven: inout [Bool]
    ) -> [(frame: Int, fault: ChunkFault)] {
        var bad: [(frame: Int, fault: ChunkFault)] = []
        var cursor = PieceCursor(sent.body)
        for (frame, length) in zip(sent.frames, sent.lengths) {
            guard length > 0 else {
                bad.append((frame, .checksumMismatch(self.name, frame: frame)))
                continue
            }
            let place = frame - self.frames.lowerBound
            let isThere = proven[place]
            let isOpen = cursor.withNext(length) { sealed in
                isThere
                    || self.codec.open(
                        sealed, number: frame, isLast: frame == self.layout.frameCount - 1,
                        into: self.room(for: frame, in: output))
            }
            if isOpen {
                proven[place] = true
            } else {
                bad.append((frame, .notAuthentic(self.name, frame: frame)))
            }
        }
        return bad
    }
}

/// Walks over bytes that lie in several pieces; copies only what a border runs through.
private struct PieceCursor {
    private let pieces: [[UInt8]]
    private var piece = 0
    private var offset = 0

    init(_ pieces: [[UInt8]]) { self.pieces = pieces }

    /// Lends the next `count` bytes, which must be there.
    mutating func withNext<Value>(
        _ count: Int, _ use: (UnsafeRawBufferPointer) -> Value
    ) -> Value {
        while self.offset == self.pieces[self.piece].count {
            self.piece += 1
            self.offset = 0
        }
        let here = self.pieces[self.piece]
        if here.count - self.offset >= count {
            defer { self.offset += count }
            return here.withUnsafeBytes {
                use(UnsafeRawBufferPointer(rebasing: $0[self.offset..<self.offset + count]))
            }
        }
        var joined: [UInt8] = []
        joined.reserveCapacity(count)
        while joined.count < count {
            let part = self.pieces[self.piece][self.offset...].prefix(count - joined.count)
            joined.append(contentsOf: part)
            self.offset += part.count
            if self.offset == self.pieces[self.piece].count {
                self.piece += 1
                self.offset = 0
            }
        }
        return joined.withUnsafeBytes(use)
    }
}
