import Primitives

/// A name as invalidations tell it: 64 bits of a hash that is the same on every node.
///
/// Two names with one mark are invalidated together, which costs one of them a fill and is never
/// wrong; so rings, messages and memories are small, and what passes between nodes says nothing of
/// keys.
package struct NameMark: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Stands for all names of a group: slots came or went.
    package static let everything = NameMark(rawValue: 0)

    /// The mark of a bucket itself.
    package init(bucket: some Sequence<UInt8>) {
        self.init(hash: StableHash.of(bucket))
    }

    /// The mark of a key in the bucket that has the mark `bucket`.
    package init(key: some Sequence<UInt8>, in bucket: NameMark) {
        // An addition before the mixing, so that the two parts cannot change places.
        let spread = bucket.rawValue &+ 0x9e37_79b9_7f4a_7c15
        self.init(hash: StableHash.mix(spread ^ StableHash.of(key)))
    }

    private init(hash: UInt64) { self.rawValue = hash == 0 ? 1 : hash }

    package var description: String { String(self.rawValue, radix: 16) }
}

/// A name and the bucket it is in, as a cache is asked for them.
package struct MarkedName: Hashable, Sendable {
    package let name: NameMark
    /// Invalidating a bucket invalidates all names in it.
    package let bucket: NameMark

    package init(name: NameMark, bucket: NameMark) {
        self.name = name
        self.bucket = bucket
    }
}
