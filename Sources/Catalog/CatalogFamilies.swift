package import OrderedStorage

/// The column families of a group's state. Heads are scanned and cached, manifests with their inline
/// bytes are read one at a time, and neither may push the other out of the cache.
package enum CatalogFamilies {
    /// The applied position, system rows, slots, sessions, buckets, access keys, chunk rows.
    package static let rows = Family(index: 0, name: "rows")
    /// The current version of each object.
    package static let heads = Family(index: 1, name: "heads")
    package static let manifests = Family(index: 2, name: "manifests")
    /// For `StoreOptions`.
    package static let all = [rows, heads, manifests]
}
