import Primitives
import Testing

@Suite struct ByteCodecTests {
    @Test func `fields lie in the bytes as the format says`() {
        var writer = ByteWriter()
        writer.write(UInt32(0x0102_0304))
        writer.writeBigEndian(UInt32(0x0102_0304))
        writer.write(true)
        writer.writeBytes([9, 8])
        writer.writeString("é")
        writer.writeOptional(nil as UInt8?) { $0.write($1) }
        writer.writeOptional(7 as UInt8?) { $0.write($1) }
        writer.writeArray([1, 2] as [UInt16]) { $0.write($1) }
        writer.writeRaw([0xaa])
        #expect(
            Hex.encode(writer.bytes)
                == "04030201" + "01020304" + "01" + "020000000908" + "02000000c3a9" + "00" + "0107"
                + "0200000001000200" + "aa")
    }

    @Test func `what was written is read, field by field, with nothing left`() throws {
        var writer = ByteWriter()
        writer.write(Int64.min)
        writer.writeBigEndian(UInt16(513))
        writer.write(false)
        writer.writeBytes([1, 2, 3])
        writer.writeString("naïve")
        writer.writeOptional("x") { $0.writeString($1) }
        writer.writeArray([5, 6] as [UInt64]) { $0.write($1) }
        writer.writeRaw([4, 5])
        // A slice that does not start at zero reads the same.
        var reader = ByteReader(([0, 0] + writer.bytes)[2...])
        #expect(try reader.read(Int64.self) == .min)
        #expect(try reader.readBigEndian(UInt16.self) == 513)
        #expect(try reader.readBool() == false)
        #expect(try Array(reader.readBytes()) == [1, 2, 3])
        #expect(try reader.readString() == "naïve")
        let optional = try reader.readOptional { reader throws(FormatFault) in
            try reader.readString()
        }
        #expect(optional == "x")
        let array = try reader.readArray { reader throws(FormatFault) in
            try reader.read(UInt64.self)
        }
        #expect(array == [5, 6])
        #expect(reader.remaining == 2)
        #expect(Array(reader.readRest()) == [4, 5])
        try reader.finish()
    }

    @Test func `a patched number stands where it was asked to`() {
        var writer = ByteWriter()
        writer.write(UInt8(1))
        writer.write(UInt32(0))
        writer.write(UInt8(2))
        writer.patch(UInt32(0xdead_beef), at: 1)
        #expect(Hex.encode(writer.bytes) == "01efbeadde02")
    }

    @Test func `each fault says what is wrong and where`() {
        func fault(
            _ bytes: [UInt8], _ read: (inout ByteReader) throws(FormatFault) -> Void
        ) -> FormatFault? {
            var reader = ByteReader(bytes)
            do throws(FormatFault) { try read(&reader) } catch { return error }
            return nil
        }
        #expect(
            fault([1, 2, 3, 4, 5]) { r throws(FormatFault) in
                _ = try r.read(UInt32.self)
                _ = try r.read(UInt16.self)
            } == .truncated(offset: 4))
        #expect(
            fault([2]) { r throws(FormatFault) in _ = try r.readBool(field: "f") }
                == .invalid(field: "f", offset: 0))
        #expect(
            fault([9, 0, 0, 0, 1]) { r throws(FormatFault) in
                _ = try r.readBytes(field: "b", limit: 8)
            } == .tooLarge(field: "b", size: 9, limit: 8))
        #expect(
            fault([9, 0, 0, 0, 1]) { r throws(FormatFault) in _ = try r.readBytes() }
                == .truncated(offset: 4))
        #expect(
            fault([1, 0, 0, 0, 0xff]) { r throws(FormatFault) in
                _ = try r.readString(field: "s")
            } == .invalid(field: "s", offset: 0))
        #expect(
            fault([255, 255, 255, 255]) { r throws(FormatFault) in
                _ = try r.readArray(field: "a") { e throws(FormatFault) in try e.read(UInt8.self) }
            } == .tooLarge(field: "a", size: 4_294_967_295, limit: 0))
        #expect(
            fault([1]) { r throws(FormatFault) in try r.finish() } == .trailing(count: 1))
        #expect(fault([]) { r throws(FormatFault) in _ = try r.readRaw(-1) } != nil)
    }

    @Test func `a reader of random bytes faults or ends, and never traps`() {
        for seed: UInt64 in 0..<5_000 {
            var generator = SeededGenerator(seed: seed)
            let length = Int.random(in: 0...40, using: &generator)
            var reader = ByteReader(
                (0..<length).map { _ in
                    UInt8.random(in: 0...(seed % 2 == 0 ? 255 : 4), using: &generator)
                })
            do throws(FormatFault) {
                while reader.remaining > 0 {
                    switch Int.random(in: 0..<6, using: &generator) {
                    case 0: _ = try reader.read(UInt32.self)
                    case 1: _ = try reader.readBool()
                    case 2: _ = try reader.readBytes()
                    case 3: _ = try reader.readString()
                    case 4:
                        _ = try reader.readArray { r throws(FormatFault) in
                            try r.read(UInt8.self)
                        }
                    default:
                        _ = try reader.readOptional { r throws(FormatFault) in
                            try r.read(UInt16.self)
                        }
                    }
                    #expect(reader.offset + reader.remaining == length)
                }
            } catch { continue }
        }
    }
}
