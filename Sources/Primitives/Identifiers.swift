/// The node of a cluster: one process with one identity. Allocated by group 0 and never reused;
/// a wiped disk comes back as a new identity.
public struct NodeID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// A Raft group. Group 0 is the *system* group (cluster facts); groups from 1 on are *data* groups.
public struct GroupID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    public static let system = GroupID(0)
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// One of 65,536 hashes that say which group owns a key.
public struct Slot: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// How many slots there are, in every cluster, for ever.
    public static let count = 65_536

    /// The slot of a bucket's name, an access key's id or another owner of rows.
    public init(hashing name: some Sequence<UInt8>) {
        self.rawValue = UInt16(truncatingIfNeeded: StableHash.of(name) >> 48)
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// One point of the hash ring. How many there are (2^16 by default) is fixed when a cluster is made.
public struct Partition: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// The name of a chunk: unique for ever, because group 0 never gives an incarnation twice and an
/// incarnation never counts back.
public struct ChunkName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The incarnation of the edge that named the chunk, given out by group 0.
    public let incarnation: UInt64
    /// Counts up within the incarnation, from 0.
    public let counter: UInt64

    public init(incarnation: UInt64, counter: UInt64) {
        self.incarnation = incarnation
        self.counter = counter
    }

    /// The partition this chunk falls in: the top bits of a fixed mix of the name.
    ///
    /// - Parameter partitionBits: the base-2 logarithm of the number of partitions, 1...20.
    public func partition(partitionBits: Int = 16) -> Partition {
        let mixed = StableHash.mix(
            StableHash.mix(self.incarnation) &+ self.counter &* 0x9e37_79b9_7f4a_7c15)
        return Partition(UInt32(mixed >> (64 - UInt64(partitionBits))))
    }

    public static func < (a: Self, b: Self) -> Bool {
        (a.incarnation, a.counter) < (b.incarnation, b.counter)
    }

    public var description: String {
        "\(String(self.incarnation, radix: 16))-\(String(self.counter, radix: 16))"
    }
}

/// A number that grows whenever ownership of something changes hands, so that who is late is known.
public struct Epoch: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// A position in a group's log; the first entry has index 1, and 0 means "before the first".
public struct LogIndex: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public static let zero = LogIndex(0)
    public var next: LogIndex { LogIndex(self.rawValue + 1) }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// A Raft term (Raft thesis §3.3): 0 before the first election.
public struct Term: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public static let zero = Term(0)
    public var next: Term { Term(self.rawValue + 1) }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { "\(self.rawValue)" }
}

/// The name of a cluster: 16 random bytes, made once by `holdfast init`. A directory, a certificate
/// or a message of another cluster is refused.
public struct ClusterID: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Nil unless there are 16 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// Reads the 32 hexadecimal digits that `description` writes.
    public init?(_ text: some StringProtocol) {
        guard let bytes = Hex.decode(text) else { return nil }
        self.init(bytes: bytes)
    }

    public var description: String { Hex.encode(self.bytes) }
}
