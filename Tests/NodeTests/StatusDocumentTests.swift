import Catalog
import ChunkProtocol
import Consensus
import Foundation
import IORuntime
import MetaNode
import Node
import Primitives
import Testing

@Suite struct StatusDocumentTests {
    private func document(zone: String, nodes: UInt32 = 5) throws -> StatusDocument {
        let address = SocketAddress(host: "127.0.0.1", port: 9201)
        let cluster = try #require(ClusterID(bytes: [UInt8](repeating: 7, count: 16)))
        let peers = (1...nodes).map { (NodeID($0), address) }
        let replica = RaftReplica(
            configuration: RaftConfiguration(node: NodeID(1), voters: [NodeID(1)], seed: 1),
            hardState: .initial, log: .empty, applied: .zero)
        return StatusDocument(
            configuration: NodeConfiguration(
                cluster: cluster, node: NodeID(1), zone: zone, roles: .all, peer: address,
                edge: address, https: address, admin: address,
                peers: Dictionary(uniqueKeysWithValues: peers), voters: [NodeID(1)],
                groups: [.system]),
            isReady: true, groups: [(.system, replica.status)],
            audits: [
                (GroupID(1), AuditFigures(asOf: LogIndex(9), chunks: 3, references: 5))
            ],
            store: StoreStatus(chunks: 1, sealedBytes: 2, segments: 3, freeBytes: 4),
            disk: DiskSpaceRule(DiskSpaceSettings(), holdsBallast: false))
    }

    private func parsed(_ document: StatusDocument) throws -> [String: Any] {
        let parsed = try JSONSerialization.jsonObject(with: Data(document.json.utf8))
        return try #require(parsed as? [String: Any])
    }

    @Test func `the document is JSON and says what the node is`() throws {
        let fields = try self.parsed(self.document(zone: "a"))
        #expect(fields["node"] as? Int == 1)
        #expect(fields["roles"] as? [String] == ["meta", "store", "edge"])
        #expect(fields["ready"] as? Bool == true)
        let groups = try #require(fields["groups"] as? [[String: Any]])
        #expect(groups.count == 1)
        #expect(groups[0]["role"] as? String == "follower")
        #expect(groups[0]["leader"] is NSNull)
        let audits = try #require(fields["audits"] as? [[String: Any]])
        #expect(audits.map { $0["references"] as? Int } == [5])
        let store = try #require(fields["store"] as? [String: Any])
        #expect(store["freeBytes"] as? Int == 4)
        let disk = try #require(fields["disk"] as? [String: Any])
        #expect(disk["space"] as? String == "low")
        #expect(disk["holdsBallast"] as? Bool == false)
    }

    @Test(arguments: ["\"", "\\", "a\u{1}b", "hall \u{1f3e0}", "\u{7f}"])
    func `a zone of any text stays that text`(zone: String) throws {
        #expect(try self.parsed(self.document(zone: zone))["zone"] as? String == zone)
    }

    @Test(arguments: [(1, "one node"), (3, "any one node"), (5, "any two nodes")])
    func `the promise in force follows the number of nodes`(
        nodes: UInt32, promise: String
    ) throws {
        let fields = try self.parsed(self.document(zone: "a", nodes: nodes))
        #expect((fields["promise"] as? String)?.contains(promise) == true)
    }
}
