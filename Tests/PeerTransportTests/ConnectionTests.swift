import Cryptography
import IORuntime
import PeerTransport
import Primitives
import SimulatedRuntime
import Synchronization
import Testing
import Wire

@Suite struct ConnectionTests {
    private static let small = PeerRequest(kind: 1, head: [1])

    @Test func `a killed peer is known to be gone within milliseconds`() throws {
        let world = try PeerWorld()
        let journal = Journal()
        let asker = world.start(1, journal: journal)
        let victim = world.machine(NodeID(2))
        world.start(
            2,
            Answerer { _, _ in
                do { try await victim.environment.loops[0].sleep(for: .seconds(50)) } catch {}
                return .response(PeerResponse())
            })
        world.run { loop in
            async let lost = asker.result(2, Self.small, within: .seconds(50), on: loop)
            try await loop.sleep(for: .milliseconds(50))
            let death = loop.now
            victim.crash()
            #expect(await lost == .failure(.connectionLost(mayHaveRun: true)))
            try await loop.sleep(for: .milliseconds(10))
            #expect(journal.lines == ["up(2)", "lost(2)", "gone(2)"])
            let noticed = try #require(journal.time(of: "gone(2)"))
            #expect(noticed - death < .milliseconds(5))
            // From here on callers need not wait to find out.
            let before = loop.now
            let next = await asker.result(2, Self.small, within: .seconds(50), on: loop)
            #expect(next == .failure(.unreachable(NodeID(2))))
            #expect(loop.now == before)
        }
    }

    @Test func `a peer that comes back is called again within the longest pause`() throws {
        let world = try PeerWorld()
        let journal = Journal()
        let asker = world.start(1, journal: journal)
        world.start(2)
        let first = world.run { loop in
            _ = try await asker.call(NodeID(2), Self.small, deadline: loop.now + .seconds(1))
        }
        #expect(first.ending == .finished)
        world.machine(NodeID(2)).crash()
        world.run { loop in try await loop.sleep(for: .seconds(30)) }
        world.machine(NodeID(2)).restart()
        world.start(2)
        world.run { loop in
            try await loop.sleep(for: .milliseconds(2_100))
            let result = await asker.result(2, Self.small, within: .seconds(1), on: loop)
            #expect(result == .success(PeerResponse(head: [1])))
        }
        #expect(journal.lines == ["up(2)", "lost(2)", "gone(2)", "up(2)"])
    }

    @Test func `a peer that calls us is dialed without waiting for the pause to end`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.machine(NodeID(2)).crash()
        world.run { loop in
            // Enough failed dials that pauses are at their longest.
            for _ in 0..<20 {
                _ = await asker.result(2, Self.small, within: .seconds(1), on: loop)
                try await loop.sleep(for: .seconds(1))
            }
        }
        world.machine(NodeID(2)).restart()
        let back = world.start(2)
        world.run { loop in
            back.send(NodeID(1), kind: 1, [])
            try await loop.sleep(for: .milliseconds(30))
            let answer = await asker.result(2, Self.small, within: .seconds(1), on: loop)
            #expect(answer == .success(PeerResponse(head: [1])))
        }
    }

    @Test func `a broken connection to a living peer is made anew at once`() throws {
        let world = try PeerWorld()
        let journal = Journal()
        let asker = world.start(1, journal: journal)
        world.start(2)
        let (first, second) = (world.machines[0], world.machines[1])
        let network = world.simulator.network
        world.run { loop in
            _ = try await asker.call(NodeID(2), Self.small, deadline: loop.now + .seconds(1))
            network.resetConnections(between: first, and: second)
            try await loop.sleep(for: .milliseconds(10))
            let result = await asker.result(2, Self.small, within: .milliseconds(20), on: loop)
            #expect(result == .success(PeerResponse(head: [1])))
        }
        #expect(journal.lines == ["up(2)", "lost(2)", "up(2)"])
    }

    @Test func `an idle connection is kept, a silent one is given up`() throws {
        let world = try PeerWorld()
        let journal = Journal()
        let asker = world.start(1, journal: journal)
        world.start(2)
        let (first, second) = (world.machines[0], world.machines[1])
        let network = world.simulator.network
        world.run { loop in
            _ = try await asker.call(NodeID(2), Self.small, deadline: loop.now + .seconds(1))
            try await loop.sleep(for: .seconds(120))
            #expect(journal.lines == ["up(2)"])
            network.partition([first], from: [second])
            let before = loop.now
            let result = await asker.result(2, Self.small, within: .seconds(50), on: loop)
            #expect(result == .failure(.connectionLost(mayHaveRun: true)))
            #expect(loop.now - before <= .seconds(3))
            try await loop.sleep(for: .milliseconds(1))
        }
        #expect(journal.lines == ["up(2)", "lost(2)"])
    }

    @Test func `a caller waits for the first connection no longer than its deadline`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.start(2)
        let (first, second) = (world.machines[0], world.machines[1])
        world.simulator.network.partition([first], from: [second])
        world.run { loop in
            let before = loop.now
            let result = await asker.result(2, Self.small, within: .milliseconds(70), on: loop)
            #expect(result == .failure(.deadlineExceeded(mayHaveRun: false)))
            #expect(loop.now - before == .milliseconds(70))
        }
    }

    enum Stranger: CaseIterable {
        case anonymous, ofAnotherCluster, anotherNode
    }

    @Test(arguments: Stranger.allCases)
    func `who does not prove to be the node that calls is refused`(stranger: Stranger) throws {
        let world = try PeerWorld()
        let other = try #require(ClusterID(bytes: [UInt8](repeating: 8, count: 16)))
        let journal = Journal()
        let identity: PeerIdentity =
            switch stranger {
            case .anonymous: .anonymous
            case .ofAnotherCluster: .node(NodeID(1), cluster: other)
            case .anotherNode: .node(NodeID(3), cluster: world.cluster)
            }
        // The security lets everybody in, so that the transport's own check is what is seen.
        let runs = Mutex(0)
        let asker = world.start(1, identity: identity, requiresNode: false)
        world.start(
            2,
            Answerer { _, _ in
                runs.withLock { $0 += 1 }
                return .response(PeerResponse())
            }, requiresNode: false, journal: journal)
        world.run { loop in
            let result = await asker.result(2, Self.small, within: .seconds(5), on: loop)
            #expect(result == .failure(.unreachable(NodeID(2))))
        }
        #expect(runs.withLock { $0 } == 0)
        // Node 2's security itself refuses to be called by a client that expects another cluster.
        if stranger != .ofAnotherCluster {
            #expect(journal.value(of: "holdfast_peer_identities_refused_total") >= 1)
        }
    }

    @Test func `a node that is not whom we dialed is refused`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.start(2, identity: .node(NodeID(3), cluster: world.cluster))
        world.run { loop in
            let result = await asker.result(2, Self.small, within: .seconds(5), on: loop)
            #expect(result == .failure(.unreachable(NodeID(2))))
        }
    }

    // MARK: Messages

    @Test(arguments: [UInt64(1), 2])
    func `messages arrive in order, long and short, remote and local`(seed: UInt64) throws {
        let world = try PeerWorld(seed: seed)
        let received = [1, 2].map { _ in Journal() }
        func answerer(_ journal: Journal) -> Answerer {
            Answerer(
                onMessage: { bytes, kind, peer in
                    journal.add("\(peer) \(kind) \(bytes == patterned(bytes.count, Int(kind)))")
                },
                onRequest: { _, _ in .response(PeerResponse()) })
        }
        let asker = world.start(1, answerer(received[0]))
        world.start(2, answerer(received[1]))
        world.run { loop in
            for node: UInt32 in [1, 2] {
                for kind: UInt16 in 0..<60 {
                    let size = kind % 9 == 0 ? 500_000 : kind % 9 == 1 ? 0 : 300
                    asker.send(NodeID(node), kind: kind, patterned(size, Int(kind)))
                }
            }
            try await loop.sleep(for: .seconds(2))
        }
        for journal in received {
            #expect(journal.lines == (0..<60).map { "1 \($0) true" })
        }
    }

    @Test func `what is urgent overtakes long messages and bodies that wait`() throws {
        let world = try PeerWorld(seed: 3)
        let received = Journal()
        let answerer = Answerer(
            onMessage: { bytes, kind, _ in
                received.add("\(kind) \(bytes == patterned(bytes.count, Int(kind)))")
            },
            onRequest: { _, _ in .response(PeerResponse()) })
        let asker = world.start(1)
        world.start(2, answerer)
        world.run { loop in
            // Once the connection stands, a queue of several megabytes.
            asker.send(NodeID(2), kind: 9, [], lane: .control)
            try await loop.sleep(for: .seconds(1))
            for kind: UInt16 in 0..<4 {
                asker.send(NodeID(2), kind: kind, patterned(2_000_000, Int(kind)))
            }
            try await loop.sleep(for: .microseconds(10))
            for kind: UInt16 in 10..<13 {
                asker.sendUrgent(NodeID(2), kind: kind, patterned(300, Int(kind)))
            }
            try await loop.sleep(for: .seconds(5))
        }
        let order = received.lines.map { $0.split(separator: " ") }
        #expect(order.allSatisfy { $0.last == "true" }, "interleaved parts stay whole")
        let kinds = order.compactMap { $0.first.flatMap { Int($0) } }
        #expect(kinds.filter { $0 >= 10 } == [10, 11, 12])
        #expect(kinds.filter { $0 < 4 } == [0, 1, 2, 3])
        // At most the message that was under way came before them.
        #expect((kinds.firstIndex(of: 10) ?? .max) <= 2)
        #expect((kinds.firstIndex(of: 12) ?? .max) < (kinds.firstIndex(of: 1) ?? 0))
    }

    @Test func `messages beyond the queue's bound are dropped from its end`() throws {
        let world = try PeerWorld()
        world.limits.messageQueueBytes = 1_000
        let received = Journal()
        let counted = Journal()
        let asker = world.start(1, journal: counted)
        world.start(
            2,
            Answerer(
                onMessage: { bytes, kind, _ in received.add("\(kind)") },
                onRequest: { _, _ in .response(PeerResponse()) }))
        world.run { loop in
            // All before the connection stands.
            for kind: UInt16 in 0..<10 { asker.send(NodeID(2), kind: kind, patterned(300)) }
            try await loop.sleep(for: .seconds(1))
        }
        #expect(received.lines == ["0", "1", "2"])
        #expect(counted.value(of: "holdfast_peer_messages_total") == 10)
        #expect(counted.value(of: "holdfast_peer_messages_dropped_total") == 7)
    }

    // MARK: Ending

    @Test func `a shut down lets calls end and takes no new ones`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        let environment = world.machine(NodeID(2)).environment
        let answering = world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .milliseconds(200)) } catch {}
                return .response(PeerResponse(head: [5]))
            })
        world.run { loop in
            async let early = asker.result(2, Self.small, within: .seconds(5), on: loop)
            try await loop.sleep(for: .milliseconds(50))
            environment.loops[0].spawn {
                await answering.shutDown(by: environment.now + .seconds(10))
            }
            try await loop.sleep(for: .milliseconds(10))
            let late = await asker.result(2, Self.small, within: .seconds(5), on: loop)
            #expect(late == .failure(.shuttingDown))
            #expect(await early == .success(PeerResponse(head: [5])))
            try await loop.sleep(for: .milliseconds(50))
            let after = await asker.result(2, Self.small, within: .seconds(5), on: loop)
            #expect(after == .failure(.unreachable(NodeID(2))))
            let start = loop.now
            await asker.shutDown(by: loop.now + .seconds(10))
            #expect(loop.now - start < .milliseconds(20))
            let own = await asker.result(2, Self.small, within: .seconds(5), on: loop)
            #expect(own == .failure(.shuttingDown))
        }
    }

    @Test func `what does not end by the deadline of a shut down is cut off`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        let environment = world.machine(NodeID(2)).environment
        world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .seconds(50)) } catch {}
                return .response(PeerResponse())
            })
        world.run { loop in
            async let call = asker.result(2, Self.small, within: .seconds(60), on: loop)
            try await loop.sleep(for: .milliseconds(50))
            let start = loop.now
            await asker.shutDown(by: loop.now + .seconds(1))
            #expect(loop.now - start < .milliseconds(1_010))
            #expect(await call == .failure(.connectionLost(mayHaveRun: true)))
        }
    }
}
