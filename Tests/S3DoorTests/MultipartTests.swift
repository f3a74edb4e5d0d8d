import Catalog
import Cryptography
import ObjectExchange
import Primitives
import S3Door
import Testing

/// The object of these vectors is 5 MiB of "a" and a second part "tail"; its checksums are what
/// Amazon S3 answered for it.
@Suite struct MultipartTests {
    private static let parts = [
        [UInt8](repeating: UInt8(ascii: "a"), count: 5 << 20), Array("tail".utf8),
    ]

    @Test func `the entity tag of parts is the digest of their digests`() {
        let tag = ComposedChecksum.entityTag(of: Self.parts.map { MD5.hash($0) })
        #expect(tag == "30dcfd3901d1c613b7fb532281748544-2")
    }

    @Test(arguments: [
        (ChecksumAlgorithm.crc32, "4fn9rQ=="),
        (.sha256, "02fcpk5/QKJNsvzEdkeBlFeIWeYNwKJOAWPjbe9fHIs="),
    ])
    func `a composite checksum is that of the parts' checksums`(
        algorithm: ChecksumAlgorithm, expected: String
    ) {
        let values = Self.parts.map { BodyChecksum.of($0, algorithm) }
        let checksum = ComposedChecksum.composite(of: values, algorithm)
        #expect(Base64.encode(checksum.value) == expected)
        #expect(checksum.partCount == 2)
    }

    @Test(arguments: [
        (ChecksumAlgorithm.crc32, "cX+/tw=="), (.crc64nvme, "b4bnuwQ4s4A="),
    ])
    func `the checksum of the whole follows from those of the parts`(
        algorithm: ChecksumAlgorithm, expected: String
    ) throws {
        let parts = Self.parts.map {
            (value: BodyChecksum.of($0, algorithm), sizeBytes: UInt64($0.count))
        }
        let checksum = try #require(ComposedChecksum.whole(of: parts, algorithm))
        #expect(Base64.encode(checksum.value) == expected)
        #expect(checksum.partCount == 0)
    }

    @Test(arguments: [ChecksumAlgorithm.crc32, .crc32c, .crc64nvme])
    func `parts of any size give the checksum of their bytes in one piece`(
        algorithm: ChecksumAlgorithm
    ) throws {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<50 {
            let parts = (0..<Int.random(in: 1...5, using: &random)).map { _ in
                (0..<Int.random(in: 0...70, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            let known = parts.map {
                (value: BodyChecksum.of($0, algorithm), sizeBytes: UInt64($0.count))
            }
            let whole = try #require(ComposedChecksum.whole(of: known, algorithm))
            #expect(whole.value == BodyChecksum.of(Array(parts.joined()), algorithm))
        }
    }

    @Test(arguments: [ChecksumAlgorithm.sha1, .sha256])
    func `a digest of the whole does not follow from those of the parts`(
        algorithm: ChecksumAlgorithm
    ) {
        let parts = [(value: BodyChecksum.of([1], algorithm), sizeBytes: UInt64(1))]
        #expect(ComposedChecksum.whole(of: parts, algorithm) == nil)
    }

    private static func document(_ parts: String) -> [UInt8] {
        Array("<CompleteMultipartUpload>\(parts)</CompleteMultipartUpload>".utf8)
    }

    @Test(arguments: ["\"abc\"", "&quot;abc&quot;", "abc", "&#34;abc&#34;"])
    func `entity tags come with quotes, escaped quotes and without`(tag: String) throws {
        let document = try CompleteDocument(
            Self.document("<Part><ETag>\(tag)</ETag><PartNumber>7</PartNumber></Part>"))
        #expect(document.parts.map(\.number.rawValue) == [7])
        #expect(document.parts.map(\.entityTag) == ["abc"])
    }

    @Test func `a part may state its checksum`() throws {
        let document = try CompleteDocument(
            Self.document(
                "<Part><PartNumber>1</PartNumber><ETag>a</ETag>"
                    + "<ChecksumCRC32>cX+/tw==</ChecksumCRC32></Part>"))
        #expect(document.parts[0].checksum?.algorithm == .crc32)
        #expect(document.parts[0].checksum?.value.count == 4)
    }

    @Test(arguments: [
        ("", "MalformedXML"),
        ("<Part><ETag>a</ETag></Part>", "MalformedXML"),
        ("<Part><PartNumber>1</PartNumber></Part>", "MalformedXML"),
        ("<Part><PartNumber>0</PartNumber><ETag>a</ETag></Part>", "MalformedXML"),
        ("<Part><PartNumber>10001</PartNumber><ETag>a</ETag></Part>", "MalformedXML"),
        ("<Part><PartNumber>x</PartNumber><ETag>a</ETag></Part>", "MalformedXML"),
        (
            "<Part><PartNumber>2</PartNumber><ETag>a</ETag></Part>"
                + "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>", "InvalidPartOrder"
        ),
        (
            "<Part><PartNumber>2</PartNumber><ETag>a</ETag></Part>"
                + "<Part><PartNumber>2</PartNumber><ETag>a</ETag></Part>", "InvalidPartOrder"
        ),
        (
            "<Part><PartNumber>1</PartNumber><ETag>a</ETag>"
                + "<ChecksumCRC32>AA==</ChecksumCRC32></Part>", "InvalidRequest"
        ),
    ])
    func `what is no list of parts is refused`(parts: String, code: String) {
        #expect {
            try CompleteDocument(Self.document(parts))
        } throws: { ($0 as? S3Refusal)?.code == code }
    }
}
