import Catalog
import Cryptography
import ObjectExchange
import Primitives
import S3Door
import Testing

@Suite struct ChosenPartsTests {
    private static let least = ChosenParts.leastPartBytes

    private static func part(
        _ number: Int, _ size: UInt64, checksums: [ObjectChecksum] = []
    ) throws -> ListedPart {
        ListedPart(
            number: try #require(PartNumber(number)), size: size,
            entityTag: try #require(EntityTag(Hex.encode(MD5.hash([UInt8(number)])))),
            sha256: nil, checksums: checksums, modified: Timestamp(milliseconds: 0))
    }

    /// - Parameter named: the number a part is asked for by, and whose tag is stated of it.
    private static func document(
        _ named: [(number: Int, tagOf: Int)], checksum: String = ""
    ) throws -> CompleteDocument {
        let parts = named.map { number, tagOf in
            "<Part><PartNumber>\(number)</PartNumber><ETag>\(Hex.encode(MD5.hash([UInt8(tagOf)])))"
                + "</ETag>\(checksum)</Part>"
        }
        return try CompleteDocument(
            Array("<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>".utf8))
    }

    @Test func `the named parts make the object, whatever others there are`() throws {
        let stored = try [
            Self.part(1, Self.least), Self.part(2, 7), Self.part(3, Self.least), Self.part(9, 1),
        ]
        let completion = try ChosenParts(
            Self.document([(1, 1), (3, 3), (9, 9)]), of: stored, checksum: nil)
        #expect(completion.parts.map(\.number.rawValue) == [1, 3, 9])
        #expect(completion.sizeBytes == 2 * Self.least + 1)
        #expect(completion.entityTag.text.hasSuffix("-3"))
        #expect(completion.checksums.isEmpty)
    }

    @Test(arguments: [
        ([(2, 2)], "InvalidPart"),
        ([(1, 3)], "InvalidPart"),
        ([(1, 1), (4, 4)], "InvalidPart"),
        ([(3, 3), (9, 9)], "EntityTooSmall"),
    ])
    func `what is not there, is another or is too small is refused`(
        named: [(Int, Int)], code: String
    ) throws {
        let stored = try [Self.part(1, Self.least), Self.part(3, 5), Self.part(9, 1)]
        let document = try Self.document(named.map { (number: $0.0, tagOf: $0.1) })
        #expect {
            try ChosenParts(document, of: stored, checksum: nil)
        } throws: { ($0 as? S3Refusal)?.code == code }
    }

    @Test func `the last part may be of any size`() throws {
        let completion = try ChosenParts(
            Self.document([(5, 5)]), of: [Self.part(5, 0)], checksum: nil)
        #expect(completion.sizeBytes == 0)
    }

    @Test func `a checksum that a client remembers of a part must be the part's`() throws {
        let right = ObjectChecksum(algorithm: .crc32, value: [1, 2, 3, 4])
        let stored = [try Self.part(1, 5, checksums: [right])]
        let same = try Self.document([(1, 1)], checksum: "<ChecksumCRC32>AQIDBA==</ChecksumCRC32>")
        let other = try Self.document([(1, 1)], checksum: "<ChecksumCRC32>AQIDBQ==</ChecksumCRC32>")
        #expect(throws: Never.self) {
            try ChosenParts(same, of: stored, checksum: nil)
        }
        #expect {
            try ChosenParts(other, of: stored, checksum: nil)
        } throws: { ($0 as? S3Refusal)?.code == "InvalidPart" }
    }

    @Test func `the upload's algorithm and kind decide the checksum of the whole`() throws {
        let bytes = [[UInt8](repeating: 7, count: Int(Self.least)), [1, 2, 3]]
        let stored = try bytes.enumerated().map { position, bytes in
            try Self.part(
                position + 1, UInt64(bytes.count),
                checksums: [
                    ObjectChecksum(algorithm: .crc32c, value: BodyChecksum.of(bytes, .crc32c))
                ])
        }
        let document = try Self.document([(1, 1), (2, 2)])
        let whole = try ChosenParts(
            document, of: stored,
            checksum: UploadChecksum(algorithm: .crc32c, kind: .fullObject))
        #expect(whole.checksums.map(\.value) == [BodyChecksum.of(Array(bytes.joined()), .crc32c)])
        let composite = try ChosenParts(
            document, of: stored, checksum: UploadChecksum(algorithm: .crc32c, kind: .composite))
        #expect(composite.checksums.map(\.partCount) == [2])
        // No part brought that one.
        let without = try ChosenParts(
            document, of: stored, checksum: UploadChecksum(algorithm: .sha256, kind: .composite))
        #expect(without.checksums.isEmpty)
    }
}
