import ChunkProtocol
import ChunkStore
import Primitives
import SimulatedRuntime

/// A chunk as an edge would send it: bytes that stand for sealed frames, with their checksums.
struct TestChunk: Sendable {
    let request: PutChunkRequest
    let sealed: [UInt8]

    var name: ChunkName { self.request.name }
    var layout: SealedLayout? { SealedLayout(sealedBytes: self.sealed.count) }
    var frameCount: Int { self.request.frameChecksums.count }

    init(_ number: UInt64, plainBytes: Int = 1000) {
        var generator = SeededGenerator(seed: number)
        let layout = SealedLayout(plainBytes: plainBytes)
        let wanted = layout?.sealedBytes ?? 0
        var sealed = generator.bytes(min(wanted, 4099))
        while sealed.count < wanted { sealed += sealed.prefix(wanted - sealed.count) }
        self.sealed = sealed
        self.request = PutChunkRequest(
            name: ChunkName(incarnation: 7, counter: number), sealedBytes: UInt32(wanted),
            frameChecksums: FrameChecksums.of([sealed]))
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
        guard let layout = self.layout else { return [] }
        return Array(self.sealed[layout.sealedRange(ofFrames: frames)])
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
        return answer == .found(chunkSealedBytes: UInt32(chunk.sealed.count))
            && bytes == chunk.sealed
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
