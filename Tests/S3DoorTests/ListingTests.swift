import Catalog
import ObjectExchange
import Primitives
import S3Door
import Testing

@Suite struct ListingTests {
    private static func request(_ query: String) throws(S3Refusal) -> ListingRequest {
        try ListingRequest(S3Query(Array(query.utf8)[...]))
    }

    private static func page() throws -> ObjectPage {
        let key = try #require(ObjectKey("a b+é&.txt"))
        let tag = try #require(EntityTag("9e107d9d372bb6826bd81d3542a419d6"))
        return ObjectPage(
            objects: [
                ListedObject(
                    key: key, version: VersionID(rawValue: 1), size: 43,
                    modified: Timestamp(milliseconds: 1_369_353_600_000), entityTag: tag,
                    checksums: [ObjectChecksum(algorithm: .crc32, value: [1, 2, 3, 4])])
            ], commonPrefixes: [Array("p q/".utf8)], next: .afterPrefix(Array("p q/".utf8)))
    }

    private static func text(_ page: ObjectPage, _ query: String) throws -> String {
        let bucket = try #require(BucketName("photos"))
        let owner = try #require(OwnerID("ada"))
        let xml = S3Door.listing(of: page, bucket, try Self.request(query), owner: owner)
        return String(decoding: xml.bytes, as: UTF8.self)
    }

    @Test func `the second form with encoded names, golden`() throws {
        let text = try Self.text(
            Self.page(),
            "list-type=2&prefix=&delimiter=%2F&encoding-type=url&max-keys=2&start-after=%20")
        #expect(
            text == """
                <?xml version="1.0" encoding="UTF-8"?>
                <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos\
                </Name><Prefix></Prefix><StartAfter>%20</StartAfter><NextContinuationToken>\
                AQJwIHEv</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys>\
                <Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true\
                </IsTruncated><Contents><Key>a%20b%2B%C3%A9%26.txt</Key><LastModified>\
                2013-05-24T00:00:00.000Z</LastModified><ETag>&quot;\
                9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><ChecksumAlgorithm>CRC32\
                </ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>43</Size>\
                <StorageClass>STANDARD</StorageClass></Contents><CommonPrefixes><Prefix>p%20q/\
                </Prefix></CommonPrefixes></ListBucketResult>
                """)
    }

    @Test func `the first form, golden`() throws {
        let text = try Self.text(Self.page(), "delimiter=/&marker=a")
        #expect(
            text == """
                <?xml version="1.0" encoding="UTF-8"?>
                <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos\
                </Name><Prefix></Prefix><Marker>a</Marker><NextMarker>p q/</NextMarker><MaxKeys>\
                1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><Contents>\
                <Key>a b+é&amp;.txt</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>\
                <ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><ChecksumAlgorithm>CRC32\
                </ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>43</Size><Owner>\
                <ID>ada</ID><DisplayName>ada</DisplayName></Owner><StorageClass>STANDARD\
                </StorageClass></Contents><CommonPrefixes><Prefix>p q/</Prefix></CommonPrefixes>\
                </ListBucketResult>
                """)
    }

    @Test func `the owner is told in the second form when it is asked for`() throws {
        #expect(!(try Self.text(Self.page(), "list-type=2").contains("<Owner>")))
        #expect(try Self.text(Self.page(), "list-type=2&fetch-owner=true").contains("<Owner>"))
    }

    @Test(arguments: [
        ("list-type=2", ListStart.beginning),
        ("list-type=2&start-after=", .beginning),
        ("list-type=2&start-after=k", .after(Array("k".utf8))),
        // The token wins, as in S3.
        ("list-type=2&start-after=k&continuation-token=AQJwIHEv", .afterPrefix(Array("p q/".utf8))),
        ("marker=", .beginning),
        ("marker=k", .after(Array("k".utf8))),
        // A marker that was a common prefix stands for everything below it.
        ("marker=a/&delimiter=/", .afterPrefix(Array("a/".utf8))),
        ("marker=a/b&delimiter=/", .after(Array("a/b".utf8))),
        ("marker=a/&delimiter=/&prefix=a/", .after(Array("a/".utf8))),
    ])
    func `a page begins where its parameters say`(query: String, start: ListStart) throws {
        #expect(try Self.request(query).start == start)
    }

    @Test(arguments: [
        "list-type=2&max-keys=-1", "max-keys=x", "encoding-type=base64",
        "list-type=2&continuation-token=AQ", "list-type=2&continuation-token=AQNh",
        "list-type=2&continuation-token=", "prefix=%ff",
    ])
    func `what cannot be understood is an invalid argument`(query: String) {
        #expect(code { () throws(S3Refusal) in try Self.request(query) } == "InvalidArgument")
    }

    @Test func `max-keys is bounded by a page`() throws {
        #expect(try Self.request("max-keys=5000").maxKeys == 1_000)
        #expect(try Self.request("max-keys=0").maxKeys == 0)
    }

    @Test func `a token comes back as what it was made of`() {
        for start in [ListStart.after([0, 255, 7]), .afterPrefix(Array("a/b/".utf8))] {
            #expect(ContinuationToken.read(ContinuationToken.text(start)) == start)
        }
    }

    @Test func `random tokens are read or refused`() {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            if let start = ContinuationToken.read(Base64.encodeForURL(bytes)) {
                #expect(ContinuationToken.text(start) == Base64.encodeForURL(bytes))
            }
        }
    }
}
