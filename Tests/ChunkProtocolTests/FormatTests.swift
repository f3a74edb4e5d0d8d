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
        #expect(layout.mostSealedBytes == sealed)
    }

    @Test(arguments: [-1, 0, (16 << 20) + 1])
    func `a chunk that cannot be has no layout`(plain: Int) {
        #expect(SealedLayout(plainBytes: plain) == nil)
    }

    @Test func `the frames of a chunk tile its plain bytes`() throws {
        for plain in [1, 100, 65_535, 65_536, 65_537, 1_000_000] {
            let layout = try #require(SealedLayout(plainBytes: plain))
            var plainEnd = 0
            for frame in 0..<layout.frameCount {
                #expect(layout.plainRange(ofFrame: frame).lowerBound == plainEnd)
                plainEnd = layout.plainRange(ofFrame: frame).upperBound
            }
            #expect(plainEnd == plain)
        }
    }

    @Test func `a range touches only its frames`() throws {
        let layout = try #require(SealedLayout(plainBytes: 200_000))
        #expect(layout.frames(covering: 0..<1) == 0..<1)
        #expect(layout.frames(covering: 65_535..<65_537) == 0..<2)
        #expect(layout.frames(covering: 131_072..<400_000) == 2..<4)
        #expect(layout.frames(covering: 10..<10).isEmpty)
    }
}

@Suite struct SealedFrameTests {
    private func frames(_ lengths: [UInt32]) -> [SealedFrame] {
        lengths.map { SealedFrame(sealedBytes: $0, checksum: 1) }
    }

    @Test func `a run of frames lies behind those before it`() {
        let frames = self.frames([65_552, 17, 300])
        #expect(frames.sealedBytes == 65_869)
        #expect(frames.sealedRange(ofFrames: 0..<1) == 0..<65_552)
        #expect(frames.sealedRange(ofFrames: 1..<3) == 65_552..<65_869)
        #expect(frames.sealedRange(ofFrames: 2..<2).isEmpty)
    }

    @Test(arguments: [0, 16, 65_553, UInt32.max])
    func `a length that no sealed frame has is refused`(length: UInt32) {
        var writer = ByteWriter()
        SealedFrame(sealedBytes: length, checksum: 7).encode(into: &writer)
        #expect(throws: FormatFault.self) {
            var reader = ByteReader(writer.bytes)
            _ = try SealedFrame(from: &reader)
        }
    }
}

@Suite struct SegmentFormatTests {
    private let record = SegmentFormat.Record(
        chunk: ChunkName(incarnation: 7, counter: 9), slot: Slot(rawValue: 0x0a0b),
        storedAt: Timestamp(milliseconds: 0x0102_0304_0506),
        frames: [
            SealedFrame(sealedBytes: 65_552, checksum: 0x0102_0304),
            SealedFrame(sealedBytes: 17, checksum: 0x0506_0708),
        ])

    @Test func `the bytes of a header are for ever`() {
        let header = SegmentFormat.header(of: self.record, segment: 3, offset: 8192)
        #expect(
            Hex.encode(header)
                == "48466368" + "0100" + "0200" + "0700000000000000" + "0900000000000000"
                + "21000100" + "0b0a" + "0000" + "0605040302010000" + "04030201" + "10000100"
                + "08070605" + "11000000" + "b8cc0dcb")
        #expect(header.count == self.record.headerBytes)
        #expect(self.record.recordBytes == 69_632)
    }

    @Test func `a header is read where it was written and nowhere else`() throws {
        let header = SegmentFormat.header(of: self.record, segment: 3, offset: 8192)[...]
        #expect(
            try SegmentFormat.readHeader(header, segment: 3, offset: 8192) == .chunk(self.record))
        #expect(throws: FormatFault.self) {
            try SegmentFormat.readHeader(header, segment: 4, offset: 8192)
        }
        #expect(throws: FormatFault.self) {
            try SegmentFormat.readHeader(header, segment: 3, offset: 4096)
        }
    }

    private let tombstones = SegmentFormat.Tombstones(
        deletedAt: Timestamp(milliseconds: 0x0102_0304_0506),
        chunks: [
            .init(name: ChunkName(incarnation: 7, counter: 9), slot: Slot(rawValue: 0x0a0b)),
            .init(name: ChunkName(incarnation: 1, counter: 2), slot: Slot(rawValue: 3)),
        ])

    @Test func `the bytes of tombstones are for ever`() {
        let record = SegmentFormat.record(of: self.tombstones, segment: 3, offset: 8192)
        #expect(
            Hex.encode(record.prefix(56))
                == "48467462" + "0100" + "0200" + "0605040302010000" + "0700000000000000"
                + "0900000000000000" + "0b0a" + "0100000000000000" + "0200000000000000" + "0300"
                + "e398bf38")
        #expect(record.count == 4096)
        #expect(record.dropFirst(56).allSatisfy { $0 == 0 })
    }

    @Test(arguments: [1, 2, 199, 200])
    func `tombstones are read back where they were written, and nowhere else`(count: Int) throws {
        let tombstones = SegmentFormat.Tombstones(
            deletedAt: Timestamp(milliseconds: 4),
            chunks: (0..<count).map {
                .init(
                    name: ChunkName(incarnation: 1, counter: UInt64($0)),
                    slot: Slot(rawValue: UInt16($0)))
            })
        let record = SegmentFormat.record(of: tombstones, segment: 5, offset: 4096)[...]
        #expect(
            try SegmentFormat.readHeader(
                record.prefix(SegmentFormat.mostHeaderBytes), segment: 5, offset: 4096)
                == .tombstones(tombstones))
        #expect(throws: FormatFault.self) {
            try SegmentFormat.readHeader(record, segment: 5, offset: 0)
        }
    }

    @Test(arguments: [false, true])
    func `no changed byte of a header goes unseen, and no input traps`(isTombstone: Bool) {
        let record = SegmentFormat.record(of: self.tombstones, segment: 3, offset: 0)
        let header =
            isTombstone
            ? Array(record.prefix(56))
            : SegmentFormat.header(of: self.record, segment: 3, offset: 0)
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
        let put = PutChunkRequest(
            name: self.name, slot: Slot(rawValue: 0x0102),
            frames: [SealedFrame(sealedBytes: 17, checksum: 5)])
        #expect(try PutChunkRequest(decoding: put.encoded) == put)
        let read = ReadChunkRequest(name: self.name, frames: 3..<9)
        #expect(try ReadChunkRequest(decoding: read.encoded) == read)
        #expect(read.frames == 3..<9)
        #expect(
            Hex.encode(put.encoded)
                == "01" + "0100000000000000" + "0200000000000000" + "0201" + "01000000"
                + "05000000" + "11000000")
    }

    @Test(arguments: [
        PutChunkAnswer.stored, .checksumMismatch(frame: 3), .full, .overloaded, .device("EIO"),
    ])
    func `put answers survive the wire`(answer: PutChunkAnswer) throws {
        #expect(try PutChunkAnswer(decoding: answer.encoded) == answer)
    }

    @Test(arguments: [
        ReadChunkAnswer.found(chunkSealedBytes: 17, frameLengths: [17]),
        .found(chunkSealedBytes: 65_569, frameLengths: [0, 17]), .missing, .device("EIO"),
    ])
    func `read answers survive the wire`(answer: ReadChunkAnswer) throws {
        #expect(try ReadChunkAnswer(decoding: answer.encoded) == answer)
    }

    @Test func `the bytes of an answer to a read are for ever`() {
        let answer = ReadChunkAnswer.found(chunkSealedBytes: 65_569, frameLengths: [65_552, 0])
        #expect(
            Hex.encode(answer.encoded)
                == "01" + "21000100" + "02000000" + "10000100" + "00000000")
    }

    @Test(arguments: [0, 257])
    func `a put of no frames, or of more than a chunk has, is refused`(count: Int) {
        let frame = SealedFrame(sealedBytes: 17, checksum: 5)
        let put = PutChunkRequest(
            name: self.name, slot: Slot(rawValue: 0),
            frames: [SealedFrame](repeating: frame, count: count))
        #expect(throws: FormatFault.self) { try PutChunkRequest(decoding: put.encoded) }
    }

    @Test func `no bytes make a message's reader trap`() {
        var random = SeededGenerator(seed: 6)
        let put = PutChunkRequest(
            name: self.name, slot: Slot(rawValue: 0),
            frames: [SealedFrame](
                repeating: SealedFrame(sealedBytes: 17, checksum: 5), count: 3))
        let found = ReadChunkAnswer.found(chunkSealedBytes: 17, frameLengths: [17, 0])
        for round in 0..<3000 {
            var bytes = round % 2 == 0 ? put.encoded : found.encoded
            let position = Int.random(in: bytes.indices, using: &random)
            bytes[position] ^= UInt8.random(in: 1...255, using: &random)
            if round % 3 == 0 { bytes.removeLast(Int.random(in: bytes.indices, using: &random)) }
            do throws(FormatFault) { _ = try PutChunkRequest(decoding: bytes) } catch {}
            do throws(FormatFault) { _ = try ReadChunkAnswer(decoding: bytes) } catch {}
        }
    }

    @Test func `frames beyond the largest chunk are refused`() {
        let read = ReadChunkRequest(name: self.name, frames: 250..<300)
        #expect(throws: FormatFault.self) { try ReadChunkRequest(decoding: read.encoded) }
    }
}
