package import OrderedStorage
package import Placement
package import Primitives
internal import Wire

/// The rows of a group as values, over any reader: the state, a snapshot, or the state with the
/// effects of an entry on its way.
package struct CatalogView: Sendable {
    private let reader: any OrderedReader

    package init(_ reader: any OrderedReader) { self.reader = reader }

    /// A row that cannot be read is a fault of the store: it was checked before it was written.
    func row<Row: WireMessage>(
        _ family: Family, _ key: [UInt8], as type: Row.Type = Row.self
    ) throws(StoreFault) -> Row? {
        guard let value = try self.reader.get(family, key) else { return nil }
        return try Self.decode(value, of: family, key)
    }

    static func decode<Row: WireMessage>(
        _ value: [UInt8], of family: Family, _ key: [UInt8], as type: Row.Type = Row.self
    ) throws(StoreFault) -> Row {
        do throws(FormatFault) {
            return try Row(decoding: value)
        } catch {
            throw .corrupt("\(family) \(Hex.encode(key)) is no \(type): \(error)")
        }
    }

    func value(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.reader.get(family, key)
    }

    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        self.reader.scan(family, range)
    }

    // Any group.

    package func applied() throws(StoreFault) -> AppliedPosition? {
        try self.row(CatalogFamilies.rows, CatalogKeys.applied)
    }

    package func session(_ id: SessionID) throws(StoreFault) -> Session? {
        try self.row(CatalogFamilies.rows, CatalogKeys.session(id))
    }

    package func sessionCount() throws(StoreFault) -> UInt64 {
        try self.counter(CatalogKeys.sessionCount) ?? 0
    }

    /// The session that was silent longest, and when it was last used.
    func oldestSession() throws(StoreFault) -> (SessionID, Timestamp)? {
        let cursor = self.scan(
            CatalogFamilies.rows, KeyRange(prefix: CatalogKeys.sessionAges))
        guard let pair = try cursor.next() else { return nil }
        do throws(FormatFault) {
            return try CatalogKeys.session(ofAge: pair.key)
        } catch {
            throw .corrupt("rows \(Hex.encode(pair.key)) is no session's age: \(error)")
        }
    }

    // Data groups.

    package func ownership(of slot: Slot) throws(StoreFault) -> SlotOwnership? {
        try self.row(CatalogFamilies.rows, CatalogKeys.slot(slot))
    }

    /// What is known of the slots of a range, in their order.
    package func ownerships(
        of range: SlotRange
    ) throws(StoreFault) -> [(Slot, SlotOwnership)] {
        let cursor = self.scan(CatalogFamilies.rows, CatalogKeys.slots(range))
        var known: [(Slot, SlotOwnership)] = []
        while let pair = try cursor.next() {
            let slot: Slot
            do throws(FormatFault) {
                slot = try CatalogKeys.slot(ofKey: pair.key)
            } catch {
                throw .corrupt("rows \(Hex.encode(pair.key)) is no slot: \(error)")
            }
            known.append(
                (slot, try Self.decode(pair.value, of: CatalogFamilies.rows, pair.key)))
        }
        return known
    }

    package func bucket(_ name: BucketName) throws(StoreFault) -> Bucket? {
        try self.row(CatalogFamilies.rows, CatalogKeys.bucket(name))
    }

    package func hasBucket(_ name: BucketName) throws(StoreFault) -> Bool {
        try self.reader.get(CatalogFamilies.rows, CatalogKeys.bucket(name)) != nil
    }

    package func hasObjects(_ bucket: BucketName) throws(StoreFault) -> Bool {
        let range = KeyRange(prefix: CatalogKeys.members(of: bucket))
        return try self.scan(CatalogFamilies.heads, range).next() != nil
    }

    package func head(
        _ key: ObjectKey, in bucket: BucketName
    ) throws(StoreFault) -> ObjectHead? {
        try self.row(CatalogFamilies.heads, CatalogKeys.head(key, in: bucket))
    }

    package func manifest(
        _ id: ManifestID, in bucket: BucketName
    ) throws(StoreFault) -> Manifest? {
        try self.row(CatalogFamilies.manifests, CatalogKeys.manifest(id, in: bucket))
    }

    /// How many heads name the manifest, if it is there.
    package func references(
        to id: ManifestID, in bucket: BucketName
    ) throws(StoreFault) -> UInt64 {
        try self.counter(CatalogKeys.manifestReferences(id, in: bucket)) ?? 1
    }

    package func chunk(_ name: ChunkName, in slot: Slot) throws(StoreFault) -> ChunkRow? {
        try self.row(CatalogFamilies.rows, CatalogKeys.chunk(name, in: slot))
    }

    package func accessKey(_ id: AccessKeyID) throws(StoreFault) -> AccessKey? {
        try self.row(CatalogFamilies.rows, CatalogKeys.accessKey(id))
    }

    // The system group.

    package func cluster() throws(StoreFault) -> Cluster? {
        try self.row(CatalogFamilies.rows, CatalogKeys.cluster)
    }

    package func layout() throws(StoreFault) -> Layout? {
        try self.row(CatalogFamilies.rows, CatalogKeys.layout)
    }

    package func groupTable() throws(StoreFault) -> GroupTable? {
        try self.row(CatalogFamilies.rows, CatalogKeys.groupTable)
    }

    /// The last configuration applied, as its entry had it; nil while it is the first one.
    package func configuration() throws(StoreFault) -> [UInt8]? {
        try self.reader.get(CatalogFamilies.rows, CatalogKeys.configuration)
    }

    package func node(_ id: NodeID) throws(StoreFault) -> NodeRecord? {
        try self.row(CatalogFamilies.rows, CatalogKeys.node(id))
    }

    /// By ascending identity.
    package func nodes() throws(StoreFault) -> [NodeRecord] {
        try self.rows(KeyRange(prefix: CatalogKeys.nodes))
    }

    /// By ascending identity; private halves as they rest, sealed.
    package func linkKeys() throws(StoreFault) -> [LinkKey] {
        try self.rows(KeyRange(prefix: CatalogKeys.linkKeys))
    }

    /// The greatest incarnation given out; 0 before the first.
    package func greatestIncarnation() throws(StoreFault) -> UInt64 {
        try self.counter(CatalogKeys.incarnation) ?? 0
    }

    /// How often the nodes' records have changed; 0 before the cluster was made.
    func nodesVersion() throws(StoreFault) -> UInt64 {
        try self.counter(CatalogKeys.nodesVersion) ?? 0
    }

    func greatestNode() throws(StoreFault) -> NodeID {
        NodeID(UInt32(truncatingIfNeeded: try self.counter(CatalogKeys.greatestNode) ?? 0))
    }

    private func counter(_ key: [UInt8]) throws(StoreFault) -> UInt64? {
        try self.row(CatalogFamilies.rows, key, as: Counter.self)?.value
    }

    /// All rows of a range that metadata bounds by its own limits.
    private func rows<Row: WireMessage>(_ range: KeyRange) throws(StoreFault) -> [Row] {
        let cursor = self.scan(CatalogFamilies.rows, range)
        var rows: [Row] = []
        while let pair = try cursor.next() {
            rows.append(try Self.decode(pair.value, of: CatalogFamilies.rows, pair.key))
        }
        return rows
    }
}
