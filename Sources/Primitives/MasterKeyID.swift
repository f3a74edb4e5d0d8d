/// Names a master key. It is derived from the key, so that no key can be taken for another: whoever
/// names a key has committed to it.
public struct MasterKeyID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let sizeBytes = 16
    public let bytes: [UInt8]

    /// Nil unless there are 16 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.sizeBytes else { return nil }
        self.bytes = bytes
    }

    /// Reads the 32 hexadecimal digits that `description` writes.
    public init?(_ text: some StringProtocol) {
        guard let bytes = Hex.decode(text) else { return nil }
        self.init(bytes: bytes)
    }

    public static func < (a: Self, b: Self) -> Bool {
        a.bytes.lexicographicallyPrecedes(b.bytes)
    }

    public var description: String { Hex.encode(self.bytes) }
}

/// The clear part of a wrapped secret, which anybody may read: version 1, the id of the master key
/// that wrapped it, and what `MasterKey` wrote behind.
public enum WrappedSecret {
    public static let version: UInt8 = 1
    public static let headBytes = 1 + MasterKeyID.sizeBytes

    /// The key that a wrapped secret names; nil when the bytes are no wrapped secret.
    public static func masterKey(of envelope: [UInt8]) -> MasterKeyID? {
        guard envelope.count > Self.headBytes, envelope[0] == Self.version else { return nil }
        return MasterKeyID(bytes: Array(envelope[1..<Self.headBytes]))
    }
}
