import ChunkProtocol
import Primitives
import Testing
import Wire

@Suite struct SealedLayoutTests {
    @Test(arguments: [
        (1, 1, 17), (65_536, 1, 65_552), (65_537, 2, 65_569), (8 << 20, 128, 8_390_656),
        (16 << 20, 256, 16_781_312),
    ])
    func `frames and tags add up`(plain: Int, frames: Int, sealed: Int) throws {
        let layout = try #require(SealedLayout(plainBytes: plain))
        #expect(layout.frameCount == frames)
        #expect(layout.sealedBytes == sealed)
        #expect(SealedLayout(sealedBytes: sealed) == layout)
    }

    @Test(arguments: [-1, 0, (16 << 20) + 1])
    func `a chunk that cannot be has no layout`(plain: Int) {
        #expect(SealedLayout(plainBytes: plain) == nil)
    }

    @Test(arguments: [0, 16, 65_553, 65_552 + 16, 16_781_313])
    func `a size that no chunk has gives no layout`(sealed: Int) {
        #expect(SealedLayout(sealedBytes: sealed) == nil)
    }

    @Test func `the frames of a chunk tile its plain and its sealed bytes`() throws {
        for plain in [1, 100, 65_535, 65_536, 65_537, 1_000_000] {
            let layout = try #require(SealedLayout(plainBytes: plain))
            var plainEnd = 0
            var sealedEnd = 0
            for frame in 0..<layout.frameCount {
                #expect(layout.plainRange(ofFrame: frame).lowerBound == plainEnd)
                #expect(layout.sealedRange(ofFrame: frame).lowerBound == sealedEnd)
                plainEnd = layout.plainRange(ofFrame: frame).upperBound
                sealedEnd = layout.sealedRange(ofFrame: frame).upperBound
            }
            #expect(plainEnd == plain && sealedEnd == layout.sealedBytes)
        }
    }

    @Test func `a range touches only its frames`() throws {
        let layout = try #require(SealedLayout(plainBytes: 200_000))
        #expect(layout.frames(covering: 0..<1) == 0..<1)
        #expect(layout.frames(covering: 65_535..<65_537) == 0..<2)
        #expect(layout.frames(covering: 131_072..<400_000) == 2..<4)
        #expect(layout.frames(covering: 10..<10).isEmpty)
        #expect(layout.sealedRange(ofFrames: 1..<3) == 65_552..<3 * 65_552)
    }
}

@Suite struct SegmentFormatTests {
    private let record = SegmentFormat.Record(
        chunk: ChunkName(incarnation: 7, counter: 9), sealedBytes: 65_569,
        frameChecksums: [0x0102_0304, 0x0506_0708])

    @Test func `the bytes of a header are for ever`() {
        let header = SegmentFormat.header(of: self.record, segment: 3, offset: 8192)
        #expect(
            Hex.encode(header)
                == "48466368" + "0100" + "0200" + "0700000000000000" + "0900000000000000"
                + "21000100" + "00000000" + "04030201" + "08070605" + Hex.encode(header.suffix(4)))
        #expect(header.count == self.record.headerBytes)
        #expect(self.record.recordBytes == 69_632)
    }

    @Test func `a header is read where it was written and nowhere else`() throws {
        let header = SegmentFormat.header(of: self.record, segment: 3, offset: 8192)[...]
        #expect(try SegmentFormat.readHeader(header, segment: 3, offset: 8192) == self.record)
        #expect(throws: FormatFault.self) {
            try SegmentFormat.readHeader(header, segment: 4, offset: 8192)
        }
        #expect(throws: FormatFault.self) {
            try SegmentFormat.readHeader(header, segment: 3, offset: 4096)
        }
    }

    @Test func `a tombstone is read back`() throws {
        let record = SegmentFormat.Record(tombstoneOf: ChunkName(incarnation: 1, counter: 2))
        let header = SegmentFormat.header(of: record, segment: 0, offset: 0)
        #expect(try SegmentFormat.readHeader(header[...], segment: 0, offset: 0) == record)
        #expect(record.recordBytes == 4096)
    }

    @Test func `no changed byte of a header goes unseen, and no input traps`() {
        let header = SegmentFormat.header(of: self.record, segment: 3, offset: 0)
        for position in header.indices {
            for bit in 0..<8 {
                var damaged = header
                damaged[position] ^= 1 << bit
                #expect(throws: FormatFault.self) {
                    try SegmentFormat.readHeader(damaged[...], segment: 3, offset: 0)
                }
            }
            #expect(throws: FormatFault.self) {
                try SegmentFormat.readHeader(header[..<position], segment: 3, offset: 0)
            }
        }
        var random = SeededGenerator(seed: 5)
        for _ in 0..<2000 {
            let noise = (0..<Int.random(in: 0..<80, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            #expect(throws: FormatFault.self) {
                try SegmentFormat.readHeader(noise[...], segment: 3, offset: 0)
            }
        }
    }
}

@Suite struct StoreMessageTests {
    private let name = ChunkName(incarnation: 1, counter: 2)

    @Test func `requests survive the wire`() throws {
        let put = PutChunkRequest(name: self.name, sealedBytes: 17, frameChecksums: [5])
        #expect(try PutChunkRequest(decoding: put.encoded) == put)
        let read = ReadChunkRequest(name: self.name, frames: 3..<9)
        #expect(try ReadChunkRequest(decoding: read.encoded) == read)
        #expect(read.frames == 3..<9)
        #expect(
            Hex.encode(put.encoded)
                == "01" + "0100000000000000" + "0200000000000000" + "11000000" + "01000000"
                + "05000000")
    }

    @Test(arguments: [
        PutChunkAnswer.stored, .checksumMismatch(frame: 3), .full, .overloaded, .device("EIO"),
    ])
    func `put answers survive the wire`(answer: PutChunkAnswer) throws {
        #expect(try PutChunkAnswer(decoding: answer.encoded) == answer)
    }

    @Test(arguments: [
        ReadChunkAnswer.found(chunkSealedBytes: 17), .missing, .checksumMismatch(frame: 1),
        .device("EIO"),
    ])
    func `read answers survive the wire`(answer: ReadChunkAnswer) throws {
        #expect(try ReadChunkAnswer(decoding: answer.encoded) == answer)
    }

    @Test func `a put whose checksums do not fit its size is refused`() {
        let put = PutChunkRequest(name: self.name, sealedBytes: 70_000, frameChecksums: [5])
        #expect(throws: FormatFault.self) { try PutChunkRequest(decoding: put.encoded) }
    }

    @Test func `frames beyond the largest chunk are refused`() {
        let read = ReadChunkRequest(name: self.name, frames: 250..<300)
        #expect(throws: FormatFault.self) { try ReadChunkRequest(decoding: read.encoded) }
    }
}
