import HTTPTransport
import IORuntime
import Primitives

/// Where an edge is: `http://host:port`, `https://host:port`, or `host:port` for clear text.
package struct EdgeAddress: Hashable, Sendable, CustomStringConvertible {
    package let isSecure: Bool
    package let address: SocketAddress

    package init(_ address: SocketAddress, isSecure: Bool = false) {
        self.address = address
        self.isSecure = isSecure
    }

    /// Nil for anything but an origin: a path, a query or a user's name would be lost.
    package init?(_ text: some StringProtocol) {
        var rest = text[...]
        var isSecure = false
        var standardPort: UInt16?
        if rest.hasPrefix("https://") {
            rest = rest.dropFirst(8)
            (isSecure, standardPort) = (true, 443)
        } else if rest.hasPrefix("http://") {
            rest = rest.dropFirst(7)
            standardPort = 80
        }
        if standardPort != nil, rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let address = Self.read(String(rest), standardPort: standardPort),
            address.port > 0, address.host.utf8.allSatisfy(Self.isHostByte)
        else { return nil }
        self.init(address, isSecure: isSecure)
    }

    private static func read(_ text: String, standardPort: UInt16?) -> SocketAddress? {
        if let address = SocketAddress(text) { return address }
        guard let standardPort, !text.contains(":") || text.hasSuffix("]") else { return nil }
        return SocketAddress("\(text):\(standardPort)")
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: ":"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// The value of the Host field, which signatures cover: without the port that the scheme implies.
    package var host: String {
        let standard: UInt16 = self.isSecure ? 443 : 80
        guard self.address.port == standard else { return self.address.description }
        return String(self.address.description.dropLast(":\(standard)".utf8.count))
    }

    package var endpoint: HTTPEndpoint {
        HTTPEndpoint(self.address, secureHost: self.isSecure ? self.address.host : nil)
    }

    package var description: String { (self.isSecure ? "https://" : "http://") + self.host }
}
