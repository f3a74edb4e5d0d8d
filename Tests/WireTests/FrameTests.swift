import Primitives
import Testing
import Wire

@Suite struct FrameTests {
    @Test func `the bytes of a frame are these for ever`() {
        var bytes: [UInt8] = []
        Frame(
            kind: .requestHead, isLast: false, tag: 0x0102, call: 0x1112_1314_1516_1718,
            payload: Array("123456789".utf8)
        ).append(to: &bytes)
        #expect(
            Hex.encode(bytes)
                == "4846010200000201" + "1817161514131211" + "09000000" + "839206e3"
                + Hex.encode(Self.littleEndian(CRC32C.of(bytes[..<24])))
                + "313233343536373839")
    }

    @Test func `the raw values of the kinds are these for ever`() {
        #expect(FrameKind.allCases.map(\.rawValue) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    }

    @Test(arguments: [1, 2, 27, 28, 29, 1_000, 70_000])
    func `frames arrive whole however the stream is cut`(piece: Int) throws {
        let frames = Self.frames(seed: 3, count: 60)
        var stream: [UInt8] = []
        for frame in frames { frame.append(to: &stream) }
        var decoder = FrameDecoder()
        var arrived: [Frame] = []
        try Self.feed(stream, in: { piece }, to: &decoder) { arrived.append($0) }
        #expect(arrived == frames)
    }

    @Test func `random cuts of random frames change nothing`() throws {
        for seed: UInt64 in 0..<40 {
            var generator = SeededGenerator(seed: seed)
            let frames = Self.frames(seed: seed, count: 20)
            var stream: [UInt8] = []
            for frame in frames { frame.append(to: &stream) }
            var decoder = FrameDecoder()
            var arrived: [Frame] = []
            try Self.feed(
                stream, in: { Int.random(in: 1...40_000, using: &generator) }, to: &decoder
            ) {
                arrived.append($0)
            }
            #expect(arrived == frames)
        }
    }

    @Test func `a large payload is read where it stays, with no byte behind it`() throws {
        var stream: [UInt8] = []
        let frame = Frame(kind: .requestPart, payload: Self.bytes(FrameHeader.payloadLimitBytes))
        frame.append(to: &stream)
        frame.append(to: &stream)
        var decoder = FrameDecoder()
        var rooms: [Int] = []
        var position = 0
        var arrived = 0
        while position < stream.count {
            _ = decoder.fill { room -> Int? in
                rooms.append(room.count)
                let count = min(room.count, stream.count - position)
                stream.withUnsafeBytes {
                    room.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: $0[position...].prefix(count)))
                }
                position += count
                return count
            }
            while let next = try decoder.next() {
                #expect(next == frame)
                arrived += 1
            }
        }
        let buffered = FrameDecoder.bufferSizeBytes - FrameHeader.sizeBytes
        #expect(arrived == 2)
        #expect(rooms[0] == FrameDecoder.bufferSizeBytes)
        #expect(rooms[1] == FrameHeader.payloadLimitBytes - buffered)
    }

    @Test func `every flipped bit of a small frame is noticed`() {
        var bytes: [UInt8] = []
        Frame(kind: .message, tag: 7, call: 9, payload: [1, 2, 3]).append(to: &bytes)
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            var decoder = FrameDecoder()
            Self.fill(damaged, into: &decoder)
            #expect(throws: FormatFault.self, "bit \(bit)") { try decoder.next() }
            #expect(throws: FormatFault.self, "a fault is for ever") { try decoder.next() }
        }
    }

    @Test func `a payload without a checksum is taken only where the channel proves bytes`() throws
    {
        let payload = Self.bytes(70_000)
        var bytes: [UInt8] = []
        FrameHeader(
            kind: .requestPart, call: 5, lengthBytes: payload.count, payloadChecksum: nil
        ).append(to: &bytes)
        #expect(bytes[4] == 3)
        #expect(bytes[20..<24] == [0, 0, 0, 0])
        bytes += payload

        for isProven in [true, false] {
            var decoder = FrameDecoder()
            decoder.takesUncheckedPayloads = isProven
            var arrived: [Frame] = []
            let feed = {
                try Self.feed(bytes, in: { 30_000 }, to: &decoder) { arrived.append($0) }
            }
            if isProven {
                try feed()
                #expect(arrived == [Frame(kind: .requestPart, call: 5, payload: payload)])
            } else {
                #expect(throws: FormatFault.invalid(field: "flags", offset: 4)) { try feed() }
            }
        }
    }

    @Test func `a length over the limit is refused with a true checksum too`() {
        var writer = ByteWriter()
        writer.write(FrameHeader.magic)
        writer.write(FrameHeader.version)
        writer.write(FrameKind.message.rawValue)
        writer.write(UInt32(0))
        writer.write(UInt64(0))
        writer.write(UInt32(FrameHeader.payloadLimitBytes + 1))
        writer.write(UInt32(0))
        writer.write(CRC32C.of(writer.bytes))
        var decoder = FrameDecoder()
        Self.fill(writer.bytes, into: &decoder)
        #expect(
            throws: FormatFault.tooLarge(
                field: "length", size: FrameHeader.payloadLimitBytes + 1,
                limit: FrameHeader.payloadLimitBytes)
        ) { try decoder.next() }
    }

    @Test func `a version of the future says so`() {
        var bytes: [UInt8] = []
        Frame(kind: .ping).append(to: &bytes)
        bytes[2] = 9
        var decoder = FrameDecoder()
        Self.fill(bytes, into: &decoder)
        #expect(throws: FormatFault.unknownVersion(9)) { try decoder.next() }
    }

    @Test func `no stream of random or mutated bytes is more than a fault`() {
        var faults = 0
        for seed: UInt64 in 0..<4_000 {
            var generator = SeededGenerator(seed: seed)
            var stream: [UInt8] = []
            if seed % 4 != 0 {
                for frame in Self.frames(seed: seed, count: 3, longest: 300) {
                    frame.append(to: &stream)
                }
                for _ in 0..<Int.random(in: 0...3, using: &generator) where !stream.isEmpty {
                    let position = Int.random(in: 0..<stream.count, using: &generator)
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0: stream[position] = UInt8.random(in: 0...255, using: &generator)
                    case 1: stream.removeSubrange(position...)
                    default: stream.insert(0x48, at: position)
                    }
                }
            } else {
                stream = (0..<200).map { _ in UInt8.random(in: 0...255, using: &generator) }
            }
            var decoder = FrameDecoder()
            do {
                try Self.feed(
                    stream, in: { Int.random(in: 1...200, using: &generator) }, to: &decoder
                ) { frame in
                    #expect(frame.payload.count <= FrameHeader.payloadLimitBytes)
                }
            } catch { faults += 1 }
        }
        #expect(faults > 2_000)
    }

    private static func frames(seed: UInt64, count: Int, longest: Int = 100_000) -> [Frame] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let isLong = Int.random(in: 0..<8, using: &generator) == 0
            let length = Int.random(in: 0...(isLong ? longest : 200), using: &generator)
            return Frame(
                kind: FrameKind.allCases.randomElement(using: &generator) ?? .ping,
                isLast: Bool.random(using: &generator),
                tag: UInt16.random(in: 0...UInt16.max, using: &generator), call: generator.next(),
                payload: Self.bytes(length, from: UInt8.random(in: 0...255, using: &generator)))
        }
    }

    private static func bytes(_ count: Int, from start: UInt8 = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) &+ start }
    }

    private static func littleEndian(_ number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    private static func fill(_ bytes: [UInt8], into decoder: inout FrameDecoder) {
        _ = decoder.fill { room -> Int? in
            room.copyBytes(from: bytes)
            return bytes.count
        }
    }

    private static func feed(
        _ stream: [UInt8], in piece: () -> Int, to decoder: inout FrameDecoder,
        _ take: (Frame) -> Void
    ) throws(FormatFault) {
        var position = 0
        while position < stream.count {
            let wanted = piece()
            _ = decoder.fill { room -> Int? in
                let count = min(room.count, wanted, stream.count - position)
                stream.withUnsafeBytes {
                    room.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count]))
                }
                position += count
                return count
            }
            while let frame = try decoder.next() { take(frame) }
        }
    }
}
