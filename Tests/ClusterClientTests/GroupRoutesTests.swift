import Catalog
import ClusterClient
import Primitives
import Testing

@Suite struct GroupRoutesTests {
    private static let group = GroupID(1)
    private static let nodes = [NodeID(1), NodeID(2), NodeID(3)]
    private static let now = Instant(nanoseconds: 0)

    private func targets(_ routes: inout GroupRoutes, _ count: Int) -> [UInt32] {
        (0..<count).map { _ in
            let node = routes.target(of: Self.group, at: Self.now)
            routes.failed(node, for: Self.group)
            return node.rawValue
        }
    }

    @Test func `blind attempts begin at home and go around`() {
        var routes = GroupRoutes(metaNodes: Self.nodes, local: NodeID(2))
        #expect(self.targets(&routes, 7) == [2, 1, 3, 2, 1, 3, 2])
        var stranger = GroupRoutes(metaNodes: Self.nodes, local: NodeID(9))
        #expect(self.targets(&stranger, 4) == [1, 2, 3, 1])
    }

    @Test func `who answered as the leader is asked again, for that group alone`() {
        var routes = GroupRoutes(metaNodes: Self.nodes, local: NodeID(1))
        routes.answered(NodeID(3), for: Self.group)
        #expect(routes.target(of: Self.group, at: Self.now) == NodeID(3))
        #expect(routes.target(of: GroupID(2), at: Self.now) == NodeID(1))
    }

    @Test func `a hint is followed, unless it names its giver or nobody who votes`() {
        var routes = GroupRoutes(metaNodes: Self.nodes, local: NodeID(1))
        let leadsToThird = routes.refused(NodeID(1), for: Self.group, hint: NodeID(3), at: Self.now)
        #expect(leadsToThird)
        #expect(routes.target(of: Self.group, at: Self.now) == NodeID(3))
        let leadsToItself = routes.refused(
            NodeID(3), for: Self.group, hint: NodeID(3), at: Self.now)
        #expect(!leadsToItself)
        #expect(
            routes.target(of: Self.group, at: Self.now) == NodeID(2),
            "forgotten, and the turn goes on")
        let leadsToStranger = routes.refused(
            NodeID(2), for: Self.group, hint: NodeID(77), at: Self.now)
        #expect(!leadsToStranger)
        #expect(routes.target(of: Self.group, at: Self.now) == NodeID(3))
    }

    @Test func `only the leader's own failure makes it forgotten`() {
        var routes = GroupRoutes(metaNodes: Self.nodes, local: NodeID(1))
        routes.answered(NodeID(3), for: Self.group)
        routes.failed(NodeID(2), for: Self.group)
        #expect(routes.target(of: Self.group, at: Self.now) == NodeID(3))
        routes.failed(NodeID(3), for: Self.group)
        routes.failed(NodeID(3), for: Self.group)
        #expect(routes.target(of: Self.group, at: Self.now) == NodeID(1))
    }

    @Test func `a silent node is left alone for a while, whoever points to it`() {
        var routes = GroupRoutes(metaNodes: Self.nodes, local: NodeID(1))
        routes.answered(NodeID(2), for: Self.group)
        routes.wasSilent(NodeID(2), for: Self.group, at: Self.now)
        let soon = Self.now + .milliseconds(599)
        for _ in 0..<6 {
            let asked = routes.target(of: Self.group, at: soon)
            #expect(asked != NodeID(2))
            let leadsToSilent = routes.refused(asked, for: Self.group, hint: NodeID(2), at: soon)
            #expect(!leadsToSilent)
        }
        #expect(routes.target(of: GroupID(2), at: soon) != NodeID(2), "nor for another group")
        let later = Self.now + GroupRoutes.silence
        let leadsToItLater = routes.refused(NodeID(1), for: Self.group, hint: NodeID(2), at: later)
        #expect(leadsToItLater)
        #expect(routes.target(of: Self.group, at: later) == NodeID(2))
    }

    @Test
    func `where all are silent somebody is asked all the same, and who answers is heard again`() {
        var routes = GroupRoutes(metaNodes: Self.nodes, local: NodeID(1))
        for node in Self.nodes { routes.wasSilent(node, for: Self.group, at: Self.now) }
        #expect(Self.nodes.contains(routes.target(of: Self.group, at: Self.now)))
        routes.answered(NodeID(3), for: Self.group)
        let leadsToIt = routes.refused(NodeID(1), for: GroupID(2), hint: NodeID(3), at: Self.now)
        #expect(leadsToIt)
    }
}

@Suite struct CommandWindowTests {
    private static let session = SessionID(7)

    private func opened(_ first: UInt64 = 100) -> CommandWindow {
        var window = CommandWindow()
        #expect(window.begin(in: Self.session) == .mustOpen)
        window.opened(firstSequence: first)
        return window
    }

    private func begin(_ window: inout CommandWindow) throws -> CommandIdentity {
        guard case .command(let identity) = window.begin(in: Self.session) else {
            throw Full()
        }
        return identity
    }

    private struct Full: Error {}

    @Test func `one opens, and who comes meanwhile waits`() throws {
        var window = CommandWindow()
        #expect(window.begin(in: Self.session) == .mustOpen)
        #expect(window.begin(in: Self.session) == .mustWait)
        window.openingFailed()
        #expect(window.begin(in: Self.session) == .mustOpen)
        window.opened(firstSequence: 5)
        window.openingFailed()
        #expect(try self.begin(&window).sequence == 5)
    }

    @Test func `the window holds as many as a session remembers`() throws {
        var window = self.opened()
        var identities: [CommandIdentity] = []
        for number in 0..<UInt64(CatalogLimits.sessionWindow) {
            let identity = try self.begin(&window)
            #expect(identity.sequence == 100 + number)
            #expect(identity.firstUnacknowledged == 100)
            identities.append(identity)
        }
        #expect(window.begin(in: Self.session) == .mustWait)
        window.end(identities[1])
        #expect(window.begin(in: Self.session) == .mustWait, "the oldest is still open")
        window.end(identities[0])
        let next = try self.begin(&window)
        #expect(next.sequence == 100 + UInt64(CatalogLimits.sessionWindow))
        #expect(next.firstUnacknowledged == 102)
        #expect(try self.begin(&window).firstUnacknowledged == 102)
        #expect(window.begin(in: Self.session) == .mustWait)
    }

    @Test func `commands may end in any order, and twice`() throws {
        var generator = SeededGenerator(seed: 3)
        var window = self.opened(1)
        var pending: [CommandIdentity] = []
        var next: UInt64 = 1
        for _ in 0..<5_000 {
            if Bool.random(using: &generator), let identity = try? self.begin(&window) {
                #expect(identity.sequence == next)
                next += 1
                #expect(
                    identity.firstUnacknowledged == pending.first?.sequence ?? identity.sequence)
                #expect(
                    identity.sequence - identity.firstUnacknowledged
                        < UInt64(CatalogLimits.sessionWindow))
                pending.append(identity)
            } else if !pending.isEmpty {
                let ended = pending.remove(at: Int.random(in: 0..<pending.count, using: &generator))
                window.end(ended)
                window.end(ended)
            }
        }
    }

    @Test func `a second opening's answer does not begin a window in use again`() throws {
        var window = self.opened()
        let first = try self.begin(&window)
        window.opened(firstSequence: 100)
        #expect(try self.begin(&window).sequence == first.sequence + 1)
    }

    @Test func `word of a lost session does not close the next one`() throws {
        var window = self.opened()
        let (first, second) = (try self.begin(&window), try self.begin(&window))
        window.sessionLost(with: first)
        #expect(window.begin(in: Self.session) == .mustOpen)
        window.opened(firstSequence: 1_000)
        let third = try self.begin(&window)
        window.sessionLost(with: second)
        window.end(second)
        #expect(try self.begin(&window).firstUnacknowledged == third.sequence)
    }

    @Test func `a number is never given twice, even where the session was not lost at all`() throws
    {
        var window = self.opened()
        let first = try self.begin(&window)
        window.sessionLost(with: first)
        #expect(window.begin(in: Self.session) == .mustOpen)
        window.opened(firstSequence: 100)
        #expect(try self.begin(&window).sequence == 101)
    }
}
