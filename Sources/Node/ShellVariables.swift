import IORuntime
import Primitives

/// What `env` in a cluster's directory says, for shells that source it: our own variables, and those
/// of the common S3 tools. Each is a line `export NAME='VALUE'`.
///
/// `holdfast init` writes the file. Which nodes there are changes later, and with it three of the
/// variables; all else in the file is its owner's, whatever they have made of it.
package struct ShellVariables: Equatable, Sendable {
    /// Where a node listens.
    package struct Doors: Equatable, Sendable {
        package let edge: SocketAddress
        package let https: SocketAddress
        package let admin: SocketAddress

        package init(edge: SocketAddress, https: SocketAddress, admin: SocketAddress) {
            self.edge = edge
            self.https = https
            self.admin = admin
        }

        /// From another machine only what is not on the loopback alone can be reached.
        var url: String {
            self.edge.isLoopback && !self.https.isLoopback
                ? "https://\(self.https)" : "http://\(self.edge)"
        }
    }

    /// A name and its value.
    private struct Variable: Equatable, Sendable {
        let name: String
        let value: String

        var beginning: String { "export \(self.name)=" }
        var line: String { self.beginning + ShellVariables.quoted(self.value) }
    }

    private static let fileName = "env"

    private let variables: [Variable]

    /// - Parameter doors: of all nodes, by ascending number; not empty.
    package init(
        of cluster: NewCluster, doors: [Doors], directory: String
    ) {
        let authority = directory + "/authority/ca.pem"
        let keys = [
            Variable(name: "HOLDFAST_KEY", value: cluster.accessKey),
            Variable(name: "HOLDFAST_SECRET", value: cluster.secret),
            Variable(name: "HOLDFAST_CA", value: authority),
            Variable(name: "AWS_ACCESS_KEY_ID", value: cluster.accessKey),
            Variable(name: "AWS_SECRET_ACCESS_KEY", value: cluster.secret),
            Variable(name: "AWS_DEFAULT_REGION", value: "holdfast-1"),
        ]
        let addresses = Self.addresses(of: doors)
        let bundle =
            doors.first.map { $0.url.hasPrefix("https") } ?? false
            ? [Variable(name: "AWS_CA_BUNDLE", value: authority)] : []
        self.variables = Array(addresses.prefix(2)) + keys + addresses.dropFirst(2) + bundle
    }

    /// What follows from which nodes there are.
    private static func addresses(of doors: [Doors]) -> [Variable] {
        let edges = doors.map(\.url)
        return [
            Variable(name: "HOLDFAST_EDGES", value: edges.joined(separator: ",")),
            Variable(
                name: "HOLDFAST_ADMIN",
                value: doors.map(\.admin.description).joined(separator: ",")),
            Variable(name: "AWS_ENDPOINT_URL", value: edges.first ?? ""),
        ]
    }

    package var text: String { self.variables.map { $0.line + "\n" }.joined() }

    package static func path(in directory: String) -> String { "\(directory)/\(self.fileName)" }

    /// The same text with the addresses of other nodes. Of each of the three variables the first
    /// line that sets it is ours: what its owner set again behind it stays, and what they took out
    /// stays out.
    package static func replacingAddresses(in text: String, by doors: [Doors]) -> String {
        var waiting = Self.addresses(of: doors)
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard let place = waiting.firstIndex(where: { line.hasPrefix($0.beginning) }) else {
                return String(line)
            }
            return waiting.remove(at: place).line
        }.joined(separator: "\n")
    }

    /// Has a cluster's `env`, where there is one, name the nodes whose identities are beside it.
    /// Blocking.
    ///
    /// - Parameter removed: nodes that are none any more.
    package static func update(
        clusterDirectory directory: String, without removed: Set<NodeID>, _ files: any FileSystem
    ) throws(OperatorFault) {
        let path = Self.path(in: directory)
        let identities = try OperatorIdentity.configurations(in: directory, files)
        let doors = identities.filter { !removed.contains($0.node) }
            .map { Doors(edge: $0.edge, https: $0.https, admin: $0.admin) }
        guard !doors.isEmpty else { return }
        do throws(FileFault) {
            guard try files.status(path) != nil else { return }
            let text = String(decoding: try files.contents(of: path), as: UTF8.self)
            let changed = Self.replacingAddresses(in: text, by: doors)
            if changed != text { try files.replace(path, with: Array(changed.utf8)) }
        } catch { throw .unreadable(path: path, "\(error)") }
    }

    /// As one word of a POSIX shell.
    private static func quoted(_ text: String) -> String {
        "'"
            + text.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "'\\''")
            + "'"
    }
}
