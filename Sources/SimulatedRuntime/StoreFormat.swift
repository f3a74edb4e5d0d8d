import OrderedStorage
import Primitives

/// All pairs of a store, family by family.
struct StoreContents {
    var families: [(name: String, pairs: SortedPairs)]
}

/// The bytes of a simulated store's checkpoint, in one file.
///
///     magic     8 bytes  "hfsimkv" and 0
///     version   u16      1
///     families  u32 count, then for each: name (u32 length, UTF-8), pairs (u64 count), then for
///                        each pair in ascending order: key (u32 length), value (u32 length)
///     checksum  u32      CRC-32C over everything before it
///
/// Little-endian throughout.
enum StoreFormat {
    /// The file that makes a directory a store.
    static let markerName = "CURRENT"
    static let pairsName = "PAIRS"
    static let version: UInt16 = 1
    static let marker: [UInt8] = Array("holdfast simulated store 1\n".utf8)

    private static let magic: [UInt8] = Array("hfsimkv".utf8) + [0]
    private static let familyLimit: UInt32 = 1024

    static func encode(_ contents: StoreContents) -> [UInt8] {
        var writer = ByteWriter()
        writer.writeRaw(Self.magic)
        writer.write(Self.version)
        writer.writeArray(contents.families) { writer, family in
            writer.writeString(family.name)
            writer.write(UInt64(family.pairs.map.count))
            var walk = OrderedMap.Walk(over: family.pairs.map, in: .all)
            while let (key, value) = walk.next() {
                writer.writeBytes(key)
                writer.writeBytes(value)
            }
        }
        writer.write(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(FormatFault) -> StoreContents {
        guard bytes.count >= 4 else { throw .truncated(offset: bytes.count) }
        var trailer = ByteReader(bytes[(bytes.count - 4)...])
        let recorded: UInt32 = try trailer.read()
        let computed = CRC32C.of(bytes[..<(bytes.count - 4)])
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        var reader = ByteReader(bytes[..<(bytes.count - 4)])
        guard try Array(reader.readRaw(8)) == Self.magic else {
            throw .invalid(field: "magic", offset: 0)
        }
        let version: UInt16 = try reader.read()
        guard version == Self.version else { throw .unknownVersion(Int(version)) }
        let familyCount: UInt32 = try reader.read()
        guard familyCount <= Self.familyLimit else {
            throw .tooLarge(
                field: "families", size: Int(familyCount), limit: Int(Self.familyLimit))
        }
        var contents = StoreContents(families: [])
        for _ in 0..<familyCount { contents.families.append(try Self.family(&reader)) }
        try reader.finish()
        return contents
    }

    private static func family(
        _ reader: inout ByteReader
    ) throws(FormatFault) -> (name: String, pairs: SortedPairs) {
        let name = try reader.readString(field: "family", limit: 256)
        let pairCount: UInt64 = try reader.read()
        var pairs = SortedPairs()
        for _ in 0..<pairCount {
            let key = try reader.readBytes(field: "key")
            let value = try reader.readBytes(field: "value")
            pairs.put(Array(key), Array(value))
        }
        return (name, pairs)
    }
}
