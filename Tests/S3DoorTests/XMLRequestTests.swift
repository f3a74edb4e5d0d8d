import Catalog
import ObjectExchange
import Primitives
import S3Door
import Testing

@Suite struct XMLRequestTests {
    @Test func `keys to delete are read with what must hold of them`() throws {
        let tag = try #require(EntityTag("abc"))
        let document = try DeleteDocument(
            Array(
                """
                <?xml version="1.0"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
                <Object><Key>a&amp;b/é &lt;</Key></Object>
                <Object><Key>c</Key><ETag>"abc"</ETag><VersionId>null</VersionId></Object>
                <Object><Key></Key><VersionId>7</VersionId></Object><Quiet>true</Quiet></Delete>
                """.utf8))
        #expect(document.isQuiet)
        #expect(document.items.map(\.key) == ["a&b/é <", "c", ""])
        #expect(document.items.map(\.precondition) == [.none, .matches(tag), .none])
        #expect(document.items.map(\.namesOtherVersion) == [false, false, true])
        #expect(document.items.map { $0.object == nil } == [false, false, true])
    }

    @Test(arguments: [
        "", "<Delete>", "<Delete></Delete>", "<Other><Object><Key>a</Key></Object></Other>",
        "<Delete><Object></Object></Delete>", "no xml",
        "<Delete><Object><Key>a</Object></Key></Delete>",
        "<Delete><Object><Key>&nbsp;</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
        "<!DOCTYPE x [<!ENTITY e \"aaaa\">]><Delete><Object><Key>&e;</Key></Object></Delete>",
    ])
    func `a document that is no list of keys is refused`(text: String) {
        #expect(
            code { () throws(S3Refusal) in try DeleteDocument(Array(text.utf8)) }
                == "MalformedXML")
    }

    @Test func `references, sections, comments and prefixes are read`() throws {
        let root = try XMLRequest.read(
            Array(
                """
                <?xml version="1.0"?><!-- c --><s3:A xmlns:s3='x>y'><B/>&#233;&#x1F600;\
                <![CDATA[<&]]>&apos;&#xd;</s3:A>
                """.utf8))
        #expect(root.name == "A" && root.children.map(\.name) == ["B"])
        #expect(root.text == "é😀<&'\r")
    }

    @Test func `a thousand keys are taken and one more is not`() throws {
        func document(_ count: Int) -> [UInt8] {
            let object = "<Object><Key>k</Key></Object>"
            return Array(
                "<Delete>\(String(repeating: object, count: count))</Delete>".utf8)
        }
        #expect(try DeleteDocument(document(1_000)).items.count == 1_000)
        #expect(
            code { () throws(S3Refusal) in try DeleteDocument(document(1_001)) }
                == "MalformedXML")
    }

    @Test func `deep and mutated documents are read or refused`() {
        let deep = String(repeating: "<a>", count: 10_000)
        #expect(
            code { () throws(S3Refusal) in try XMLRequest.read(Array(deep.utf8)) }
                == "MalformedXML")
        var random = SeededGenerator(seed: 9)
        let whole = Array("<Delete><Object><Key>abc</Key></Object></Delete>".utf8)
        for _ in 0..<2_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                    UInt8.random(in: 0...255, using: &random)
            }
            let refused = code { () throws(S3Refusal) in try DeleteDocument(bytes) }
            #expect(refused == nil || refused == "MalformedXML")
        }
    }
}
