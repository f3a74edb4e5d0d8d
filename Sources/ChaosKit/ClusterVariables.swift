import FileClient
import IORuntime
import Primitives
import Telemetry

/// What `holdfast init` writes into a cluster's `env`, for shells and for us.
package struct ClusterVariables: Equatable, Sendable {
    package let all: [String: String]
    package let edges: [EdgeAddress]
    package let adminAddresses: [SocketAddress]
    package let accessKey: String
    package let secret: String

    /// Nil when the text is not what `init` writes: lines `export NAME='VALUE'`, with a quote in a
    /// value as `'\''`.
    package init?(text: String) {
        var all: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let prefix = "export "
            guard line.hasPrefix(prefix), let equals = line.firstIndex(of: "=") else { return nil }
            let name = line[..<equals].dropFirst(prefix.count)
            let quoted = line[line.index(after: equals)...]
            guard quoted.count >= 2, quoted.hasPrefix("'"), quoted.hasSuffix("'") else {
                return nil
            }
            all[String(name)] = Self.unquoted(quoted.dropFirst().dropLast())
        }
        guard let edges = all["HOLDFAST_EDGES"].map(Self.list),
            let admin = all["HOLDFAST_ADMIN"].map(Self.list),
            let accessKey = all["HOLDFAST_KEY"], let secret = all["HOLDFAST_SECRET"]
        else { return nil }
        self.all = all
        self.edges = edges.compactMap { EdgeAddress($0) }
        self.adminAddresses = admin.compactMap { SocketAddress($0) }
        self.accessKey = accessKey
        self.secret = secret
        guard !edges.isEmpty, self.edges.count == edges.count,
            self.adminAddresses.count == edges.count
        else { return nil }
    }

    /// A client of all edges, or of those named by their position.
    package func clientOptions(edges positions: [Int]? = nil) -> FileClientOptions {
        FileClientOptions(
            edges: positions?.map { self.edges[$0] } ?? self.edges, accessKey: self.accessKey,
            secret: Redacted(self.secret))
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map(String.init)
    }

    private static func unquoted(_ text: Substring) -> String {
        var plain = ""
        var rest = text
        while let character = rest.first {
            if rest.hasPrefix("'\\''") {
                plain += "'"
                rest = rest.dropFirst(4)
            } else {
                plain.append(character)
                rest = rest.dropFirst()
            }
        }
        return plain
    }
}
