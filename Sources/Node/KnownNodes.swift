import Catalog
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// The other nodes, as this one last heard of them: where they are called, and who was removed from
/// the cluster for ever, whose certificate is refused in the handshake.
///
/// They are kept beside the identity, a line each (`6 10.0.0.6:9206`, `5 removed`), and read before the
/// node listens or calls anybody. `node.conf` names the nodes of the day when it was written: after a
/// power cut of all machines, nodes that came later would not find each other by it, nor make a
/// majority; and a removed one could use its certificate until group 0 has answered.
package final class KnownNodes: Sendable {
    private struct State {
        var addresses: [NodeID: SocketAddress] = [:]
        var removed: Set<NodeID> = []
        var refusals: Counter?
    }

    private let state = Mutex(State())
    /// Held by who writes the file, so that an older state never comes after a newer one. Only ever
    /// waited for where blocking is fine.
    private let writing = Mutex<Void>(())

    private static let removedWord = "removed"

    package init() {}

    /// Those that were removed, in order.
    package var removed: [NodeID] { self.state.withLock { $0.removed.sorted() } }

    /// Where the others are called; without the removed ones.
    package var addresses: [NodeID: SocketAddress] { self.state.withLock { $0.addresses } }

    /// Takes over what is said of the others now. Who was once removed stays so.
    ///
    /// - Returns: whether anything of it was not known before.
    @discardableResult
    package func update(addresses: [NodeID: SocketAddress], removed: [NodeID]) -> Bool {
        self.state.withLock { state in
            let all = state.removed.union(removed)
            let called = addresses.filter { !all.contains($0.key) }
            guard all != state.removed || called != state.addresses else { return false }
            state.removed = all
            state.addresses = called
            return true
        }
    }

    /// Where the others are called when a process starts: as `node.conf` says, which an operator may
    /// have changed since, and those that came later as they were heard of.
    func addresses(besides configuration: NodeConfiguration) -> [NodeID: SocketAddress] {
        self.state.withLock { state in
            configuration.peers.merging(state.addresses) { stated, _ in stated }
                .filter { !state.removed.contains($0.key) }
        }
    }

    /// Who is asked when a process starts and does not know yet who votes: the first voters, all who
    /// came since, and this node where it may vote. Whoever does not lead says so.
    func contacts(besides configuration: NodeConfiguration) -> [NodeID] {
        let (heard, removed) = self.state.withLock { (Set($0.addresses.keys), $0.removed) }
        var contacts = heard.union(configuration.voters).subtracting(removed)
        if configuration.roles.contains(.meta) { contacts.insert(configuration.node) }
        return contacts.isEmpty ? configuration.voters : contacts.sorted()
    }

    /// Counts each refusal from now on.
    func count(by counter: Counter) { self.state.withLock { $0.refusals = counter } }

    /// Whether the certificate of a node is refused; asked in each handshake.
    package func refuses(_ node: NodeID) -> Bool {
        self.state.withLock { state in
            guard state.removed.contains(node) else { return false }
            state.refusals?.add()
            return true
        }
    }

    // MARK: Across starts

    private static func path(_ identityDirectory: String) -> String {
        identityDirectory + "/" + NodeIdentity.File.nodes
    }

    /// Takes over what an earlier process of this node had heard. Blocking.
    package func read(
        from identityDirectory: String, _ files: any FileSystem
    ) throws(NodeFault) {
        let path = Self.path(identityDirectory)
        let bytes: [UInt8]
        do throws(FileFault) {
            guard try files.status(path) != nil else { return }
            bytes = try files.contents(of: path)
        } catch { throw .file("\(error)") }
        var addresses: [NodeID: SocketAddress] = [:]
        var removed: [NodeID] = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            if words.count == 2, let node = UInt32(words[0]) {
                if words[1] == Self.removedWord {
                    removed.append(NodeID(node))
                    continue
                } else if let address = SocketAddress(String(words[1])) {
                    addresses[NodeID(node)] = address
                    continue
                }
            }
            throw .file(
                "\(path) does not name the other nodes, a number and an address or "
                    + "\"\(Self.removedWord)\" a line: remove it, and this node learns from those "
                    + "that its node.conf names, if they are still there")
        }
        self.update(addresses: addresses, removed: removed)
    }

    /// Makes what is known durable. Blocking.
    package func write(
        into identityDirectory: String, _ files: any FileSystem
    ) throws(FileFault) {
        try self.writing.withLock { _ throws(FileFault) in
            let (addresses, removed) = self.state.withLock { ($0.addresses, $0.removed) }
            let text =
                addresses.sorted { $0.key < $1.key }.map { "\($0.key.rawValue) \($0.value)\n" }
                .joined()
                + removed.sorted().map { "\($0.rawValue) \(Self.removedWord)\n" }.joined()
            try files.replace(Self.path(identityDirectory), with: Array(text.utf8))
        }
    }
}
