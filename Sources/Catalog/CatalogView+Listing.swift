package import OrderedStorage
internal import Primitives

/// Listings: pages of what stands in key order.
extension CatalogView {
    /// One page of a bucket's objects (Amazon S3, ListObjectsV2).
    ///
    /// A common prefix is stepped over by a seek, never by reading what is in it: a page costs as
    /// many steps as it has lines, however many objects a rolled-up prefix holds.
    package func objects(_ list: ListObjects) throws(StoreFault) -> ObjectPage {
        var page = ObjectPage()
        let limit = min(list.limit, CatalogLimits.listPage)
        guard limit > 0 else { return page }
        let members = CatalogKeys.members(of: list.bucket)
        let cursor = self.scan(CatalogFamilies.heads, KeyRange(prefix: members + list.prefix))
        switch list.start {
        case .beginning: break
        // The next key in byte order: whatever follows `key` begins with it and a zero, or is above.
        case .after(let key): cursor.seek(members + key + [0])
        case .afterPrefix(let prefix):
            guard Self.seek(cursor, past: members + prefix) else { return page }
        }
        var end = list.start
        while page.objects.count + page.commonPrefixes.count < limit {
            guard let pair = try cursor.next() else { return page }
            let key = pair.key.dropFirst(members.count)
            if let prefix = Self.commonPrefix(of: key, behind: list.prefix.count, list.delimiter) {
                page.commonPrefixes.append(prefix)
                end = .afterPrefix(prefix)
                guard Self.seek(cursor, past: members + prefix) else { return page }
            } else {
                let head: ObjectHead = try Self.decode(
                    pair.value, of: CatalogFamilies.heads, pair.key)
                page.objects.append(ListedObject(Array(key), head))
                end = .after(Array(key))
            }
        }
        if try cursor.next() != nil { page.next = end }
        return page
    }

    /// The buckets of one owner by their names, or all of the group by slot and name; only those
    /// whose slot the group owns.
    package func buckets(_ list: ListBuckets) throws(StoreFault) -> [Bucket] {
        let limit = min(list.limit, CatalogLimits.bucketPage)
        guard let owner = list.owner else { return try self.allBuckets(list.after, limit) }
        let prefix = CatalogKeys.buckets(of: owner)
        let cursor = self.scan(CatalogFamilies.rows, KeyRange(prefix: prefix))
        if let after = list.after {
            cursor.seek(CatalogKeys.bucket(after, of: owner) + [0])
        }
        var buckets: [Bucket] = []
        while buckets.count < limit, let pair = try cursor.next() {
            let text = String(decoding: pair.key.dropFirst(prefix.count), as: UTF8.self)
            guard let name = BucketName(text), let bucket = try self.bucket(name) else {
                throw .corrupt("bucket \(text) of \(owner) is indexed and not there")
            }
            if case .owned = try self.ownership(of: name.slot) { buckets.append(bucket) }
        }
        return buckets
    }

    private func allBuckets(
        _ after: BucketName?, _ limit: Int
    ) throws(StoreFault) -> [Bucket] {
        let cursor = self.scan(CatalogFamilies.rows, KeyRange(prefix: CatalogKeys.buckets))
        if let after { cursor.seek(CatalogKeys.bucket(after) + [0]) }
        var buckets: [Bucket] = []
        while buckets.count < limit, let pair = try cursor.next() {
            let bucket: Bucket = try Self.decode(
                pair.value, of: CatalogFamilies.rows, pair.key)
            if case .owned = try self.ownership(of: bucket.name.slot) { buckets.append(bucket) }
        }
        return buckets
    }

    /// Steps over every key that begins with `prefix`; false when no key can be behind them.
    static func seek(_ cursor: any OrderedCursor, past prefix: [UInt8]) -> Bool {
        guard let next = KeyRange.successor(ofPrefix: prefix) else { return false }
        cursor.seek(next)
        return true
    }

    /// The key up to and with the first delimiter behind its first bytes; nil without one.
    static func commonPrefix(
        of key: ArraySlice<UInt8>, behind prefixBytes: Int, _ delimiter: [UInt8]
    ) -> [UInt8]? {
        guard let first = delimiter.first else { return nil }
        var rest = key.dropFirst(prefixBytes)
        while let start = rest.firstIndex(of: first) {
            if rest[start...].starts(with: delimiter) {
                return Array(key[..<(start + delimiter.count)])
            }
            rest = rest[(start + 1)...]
        }
        return nil
    }
}

extension ListedObject {
    fileprivate init(_ key: [UInt8], _ head: ObjectHead) {
        self.init(
            key: ObjectKey(stored: key), version: head.version, size: head.size,
            modified: head.modified, entityTag: head.entityTag, checksums: head.checksums)
    }
}
