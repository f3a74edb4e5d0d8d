import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing
import Wire

@Suite struct SystemTests {
    static func bootstrap() throws -> Bootstrap {
        let nodes = (1...5).map { number in
            NodeRecord(
                descriptor: NodeDescriptor(
                    id: NodeID(UInt32(number)), zone: "zone-\((number + 1) / 2)"),
                address: "127.0.0.1:700\(number)", roles: .all)
        }
        let groups = (0...4).map {
            GroupDescriptor(
                id: GroupID($0), voters: nodes.map(\.id), preferredLeader: NodeID($0 + 1))
        }
        return Bootstrap(
            cluster: unwrap(ClusterID(bytes: Array(0..<16))),
            firstAccessKey: AccessKey(
                id: accessKeyID("AKIDFIRST"), owner: alice, state: .active,
                wrappedSecret: [1, 2]),
            linkKey: LinkKey(
                id: "link-1", algorithm: .ed25519, publicKey: [3], wrappedPrivateKey: [4]),
            nodes: nodes,
            layout: try LayoutBuilder.build(
                version: LayoutVersion(1), nodes: nodes.map(\.descriptor), partitionBits: 6),
            groupTable: GroupTable(version: 1, dealingSlotsTo: groups))
    }

    @Test func `a cluster is made once`() throws {
        let group = CatalogGroup(.system)
        let bootstrap = try Self.bootstrap()
        #expect(try group.view.answer(.cluster) == .absent)
        #expect(try group.apply(operation: .bootstrap(bootstrap)) == .bootstrapped)
        #expect(
            try group.apply(operation: .bootstrap(bootstrap))
                == .bootstrappedBefore(bootstrap.cluster))
        #expect(try group.view.nodes() == bootstrap.nodes)
        #expect(try group.view.answer(.groupTable) == .groupTable(bootstrap.groupTable))
        #expect(
            try group.view.answer(.linkKeys).withoutSecrets
                == .linkKeys([bootstrap.linkKey.withoutPrivateKey]))
    }

    @Test func `of the tables only what is newer is told`() throws {
        let group = CatalogGroup(.system)
        let bootstrap = try Self.bootstrap()
        #expect(try group.view.answer(.tables(known: TableVersions())) == .absent)
        try group.apply(operation: .bootstrap(bootstrap))
        let nodes = ClusterTables.Nodes(version: 1, records: bootstrap.nodes)
        #expect(
            try group.view.answer(.tables(known: TableVersions()))
                == .tables(
                    ClusterTables(
                        layout: bootstrap.layout, groupTable: bootstrap.groupTable, nodes: nodes)))
        var known = TableVersions(
            layout: bootstrap.layout.version, groupTable: bootstrap.groupTable.version, nodes: 1)
        #expect(try group.view.answer(.tables(known: known)) == .tables(ClusterTables()))
        #expect(CatalogAnswer.tables(ClusterTables()).encoded.count == 5)

        // The same record once more is no change.
        try group.apply(operation: .registerNode(bootstrap.nodes[0]))
        #expect(try group.view.answer(.tables(known: known)) == .tables(ClusterTables()))
        let drained = bootstrap.nodes[0].with(.draining)
        try group.apply(operation: .registerNode(drained))
        let changed = ClusterTables.Nodes(
            version: 2, records: [drained] + bootstrap.nodes.dropFirst())
        #expect(
            try group.view.answer(.tables(known: known)) == .tables(ClusterTables(nodes: changed)))
        // Who knows more than this state, which is an old leader's, is told nothing older.
        known.nodes = 3
        #expect(try group.view.answer(.tables(known: known)) == .tables(ClusterTables()))
    }

    @Test func `the first access key is remembered until it is delivered`() throws {
        let group = CatalogGroup(.system)
        let bootstrap = try Self.bootstrap()
        try group.apply(operation: .bootstrap(bootstrap))
        #expect(try group.view.cluster()?.firstAccessKey == bootstrap.firstAccessKey)
        for _ in 0..<2 {
            #expect(try group.apply(operation: .finishBootstrap) == .bootstrapFinished)
            #expect(
                try group.view.cluster()
                    == Cluster(
                        id: bootstrap.cluster, created: group.time, firstAccessKey: nil))
        }
    }

    @Test func `incarnations grow and never repeat`() throws {
        let group = CatalogGroup(.system)
        let commands = (0..<3).map { _ in CatalogCommand(operation: .allocateIncarnation) }
        #expect(
            try group.apply(commands).results == [
                .incarnation(1), .incarnation(2), .incarnation(3),
            ])
        #expect(try group.apply(operation: .allocateIncarnation) == .incarnation(4))
        #expect(try group.view.answer(.incarnation) == .incarnation(4))
    }

    @Test func `a node's identity is never given to another`() throws {
        let group = CatalogGroup(.system)
        try group.apply(operation: .bootstrap(try Self.bootstrap()))
        func record(_ id: UInt32, _ state: NodeState = .active) -> CatalogOperation {
            .registerNode(
                NodeRecord(
                    descriptor: NodeDescriptor(id: NodeID(id), zone: "z", state: state),
                    address: "h:1", roles: .store))
        }
        #expect(try group.apply(operation: record(8)) == .nodeRegistered)
        #expect(try group.apply(operation: record(6)) == .nodeIdentityUsed)
        #expect(try group.apply(operation: record(8, .removed)) == .nodeRegistered)
        #expect(try group.view.node(NodeID(8))?.descriptor.state == .removed)
        #expect(try group.apply(operation: record(8, .removed)) == .nodeRegistered)
        #expect(try group.apply(operation: record(8)) == .nodeRemoved)
    }

    @Test func `a node is what it was registered as, but for its state`() throws {
        let group = CatalogGroup(.system)
        func register(_ address: String, _ state: NodeState = .active) throws -> CommandResult? {
            try group.apply(
                operation: .registerNode(
                    NodeRecord(
                        descriptor: NodeDescriptor(id: NodeID(1), zone: "z", state: state),
                        address: address, roles: .all)))
        }
        #expect(try register("a:1") == .nodeRegistered)
        #expect(try register("a:1") == .nodeRegistered)
        #expect(try register("b:1") == .nodeIdentityUsed)
        #expect(try register("a:1", .draining) == .nodeRegistered)
        #expect(try group.view.nodes().map(\.descriptor.state) == [.draining])
    }

    @Test func `a configuration rests beside the position that it is applied at`() throws {
        let group = CatalogGroup(.system)
        #expect(try group.view.answer(.configuration) == .absent)
        try group.apply(operation: .allocateIncarnation)
        let before = try #require(try group.view.applied())
        let applied = try group.catalog.applyConfiguration(
            [1, 2, 3], at: before.index.next, term: before.term, reading: group.store)
        try group.store.write(applied.batch, .unlogged)
        #expect(try group.view.answer(.configuration) == .configuration([1, 2, 3]))
        #expect(try group.view.applied()?.index == before.index.next)
        #expect(try group.view.applied()?.time == before.time)
    }

    @Test func `a layout replaces only the one it was made from`() throws {
        let group = CatalogGroup(.system)
        let bootstrap = try Self.bootstrap()
        try group.apply(operation: .bootstrap(bootstrap))
        let next = try LayoutBuilder.build(
            version: LayoutVersion(2), nodes: bootstrap.layout.nodes, partitionBits: 6)
        let set = CatalogOperation.setLayout(
            SetLayout(expected: LayoutVersion(1), layout: next))
        #expect(try group.apply(operation: set) == .layoutSet(LayoutVersion(2)))
        #expect(try group.apply(operation: set) == .layoutSet(LayoutVersion(2)))
        let stale = try LayoutBuilder.build(
            version: LayoutVersion(3), nodes: bootstrap.layout.nodes, partitionBits: 6)
        #expect(
            try group.apply(
                operation: .setLayout(SetLayout(expected: LayoutVersion(1), layout: stale)))
                == .layoutChanged(current: LayoutVersion(2)))
    }

    @Test func `a group table replaces only the one it was made from`() throws {
        let group = CatalogGroup(.system)
        let table = GroupTable(version: 1, groups: [], slots: [])
        let set = CatalogOperation.setGroupTable(SetGroupTable(expected: 0, table: table))
        #expect(try group.apply(operation: set) == .groupTableSet(version: 1))
        #expect(try group.apply(operation: set) == .groupTableSet(version: 1))
        #expect(
            try group.apply(
                operation: .setGroupTable(
                    SetGroupTable(
                        expected: 0, table: GroupTable(version: 2, groups: [], slots: []))))
                == .groupTableChanged(current: 1))
    }

    /// A node's keys may be stolen with the node.
    @Test func `who the nodes are and where things lie is not for every node to say`() throws {
        let bootstrap = try Self.bootstrap()
        let operations: [CatalogOperation] = [
            .setLayout(SetLayout(expected: .none, layout: bootstrap.layout)),
            .setGroupTable(SetGroupTable(expected: 0, table: bootstrap.groupTable)),
            .registerNode(bootstrap.nodes[0]), .allocateIncarnation,
        ]
        let proposers: [CommandProposer] = [.operator, .leader, .operator, .anyNode]
        // As a meta node tells it from the bytes of a call, with a session's command or without.
        for identity in [
            nil, CommandIdentity(session: client, sequence: 1, firstUnacknowledged: 1),
        ] {
            #expect(
                try operations.map {
                    try CatalogCommand.proposer(
                        ofEncoded: CatalogCommand(identity: identity, operation: $0).encoded)
                } == proposers)
        }
    }

    @Test func `link keys come and go, up to their limit`() throws {
        let group = CatalogGroup(.system)
        func linkKey(_ number: Int, public byte: UInt8 = 1) -> LinkKey {
            LinkKey(
                id: "key-\(number)", algorithm: .rsa, publicKey: [byte], wrappedPrivateKey: [2])
        }
        for number in 0..<CatalogLimits.linkKeys {
            #expect(try group.apply(operation: .addLinkKey(linkKey(number))) == .linkKeyAdded)
        }
        #expect(try group.apply(operation: .addLinkKey(linkKey(0))) == .linkKeyAdded)
        #expect(try group.apply(operation: .addLinkKey(linkKey(0, public: 9))) == .linkKeyTaken)
        #expect(try group.apply(operation: .addLinkKey(linkKey(1_000))) == .limitReached)
        #expect(try group.apply(operation: .removeLinkKey(id: "key-0")) == .linkKeyRemoved)
        #expect(try group.apply(operation: .addLinkKey(linkKey(1_000))) == .linkKeyAdded)
    }

    @Test func `system commands go to group 0 alone, and the others never`() throws {
        let data = try CatalogGroup.withBucket()
        #expect(try data.apply(operation: .allocateIncarnation) == .wrongGroup)
        let system = CatalogGroup(.system)
        try system.open(client)
        #expect(try system.send(put("a")) == .wrongGroup)
    }
}
