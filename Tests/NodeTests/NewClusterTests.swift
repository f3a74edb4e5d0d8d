import Catalog
import Cryptography
import IORuntime
import MetaNode
import Node
import Placement
import Primitives
import Testing

@Suite struct NewClusterTests {
    @Test(
        arguments: [
            (["a"], [1]), (["a", "b", "c"], [1, 2, 3]), (["a", "b", "c", "c"], [1, 2, 3]),
            (["a", "a", "b", "c"], [1, 3, 4]), (["a", "a", "b", "b", "c"], [1, 2, 3, 4, 5]),
            (["a", "a", "a", "a", "a", "b", "c"], [1, 2, 3, 6, 7]),
            (["a", "a", "a", "b", "b", "b", "b"], [1, 2, 3, 4, 5]),
        ] as [([String], [UInt32])])
    func `voters are one, three or five, spread over the zones`(
        zones: [String], voters: [UInt32]
    ) {
        #expect(NewCluster.voters(of: plans(zones)).map(\.rawValue) == voters)
        #expect(NewCluster.voters(of: plans(zones).reversed()).map(\.rawValue) == voters)
    }

    @Test func `two nodes are refused, and none`() {
        #expect(throws: NewCluster.Fault.layout(.twoNodes)) { try newCluster(["a", "b"]) }
        #expect(throws: NewCluster.Fault.layout(.noNodes)) { try newCluster([]) }
    }

    @Test(arguments: [
        ["a"], ["a", "b", "c"], ["a", "b", "c", "c"], ["a", "a", "b", "b", "c"],
        ["a", "a", "b", "b", "c", "c", "c"],
    ])
    func `every voter gets the master key and the first facts, and nobody else`(
        zones: [String]
    ) throws {
        let cluster = try newCluster(zones)
        let voters = NewCluster.voters(of: plans(zones))
        #expect(cluster.identities.map(\.configuration.node) == plans(zones).map(\.node))
        for identity in cluster.identities {
            let isVoter = voters.contains(identity.configuration.node)
            #expect((identity.masterKeys != nil) == isVoter)
            #expect((identity.bootstrap != nil) == isVoter)
            #expect(identity.configuration.roles == (isVoter ? .all : [.store, .edge]))
            #expect(identity.configuration.voters == voters)
            #expect(identity.configuration.peers.count == zones.count)
            // What the node will read is what was meant.
            #expect(
                try NodeConfiguration(text: identity.configuration.text)
                    == identity.configuration)
        }
        let bootstrap = cluster.bootstrap
        #expect(bootstrap.layout.nodes.map(\.zone).sorted() == zones.sorted())
        #expect(bootstrap.groupTable.groups.map(\.id) == NewCluster.groups())
        for group in bootstrap.groupTable.groups {
            #expect(group.voters == voters)
            #expect(group.preferredLeader.map(voters.contains) == true)
        }
        #expect(bootstrap.groupTable.group(owning: Slot(rawValue: 0)) == GroupID(1))
        #expect(bootstrap.groupTable.group(owning: Slot(rawValue: .max)) == GroupID(4))
    }

    @Test func `of five voters each is preferred to lead one of five groups`() throws {
        let table = try newCluster(["a", "a", "b", "b", "c"]).bootstrap.groupTable
        #expect(table.groups.map(\.id.rawValue) == [0, 1, 2, 3, 4])
        #expect(table.groups.compactMap(\.preferredLeader?.rawValue) == [1, 2, 3, 4, 5])
    }

    @Test func `certificates are those of their nodes and of this cluster`() throws {
        let cluster = try newCluster(["a", "b", "c"])
        for identity in cluster.identities {
            _ = try TLSChannelSecurity.peers(
                identity: identity.node, authority: identity.authority,
                cluster: cluster.cluster, isRevoked: { _ in false })
            _ = try TLSChannelSecurity.doors(certificate: identity.door)
            #expect(identity.authority == cluster.authority.pem.certificatePEM)
            #expect(!identity.node.certificatePEM.contains("PRIVATE"))
        }
        #expect(Set(cluster.identities.map(\.node.keyPEM)).count == 3)
    }

    @Test func `secrets open with the master key, in their own context alone`() throws {
        let cluster = try newCluster(["a"])
        let master = try #require(cluster.identities[0].masterKeys?.newest)
        let key = cluster.bootstrap.firstAccessKey
        let link = cluster.bootstrap.linkKey
        #expect(key.id.text == cluster.accessKey)
        #expect(
            master.unwrap(key.wrappedSecret, context: MetaSecrets.Context.accessKey(key.id))
                == Array(cluster.secret.utf8))
        let seed = try #require(
            master.unwrap(link.wrappedPrivateKey, context: MetaSecrets.Context.linkKey(link.id)))
        #expect(Ed25519PrivateKey(seed: seed)?.publicKeyBytes == link.publicKey)
        #expect(
            master.unwrap(key.wrappedSecret, context: MetaSecrets.Context.linkKey("1")) == nil)
        #expect(
            master.unwrap(
                link.wrappedPrivateKey, context: MetaSecrets.Context.accessKey(key.id)) == nil)
        let other = MasterKey(try #require(SymmetricKey(bytes: [UInt8](repeating: 1, count: 32))))
        #expect(
            other.unwrap(key.wrappedSecret, context: MetaSecrets.Context.accessKey(key.id)) == nil)
    }
}

@Suite struct NodeIdentityTests {
    private func written(_ zones: [String], _ position: Int) throws -> (TestDisk, NodeIdentity) {
        let disk = TestDisk()
        let cluster = try newCluster(zones)
        let identity = cluster.identities[position]
        try identity.write(into: "/identity", disk.files)
        return (disk, identity)
    }

    @Test func `an identity is read as it was written, also behind a power cut`() throws {
        for (zones, position) in [(["a"], 0), (["a", "b", "c", "c"], 3)] {
            let (disk, identity) = try self.written(zones, position)
            disk.powerCut()
            let read = try NodeIdentity.read("/identity", disk.files)
            #expect(read.configuration == identity.configuration)
            #expect(read.node == identity.node && read.door == identity.door)
            #expect(read.authority == identity.authority)
            #expect(read.bootstrap == identity.bootstrap)
            #expect(read.masterKeys?.ids == identity.masterKeys?.ids)
        }
    }

    @Test(arguments: [
        NodeIdentity.File.configuration, NodeIdentity.File.authority,
        NodeIdentity.File.nodeCertificate, NodeIdentity.File.nodeKey,
        NodeIdentity.File.doorCertificate, NodeIdentity.File.doorKey,
        NodeIdentity.File.masterKeys, NodeIdentity.File.bootstrap,
    ])
    func `a file that is missing or no text is named, with what to do`(name: String) throws {
        let (disk, _) = try self.written(["a"], 0)
        let path = "/identity/" + name
        try disk.files.replace(path, with: [0xff, 0xfe])
        try self.expectRefusal(of: path, disk)
        try disk.files.remove(path)
        try self.expectRefusal(of: path, disk)
    }

    @Test(arguments: [
        "", "ab", String(repeating: "g", count: 64), String(repeating: "a", count: 66),
    ])
    func `a master key of other than 64 digits is refused`(text: String) throws {
        let (disk, _) = try self.written(["a"], 0)
        try disk.files.replace("/identity/master.keys", with: Array(text.utf8))
        try self.expectRefusal(of: "/identity/master.keys", disk)
    }

    private func expectRefusal(of path: String, _ disk: TestDisk) throws {
        do throws(NodeFault) {
            _ = try NodeIdentity.read("/identity", disk.files)
            Issue.record("\(path) is damaged")
        } catch {
            guard case .identity(path, _) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(error.description.contains("holdfast init"))
        }
    }
}
