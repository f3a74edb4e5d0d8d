import ChunkProtocol
import ChunkStore
import Primitives
import SimulatedRuntime

/// A chunk as an edge would send it: bytes that stand for sealed frames, with their checksums.
struct TestChunk: Sendable {
    let request: PutChunkRequest
    let sealed: [UInt8]

    var name: ChunkName { self.request.name }
    var frameCount: Int { self.request.frames.count }

    /// - Parameter frameLengths: of the frames, sealed; nil for a chunk that is not compressed.
    init(_ number: UInt64, plainBytes: Int = 1000, frameLengths: [Int]? = nil) {
        var generator = SeededGenerator(seed: number)
        let lengths =
            frameLengths
            ?? stride(from: 0, to: plainBytes, by: SealedLayout.frameBytes).map {
                min(plainBytes - $0, SealedLayout.frameBytes) + SealedLayout.tagBytes
            }
        let wanted = lengths.reduce(0, +)
        var sealed = generator.bytes(min(wanted, 4099))
        while sealed.count < wanted { sealed += sealed.prefix(wanted - sealed.count) }
        self.sealed = sealed
        self.request = PutChunkRequest(
            name: ChunkName(incarnation: 7, counter: number),
            slot: Slot(rawValue: UInt16(truncatingIfNeeded: number % 5)),
            frames: FrameChecksums.of([sealed], lengths: lengths))
    }

    /// As the transport delivers a body: in pieces that end anywhere.
    var body: [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = self.sealed[...]
        while !rest.isEmpty {
            pieces.append(Array(rest.prefix(50_000)))
            rest = rest.dropFirst(50_000)
        }
        return pieces
    }

    func sealed(frames: Range<Int>) -> [UInt8] {
        Array(self.sealed[self.request.frames.sealedRange(ofFrames: frames)])
    }

    /// What a store says that has these frames of the chunk, but for those that have rotted.
    func found(frames: Range<Int>? = nil, bad: Set<Int> = []) -> ReadChunkAnswer {
        let lengths = (frames ?? 0..<self.frameCount).map {
            bad.contains($0) ? 0 : self.request.frames[$0].sealedBytes
        }
        return .found(chunkSealedBytes: UInt32(self.sealed.count), frameLengths: lengths)
    }
}

extension ChunkStore {
    func put(_ chunk: TestChunk) async -> PutChunkAnswer {
        await self.put(chunk.request, chunk.body)
    }

    func read(_ chunk: TestChunk) async -> (ReadChunkAnswer, [UInt8]) {
        await self.read(ReadChunkRequest(name: chunk.name, frames: 0..<chunk.frameCount))
    }

    /// Whether the whole chunk is there as it was sent.
    func holds(_ chunk: TestChunk) async -> Bool {
        let (answer, bytes) = await self.read(chunk)
        return answer == chunk.found() && bytes == chunk.sealed
    }

    /// Hands chunks in one behind the other, without waiting between them.
    func putTogether(_ chunks: [TestChunk]) async -> [PutChunkAnswer] {
        await withTaskGroup(of: (Int, PutChunkAnswer).self) { group in
            for (position, chunk) in chunks.enumerated() {
                group.addTask { (position, await self.put(chunk)) }
            }
            var answers = [PutChunkAnswer](repeating: .overloaded, count: chunks.count)
            for await (position, answer) in group { answers[position] = answer }
            return answers
        }
    }
}
