/// The cryptography that signing needs, passed in so that this module stays a pure core.
package protocol SigningPrimitives: Sendable {
    /// 32 bytes.
    func sha256(_ bytes: [UInt8]) -> [UInt8]
    /// 32 bytes.
    func hmacSHA256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8]
}

/// Compares in a time that depends on the lengths alone, so that a wrong signature teaches nothing
/// about the right one.
func equalInConstantTime(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for position in a.indices { difference |= a[position] ^ b[position] }
    return difference == 0
}
