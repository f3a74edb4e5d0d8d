import Catalog
import ChunkProtocol
import ClusterClient
import Consensus
import MetaNode
import Primitives

/// What `/status` says of a node, as JSON (RFC 8259).
package struct StatusDocument: Sendable {
    /// What the document calls this release.
    package static let version = "0.1.0"

    package let configuration: NodeConfiguration
    /// Whether the node has joined its cluster.
    package let isReady: Bool
    package let groups: [(group: GroupID, status: RaftStatus)]
    /// What the last audits of references found, of the groups that this node led at the time.
    package let audits: [(group: GroupID, figures: AuditFigures)]
    /// Nil on nodes that keep no chunks.
    package let store: StoreStatus?
    /// Nil on nodes without the meta role.
    package let masterKeys: MasterKeyReport?
    /// The disk below the metadata; nil on nodes that keep none.
    package let disk: DiskSpaceRule?
    /// How the node's clock stands to the meta nodes', and how many of those are known.
    package let clock: (verdict: ClockVerdict, known: Int)?
    /// How this node's replicas stand to the others'.
    package let replicas: [(group: GroupID, isFenced: Bool, differing: [NodeID])]

    package init(
        configuration: NodeConfiguration, isReady: Bool,
        groups: [(group: GroupID, status: RaftStatus)],
        audits: [(group: GroupID, figures: AuditFigures)] = [], store: StoreStatus?,
        masterKeys: MasterKeyReport? = nil,
        disk: DiskSpaceRule? = nil, clock: (verdict: ClockVerdict, known: Int)? = nil,
        replicas: [(group: GroupID, isFenced: Bool, differing: [NodeID])] = []
    ) {
        self.configuration = configuration
        self.isReady = isReady
        self.groups = groups
        self.audits = audits
        self.store = store
        self.masterKeys = masterKeys
        self.disk = disk
        self.clock = clock
        self.replicas = replicas
    }

    package var json: String {
        let roles = NodeConfiguration.roleNames
            .filter { self.configuration.roles.contains($0.1) }.map { "\"\($0.0)\"" }
        var fields = [
            "\"node\":\(self.configuration.node)",
            "\"cluster\":\"\(self.configuration.cluster)\"",
            "\"zone\":\"\(Self.escaped(self.configuration.zone))\"",
            "\"roles\":[\(roles.joined(separator: ","))]",
            "\"version\":\"\(Self.version)\"",
            "\"ready\":\(self.isReady)",
            "\"promise\":\"\(self.promise)\"",
            "\"groups\":[\(self.groups.map(Self.json).joined(separator: ","))]",
            "\"audits\":[\(self.audits.map(Self.json).joined(separator: ","))]",
        ]
        if let store = self.store {
            fields.append(
                "\"store\":{\"chunks\":\(store.chunks),\"sealedBytes\":\(store.sealedBytes),"
                    + "\"segments\":\(store.segments),\"freeBytes\":\(store.freeBytes)}")
        }
        if let keys = self.masterKeys { fields.append(Self.json(keys)) }
        if let disk = self.disk {
            fields.append(
                "\"disk\":{\"space\":\"\(disk.space)\",\"freeBytes\":\(disk.freeBytes),"
                    + "\"markBytes\":\(disk.settings.markBytes),"
                    + "\"recoveryBytes\":\(disk.recoveryBytes),"
                    + "\"holdsBallast\":\(disk.holdsBallast)}")
        }
        if let clock = self.clock { fields.append(Self.json(clock.verdict, clock.known)) }
        fields.append("\"divergences\":[\(self.divergences.joined(separator: ","))]")
        return "{\(fields.joined(separator: ","))}\n"
    }

    private static func json(_ group: GroupID, _ status: RaftStatus) -> String {
        "{\"group\":\(group),\"role\":\"\(status.role)\",\"term\":\(status.term),"
            + "\"leader\":\(status.leader.map(\.description) ?? "null"),"
            + "\"applied\":\(status.applied),\"commit\":\(status.commit)"
            + (status.remembered.map { Self.json(recovering: status.last.position, to: $0) } ?? "")
            + "}"
    }

    /// A log that lacks entries which it had: as term and index, what it holds and what it held.
    private static func json(recovering held: LogPosition, to end: LogPosition) -> String {
        ",\"recovering\":{\"holds\":\"\(held)\",\"held\":\"\(end)\"}"
    }

    /// The groups in which some replica was found to differ from this node's.
    private var divergences: [String] {
        self.replicas.filter { $0.isFenced || !$0.differing.isEmpty }.map { replica in
            "{\"group\":\(replica.group),\"isFenced\":\(replica.isFenced),"
                + "\"differsFrom\":[\(replica.differing.map(\.description).joined(separator: ","))]}"
        }
    }

    /// `offsetMilliseconds` is null while too few clocks are known.
    private static func json(_ verdict: ClockVerdict, _ known: Int) -> String {
        let offset = verdict.offset.map { "\($0.wholeNanoseconds / 1_000_000)" } ?? "null"
        return "\"clock\":{\"offsetMilliseconds\":\(offset),\"known\":\(known),"
            + "\"mayLead\":\(!verdict.mustNotLead),"
            + "\"takesSignedRequests\":\(verdict.offset != nil && !verdict.isUnfitForEdges)}"
    }

    /// Ids alone: what a key is named says nothing of the key.
    private static func json(_ keys: MasterKeyReport) -> String {
        func list(_ ids: [MasterKeyID]) -> String {
            "[\(ids.map { "\"\($0)\"" }.joined(separator: ","))]"
        }
        let waiting = keys.waiting.map { "{\"group\":\($0.group),\"secrets\":\($0.secrets)}" }
        return "\"masterKeys\":{\"held\":\(list(keys.held)),"
            + "\"inForce\":\(keys.system.wrapping.map { "\"\($0)\"" } ?? "null"),"
            + "\"former\":\(list(keys.system.former)),\"retired\":\(list(keys.system.retired)),"
            + "\"waiting\":[\(waiting.joined(separator: ","))]}"
    }

    private static func json(_ group: GroupID, _ audit: AuditFigures) -> String {
        "{\"group\":\(group),\"asOf\":\(audit.asOf),\"chunks\":\(audit.chunks),"
            + "\"references\":\(audit.references),\"corrected\":\(audit.corrected),"
            + "\"lost\":\(audit.lost)}"
    }

    /// The promise in force for a cluster of this size.
    private var promise: String {
        switch self.configuration.peers.count {
        case 1: "one node: an acknowledged write survives a power cut, not the loss of the node"
        case 2, 3, 4: "an acknowledged write survives the loss of any one node"
        default: "an acknowledged write survives the loss of any two nodes"
        }
    }

    /// Text between quotes: what must be escaped is, control characters as `\\u00XX`.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { out, scalar in
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                out += "\\u00" + Hex.encode([UInt8(scalar.value)])
            default: out.unicodeScalars.append(scalar)
            }
        }
    }
}
