import CachePolicy
import Catalog
import ClusterClient
import PeerTransport
import Primitives
import Signing
import Testing
import Wire

@Suite struct MetaCallFormatTests {
    /// A message, its bytes for ever, and how it is read.
    struct Sample: Sendable, CustomStringConvertible {
        let name: String
        let bytes: [UInt8]
        let golden: String
        let read: @Sendable ([UInt8]) throws -> [UInt8]
        let isSame: @Sendable ([UInt8]) throws -> Bool
        var description: String { self.name }

        init<Message: WireMessage & Equatable>(
            _ name: String, _ message: Message, _ golden: String
        ) {
            self.name = name
            self.bytes = message.encoded
            self.golden = golden
            self.read = { try Message(decoding: $0).encoded }
            self.isSame = { try Message(decoding: $0) == message }
        }
    }

    private static let bucket: BucketName = unwrap(BucketName("photos"))
    private static let key: AccessKeyID = unwrap(AccessKeyID("AKID"))
    private static let root: OwnerID = unwrap(OwnerID("root"))
    private static let keyBytes = [UInt8](repeating: 0xab, count: 32)
    private static let keyText = "20000000" + String(repeating: "ab", count: 32)
    private static let policy = LinkPolicy(
        id: LinkID(1), keyID: LinkKeyID(2), methods: .read, path: .exact(Array("photos/a".utf8)),
        notBeforeSeconds: 3, expirySeconds: 4, epochs: LinkEpochs(bucket: Epoch(5), maker: Epoch(6))
    )

    private static func unwrap<Value>(_ value: Value?) -> Value {
        guard let value else { brokenInvariant("the sample is well formed") }
        return value
    }

    private static let name = "0600000070686f746f73"

    static let samples: [Sample] = [
        Sample(
            "propose", ProposeRequest(group: GroupID(2), commands: [[1, 2], []]),
            "01" + "02000000" + "02000000" + "020000000102" + "00000000"),
        Sample(
            "applied",
            ProposeAnswer.applied(at: LogIndex(9), results: [.bucketCreated, .noSuchKey]),
            "01" + "0900000000000000" + "02000000" + "10" + "18"),
        Sample(
            "propose refused", ProposeAnswer.refused(.notLeader(hint: NodeID(3))),
            "02" + "01" + "0103000000"),
        Sample("no hint", GroupRefusal.notLeader(hint: nil), "0100"),
        Sample("overloaded", GroupRefusal.overloaded, "02"),
        Sample("no such group", GroupRefusal.noSuchGroup, "03"),
        Sample("too late", GroupRefusal.tooLate, "04"),
        Sample(
            "query",
            QueryRequest(group: GroupID(1), freshness: .local, query: .groupTable),
            "01" + "01000000" + "02" + Hex.encode(CatalogQuery.groupTable.encoded)),
        Sample(
            "answer", QueryAnswer.answer(.absent, applied: LogIndex(4)),
            "01" + "0400000000000000" + Hex.encode(CatalogAnswer.absent.encoded)),
        Sample(
            "follow", FollowRequest(group: GroupID(1), after: LogIndex(4)),
            "01" + "01000000" + "0400000000000000"),
        Sample(
            "news", FollowAnswer.news(.reset(LogIndex(4))),
            "01" + Hex.encode(InvalidationNews.reset(LogIndex(4)).encoded)),
        Sample("no news", FollowAnswer.nothing, "02"),
        Sample("follow refused", FollowAnswer.refused(.noSuchGroup), "03" + "03"),
        Sample(
            "read index request", ReadIndexRequest(group: GroupID(1)), "01" + "01000000"),
        Sample("read index", ReadIndexAnswer.index(LogIndex(4)), "01" + "0400000000000000"),
        Sample("read index refused", ReadIndexAnswer.refused(.overloaded), "02" + "02"),
        Sample("query refused", QueryAnswer.refused(.overloaded), "0202"),
        Sample(
            "signing key request",
            SigningKeyRequest(
                group: GroupID(1), accessKey: Self.key,
                scope: SigV4Scope(day: "20260101", region: "eu")),
            "01" + "01000000" + "04000000414b4944" + "080000003230323630313031" + "020000006575"),
        Sample(
            "signing key",
            SigningKeyAnswer.found(owner: Self.root, SigV4SigningKey(derived: keyBytes)),
            "01" + "04000000726f6f74" + Self.keyText),
        Sample("signing key absent", SigningKeyAnswer.absent, "02"),
        Sample("signing key refused", SigningKeyAnswer.refused(.tooLate), "0304"),
        Sample("signing key elsewhere", SigningKeyAnswer.slotNotOwned, "04"),
        Sample(
            "signature proof request",
            SigV2ProofRequest(
                group: GroupID(1), accessKey: Self.key, text: [7], signature: [8, 9]),
            "01" + "01000000" + "04000000414b4944" + "0100000007" + "020000000809"),
        Sample(
            "signature holds", SigV2ProofAnswer.holds(owner: Self.root), "01" + "04000000726f6f74"),
        Sample("signature differs", SigV2ProofAnswer.differs, "02"),
        Sample("signature of no key", SigV2ProofAnswer.absent, "03"),
        Sample("signature elsewhere", SigV2ProofAnswer.slotNotOwned, "04"),
        Sample("signature refused", SigV2ProofAnswer.refused(.tooLate), "0504"),
        Sample(
            "bucket key request", BucketKeyRequest(group: GroupID(1), bucket: Self.bucket),
            "01" + "01000000" + Self.name),
        Sample(
            "bucket key", BucketKeyAnswer.found(Self.sampleBucket, key: keyBytes),
            "01" + Hex.encode(Self.sampleBucket.encoded) + Self.keyText),
        Sample("no such bucket", BucketKeyAnswer.noSuchBucket, "02"),
        Sample("bucket elsewhere", BucketKeyAnswer.slotNotOwned, "03"),
        Sample("bucket key refused", BucketKeyAnswer.refused(.overloaded), "0402"),
        Sample("make bucket key", MakeBucketKeyRequest(bucket: Self.bucket), "01" + Self.name),
        Sample("wrapped key", WrappedKey(bytes: [1, 2, 3]), "01" + "03000000010203"),
        Sample(
            "made bucket key", MakeBucketKeyAnswer.made(WrappedKey(bytes: [7])),
            "01" + "01" + "0100000007"),
        Sample("bucket key not made", MakeBucketKeyAnswer.refused(.tooLate), "0204"),
        Sample(
            "held master keys", HeldMasterKeys(ids: Self.masterKeys),
            "01" + "01000000" + String(repeating: "05", count: 16)),
        Sample(
            "sign link", SignLinkRequest(policy: Self.policy),
            "01" + Self.counted(Self.policy.encoded())),
        Sample("signed", SignLinkAnswer.signed(query: "a=b"), "01" + "03000000613d62"),
        Sample("no link key", SignLinkAnswer.noKey, "02"),
        Sample("unsound", SignLinkAnswer.unsound, "03"),
    ]

    private static let masterKeys = [
        MasterKeyID(bytes: [UInt8](repeating: 5, count: MasterKeyID.sizeBytes))
    ].compactMap(\.self)

    private static let sampleBucket = Bucket(
        name: Self.bucket, version: VersionID(rawValue: 5), owner: Self.root,
        created: Timestamp(milliseconds: 6), wrappedKey: [])

    private static func counted(_ bytes: [UInt8]) -> String {
        var writer = ByteWriter()
        writer.writeBytes(bytes)
        return Hex.encode(writer.bytes)
    }

    @Test(arguments: Self.samples)
    func `a message has its bytes for ever and comes out as it went in`(sample: Sample) throws {
        #expect(Hex.encode(sample.bytes) == sample.golden)
        #expect(try sample.isSame(sample.bytes))
    }

    @Test(arguments: Self.samples)
    func `a message that is cut short or goes on is refused`(sample: Sample) {
        for length in 0..<sample.bytes.count {
            #expect(throws: FormatFault.self) {
                try sample.read(Array(sample.bytes.prefix(length)))
            }
        }
        #expect(throws: FormatFault.trailing(count: 1)) { try sample.read(sample.bytes + [0]) }
    }

    @Test(arguments: Self.samples)
    func `no bytes trap, and what is read writes itself the same`(sample: Sample) {
        var generator = SeededGenerator(seed: StableHash.of(sample.name.utf8))
        for round in 0..<2_000 {
            var bytes = sample.bytes
            if round % 4 == 3 {
                bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            } else {
                for _ in 0...round % 3 {
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes[place] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            do {
                let again = try sample.read(bytes)
                #expect(try sample.read(again) == again)
            } catch { #expect(error is FormatFault) }
        }
    }

    @Test func `a version of the future is refused`() {
        for sample in Self.samples
        where sample.name.hasSuffix("request") || sample.name == "propose" {
            #expect(throws: FormatFault.unknownVersion(2)) {
                try sample.read([2] + sample.bytes.dropFirst())
            }
        }
    }

    @Test func `more commands than a proposal holds are refused`() {
        let most = ProposeRequest.mostCommands
        let request = ProposeRequest(
            group: GroupID(1), commands: Array(repeating: [], count: most + 1))
        #expect(throws: FormatFault.tooLarge(field: "commands", size: most + 1, limit: most)) {
            try ProposeRequest(decoding: request.encoded)
        }
    }

    @Test func `a key of another length than 32 bytes is refused`() {
        for count in [0, 31, 33] {
            var writer = ByteWriter()
            writer.write(UInt8(1))
            Self.root.encode(into: &writer)
            writer.writeBytes([UInt8](repeating: 1, count: count))
            #expect(throws: FormatFault.self) { try SigningKeyAnswer(decoding: writer.bytes) }
        }
    }

    @Test(arguments: [
        0, 1, PeerResponse.fittingHeadBytes, PeerResponse.fittingHeadBytes + 1, 1 << 20,
    ])
    func `a message travels in the head while it is small, else in the body`(count: Int) {
        let message = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        var response = PeerResponse(fitting: message)
        #expect(response.body.isEmpty == (count <= PeerResponse.fittingHeadBytes))
        #expect(response.head.count <= PeerLimits.headLimitBytes)
        #expect(response.fittedMessage == message)
        if !response.body.isEmpty {
            // The transport does not keep where a piece ends.
            response.body = [Array(message.prefix(10)), [], Array(message.dropFirst(10))]
            #expect(response.fittedMessage == message)
        }
    }
}
