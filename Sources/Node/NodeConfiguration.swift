import Catalog
import IORuntime
import Placement
import Primitives

/// What `node.conf` says: this node's place in its cluster. `name = value` lines, each name once;
/// lines that begin with `#` are comments.
///
///     cluster = 6c1f…            32 hexadecimal digits
///     node = 1
///     zone = a
///     roles = meta,store,edge
///     peer = 127.0.0.1:9201      where peers reach it
///     edge = 127.0.0.1:9001      plain HTTP
///     https = 127.0.0.1:9401
///     admin = 127.0.0.1:9101     metrics, health, status
///     peers = 1@127.0.0.1:9201,2@127.0.0.1:9202,…
///     voters = 1,2,3,4,5         the meta nodes when the identity was made
///     groups = 0,1,2
package struct NodeConfiguration: Equatable, Sendable {
    package var cluster: ClusterID
    package var node: NodeID
    package var zone: String
    package var roles: NodeRoles
    package var peer: SocketAddress
    package var edge: SocketAddress
    package var https: SocketAddress
    package var admin: SocketAddress
    package var peers: [NodeID: SocketAddress]
    package var voters: [NodeID]
    package var groups: [GroupID]

    package init(
        cluster: ClusterID, node: NodeID, zone: String, roles: NodeRoles, peer: SocketAddress,
        edge: SocketAddress, https: SocketAddress, admin: SocketAddress,
        peers: [NodeID: SocketAddress], voters: [NodeID], groups: [GroupID]
    ) {
        self.cluster = cluster
        self.node = node
        self.zone = zone
        self.roles = roles
        self.peer = peer
        self.edge = edge
        self.https = https
        self.admin = admin
        self.peers = peers
        self.voters = voters
        self.groups = groups
    }

    package enum Fault: Error, Equatable, Sendable {
        case malformedLine(number: Int)
        case unknownName(String)
        case repeatedName(String)
        case missing(String)
        case invalid(name: String, value: String)
        /// The settings contradict each other: the name that is wrong if the others are right.
        case contradictory(name: String)
    }

    private static let names = [
        "cluster", "node", "zone", "roles", "peer", "edge", "https", "admin", "peers", "voters",
        "groups",
    ]

    static let roleNames: [(String, NodeRoles)] = [
        ("meta", .meta), ("store", .store), ("edge", .edge),
    ]

    package init(text: String) throws(Fault) {
        var values: [String: String] = [:]
        // A line of a file from Windows ends in one character that is not "\n".
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (number, line) in lines.enumerated() {
            let trimmed = Self.trim(line)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            guard let equals = trimmed.firstIndex(of: "=") else {
                throw .malformedLine(number: number + 1)
            }
            let name = Self.trim(trimmed[..<equals])
            guard Self.names.contains(name) else { throw .unknownName(name) }
            guard values[name] == nil else { throw .repeatedName(name) }
            values[name] = Self.trim(trimmed[trimmed.index(after: equals)...])
        }
        func read<Value>(_ name: String, _ parse: (String) -> Value?) throws(Fault) -> Value {
            guard let text = values[name] else { throw .missing(name) }
            guard let value = parse(text) else { throw .invalid(name: name, value: text) }
            return value
        }
        self.cluster = try read("cluster") { ClusterID($0) }
        self.node = try read("node", Self.node)
        self.zone = try read("zone") { $0.isEmpty ? nil : $0 }
        self.roles = try read("roles", Self.roles)
        self.peer = try read("peer") { SocketAddress($0) }
        self.edge = try read("edge") { SocketAddress($0) }
        self.https = try read("https") { SocketAddress($0) }
        self.admin = try read("admin") { SocketAddress($0) }
        self.peers = try read("peers", Self.peers)
        self.voters = try read("voters") { Self.list($0, Self.node) }
        self.groups = try read("groups") { Self.list($0) { UInt32($0).map { GroupID($0) } } }
        try self.check()
    }

    /// What the roles would trip over later.
    private func check() throws(Fault) {
        guard self.peers[self.node] == self.peer else { throw .contradictory(name: "peers") }
        guard Set(self.voters).count == self.voters.count,
            self.voters.allSatisfy({ self.peers[$0] != nil })
        else { throw .contradictory(name: "voters") }
        // A meta node that is not among the voters has joined later: the groups' logs say when it
        // votes.
        guard self.roles.contains(.meta) || !self.voters.contains(self.node) else {
            throw .contradictory(name: "roles")
        }
        guard Set(self.groups).count == self.groups.count, self.groups.contains(.system) else {
            throw .contradictory(name: "groups")
        }
    }

    package var text: String {
        let peers = self.peers.keys.sorted()
            .compactMap { node in self.peers[node].map { "\(node)@\($0)" } }
        let roles = Self.roleNames.filter { self.roles.contains($0.1) }.map(\.0)
        return """
            cluster = \(self.cluster)
            node = \(self.node)
            zone = \(self.zone)
            roles = \(roles.joined(separator: ","))
            peer = \(self.peer)
            edge = \(self.edge)
            https = \(self.https)
            admin = \(self.admin)
            peers = \(peers.joined(separator: ","))
            voters = \(self.voters.map(\.description).joined(separator: ","))
            groups = \(self.groups.map(\.description).joined(separator: ","))

            """
    }

    private static func node(_ text: String) -> NodeID? {
        UInt32(text).flatMap { $0 > 0 ? NodeID($0) : nil }
    }

    private static func roles(_ text: String) -> NodeRoles? {
        let roles = self.list(text) { name in
            self.roleNames.first { $0.0 == name }.map(\.1)
        }
        return roles.map { $0.reduce(NodeRoles()) { $0.union($1) } }
    }

    private static func peers(_ text: String) -> [NodeID: SocketAddress]? {
        let pairs = self.list(text) { item -> (NodeID, SocketAddress)? in
            guard let at = item.firstIndex(of: "@"), let node = self.node(String(item[..<at])),
                let address = SocketAddress(String(item[item.index(after: at)...]))
            else { return nil }
            return (node, address)
        }
        guard let pairs, Set(pairs.map(\.0)).count == pairs.count else { return nil }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    private static func list<Item>(_ text: String, _ parse: (String) -> Item?) -> [Item]? {
        var items: [Item] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let item = parse(self.trim(part)) else { return nil }
            items.append(item)
        }
        return items.isEmpty ? nil : items
    }

    private static func trim(_ text: some StringProtocol) -> String {
        let kept = text.drop { $0.isWhitespace }
        let trailing = kept.reversed().prefix { $0.isWhitespace }.count
        return String(kept.dropLast(trailing))
    }
}
