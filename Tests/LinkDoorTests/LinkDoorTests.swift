import Catalog
import HTTPSyntax
import LinkDoor
import ObjectExchange
import Primitives
import Signing
import Testing

@Suite struct LinkDoorTests {
    private static func wish(_ path: String, _ query: String) throws(S3Refusal) -> LinkWish {
        try LinkWish(rawPath: Array(path.utf8)[...], rawQuery: Array(query.utf8)[...])
    }

    private static func code<Value>(of work: () throws(S3Refusal) -> Value) -> String? {
        do throws(S3Refusal) {
            _ = try work()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `a wish is read with its defaults`() throws {
        let wish = try Self.wish("photos/a%20b.jpg", "expires-in=60")
        #expect(wish.expiresSeconds == 60)
        #expect(wish.methods == .read)
        #expect(wish.path == .exact(Array("photos/a b.jpg".utf8)))
        #expect(wish.bucket.text == "photos")
    }

    @Test func `a wish names methods and a prefix`() throws {
        let wish = try Self.wish(
            "photos/a/", "expires-in=604800&methods=GET%2CPUT,DELETE&scope=prefix")
        #expect(wish.methods == [.read, .write, .delete])
        #expect(wish.path == .prefix(Array("photos/a/".utf8)))
    }

    @Test(arguments: [
        ("photos/a", "", "InvalidArgument"),
        ("photos/a", "expires-in=0", "InvalidArgument"),
        ("photos/a", "expires-in=604801", "InvalidArgument"),
        ("photos/a", "expires-in=60&expires-in=60", "InvalidArgument"),
        ("photos/a", "expires-in=60&methods=POST", "InvalidArgument"),
        ("photos/a", "expires-in=60&methods=", "InvalidArgument"),
        ("photos/a", "expires-in=60&scope=all", "InvalidArgument"),
        ("photos/a", "expires-in=60&scope=prefix", "InvalidArgument"),
        ("photos/", "expires-in=60", "InvalidArgument"),
        ("photos", "expires-in=60", "InvalidArgument"),
        ("photos/../b", "expires-in=60", "InvalidURI"),
        ("photos/%2e%2e/b", "expires-in=60", "InvalidURI"),
        ("photos/%zz", "expires-in=60", "InvalidURI"),
        ("Ph/a", "expires-in=60", "InvalidBucketName"),
    ])
    func `a wish for what no link may open is refused`(
        path: String, query: String, expected: String
    ) {
        #expect(Self.code { () throws(S3Refusal) in try Self.wish(path, query) } == expected)
    }

    @Test func `the answer is one line with the link and its end`() {
        let answer = LinkDoor.answer(
            .exact(Array("photos/a b\"é.jpg".utf8)), query: "hf-policy=AA&hf-signature=BB",
            expirySeconds: 1_369_353_600)
        #expect(
            answer
                == "{\"path\":\"/f/photos/a%20b%22%C3%A9.jpg?hf-policy=AA&hf-signature=BB\","
                + "\"expires\":\"2013-05-24T00:00:00Z\"}\n")
    }

    @Test(arguments: [(1_000, 60), (1_030, 60), (1_050, 50), (1_100, 0)] as [(Int64, Int64)])
    func `a copy is fresh for a minute and never past the link's end`(
        now: Int64, expected: Int64
    ) {
        let policy = LinkPolicy(
            id: LinkID(1), keyID: LinkKeyID(1), methods: .read,
            path: .exact(Array("photos/a".utf8)), notBeforeSeconds: 0, expirySeconds: 1_100,
            epochs: LinkEpochs(bucket: Epoch(0), maker: Epoch(0)))
        #expect(
            LinkDoor.freshness(of: policy, Timestamp(milliseconds: now * 1_000))
                == "private, max-age=\(expected)")
    }

    @Test func `a link to a bucket opens no later bucket of the same name`() throws {
        let name = try #require(BucketName("photos"))
        let owner = try #require(OwnerID("ann"))
        let (first, second) = (VersionID(rawValue: 1 << 16), VersionID(rawValue: 2 << 16))
        let buckets = [first, second].map {
            Bucket(
                name: name, version: $0, owner: owner, created: Timestamp(milliseconds: 0),
                wrappedKey: [])
        }
        #expect(
            LinkDoor.epochs(of: buckets[0].links) != LinkDoor.epochs(of: buckets[1].links))
    }

    @Test func `a link's path names a bucket and a key`() throws {
        let (bucket, key) = try LinkDoor.target(Array("photos/a%2Fb/%C3%A9".utf8)[...])
        #expect(bucket.text == "photos" && key.description == "a/b/é")
        for path in ["photos", "photos/", "ab/c", "photos/%ff"] {
            #expect(
                Self.code { () throws(S3Refusal) in try LinkDoor.target(Array(path.utf8)[...]) }
                    != nil, "\(path)")
        }
    }

    @Test(arguments: [
        LinkRefusal.malformed, .unknownKey(LinkKeyID(7)), .badSignature,
        .notYetValid(fromSeconds: 1), .expired(atSeconds: 1), .wrongMethod, .wrongPath,
        .wrongNetwork, .staleEpoch, .revoked,
    ])
    func `every refused link is forbidden, and told why`(refusal: LinkRefusal) {
        let answer = S3Refusal(of: refusal)
        #expect(answer.status == .forbidden && answer.code == "AccessDenied")
        #expect(answer.message != S3ErrorCode.accessDenied.message)
    }

    @Test func `random wishes are read or refused`() {
        var random = SeededGenerator(seed: 4)
        let pieces = [
            "photos", "/", "%2e", "..", "expires-in=", "60", "&", "methods=", "GET", ",", "%",
            "scope=", "prefix", "a", "%00", "=",
        ]
        for _ in 0..<10_000 {
            func text() -> String {
                (0..<Int.random(in: 0...6, using: &random)).map { _ in
                    pieces[Int.random(in: 0..<pieces.count, using: &random)]
                }.joined()
            }
            do throws(S3Refusal) {
                let wish = try Self.wish(text(), "expires-in=60&" + text())
                #expect(wish.path.isSound)
            } catch {
                #expect(error.status == .badRequest)
            }
        }
    }
}
