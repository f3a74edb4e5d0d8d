internal import OrderedStorage
internal import Placement
internal import Primitives
internal import Wire

/// What group 0 keeps: the cluster, its nodes, its layout, its groups.
extension EntryApplication {
    mutating func bootstrap(_ bootstrap: Bootstrap) throws(StoreFault) -> CommandResult {
        if let present = try self.view.cluster() { return .bootstrappedBefore(present.id) }
        let cluster = Cluster(
            id: bootstrap.cluster, created: self.now, firstAccessKey: bootstrap.firstAccessKey)
        self.put(CatalogFamilies.rows, CatalogKeys.cluster, cluster.row)
        self.put(CatalogFamilies.rows, CatalogKeys.layout, bootstrap.layout.row)
        self.put(CatalogFamilies.rows, CatalogKeys.groupTable, bootstrap.groupTable.row)
        self.put(
            CatalogFamilies.rows, CatalogKeys.linkKey(bootstrap.linkKey.id),
            bootstrap.linkKey.row)
        for node in bootstrap.nodes {
            self.put(CatalogFamilies.rows, CatalogKeys.node(node.id), node.row)
        }
        self.setGreatestNode(bootstrap.nodes.map(\.id).max() ?? NodeID(0))
        try self.countNodesChange()
        // The key that wrapped the first secrets is the one in force.
        if let key = WrappedSecret.masterKey(of: bootstrap.linkKey.wrappedPrivateKey) {
            self.setMasterKeys(MasterKeys(wrapping: key))
        }
        try self.countSecret(bootstrap.linkKey.wrappedPrivateKey, isAdded: true)
        try self.countSecret(bootstrap.firstAccessKey.wrappedSecret, isAdded: true)
        return .bootstrapped
    }

    mutating func finishBootstrap() throws(StoreFault) -> CommandResult {
        if let present = try self.view.cluster(), let key = present.firstAccessKey {
            try self.countSecret(key.wrappedSecret, isAdded: false)
            let cluster = Cluster(
                id: present.id, created: present.created, firstAccessKey: nil)
            self.put(CatalogFamilies.rows, CatalogKeys.cluster, cluster.row)
        }
        return .bootstrapFinished
    }

    mutating func register(_ record: NodeRecord) throws(StoreFault) -> CommandResult {
        if let known = try self.view.node(record.id) {
            guard record != known else { return .nodeRegistered }
            guard known.descriptor.state != .removed else { return .nodeRemoved }
            // Two who add a node at the same time have thought of the same identity.
            guard record == known.with(record.descriptor.state) else { return .nodeIdentityUsed }
        } else {
            guard record.id > (try self.view.greatestNode()) else { return .nodeIdentityUsed }
            self.setGreatestNode(record.id)
        }
        self.put(CatalogFamilies.rows, CatalogKeys.node(record.id), record.row)
        try self.countNodesChange()
        return .nodeRegistered
    }

    mutating func allocateIncarnation() throws(StoreFault) -> CommandResult {
        let incarnation = try self.view.greatestIncarnation() + 1
        self.put(
            CatalogFamilies.rows, CatalogKeys.incarnation, Counter(incarnation).row)
        return .incarnation(incarnation)
    }

    mutating func set(_ set: SetLayout) throws(StoreFault) -> CommandResult {
        let current = try self.view.layout()
        if current == set.layout { return .layoutSet(set.layout.version) }
        let version = current?.version ?? .none
        guard version == set.expected, set.layout.version > version else {
            return .layoutChanged(current: version)
        }
        self.put(CatalogFamilies.rows, CatalogKeys.layout, set.layout.row)
        return .layoutSet(set.layout.version)
    }

    mutating func set(_ set: SetGroupTable) throws(StoreFault) -> CommandResult {
        let current = try self.view.groupTable()
        if current == set.table { return .groupTableSet(version: set.table.version) }
        let version = current?.version ?? 0
        guard version == set.expected, set.table.version > version else {
            return .groupTableChanged(current: version)
        }
        // Moves and their epochs are no part of what can be set: they are counted, not chosen.
        var table = set.table
        table.epoch = max(table.epoch, current?.epoch ?? table.epoch)
        table.moves = current?.moves ?? []
        self.put(CatalogFamilies.rows, CatalogKeys.groupTable, table.row)
        return .groupTableSet(version: set.table.version)
    }

    mutating func add(_ key: LinkKey) throws(StoreFault) -> CommandResult {
        let keys = try self.view.linkKeys()
        if let present = keys.first(where: { $0.id == key.id }) {
            return present == key ? .linkKeyAdded : .linkKeyTaken
        }
        guard keys.count < CatalogLimits.linkKeys else { return .limitReached }
        if let refusal = try self.refusal(of: key.wrappedPrivateKey) { return refusal }
        self.put(CatalogFamilies.rows, CatalogKeys.linkKey(key.id), key.row)
        try self.countSecret(key.wrappedPrivateKey, isAdded: true)
        return .linkKeyAdded
    }

    mutating func removeLinkKey(_ id: String) throws(StoreFault) -> CommandResult {
        if let present = try self.view.linkKeys().first(where: { $0.id == id }) {
            try self.countSecret(present.wrappedPrivateKey, isAdded: false)
        }
        self.delete(CatalogFamilies.rows, CatalogKeys.linkKey(id))
        return .linkKeyRemoved
    }

    private func countNodesChange() throws(StoreFault) {
        let version = try self.view.nodesVersion() + 1
        self.put(CatalogFamilies.rows, CatalogKeys.nodesVersion, Counter(version).row)
    }

    private func setGreatestNode(_ id: NodeID) {
        self.put(
            CatalogFamilies.rows, CatalogKeys.greatestNode, Counter(UInt64(id.rawValue)).row)
    }
}
