import Cryptography
import Primitives
import Signing
import Testing

/// A maker of links, and what an edge knows of it.
struct LinkMaker {
    let signer: LinkSigner
    let publicKey: Ed25519PublicKey

    init() throws {
        let key = try #require(Ed25519PrivateKey(seed: Array(0..<32)))
        self.signer = LinkSigner { key.sign($0) }
        self.publicKey = try #require(Ed25519PublicKey(bytes: key.publicKeyBytes))
    }

    static let epochs = LinkEpochs(bucket: Epoch(3), maker: Epoch(7))

    static func policy(
        _ path: LinkPath = .exact(Array("photos/a b.jpg".utf8)), methods: LinkMethods = .read
    ) -> LinkPolicy {
        LinkPolicy(
            id: LinkID(0x0102_0304_0506_0708), keyID: LinkKeyID(9), methods: methods, path: path,
            notBeforeSeconds: 1_000_000, expirySeconds: 1_003_600, epochs: epochs)
    }

    func isAuthentic(_ link: Link) -> Bool {
        link.isAuthentic { self.publicKey.isValid(signature: $0, of: $1) }
    }

    func verdict(
        _ policy: LinkPolicy, method: String = "GET", path: String = "photos/a%20b.jpg",
        client: String? = nil, seconds: Int64 = 1_000_000, epochs: LinkEpochs = epochs,
        isRevoked: Bool = false
    ) throws -> LinkVerdict {
        let link = try #require(self.signer.link(for: policy))
        return link.verdict(
            on: LinkRequest(
                method: method, rawPath: Array(path.utf8)[...],
                client: client.flatMap { IPAddress($0) },
                now: Timestamp(milliseconds: seconds * 1000)),
            epochs: epochs, isRevoked: isRevoked)
    }
}

@Suite struct LinkTests {
    /// Links are out in the world: these bytes never change.
    @Test func `format 1 of a policy has these bytes`() throws {
        var policy = LinkMaker.policy(.prefix(Array("photos/".utf8)), methods: [.read, .write])
        #expect(
            Hex.encode(policy.encoded())
                == "0108070605040302010900000003010700000070686f746f732f40420f000000000050500f00"
                + "0000000003000000000000000700000000000000000000")
        policy.network = IPNetwork("10.1.0.0/16")
        policy.bodyLimitBytes = 1 << 20
        policy.version = [1, 2]
        #expect(
            Hex.encode(policy.encoded())
                == "0108070605040302010900000003010700000070686f746f732f40420f000000000050500f00"
                + "00000000030000000000000007000000000000000104100a0100000100001000000000000102"
                + "0000000102")
        #expect(try LinkPolicy(decoding: policy.encoded()) == policy)
    }

    @Test func `a link's query has just this text`() throws {
        let maker = try LinkMaker()
        let link = try #require(maker.signer.link(for: LinkMaker.policy()))
        #expect(
            link.query
                == "hf-policy=AQgHBgUEAwIBCQAAAAEADgAAAHBob3Rvcy9hIGIuanBnQEIPAAAAAABQUA8AAAAAAA"
                + "MAAAAAAAAABwAAAAAAAAAAAAA&hf-signature=3N6JQYhslW9Jy6IFLFMqhMaXrMaQPvxsYgQaw"
                + "y_DqMgZikugSVGszlIh7Pm-ZlATWqLhUmZRUwfRL24JyLGwCw")
    }

    @Test func `a link comes back from its URL as it was made`() throws {
        let maker = try LinkMaker()
        let link = try #require(maker.signer.link(for: LinkMaker.policy()))
        let read = try Link.read(rawQuery: Array("download=1&\(link.query)".utf8))
        #expect(read == link)
        #expect(maker.isAuthentic(link))
        #expect(try Link.read(rawQuery: Array("download=1".utf8)) == nil)
    }

    @Test func `a link opens what it names, from its beginning to its end`() throws {
        let maker = try LinkMaker()
        let policy = LinkMaker.policy()
        #expect(try maker.verdict(policy) == .allowed)
        #expect(try maker.verdict(policy, method: "HEAD") == .allowed)
        #expect(try maker.verdict(policy, seconds: 999_940) == .allowed)
        #expect(
            try maker.verdict(policy, seconds: 999_939)
                == .refused(.notYetValid(fromSeconds: 1_000_000)))
        #expect(try maker.verdict(policy, seconds: 1_003_599) == .allowed)
        #expect(
            try maker.verdict(policy, seconds: 1_003_600)
                == .refused(.expired(atSeconds: 1_003_600)))
    }

    @Test(arguments: ["PUT", "DELETE", "POST", "OPTIONS", "get", ""])
    func `a link to read does nothing else`(method: String) throws {
        let verdict = try LinkMaker().verdict(LinkMaker.policy(), method: method)
        #expect(verdict == .refused(.wrongMethod))
    }

    @Test func `a link to write does not read`() throws {
        let policy = LinkMaker.policy(methods: .write)
        #expect(try LinkMaker().verdict(policy, method: "PUT") == .allowed)
        #expect(try LinkMaker().verdict(policy, method: "GET") == .refused(.wrongMethod))
    }

    @Test(arguments: [
        "photos/a%20b.jpgx", "photos/a%20b.jp", "photos/A%20b.jpg", "other/a%20b.jpg", "",
        "photos/./a%20b.jpg", "photos/x/../a%20b.jpg", "photos/a%20b.jpg%00", "photos/%",
        "photos/a+b.jpg", "photos//a%20b.jpg",
    ])
    func `a link opens no other name`(path: String) throws {
        #expect(try LinkMaker().verdict(LinkMaker.policy(), path: path) == .refused(.wrongPath))
    }

    @Test(arguments: [
        ("photos/2024/a", true), ("photos/2024/sub/b", true), ("photos/2024/", true),
        ("photos/2024", false), ("photos/2024-secret/a", false), ("photos/2025/a", false),
        ("photos/2024/../2025/a", false), ("photos/2024/%2e%2e/2025/a", false),
        ("photos/2024/%2E./x", false), ("photos/2024/a%2fb", false), ("photos/2024%2Fa", false),
        ("photos/2024/a%5cb", false), ("photos/2024/a\\b", false), ("photos/2024/a%00", false),
        ("photos/2024/..a", true),
    ])
    func `a prefix opens what is below it, and nothing that only seems so`(
        path: String, isOpen: Bool
    ) throws {
        let policy = LinkMaker.policy(.prefix(Array("photos/2024/".utf8)))
        #expect(
            try LinkMaker().verdict(policy, path: path)
                == (isOpen ? .allowed : .refused(.wrongPath)))
    }

    @Test func `a link is good only in its network`() throws {
        let maker = try LinkMaker()
        var policy = LinkMaker.policy()
        policy.network = IPNetwork("10.1.0.0/16")
        #expect(try maker.verdict(policy, client: "10.1.255.9") == .allowed)
        #expect(try maker.verdict(policy, client: "::ffff:10.1.2.3") == .allowed)
        #expect(try maker.verdict(policy, client: "10.2.0.1") == .refused(.wrongNetwork))
        #expect(try maker.verdict(policy, client: "2001:db8::1") == .refused(.wrongNetwork))
        #expect(try maker.verdict(policy) == .refused(.wrongNetwork))
        policy.network = IPNetwork("2001:db8::/33")
        #expect(try maker.verdict(policy, client: "2001:db8:7fff::1") == .allowed)
        #expect(try maker.verdict(policy, client: "2001:db8:8000::1") == .refused(.wrongNetwork))
    }

    @Test func `raised epochs and the denylist withdraw links`() throws {
        let maker = try LinkMaker()
        let policy = LinkMaker.policy()
        let bucket = LinkEpochs(bucket: Epoch(4), maker: Epoch(7))
        let person = LinkEpochs(bucket: Epoch(3), maker: Epoch(8))
        #expect(try maker.verdict(policy, epochs: bucket) == .refused(.staleEpoch))
        #expect(try maker.verdict(policy, epochs: person) == .refused(.staleEpoch))
        #expect(try maker.verdict(policy, isRevoked: true) == .refused(.revoked))
    }

    @Test func `a policy that edges would refuse is not signed`() throws {
        let signer = try LinkMaker().signer
        let slash: [LinkPath] = [
            .prefix(Array("photos".utf8)), .prefix(Array("photos/a".utf8)), .prefix([]),
            .prefix(Array("/".utf8)), .exact(Array("photos/".utf8)), .exact(Array("p/../x".utf8)),
            .exact(Array("photos/a".utf8) + [0]),
            .exact(Array("photos/".utf8) + [UInt8](repeating: 97, count: 1_100)),
        ]
        for path in slash { #expect(signer.link(for: LinkMaker.policy(path)) == nil) }
        #expect(signer.link(for: LinkMaker.policy(methods: [])) == nil)
        #expect(signer.link(for: LinkMaker.policy(methods: LinkMethods(rawValue: 8))) == nil)
        var backwards = LinkMaker.policy()
        backwards.expirySeconds = backwards.notBeforeSeconds
        #expect(signer.link(for: backwards) == nil)
    }
}
