/// A hash that is the same in every process, on every machine and in every release. (The standard
/// library's `Hasher` is seeded anew in each process.) Not against an adversary.
public enum StableHash {
    /// FNV-1a (Fowler, Noll, Vo) over the bytes, then the finaliser of MurmurHash3, so that every
    /// bit of the result depends on every byte. The value is stored in keys: it never changes.
    @inlinable
    public static func of(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return Self.mix(hash)
    }

    /// The finaliser of MurmurHash3: a bijection of the 64-bit numbers that spreads each bit.
    @inlinable
    public static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 33)) &* 0xff51_afd7_ed55_8ccd
        z = (z ^ (z >> 33)) &* 0xc4ce_b9fe_1a85_ec53
        return z ^ (z >> 33)
    }
}
