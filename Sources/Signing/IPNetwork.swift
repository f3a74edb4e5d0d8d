internal import Primitives

/// An IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable {
    /// 4 or 16, in network order. An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is held as
    /// the IPv4 address that it is.
    package let bytes: [UInt8]

    /// Reads dotted decimal, or the text forms of RFC 4291 §2.2 without a zone.
    package init?(_ text: String) {
        guard let bytes = Self.readV4(text[...]) ?? Self.readV6(text) else { return nil }
        self.init(bytes: bytes)
    }

    /// Nil unless there are 4 or 16 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        let isMapped = bytes.count == 16 && bytes.starts(with: mapped)
        self.bytes = isMapped ? Array(bytes[12...]) : bytes
    }

    private static func readV4(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            // A leading zero would be octal to some readers.
            let isPlain = part == "0" || part.utf8.first != UInt8(ascii: "0")
            guard isPlain, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let byte = UInt8(part)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func readV6(_ text: String) -> [UInt8]? {
        let utf8 = Array(text.utf8)
        let colon = UInt8(ascii: ":")
        let gap = utf8.indices.dropLast().first { utf8[$0] == colon && utf8[$0 + 1] == colon }
        guard let gap else {
            let bytes = Self.readGroups(utf8[...])
            return bytes?.count == 16 ? bytes : nil
        }
        guard let head = Self.readGroups(utf8[..<gap]),
            let tail = Self.readGroups(utf8[(gap + 2)...]),
            head.count + tail.count <= 14
        else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    /// Groups of 16 bits between colons; the last may be an IPv4 address.
    private static func readGroups(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        let groups = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard groups.count <= 8 else { return nil }
        for (position, group) in groups.enumerated() {
            if position == groups.count - 1, group.contains(UInt8(ascii: ".")) {
                guard let v4 = Self.readV4(String(decoding: group, as: UTF8.self)[...]) else {
                    return nil
                }
                bytes += v4
                continue
            }
            guard (1...4).contains(group.count) else { return nil }
            var value: UInt16 = 0
            for character in group {
                guard let digit = Hex.digit(character) else { return nil }
                value = value << 4 | UInt16(digit)
            }
            bytes += [UInt8(value >> 8), UInt8(value & 255)]
        }
        return bytes.count <= 16 ? bytes : nil
    }
}

/// A network in CIDR form (RFC 4632).
package struct IPNetwork: Hashable, Sendable {
    package let address: IPAddress
    package let prefixBits: Int

    /// Nil when the prefix is longer than the address or leaves address bits behind it set, which
    /// would make two texts of one network.
    package init?(address: IPAddress, prefixBits: Int) {
        guard (0...address.bytes.count * 8).contains(prefixBits) else { return nil }
        self.address = address
        self.prefixBits = prefixBits
        let masked = address.bytes.indices.map { address.bytes[$0] & self.mask(at: $0) }
        guard masked == address.bytes else { return nil }
    }

    /// Reads `10.0.0.0/8`; an address alone is the network of itself.
    package init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/") else {
            guard let address = IPAddress(text) else { return nil }
            self.init(address: address, prefixBits: address.bytes.count * 8)
            return
        }
        let digits = text[text.index(after: slash)...]
        guard let address = IPAddress(String(text[..<slash])), digits.utf8.count <= 3,
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let bits = Int(digits)
        else { return nil }
        self.init(address: address, prefixBits: bits)
    }

    package func contains(_ other: IPAddress) -> Bool {
        guard other.bytes.count == self.address.bytes.count else { return false }
        return other.bytes.indices.allSatisfy {
            other.bytes[$0] & self.mask(at: $0) == self.address.bytes[$0]
        }
    }

    private func mask(at position: Int) -> UInt8 {
        let bits = min(8, max(0, self.prefixBits - position * 8))
        return UInt8(truncatingIfNeeded: 0xff00 >> bits)
    }

    func write(to writer: inout ByteWriter) {
        writer.write(UInt8(self.address.bytes.count == 4 ? 4 : 6))
        writer.write(UInt8(self.prefixBits))
        writer.writeRaw(self.address.bytes)
    }

    static func read(_ reader: inout ByteReader) throws(FormatFault) -> IPNetwork {
        let at = reader.offset
        let family = try reader.read(UInt8.self)
        guard family == 4 || family == 6 else { throw .invalid(field: "network", offset: at) }
        let bits = Int(try reader.read(UInt8.self))
        let bytes = Array(try reader.readRaw(family == 4 ? 4 : 16))
        guard let address = IPAddress(bytes: bytes), address.bytes.count == bytes.count,
            let network = IPNetwork(address: address, prefixBits: bits)
        else { throw .invalid(field: "network", offset: at) }
        return network
    }
}
