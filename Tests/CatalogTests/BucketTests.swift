import Catalog
import Primitives
import Testing

@Suite struct BucketTests {
    @Test func `a bucket belongs to who made it first`() throws {
        let group = try CatalogGroup.withBucket()
        #expect(try group.send(.createBucket(create(photos))) == .bucketAlreadyOwned)
        #expect(try group.send(.createBucket(create(photos, owner: bob))) == .bucketTaken)
        #expect(try group.view.bucket(photos)?.owner == alice)
    }

    @Test func `a bucket with an object is not deleted, an empty one is`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a"))
        #expect(try group.send(.deleteBucket(photos)) == .bucketNotEmpty)
        #expect(
            try group.apply([group.command(delete("a")), group.command(.deleteBucket(photos))])
                .results == [.objectDeleted(existed: true), .bucketDeleted])
        #expect(try group.send(.deleteBucket(photos)) == .noSuchBucket)
        #expect(try group.send(put("a")) == .noSuchBucket)
        #expect(try group.send(delete("a")) == .noSuchBucket)
        #expect(
            try group.view.answer(.object(photos, key("a"), withManifest: false)) == .noSuchBucket)
    }

    @Test func `what was sealed for a bucket that was made again since is not stored in it`() throws
    {
        let group = try CatalogGroup.withBucket()
        let old = try group.version(of: photos)
        // All in one entry: versions differ within it, too.
        let late = try group.apply([
            group.command(.deleteBucket(photos)), group.command(.createBucket(create(photos))),
            group.command(put("a", sealedFor: old)),
            group.command(put("a", sealedFor: old, if: .present)),
        ])
        #expect(
            late.results == [.bucketDeleted, .bucketCreated, .bucketReplaced, .bucketReplaced])
        #expect(late.invalidations == [.bucket(photos), .bucket(photos)])
        let new = VersionID(index: group.index, ordinal: 1)
        #expect(try group.version(of: photos) == new)
        #expect(try group.view.answer(.object(photos, key("a"), withManifest: true)) == .absent)
        #expect(
            try group.view.manifest(
                ManifestID(rawValue: VersionID(index: group.index, ordinal: 2).rawValue),
                in: photos) == nil)

        try group.send(put("a", sealedFor: new))
        #expect(try group.view.head(key("a"), in: photos)?.sealedFor == new)
        let version = unwrap(try group.view.head(key("a"), in: photos)).version
        try group.send(copy("a", version, to: "b"))
        #expect(try group.view.head(key("b"), in: photos)?.sealedFor == new)
    }

    @Test func `a refused put holds no chunk`() throws {
        let group = try CatalogGroup.withBucket()
        try group.apply([
            group.command(.deleteBucket(photos)), group.command(.createBucket(create(photos))),
        ])
        #expect(try group.send(put("a", chunks: [chunk(1)])) == .bucketReplaced)
        #expect(try group.view.chunk(chunk(1).name, in: photos.slot) == nil)
    }

    @Test func `a version in a bucket that is gone is none of its successor's`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a"))
        let old = unwrap(try group.view.head(key("a"), in: photos)).version
        try group.apply([
            group.command(delete("a")), group.command(.deleteBucket(photos)),
            group.command(.createBucket(create(photos))),
        ])
        #expect(try group.send(copy("a", old, to: "a")) == .sourceChanged)
    }

    @Test func `the neighbours of a bucket's name do not make it full`() throws {
        let group = try CatalogGroup.withBucket()
        for name in ["photo", "photos-", "photos.1", "photos2"].compactMap({ BucketName($0) }) {
            try group.own([name.slot])
            try group.send(.createBucket(create(name)))
            #expect(
                try group.send(put("a", in: name, sealedFor: group.version(of: name)))
                    == .stored(VersionID(index: group.index, ordinal: 0), at: group.time))
        }
        #expect(try group.send(.deleteBucket(photos)) == .bucketDeleted)
    }

    @Test func `an owner's buckets come in pages, by name`() throws {
        let group = try CatalogGroup.withBucket()
        for name in ["zebra", "apple", "mango"].map({ bucketName($0) }) {
            try group.own([name.slot])
            try group.send(.createBucket(create(name, owner: bob)))
        }
        let first = try group.view.buckets(ListBuckets(owner: bob, limit: 2))
        #expect(first.map(\.name.text) == ["apple", "mango"])
        let second = try group.view.buckets(
            ListBuckets(owner: bob, after: first.last?.name, limit: 2))
        #expect(second.map(\.name.text) == ["zebra"])
        #expect(try group.view.buckets(ListBuckets(owner: owner("b"))).isEmpty)
    }

    @Test func `all buckets of the group come in pages, each once`() throws {
        let group = try CatalogGroup.withBucket()
        var names: Set<String> = ["photos"]
        for number in 0..<25 {
            let name = bucketName("bucket-\(number)")
            names.insert(name.text)
            try group.own([name.slot])
            try group.send(.createBucket(create(name)))
        }
        var seen: [String] = []
        var after: BucketName?
        while true {
            let page = try group.view.buckets(ListBuckets(owner: nil, after: after, limit: 7))
            seen += page.map(\.name.text)
            guard let last = page.last else { break }
            after = last.name
        }
        #expect(seen.count == 26)
        #expect(Set(seen) == names)
    }

    @Test func `an access key is created once, and the same again is no other`() throws {
        let group = try CatalogGroup.withBucket()
        let id = accessKeyID("AKIDEXAMPLE")
        try group.own([id.slot])
        let accessKey = AccessKey(id: id, owner: alice, state: .active, wrappedSecret: [1])
        let other = AccessKey(id: id, owner: bob, state: .active, wrappedSecret: [1])
        #expect(try group.apply(operation: .createAccessKey(accessKey)) == .accessKeyCreated)
        #expect(try group.apply(operation: .createAccessKey(accessKey)) == .accessKeyCreated)
        #expect(try group.apply(operation: .createAccessKey(other)) == .accessKeyTaken)
        #expect(try group.view.answer(.accessKey(id)) == .accessKey(accessKey))
        #expect(
            try group.view.answer(.accessKey(id)).withoutSecrets
                == .accessKey(
                    AccessKey(id: id, owner: alice, state: .active, wrappedSecret: [])))
        #expect(try group.send(.deleteAccessKey(id)) == .accessKeyDeleted)
        #expect(try group.view.answer(.accessKey(id)) == .absent)
    }
}
