package import OrderedStorage
package import Primitives
internal import Wire

/// The wrapped secrets of a group.
extension CatalogView {
    package func masterKeys() throws(StoreFault) -> MasterKeys {
        try self.row(CatalogFamilies.rows, CatalogKeys.masterKeys) ?? MasterKeys()
    }

    /// A stretch of a walk over all wrapped secrets of a group.
    package struct SecretPage: Sendable {
        /// Those that another key than the wanted one wraps.
        package var secrets: [StoredSecret] = []
        /// Where the walk goes on; nil at its end.
        package var next: [UInt8]?
    }

    /// The secrets that are not wrapped by `key`, from `start` on (nil: from the first).
    ///
    /// - Parameter rows: how many rows are looked at.
    package func secrets(
        notUnder key: MasterKeyID, from start: [UInt8]?, rows limit: Int
    ) throws(StoreFault) -> SecretPage {
        var page = SecretPage()
        var seen = 0
        for prefix in CatalogKeys.secrets {
            let whole = KeyRange(prefix: prefix)
            let from = start.map { $0.lexicographicallyPrecedes(prefix) ? prefix : $0 } ?? prefix
            if let end = whole.end, !from.lexicographicallyPrecedes(end) { continue }
            let cursor = self.scan(
                CatalogFamilies.rows, KeyRange(start: from, end: whole.end))
            while let pair = try cursor.next() {
                guard seen < limit else {
                    page.next = pair.key
                    return page
                }
                seen += 1
                guard let secret = try Self.secret(of: pair) else { continue }
                guard let wrappedBy = WrappedSecret.masterKey(of: secret.envelope),
                    wrappedBy != key
                else { continue }
                page.secrets.append(secret)
            }
        }
        return page
    }

    /// Nil for the row of a cluster whose first access key stands in its data group.
    private static func secret(of pair: KeyValue) throws(StoreFault) -> StoredSecret? {
        func row<Row: WireMessage>(_ type: Row.Type) throws(StoreFault) -> Row {
            try Self.decode(pair.value, of: CatalogFamilies.rows, pair.key)
        }
        if pair.key.starts(with: CatalogKeys.buckets) {
            let bucket = try row(Bucket.self)
            return StoredSecret(place: .bucket(bucket.name), envelope: bucket.wrappedKey)
        }
        if pair.key.starts(with: CatalogKeys.accessKeys) {
            let key = try row(AccessKey.self)
            return StoredSecret(place: .accessKey(key.id), envelope: key.wrappedSecret)
        }
        if pair.key.starts(with: CatalogKeys.linkKeys) {
            let key = try row(LinkKey.self)
            return StoredSecret(place: .linkKey(key.id), envelope: key.wrappedPrivateKey)
        }
        return try row(Cluster.self).firstAccessKey.map { key in
            StoredSecret(place: .firstAccessKey(key.id), envelope: key.wrappedSecret)
        }
    }
}
