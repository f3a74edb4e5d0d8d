import HTTPSyntax
import Primitives
import Signing

/// A link as somebody was given it: a URL, or what stands behind the edge's address in one.
package struct LinkURL: Sendable {
    /// Behind `/f/`, as it stands in the URL.
    package let rawPath: [UInt8]
    package let rawQuery: [UInt8]
    package let link: Link

    package enum Fault: Error, Equatable, CustomStringConvertible {
        case notALink
        /// Of the form of a link, but no maker would have signed it.
        case malformed

        package var description: String {
            switch self {
            case .notALink:
                "this is no link: one has /f/BUCKET/KEY?hf-policy=…&hf-signature=… in it"
            case .malformed: "the link is damaged: a part of it is missing or changed"
            }
        }
    }

    package init(_ text: String) throws(Fault) {
        var rest = text.utf8[...]
        for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.utf8.count).drop { $0 != .slash }
        }
        guard rest.starts(with: "/f/".utf8), let mark = rest.firstIndex(of: UInt8(ascii: "?"))
        else {
            throw .notALink
        }
        self.rawPath = Array(rest[..<mark].dropFirst("/f/".utf8.count))
        self.rawQuery = rest[rest.index(after: mark)...].prefix { $0 != UInt8(ascii: "#") }.map {
            $0
        }
        let read: Link?
        do throws(LinkRefusal) { read = try Link.read(rawQuery: self.rawQuery) } catch {
            throw .malformed
        }
        guard let link = read else { throw .notALink }
        self.link = link
    }

    /// What the link opens, where it is text.
    package var target: String { String(decoding: self.link.policy.path.bytes, as: UTF8.self) }
}

extension FileClient {
    /// Withdraws a link, for the owner of its bucket: within a second no edge honours it.
    package func revoke(_ url: LinkURL) async throws(FileClientFault) {
        var request = EdgeRequest(.post, prefix: "/f/", RemotePath(bucket: url.target))
        request.rawPath = Array("/f/".utf8) + url.rawPath
        request.query = [("revoke", "link")] + url.link.parameters
        _ = try await self.fetch(request)
    }

    /// Withdraws every link into a bucket that was made so far.
    package func revokeLinks(into bucket: String) async throws(FileClientFault) {
        _ = try await self.fetch(
            EdgeRequest(
                .post, prefix: "/f/", RemotePath(bucket: bucket), query: [("revoke", "all")]))
    }
}
