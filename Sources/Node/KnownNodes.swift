import IORuntime
import Primitives
import Synchronization
import Telemetry

/// The nodes that were removed from the cluster for ever, as far as this node has ever heard: their
/// certificates are refused in the handshake.
///
/// They are kept beside the identity, as one number a line, and read before the node listens: what
/// a restart forgot, a removed node could use until group 0 has answered.
package final class RevokedNodes: Sendable {
    private struct State {
        var nodes: Set<NodeID> = []
        var refusals: Counter?
    }

    private let state = Mutex(State())
    /// Held by who writes the file, so that a smaller set never comes after a larger one. Only ever
    /// waited for where blocking is fine.
    private let writing = Mutex<Void>(())

    package init() {}

    /// All of them, in order.
    package var nodes: [NodeID] { self.state.withLock { $0.nodes.sorted() } }

    /// Whether one of them was not known before.
    @discardableResult
    package func add(_ nodes: [NodeID]) -> Bool {
        self.state.withLock { state in
            let known = state.nodes.count
            state.nodes.formUnion(nodes)
            return state.nodes.count > known
        }
    }

    /// Counts each refusal from now on.
    func count(by counter: Counter) { self.state.withLock { $0.refusals = counter } }

    /// Whether the certificate of a node is refused; asked in each handshake.
    package func refuses(_ node: NodeID) -> Bool {
        self.state.withLock { state in
            guard state.nodes.contains(node) else { return false }
            state.refusals?.add()
            return true
        }
    }

    // MARK: Across starts

    private static func path(_ identityDirectory: String) -> String {
        identityDirectory + "/" + NodeIdentity.File.revoked
    }

    /// Adds those that an earlier process of this node had heard of. Blocking.
    package func read(
        from identityDirectory: String, _ files: any FileSystem
    ) throws(NodeFault) {
        let path = Self.path(identityDirectory)
        let bytes: [UInt8]
        do throws(FileFault) {
            guard try files.status(path) != nil else { return }
            bytes = try files.contents(of: path)
        } catch { throw .file("\(error)") }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let numbers = lines.compactMap { UInt32($0) }
        guard numbers.count == lines.count else {
            throw .file(
                "\(path) does not name the removed nodes, one number a line: remove it, and this "
                    + "node learns from the others again whom to refuse")
        }
        self.add(numbers.map { NodeID($0) })
    }

    /// Makes what is known durable. Blocking.
    package func write(
        into identityDirectory: String, _ files: any FileSystem
    ) throws(FileFault) {
        try self.writing.withLock { _ throws(FileFault) in
            let text = self.nodes.map { "\($0.rawValue)\n" }.joined()
            try files.replace(Self.path(identityDirectory), with: Array(text.utf8))
        }
    }
}
