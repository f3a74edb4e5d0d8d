import FileClient
import Primitives
import Testing

@Suite struct AnswerTests {
    private func parse(_ text: String) throws -> XMLElement {
        try XMLElement.parse(Array(text.utf8))
    }

    @Test func `a listing is read, with its escapes`() throws {
        let page = ListingPage(
            try self.parse(
                """
                <?xml version="1.0" encoding="UTF-8"?>
                <!-- from an edge -->
                <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
                  <Name>box</Name><EncodingType>url</EncodingType>
                  <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>
                  <Contents><Key>a+b%2Bc%20%C3%A9</Key><Size>7</Size>
                    <LastModified>2026-01-31T12:00:00.000Z</LastModified>
                    <ETag>&quot;x&#34;</ETag><Owner/></Contents>
                  <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>
                </ListBucketResult>
                """))
        #expect(
            page?.objects == [
                ListedObject(
                    key: "a b+c é", sizeBytes: 7, lastModified: "2026-01-31T12:00:00.000Z",
                    etag: "\"x\"")
            ])
        #expect(page?.commonPrefixes == ["p/"])
        #expect(page?.next == "a&b")
    }

    @Test(arguments: [
        "", "<", "<a", "<a>", "<a></b>", "<a/><b/>", "<a>&x;</a>", "<a>&#xD800;</a>", "<a b></a>",
        "<!DOCTYPE a><a/>", "<a><!-- </a>", "text", "<a>&#99999999;</a>", "<a b='></a>",
    ])
    func `what is not well-formed is refused`(text: String) {
        #expect(throws: XMLElement.Fault.self) { try self.parse(text) }
    }

    @Test func `depth is bounded`() {
        let text = String(repeating: "<a>", count: 100_000)
        #expect(throws: XMLElement.Fault.tooDeep(limit: XMLElement.depthLimit)) {
            try self.parse(text)
        }
    }

    @Test(arguments: [
        "<Other/>", "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key/><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
    ])
    func `a listing without what it must have is refused`(text: String) throws {
        #expect(ListingPage(try self.parse(text)) == nil)
    }

    @Test func `no bytes make the readers trap`() {
        let sample = Array(
            ("<R><EncodingType>url</EncodingType><C a=\"1\"><K>a%20&lt;&#65;</K></C>"
                + "<![CDATA[x]]><!-- y --></R>").utf8)
        let status = Array(
            #"{"node":1,"cluster":"ff","zone":"a","version":"1","promise":"p","groups":[]}"#.utf8)
        var generator = SeededGenerator(seed: 11)
        var parsed = 0
        for _ in 0..<5000 {
            for original in [sample, status] {
                var bytes = original
                for _ in 0..<Int.random(in: 0...4, using: &generator) {
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                    case 1: bytes.removeSubrange(place...)
                    default: bytes.insert(contentsOf: original.prefix(9), at: place)
                    }
                    if bytes.isEmpty { bytes = [0] }
                }
                if NodeStatus(json: bytes) != nil { parsed += 1 }
                do throws(XMLElement.Fault) {
                    if ListingPage(try XMLElement.parse(bytes)) == nil { parsed += 1 }
                } catch {
                    // Refused, which is all that is asked of it.
                }
            }
        }
        #expect(parsed > 0)
    }

    @Test func `a status is read as a node writes it`() {
        let json = """
            {"node":1,"cluster":"00ff","zone":"a","version":"1.0","promise":"any two",
             "groups":[{"group":0,"role":"leader","term":3,"leader":1,"applied":10,"commit":11}],
             "store":{"chunks":2,"sealedBytes":3,"segments":1,"freeBytes":4}}
            """
        let status = NodeStatus(json: Array(json.utf8))
        #expect(status?.groups?.first?.term == 3)
        #expect(status?.store?.freeBytes == 4)
        #expect(NodeStatus(json: Array("{}".utf8)) == nil)
    }

    @Test func `messages carry no control characters of others`() {
        let refusal = EdgeRefusal(status: 403, code: "AccessDenied", message: "no")
        let fault = FileClientFault.refused(refusal, subject: "box/k")
        #expect(
            fault.description
                == "box/k: AccessDenied: no (this access key has no right to it)")
    }
}
