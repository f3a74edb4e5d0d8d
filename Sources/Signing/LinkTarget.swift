internal import Primitives

/// The name that a request asks for, after the doubtful ones are refused.
package struct LinkTarget: Equatable, Sendable {
    /// `bucket/key`, decoded.
    package let bytes: [UInt8]
    /// A slash was percent-encoded: one name to us, perhaps another to a proxy before us.
    let hasEncodedSlash: Bool

    /// Reads the path behind `/f/` as it stood on the wire. Nil when it is not well encoded, or
    /// holds a NUL, a backslash, or a `.` or `..` segment in any encoding.
    package init?(rawPath: ArraySlice<UInt8>) {
        guard let bytes = PercentCoding.decode(rawPath), !Self.isAmbiguous(bytes) else {
            return nil
        }
        let slash = UInt8(ascii: "/")
        self.bytes = bytes
        self.hasEncodedSlash =
            bytes.count(where: { $0 == slash }) != rawPath.count(where: { $0 == slash })
    }

    static func isAmbiguous(_ bytes: [UInt8]) -> Bool {
        if bytes.contains(0) || bytes.contains(UInt8(ascii: "\\")) { return true }
        let dot = UInt8(ascii: ".")
        return bytes.split(separator: UInt8(ascii: "/")).contains {
            $0 == [dot] || $0 == [dot, dot]
        }
    }

    func matches(_ path: LinkPath) -> Bool {
        switch path {
        case .exact(let name): return self.bytes == name
        case .prefix(let prefix): return !self.hasEncodedSlash && self.bytes.starts(with: prefix)
        }
    }
}
