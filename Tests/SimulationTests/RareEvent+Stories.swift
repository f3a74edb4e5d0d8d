import Catalog
import ChunkProtocol
import ChunkStore
import Cryptography
import IORuntime
import MetaNode
import Node
import ObjectAccess
import PeerTransport
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing
import Wire

// MARK: Writes

extension RareEvent {
    static let handoffWrite = RareEvent(
        "a home that does not answer has a stand-in for its copy",
        "holdfast_access_handoff_writes_total", on: { try Stage(seed: 11) }
    ) { stage in
        // Every partition has three of five homes, so some chunks of a large object want n5.
        stage.simulator.network.isolate(stage[4])
        let large = try key("large")
        try await stage.succeed { await $0.put(large, bytes(700_000), through: stage[0]) }
        stage.simulator.network.heal()
        try await stage.expect([large: bytes(700_000)])
    }

    static let condemnedCommit = RareEvent(
        "a commit that comes after its chunks were condemned is refused, and nothing is lost",
        "holdfast_access_commits_condemned_total",
        // Shorter than uploads may take, as no cluster may be set: what wrong clocks would do.
        on: { try Stage.withShortGraces(seed: 71, orphanGrace: .seconds(2)) }
    ) { stage in
        let (slow, kept) = (try key("slow"), try key("kept"))
        try await stage.succeed { await $0.put(kept, bytes(300_000), through: stage[1]) }
        let answer = stage.put(slow, pausing: .seconds(15), through: stage[2])
        try await stage.wait("the answer") { _ in answer.value != nil }
        guard case .failure(.unavailable) = answer.value else {
            Issue.record("\(String(describing: answer.value))")
            return
        }
        // Sent again it is stored.
        try await stage.succeed { await $0.put(slow, bytes(300_000, 2), through: stage[2]) }
        try await stage.expectOnlyLiveChunks(of: [slow, kept])
        try await stage.expect([slow: bytes(300_000, 2), kept: bytes(300_000)])
    }

    static let sessionHit = RareEvent(
        "a put whose answer died with the leader is answered by the next one, and not done again",
        "holdfast_meta_session_hits_total", on: { try Stage(seed: 15) }
    ) { stage in
        _ = try await stage.putUnheard(for: .milliseconds(500)) { leader, edge in
            leader.crash()
            // The answer waits on the way, and would arrive as soon as it can.
            stage.simulator.network.resetConnections(between: leader, and: edge)
            stage.simulator.network.heal()
        }
    }
}

// MARK: Reads

extension RareEvent {
    static let hedgedRead = RareEvent(
        "a copy that is late is not waited for", "holdfast_access_hedged_reads_total",
        on: { try Stage(seed: 17) }
    ) { stage in
        let large = try key("large")
        try await stage.succeed { await $0.put(large, bytes(200_000), through: stage[0]) }
        // Not the leader, whose own reads of metadata would be as slow.
        let leader = try await stage.leader()
        let holder = try #require(
            stage.others(than: leader).first { StoredSegment.path(on: $0) != nil })
        holder.disk.conditions.slowdown = 100_000
        // An edge asks its own store first, and this one takes seconds.
        let begun = stage.simulator.now
        let found = try await stage.succeed { await $0.get(large, through: holder) }
        #expect(found.body == bytes(200_000))
        #expect(stage.simulator.now - begun < .seconds(5))
        holder.disk.conditions.slowdown = 1
    }

    static let frameRefused = RareEvent(
        "a frame that somebody forged with its checksum is refused by its tag",
        "holdfast_access_frames_refused_total", on: { try Stage(seed: 13) }
    ) { stage in
        let large = try key("large")
        try await stage.succeed { await $0.put(large, bytes(200_000), through: stage[0]) }
        let holder = try #require(
            stage.others(than: stage[0]).first { StoredSegment.path(on: $0) != nil })
        try await StoredSegment.forge(on: holder)
        let found = try await stage.succeed { await $0.get(large, through: holder) }
        #expect(found.body == bytes(200_000))
    }
}

// MARK: Nodes

extension RareEvent {
    static let indexRebuilt = RareEvent(
        "a store without its index makes it anew from its segments",
        "holdfast_store_index_rebuilds_total", on: { try Stage(seed: 16) }
    ) { stage in
        let large = try key("large")
        try await stage.succeed { await $0.put(large, bytes(700_000), through: stage[0]) }
        let holder = try #require(
            stage.cluster.machines.first { StoredSegment.path(on: $0) != nil })
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
        let store = try #require(stage.cluster.node(on: holder)?.store)
        #expect(store.counters.recordsRecovered.value > 0)
        let found = try await stage.succeed { await $0.get(large, through: holder) }
        #expect(found.body == bytes(700_000))
        #expect(store.counters.framesRead.value > 0)
    }

    static let snapshotInstalled = RareEvent(
        "a node that was away for longer than the logs reach is given a state",
        "holdfast_snapshots_installed_total",
        on: {
            var settings = SimulatedClusterSettings()
            settings.log.entriesKeptForSlow = 20
            settings.log.snapshots.pieceBytes = 16 << 10
            return try Stage(seed: 18, settings)
        }
    ) { stage in
        let leader = try await stage.leader()
        let away = stage.others(than: leader)[0]
        away.crash()
        var objects: [ObjectKey: [UInt8]] = [:]
        for number in 0..<60 {
            let (name, body) = (try key("small-\(number)"), bytes(2_000, UInt64(number)))
            try await stage.succeed { await $0.put(name, body, through: leader) }
            objects[name] = body
        }
        away.restart()
        stage.cluster.start(away)
        try await stage.wait("a state is installed") {
            $0.sum(of: "holdfast_snapshots_installed_total") > 0
        }
        try await stage.expect(objects)
    }

    static let certificateRefused = RareEvent(
        "a node that says it is another is refused", "holdfast_peer_identities_refused_total",
        on: { try Stage(seed: 14) }
    ) { stage in
        let machine = stage.simulator.makeNode("liar", host: "10.0.0.9")
        let environment = machine.environment
        let configuration = try stage.node(0).identity.configuration
        let liar = Switchboard(
            environment: environment, loop: environment.loops[0],
            identity: PeerIdentityCard(
                node: NodeID(3), cluster: configuration.cluster,
                security: ClearChannelSecurity(
                    identity: .node(NodeID(9), cluster: configuration.cluster))),
            answerer: NobodyToAnswer())
        liar.setAddresses([NodeID(1): configuration.peer])
        let wasAnswered: Bool? = await stage.cluster.ask(machine) {
            do throws(CallFault) {
                _ = try await liar.call(
                    NodeID(1), PeerRequest(kind: StoreCallKind.status, head: []),
                    deadline: environment.now + .seconds(2))
                return true
            } catch { return false }
        }
        #expect(wasAnswered == false)
    }
}

private struct NobodyToAnswer: PeerAnswerer {
    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        .refused(code: 1, message: "nobody")
    }
    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {}
}
