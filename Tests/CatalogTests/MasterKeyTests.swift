import Catalog
import OrderedStorage
import Primitives
import Testing
import Wire

/// The master keys of a group: which is in force, how many secrets each wraps, and what goes when.
@Suite struct MasterKeyTests {
    static let (old, new, other) = (masterKey(1), masterKey(2), masterKey(3))

    static func masterKey(_ byte: UInt8) -> MasterKeyID {
        unwrap(MasterKeyID(bytes: [UInt8](repeating: byte, count: 16)))
    }

    /// Bytes that name a key, as a wrapped secret does.
    static func envelope(_ key: MasterKeyID, _ secret: UInt8) -> [UInt8] {
        [1] + key.bytes + [secret]
    }

    private static func create(_ name: BucketName, _ envelope: [UInt8]) -> CatalogOperation {
        .createBucket(CreateBucket(name: name, owner: alice, wrappedKey: envelope))
    }

    private static func key(_ id: String, _ envelope: [UInt8]) -> AccessKey {
        AccessKey(id: accessKeyID(id), owner: alice, state: .active, wrappedSecret: envelope)
    }

    /// A data group with a bucket and an access key under the old key.
    private func group() throws -> CatalogGroup {
        let group = CatalogGroup()
        let key = Self.key("AKID", Self.envelope(Self.old, 2))
        try group.own([photos.slot, key.id.slot, accessKeyID("AKIE").slot, otherBucket.slot])
        try group.open(client)
        let create = Self.create(photos, Self.envelope(Self.old, 1))
        #expect(try group.send(create) == .bucketCreated)
        #expect(try group.apply(operation: .createAccessKey(key)) == .accessKeyCreated)
        return group
    }

    private let otherBucket = unwrap(BucketName("other-bucket"))

    private func choose(
        _ key: MasterKeyID, _ generation: UInt64, former: [MasterKeyID]
    ) -> CatalogOperation {
        .setWrappingKey(SetWrappingKey(generation: generation, key: key, former: former))
    }

    private func counts(_ group: CatalogGroup) throws -> [UInt64] {
        let keys = try group.view.masterKeys()
        return [Self.old, Self.new, Self.other].map(keys.secretCount)
    }

    @Test func `secrets are counted as they come and go`() throws {
        let group = try self.group()
        #expect(try self.counts(group) == [2, 0, 0])
        // Repeats and refusals count nothing.
        let key = Self.key("AKID", Self.envelope(Self.old, 2))
        #expect(try group.apply(operation: .createAccessKey(key)) == .accessKeyCreated)
        let taken = Self.key("AKID", Self.envelope(Self.new, 2))
        #expect(try group.apply(operation: .createAccessKey(taken)) == .accessKeyTaken)
        #expect(
            try group.send(Self.create(photos, Self.envelope(Self.new, 1))) == .bucketAlreadyOwned)
        #expect(try self.counts(group) == [2, 0, 0])
        #expect(try group.send(.deleteBucket(photos)) == .bucketDeleted)
        #expect(try group.send(.deleteAccessKey(key.id)) == .accessKeyDeleted)
        #expect(try group.send(.deleteAccessKey(key.id)) == .accessKeyDeleted)
        #expect(try group.view.masterKeys() == MasterKeys())
    }

    @Test func `a group takes no more secrets under a key that was replaced`() throws {
        let group = try self.group()
        #expect(
            try group.apply(operation: self.choose(Self.new, 1, former: [Self.old]))
                == .wrappingKeySet(generation: 1))
        let late = Self.create(self.otherBucket, Self.envelope(Self.old, 3))
        #expect(try group.send(late) == .wrongMasterKey)
        #expect(
            try group.apply(
                operation: .createAccessKey(Self.key("AKIE", Self.envelope(Self.old, 3))))
                == .wrongMasterKey)
        #expect(try group.view.bucket(self.otherBucket) == nil)
        // One that group 0 has chosen since is welcome before this group has heard of it.
        let early = Self.create(self.otherBucket, Self.envelope(Self.other, 3))
        #expect(try group.send(early) == .bucketCreated)
        #expect(try self.counts(group) == [2, 0, 1])
    }

    @Test func `a choice is made once, and a key that was replaced never comes back`() throws {
        let group = try self.group()
        let first = self.choose(Self.new, 1, former: [Self.old])
        let second = self.choose(Self.other, 2, former: [Self.old, Self.new])
        for _ in 0..<2 {
            #expect(try group.apply(operation: first) == .wrappingKeySet(generation: 1))
        }
        #expect(try group.apply(operation: second) == .wrappingKeySet(generation: 2))
        for stale in [
            first, self.choose(Self.new, 2, former: [Self.other]),
            self.choose(Self.new, 3, former: [Self.other]),
            self.choose(Self.other, 3, former: [Self.other]),
            // Made from a state that does not know the key in force.
            self.choose(Self.masterKey(4), 3, former: [Self.new]),
        ] {
            #expect(try group.apply(operation: stale) == .wrappingKeyKept(generation: 2))
        }
        #expect(try group.view.masterKeys().wrapping == Self.other)
        #expect(try group.view.masterKeys().former == [Self.old, Self.new])
    }

    @Test func `a secret is replaced only where it is still the one that was wrapped anew`() throws
    {
        let group = try self.group()
        try group.apply(operation: self.choose(Self.new, 1, former: [Self.old]))
        func rewrap(_ place: SecretPlace, _ secret: UInt8, by key: MasterKeyID) -> RewrappedSecret {
            RewrappedSecret(
                place: place, old: Self.envelope(Self.old, secret),
                new: Self.envelope(key, secret + 100))
        }
        let before = unwrap(try group.view.bucket(photos))
        let id = accessKeyID("AKID")
        #expect(
            try group.apply(
                operation: .rewrapSecrets([
                    rewrap(.bucket(photos), 9, by: Self.new),
                    rewrap(.bucket(photos), 1, by: Self.other),
                    rewrap(.bucket(self.otherBucket), 1, by: Self.new),
                    rewrap(.linkKey("1"), 1, by: Self.new),
                    rewrap(.firstAccessKey(id), 2, by: Self.new),
                    rewrap(.accessKey(id), 1, by: Self.new),
                ])) == .secretsRewrapped(count: 0))
        #expect(try group.view.bucket(photos) == before)
        let sound = CatalogOperation.rewrapSecrets([
            rewrap(.bucket(photos), 1, by: Self.new), rewrap(.accessKey(id), 2, by: Self.new),
            rewrap(.bucket(photos), 1, by: Self.new),
        ])
        #expect(try group.apply(operation: sound) == .secretsRewrapped(count: 2))
        #expect(try group.apply(operation: sound) == .secretsRewrapped(count: 0))
        let after = unwrap(try group.view.bucket(photos))
        #expect(after.wrappedKey == Self.envelope(Self.new, 101))
        #expect(after.withoutKey == before.withoutKey)
        #expect(
            try group.view.accessKey(id) == Self.key("AKID", Self.envelope(Self.new, 102)))
        #expect(try self.counts(group) == [0, 2, 0])
    }

    @Test func `group 0 retires a key only when it was replaced and wraps nothing there`() throws {
        let group = CatalogGroup(.system)
        let bootstrap = try SystemTests.bootstrap()
        let first = Self.key("AKIDFIRST", Self.envelope(Self.old, 1))
        let link = LinkKey(
            id: "1", algorithm: .ed25519, publicKey: [3],
            wrappedPrivateKey: Self.envelope(Self.old, 2))
        try group.apply(
            operation: .bootstrap(
                Bootstrap(
                    cluster: bootstrap.cluster, firstAccessKey: first, linkKey: link,
                    nodes: bootstrap.nodes, layout: bootstrap.layout,
                    groupTable: bootstrap.groupTable)))
        var keys = try group.view.masterKeys()
        #expect(keys.wrapping == Self.old && keys.secretCount(under: Self.old) == 2)
        let version = bootstrap.groupTable.version
        let retire = CatalogOperation.retireMasterKey(
            RetireMasterKey(key: Self.old, tableVersion: version))
        #expect(try group.apply(operation: retire) == .masterKeyNeeded)

        #expect(
            try group.apply(operation: .setWrappingKey(keys.choosing(Self.new)))
                == .wrappingKeySet(generation: 1))
        #expect(try group.apply(operation: retire) == .masterKeyNeeded)
        #expect(try group.apply(operation: .finishBootstrap) == .bootstrapFinished)
        #expect(try group.apply(operation: retire) == .masterKeyNeeded, "the link key is left")
        #expect(
            try group.apply(
                operation: .rewrapSecrets([
                    RewrappedSecret(
                        place: .linkKey("1"), old: link.wrappedPrivateKey,
                        new: Self.envelope(Self.new, 7))
                ])) == .secretsRewrapped(count: 1))
        let older = RetireMasterKey(key: Self.old, tableVersion: version - 1)
        #expect(try group.apply(operation: .retireMasterKey(older)) == .masterKeyNeeded)
        for _ in 0..<2 {
            #expect(try group.apply(operation: retire) == .masterKeyRetired)
        }
        keys = try group.view.masterKeys()
        #expect(keys.former == [] && keys.retired == [Self.old])
        #expect(
            try group.apply(operation: .setWrappingKey(keys.choosing(Self.old)))
                == .wrappingKeyKept(generation: 1))
        #expect(
            try group.apply(operation: .addLinkKey(first.asLinkKey)) == .wrongMasterKey)
        #expect(try CatalogGroup().apply(operation: retire) == .wrongGroup)
    }

    @Test(arguments: [1, 2, 3, 100])
    func `a walk finds every secret under older keys, in pieces of any size`(rows: Int) throws {
        let group = try self.group()
        try group.apply(operation: self.choose(Self.new, 1, former: [Self.old]))
        #expect(
            try group.send(Self.create(self.otherBucket, Self.envelope(Self.new, 3)))
                == .bucketCreated)
        var found: [StoredSecret] = []
        var start: [UInt8]?
        var looks = 0
        repeat {
            let page = try group.view.secrets(notUnder: Self.new, from: start, rows: rows)
            found += page.secrets
            start = page.next
            looks += 1
        } while start != nil
        #expect(looks == (rows >= 3 ? 1 : (3 + rows - 1) / rows))
        #expect(
            found == [
                StoredSecret(place: .bucket(photos), envelope: Self.envelope(Self.old, 1)),
                StoredSecret(
                    place: .accessKey(accessKeyID("AKID")), envelope: Self.envelope(Self.old, 2)),
            ])
    }

    /// Whatever happens in whatever order, the counts are those of a walk.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the counts are always what the rows say`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let group = try self.group()
        try group.own((0..<4).map { accessKeyID("AK\($0)").slot })
        var generation: UInt64 = 0
        var former: [MasterKeyID] = []
        var wrapping = Self.masterKey(10)
        for step in 0..<200 {
            let number = Int.random(in: 0..<4, using: &random)
            let under = Self.masterKey(UInt8.random(in: 10...14, using: &random))
            let secret = UInt8.random(in: 0...255, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0...1:
                let key = Self.key("AK\(number)", Self.envelope(under, secret))
                try group.apply(operation: .createAccessKey(key))
            case 2:
                _ = try group.send(.deleteAccessKey(accessKeyID("AK\(number)")))
            case 3 where step % 10 == 0:
                let next = Self.masterKey(UInt8.random(in: 10...14, using: &random))
                let choice = self.choose(next, generation + 1, former: former + [wrapping])
                if case .wrappingKeySet = try group.apply(operation: choice) {
                    former.append(wrapping)
                    (wrapping, generation) = (next, generation + 1)
                }
            default:
                let page = try group.view.secrets(notUnder: wrapping, from: nil, rows: 3)
                try group.apply(
                    operation: .rewrapSecrets(
                        page.secrets.map {
                            RewrappedSecret(
                                place: $0.place, old: $0.envelope,
                                new: Self.envelope(wrapping, secret))
                        }))
            }
            var counted: [MasterKeyID: UInt64] = [:]
            let all = try group.view.secrets(notUnder: Self.masterKey(99), from: nil, rows: 100)
            for secret in all.secrets {
                counted[unwrap(WrappedSecret.masterKey(of: secret.envelope)), default: 0] += 1
            }
            let keys = try group.view.masterKeys()
            #expect(
                keys.secrets
                    == counted.sorted { $0.key < $1.key }.map {
                        MasterKeys.SecretCount(key: $0.key, count: $0.value)
                    })
        }
    }

    /// Stored bytes: they never change.
    @Test func `format 1 of what a group knows of master keys has these bytes`() throws {
        let keys = MasterKeys(
            generation: 3, wrapping: Self.new,
            secrets: [.init(key: Self.old, count: 7), .init(key: Self.new, count: 258)],
            former: [Self.old], retired: [Self.other])
        let (old, new, other) = (
            String(repeating: "01", count: 16), String(repeating: "02", count: 16),
            String(repeating: "03", count: 16)
        )
        #expect(
            Hex.encode(keys.encoded)
                == "01" + "0300000000000000" + "01" + new + "02000000" + old + "0700000000000000"
                + new + "0201000000000000" + "01000000" + old + "01000000" + other)
        #expect(try MasterKeys(decoding: keys.encoded) == keys)
    }
}

extension AccessKey {
    /// A link key with the same secret.
    fileprivate var asLinkKey: LinkKey {
        LinkKey(
            id: "2", algorithm: .ed25519, publicKey: [3], wrappedPrivateKey: self.wrappedSecret)
    }
}
