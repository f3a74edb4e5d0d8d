import Catalog
import ClusterClient
import Consensus
import MetaNode
import Placement
import Primitives
import SimulatedRuntime
import Testing

/// Nodes that come and go while groups decide.
struct MembershipStoryTests {
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a node that joins learns the logs and votes, and one that is drained votes no more`(
        seed: UInt64
    ) throws {
        let world = try MetaWorld(seed: seed, nodes: 4, voters: 3)
        try world.tell {
            let second = world.machines[1]
            #expect(world.process(world.machines[3])?.meta.states.groups == [])
            // Nodes 1 to 3 vote; node 4 is known, active, and takes node 1's place.
            try await world.set(.draining, of: NodeID(1), asking: second)
            let wish = [NodeID(2), NodeID(3), NodeID(4)]
            try await world.waitForVoters(wish)
            try await world.set(.removed, of: NodeID(1), asking: second)
            try await world.waitForVoters(wish)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a change goes on when leaders die in the middle of it`(seed: UInt64) throws {
        let world = try MetaWorld(seed: seed, nodes: 5, voters: 3)
        try world.tell {
            try await world.set(.draining, of: NodeID(1), asking: world.machines[1])
            var generator = SeededGenerator(seed: seed)
            for _ in 0..<6 {
                let machine = world.machines[Int(generator.next() % 5)]
                try await world.simulator.loop.sleep(
                    for: .milliseconds(200 + Int64(generator.next() % 1500)))
                machine.crash()
                try await world.simulator.loop.sleep(
                    for: .milliseconds(Int64(generator.next() % 800)))
                world.restart(machine)
            }
            // Five able nodes may all have come to vote before the first of them is drained.
            let three = [NodeID(2), NodeID(3), NodeID(4)]
            try await world.waitForVoters(three, three + [NodeID(5)])
        }
    }
}

/// Replicas that their groups do without.
struct FormerReplicaTests {
    @Test func `a replica goes once most of the new voters hold that they do without it`() throws {
        let world = try MetaWorld(seed: 5, nodes: 4, voters: 3)
        try world.tell {
            let former = world.machines[0]
            try await world.set(.draining, of: NodeID(1), asking: world.machines[1])
            try await world.waitForVoters([NodeID(2), NodeID(3), NodeID(4)])
            // Everybody has heard of it, and none but one can say so.
            try await world.simulator.loop.sleep(for: .seconds(10))
            let silent = [world.machines[2], world.machines[3]]
            for machine in silent { machine.crash() }
            try await world.simulator.loop.sleep(for: .seconds(150))
            #expect(world.process(former)?.meta.states.groups == MetaWorld.groups)
            for machine in silent { world.restart(machine) }
            try await world.wait("the replicas go", for: .seconds(150)) {
                world.process(former)?.meta.states.groups == []
            }
        }
    }
}

/// Who may say which nodes there are.
struct MembershipRightsTests {
    @Test func `a node's certificate removes nobody`() throws {
        let world = try MetaWorld(seed: 3)
        try world.tell {
            let record = try #require(world.bootstrap.nodes.last).with(.removed)
            let result = try await world.ask(world.machines[0]) { process -> CommandResult? in
                do throws(ClusterFault) {
                    return try await process.client.propose(
                        .registerNode(record), in: .system,
                        deadline: process.environment.now + .seconds(5))
                } catch { return nil }
            }
            #expect(result == .some(nil))
            let records = try await world.ask(world.machines[0]) { process -> [NodeRecord]? in
                do throws(ClusterFault) {
                    let answer = try await process.client.query(
                        .nodes, in: .system, freshness: .linearizable,
                        deadline: process.environment.now + .seconds(5))
                    guard case .nodes(let nodes) = answer else { return nil }
                    return nodes
                } catch { return nil }
            }
            #expect(records??.allSatisfy { !$0.isRemoved } == true)
        }
    }
}

extension MetaWorld {
    fileprivate struct Unknown: Error { let node: NodeID }

    /// Has group 0 say how a node stands.
    fileprivate func set(
        _ state: NodeState, of node: NodeID, asking machine: SimulatedNode
    ) async throws {
        guard let record = self.bootstrap.nodes.first(where: { $0.id == node }) else {
            throw Unknown(node: node)
        }
        let result = try await self.administer(.registerNode(record.with(state)), from: machine)
        #expect(result == .nodeRegistered)
    }

    /// Waits until whoever leads a group says that these, or those, vote in it, and no others, for all
    /// groups.
    fileprivate func waitForVoters(_ voters: [NodeID]...) async throws {
        let wishes = voters.map { Configuration(voters: $0) }
        let end = self.simulator.now + .seconds(120)
        var said: [GroupID: Configuration] = [:]
        while Self.groups.contains(where: { group in !wishes.contains { $0 == said[group] } }) {
            guard self.simulator.now < end else {
                throw Tired(what: "voters \(wishes), and they are \(said)")
            }
            for machine in self.machines {
                let statuses = try await self.ask(machine) { await $0.meta.groupStatuses() } ?? []
                for (group, status) in statuses where status.role == .leader {
                    said[group] = status.members
                }
            }
            try await self.simulator.loop.sleep(for: .milliseconds(100))
        }
    }
}
