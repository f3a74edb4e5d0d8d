internal import OrderedStorage
internal import Primitives
internal import Wire

/// Which master key wraps the group's secrets, and how they come from one to the next.
extension EntryApplication {
    mutating func set(_ set: SetWrappingKey) throws(StoreFault) -> CommandResult {
        var keys = try self.view.masterKeys()
        if keys.generation == set.generation, keys.wrapping == set.key {
            return .wrappingKeySet(generation: keys.generation)
        }
        // A key that was replaced once never comes back: a leader that holds an old file would turn
        // a rotation round.
        guard set.generation > keys.generation,
            !(keys.former + keys.retired + set.former).contains(set.key),
            keys.wrapping.map(set.former.contains) ?? true
        else { return .wrappingKeyKept(generation: keys.generation) }
        keys.former = set.former.filter { !keys.retired.contains($0) }
        keys.generation = set.generation
        keys.wrapping = set.key
        self.setMasterKeys(keys)
        return .wrappingKeySet(generation: keys.generation)
    }

    /// Puts secrets in the place of the same ones under an older key.
    mutating func rewrap(_ secrets: [RewrappedSecret]) throws(StoreFault) -> CommandResult {
        var keys = try self.view.masterKeys()
        var count: UInt32 = 0
        for secret in secrets {
            guard let wrapping = keys.wrapping,
                WrappedSecret.masterKey(of: secret.new) == wrapping,
                try self.replace(secret)
            else { continue }
            keys.count(secret.old, isAdded: false)
            keys.count(secret.new, isAdded: true)
            count += 1
        }
        if count > 0 { self.setMasterKeys(keys) }
        return .secretsRewrapped(count: count)
    }

    mutating func retire(_ retire: RetireMasterKey) throws(StoreFault) -> CommandResult {
        let key = retire.key
        var keys = try self.view.masterKeys()
        if keys.retired.contains(key) { return .masterKeyRetired }
        let table = try self.view.groupTable()
        guard table?.version ?? 0 == retire.tableVersion, table?.moves.isEmpty ?? true else {
            return .masterKeyNeeded
        }
        guard let place = keys.former.firstIndex(of: key), keys.secretCount(under: key) == 0 else {
            return .masterKeyNeeded
        }
        keys.former.remove(at: place)
        if keys.retired.count == CatalogLimits.masterKeys { keys.retired.removeFirst() }
        keys.retired.append(key)
        self.setMasterKeys(keys)
        return .masterKeyRetired
    }

    /// Whether a command may not bring this secret: it is wrapped by a key that was replaced, or by
    /// one more than a group counts.
    func refusal(of envelope: [UInt8]) throws(StoreFault) -> CommandResult? {
        guard let key = WrappedSecret.masterKey(of: envelope) else { return nil }
        let keys = try self.view.masterKeys()
        if (keys.former + keys.retired).contains(key) { return .wrongMasterKey }
        let isKnown = keys.secretCount(under: key) > 0
        return isKnown || keys.secrets.count < CatalogLimits.masterKeys ? nil : .limitReached
    }

    /// A secret has come into the group's rows, or has gone from them.
    mutating func countSecret(_ envelope: [UInt8], isAdded: Bool) throws(StoreFault) {
        guard WrappedSecret.masterKey(of: envelope) != nil else { return }
        var keys = try self.view.masterKeys()
        keys.count(envelope, isAdded: isAdded)
        self.setMasterKeys(keys)
    }

    mutating func setMasterKeys(_ keys: MasterKeys) {
        self.put(CatalogFamilies.rows, CatalogKeys.masterKeys, keys.row)
    }

    /// False when the secret is gone, or another one stands in its place.
    private mutating func replace(_ secret: RewrappedSecret) throws(StoreFault) -> Bool {
        switch secret.place {
        case .bucket(let name):
            guard let bucket = try self.bucket(name), bucket.wrappedKey == secret.old else {
                return false
            }
            self.setBucket(name, bucket.with(wrappedKey: secret.new))
        case .accessKey(let id):
            guard let key = try self.view.accessKey(id), key.wrappedSecret == secret.old else {
                return false
            }
            let row = key.with(wrappedSecret: secret.new).row
            self.put(CatalogFamilies.rows, CatalogKeys.accessKey(id), row)
        case .linkKey(let id):
            let keys = try self.view.linkKeys()
            guard let key = keys.first(where: { $0.id == id }), key.wrappedPrivateKey == secret.old
            else { return false }
            let row = key.with(wrappedPrivateKey: secret.new).row
            self.put(CatalogFamilies.rows, CatalogKeys.linkKey(id), row)
        case .firstAccessKey(let id):
            guard let cluster = try self.view.cluster(), let key = cluster.firstAccessKey,
                key.id == id, key.wrappedSecret == secret.old
            else { return false }
            let row = Cluster(
                id: cluster.id, created: cluster.created,
                firstAccessKey: key.with(wrappedSecret: secret.new)
            ).row
            self.put(CatalogFamilies.rows, CatalogKeys.cluster, row)
        }
        return true
    }
}
