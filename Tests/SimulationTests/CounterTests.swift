import Catalog
import ChunkProtocol
import ChunkStore
import ClusterClient
import Cryptography
import IORuntime
import MetaNode
import Node
import ObjectAccess
import PeerTransport
import Placement
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing
import Wire

/// What has to be seen to work: each story provokes something rare, and fails if its counter stays
/// where it was.
struct CounterTests {
    @Test func `a home that does not answer has a stand-in for its copy`() throws {
        try Stage(seed: 11).tell { stage in
            // Every partition has three of five homes, so some chunks of a large object want n5.
            stage.simulator.network.isolate(stage[4])
            let large = try key("large")
            let counter = try stage.node(0).access.counters.handoffWrites
            let before = counter.value
            try await stage.succeed { await $0.put(large, bytes(700_000), through: stage[0]) }
            #expect(counter.value > before)
            stage.simulator.network.heal()
            try await stage.expect([large: bytes(700_000)])
        }
    }

    @Test func `a frame that was changed at rest is refused and read from another copy`() throws {
        try Stage(seed: 12).tell { stage in
            let large = try key("large")
            try await stage.succeed { await $0.put(large, bytes(200_000), through: stage[0]) }
            let holders = stage.cluster.machines.filter { Self.segment(on: $0) != nil }
            #expect(holders.count == 3)
            let holder = try #require(holders.first { $0 !== stage[0] })
            let path = try #require(Self.segment(on: holder))
            // In the second frame of the only record there.
            #expect(holder.disk.flipBits(0x10, in: path, at: 100_000))
            let found = try await stage.succeed { await $0.get(large, through: holder) }
            #expect(found.body == bytes(200_000))
            let node = try #require(stage.cluster.node(on: holder))
            #expect(try #require(node.store).counters.badFrames.value > 0)
            #expect(node.access.counters.copiesNeedingRepair.value > 0)
        }
    }

    @Test func `a frame that somebody forged with its checksum is refused by its tag`() throws {
        try Stage(seed: 13).tell { stage in
            let large = try key("large")
            try await stage.succeed { await $0.put(large, bytes(200_000), through: stage[0]) }
            let holder = try #require(
                stage.cluster.machines.first { $0 !== stage[0] && Self.segment(on: $0) != nil })
            try await Self.forge(holder)
            let found = try await stage.succeed { await $0.get(large, through: holder) }
            #expect(found.body == bytes(200_000))
            let node = try #require(stage.cluster.node(on: holder))
            #expect(node.access.counters.framesRefused.value > 0)
        }
    }

    @Test func `a node that says it is another is refused`() throws {
        try Stage(seed: 14).tell { stage in
            let liar = stage.simulator.makeNode("liar", host: "10.0.0.9")
            let environment = liar.environment
            let cluster = try stage.node(0).identity.configuration.cluster
            let switchboard = Switchboard(
                environment: environment, loop: environment.loops[0],
                identity: PeerIdentityCard(
                    node: NodeID(3), cluster: cluster,
                    security: ClearChannelSecurity(identity: .node(NodeID(9), cluster: cluster))),
                answerer: Nobody())
            let target = stage[0]
            switchboard.setAddresses([
                NodeID(1): try stage.node(0).identity.configuration.peer
            ])
            let answer: Bool? = await stage.cluster.ask(liar) {
                do throws(CallFault) {
                    _ = try await switchboard.call(
                        NodeID(1), PeerRequest(kind: StoreCallKind.status, head: []),
                        deadline: environment.now + .seconds(2))
                    return true
                } catch { return false }
            }
            #expect(answer == false)
            let exposition = try #require(stage.cluster.node(on: target)).registry.exposition
            #expect(Self.value(of: "peer_identities_refused_total", in: exposition) > 0)
        }
    }

    @Test func `a put whose answer was lost is not done again`() throws {
        try Stage(seed: 15).tell { stage in
            let leader = try await stage.leader()
            let edge = stage.others(than: leader)[0]
            let once = try key("once")
            // What the leader says no longer reaches the edge; what the edge asks reaches it.
            stage.simulator.network.partition([leader], from: [edge], .oneWay)
            let loop = stage.simulator.loop
            loop.spawn {
                do { try await loop.sleep(for: .seconds(4)) } catch {}
                stage.simulator.network.heal()
            }
            // Had the retry been taken for a new command, it would find the object of the first.
            let answer = await stage.client.put(once, bytes(100), .absent, through: edge)
            guard case .success = answer else {
                Issue.record("\(answer as Any)")
                return
            }
            let retries = try #require(stage.cluster.node(on: edge)).cluster.counters.retries
            #expect(retries.value > 0)
            let found = try await stage.succeed { await $0.get(once, through: leader) }
            #expect(found.body == bytes(100))
        }
    }

    @Test func `a store without its index makes it anew from its segments`() throws {
        try Stage(seed: 16).tell { stage in
            let large = try key("large")
            try await stage.succeed { await $0.put(large, bytes(700_000), through: stage[0]) }
            let holder = try #require(
                stage.cluster.machines.first { Self.segment(on: $0) != nil })
            holder.crash()
            holder.restart()
            let files = holder.environment.files
            let directory = SimulatedCluster.dataDirectory + "/chunks/index"
            let fault: FileFault?? = await stage.cluster.ask(holder) {
                await holder.environment.blocking(.disk) { () -> FileFault? in
                    do throws(FileFault) {
                        try files.removeTree(directory)
                        return nil
                    } catch { return error }
                }
            }
            #expect(fault == .some(nil))
            stage.cluster.start(holder)
            try await stage.wait("the node joins again") { $0.cluster.running.count == 5 }
            let node = try #require(stage.cluster.node(on: holder))
            let store = try #require(node.store)
            #expect(store.counters.recordsRecovered.value > 0)
            let found = try await stage.succeed { await $0.get(large, through: holder) }
            #expect(found.body == bytes(700_000))
            #expect(store.counters.framesRead.value > 0)
        }
    }

    @Test func `a copy that is late is not waited for`() throws {
        try Stage(seed: 17).tell { stage in
            let large = try key("large")
            try await stage.succeed { await $0.put(large, bytes(200_000), through: stage[0]) }
            // Not the leader, whose own reads of metadata would be as slow.
            let leader = try await stage.leader()
            let holder = try #require(
                stage.others(than: leader).first { Self.segment(on: $0) != nil })
            holder.disk.conditions.slowdown = 100_000
            // An edge asks its own store first, and this one takes seconds.
            let begun = stage.simulator.now
            let found = try await stage.succeed { await $0.get(large, through: holder) }
            #expect(found.body == bytes(200_000))
            let node = try #require(stage.cluster.node(on: holder))
            #expect(node.access.counters.hedgedReads.value > 0)
            #expect(stage.simulator.now - begun < .seconds(5))
            holder.disk.conditions.slowdown = 1
        }
    }

    // MARK: Disks

    /// The first segment of a machine's store.
    private static func segment(on machine: SimulatedNode) -> String? {
        machine.disk.filePaths.first { $0.hasSuffix(".segment") }
    }

    /// Changes a byte of a record's first frame and makes the header's checksums fit.
    private static func forge(_ machine: SimulatedNode) async throws {
        let path = try #require(Self.segment(on: machine))
        let files = machine.environment.files
        let loop = machine.environment.simulatedLoops[0]
        await withUnsafeContinuation { (done: UnsafeContinuation<Void, Never>) in
            loop.spawn {
                let error: (any Error)? = await machine.environment.blocking(.disk) {
                    do {
                        try Self.forge(try files.open(path, .update))
                        return nil
                    } catch { return error }
                }
                if let error { Issue.record(error) }
                done.resume()
            }
        }
    }

    private static func forge(_ file: any File) throws {
        let header = try file.read(SegmentFormat.mostHeaderBytes, at: 0)
        guard
            case .chunk(let record) = try SegmentFormat.readHeader(
                header[...], segment: 1, offset: 0)
        else {
            Issue.record("the first record of a segment is a chunk's")
            return
        }
        var sealed = try file.read(record.sealedBytes, at: UInt64(record.headerBytes))
        sealed[17] ^= 1
        let forged = SegmentFormat.Record(
            chunk: record.name, slot: record.slot, storedAt: record.storedAt,
            frames: FrameChecksums.of(
                [sealed], lengths: record.frames.map { Int($0.sealedBytes) }))
        try file.write(
            SegmentFormat.header(of: forged, segment: 1, offset: 0) + sealed, at: 0)
        file.close()
    }

    private static func value(of metric: String, in exposition: String) -> UInt64 {
        for line in exposition.split(separator: "\n") where line.hasPrefix(metric + " ") {
            return UInt64(line.dropFirst(metric.count + 1)) ?? 0
        }
        return 0
    }
}

/// Answers nothing.
private struct Nobody: PeerAnswerer {
    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        .refused(code: 1, message: "nobody")
    }
    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {}
}
