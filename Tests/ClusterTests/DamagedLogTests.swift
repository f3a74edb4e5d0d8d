import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

extension ClusterTests {
    /// What `Sources/ARCHITECTURE.md` promises of damaged logs, with the files of real stores: a bad
    /// block of a table is made good by the leader; a log file with a bad middle is not opened; one
    /// that is cut goes back in time, which somebody else has to notice. Three of five nodes at the
    /// end, the one that recovered among them, have all that was acknowledged.
    @Test func `nodes with damaged Raft logs recover, or refuse and say so`() async throws {
        try await withCluster { fixture in
            let damage = LogDamage(fixture)
            try await damage.objects.makeBuckets()

            try await damage.flipByteInTable(of: NodeID(3))
            try await fixture.cluster.start(NodeID(3))
            try await damage.untilWhole(NodeID(3))
            let said = try damage.log(of: NodeID(3))
            #expect(said.contains("the disk did not give back what it held"))
            #expect(
                said.contains("nothing is lost: the log now begins behind")
                    || said.contains("the log is whole again"))

            try await damage.flipByteInLogFile(of: NodeID(5))
            try await fixture.cluster.start(NodeID(5))
            try await damage.expectRefusal(of: NodeID(5))

            let status = try await damage.cutLogFile(of: NodeID(4))
            #expect(status == .exited(73) || status == .exited(1))
            try await fixture.cluster.start(NodeID(4))
            try await damage.expectRefusal(of: NodeID(4))

            try await damage.objects.write(20)
            try await damage.objects.compareAll(through: [NodeID(1), NodeID(2), NodeID(3)])
        }
    }
}

/// Damages the Raft logs of nodes that do not run.
private struct LogDamage: Sendable {
    private static let batch = 32
    private static let mostTries = 10
    private static let patience: Duration = .seconds(90)

    private let cluster: ProcessCluster
    /// Their names stand in the log as they are.
    let objects: KnownObjects

    private var loop: any EventLoop { self.cluster.loop }

    init(_ fixture: ClusterFixture) {
        self.cluster = fixture.cluster
        self.objects = KnownObjects(
            on: fixture.cluster, "damaged", buckets: 8, sizeBytes: 600)
    }

    func log(of node: NodeID) throws -> String {
        try String(contentsOfFile: self.cluster.directory(of: node) + "/log", encoding: .utf8)
    }

    /// Waits until a node takes part and lacks no entry.
    func untilWhole(_ node: NodeID) async throws {
        try await self.cluster.awaitReady([node])
        let end = self.loop.now + Self.patience
        while true {
            let groups = await self.cluster.statuses(of: [node]).first??.groups
            if let groups, !groups.isEmpty, groups.allSatisfy({ $0.recovering == nil }) { return }
            guard self.loop.now < end else { throw TestFault("node \(node) does not recover") }
            try await self.loop.sleep(for: .milliseconds(50))
        }
    }

    /// A node that may have forgotten a vote does not start again, and says what to do.
    func expectRefusal(of node: NodeID) async throws {
        let status = try await self.cluster.awaitEnd(node, within: Self.patience)
        #expect(status == .exited(1))
        let said = await self.cluster.logTail(of: node)
        #expect(said.contains("holdfast node remove"), "\(said)")
    }

    // MARK: - Damage

    /// Kills a node, and flips a byte of an entry that rests in a table.
    func flipByteInTable(of node: NodeID) async throws {
        for _ in 0..<Self.mostTries {
            try await self.objects.write(Self.batch)
            try await self.cluster.kill([node])
            // A start brings into tables what the log file has.
            try await self.cluster.start(node)
            try await self.cluster.awaitReady([node])
            try await self.cluster.kill([node])
            for path in try self.files(of: node, ending: ".sst") {
                if try self.flip(in: path) { return }
            }
            // The state was made durable just now, and the entries are needed no more.
            try await self.cluster.start(node)
            try await self.cluster.awaitReady([node])
        }
        throw TestFault("no entry rests in a table")
    }

    /// Kills a node, and flips a byte of an entry that its log file holds, with others behind it.
    func flipByteInLogFile(of node: NodeID) async throws {
        for _ in 0..<Self.mostTries {
            try await self.objects.write(Self.batch)
            try await self.cluster.kill([node])
            if let path = try self.files(of: node, ending: ".log").last,
                try self.flip(in: path)
            {
                return
            }
            try await self.cluster.start(node)
            try await self.cluster.awaitReady([node])
        }
        throw TestFault("no entry rests in the log file")
    }

    /// Kills a node, cuts its log file before the last batch of entries, and starts it; how it ends.
    func cutLogFile(of node: NodeID) async throws -> ChildProcess.ExitStatus {
        for _ in 0..<Self.mostTries {
            let count = await self.objects.count
            let leaders = await self.leaders(besides: node)
            try await self.objects.write(Self.batch)
            try await self.cluster.kill([node])
            let isCut = try self.cut(
                try self.files(of: node, ending: ".log").last, holding: count)
            try await self.cluster.start(node)
            guard isCut else {
                try await self.cluster.awaitReady([node])
                continue
            }
            if let status = try await self.end(of: node, underTermsOf: leaders) { return status }
        }
        throw TestFault("no log file could be cut under leaders that stay")
    }

    /// How a node ended; nil when others lead all groups by now: who leads since then does not know
    /// what the node had held.
    private func end(
        of node: NodeID, underTermsOf leaders: [UInt32: UInt64]
    ) async throws -> ChildProcess.ExitStatus? {
        let end = self.loop.now + Self.patience
        while self.loop.now < end {
            let status = await self.endSoon(of: node)
            if let status { return status }
            let now = await self.leaders(besides: node)
            if now.count == leaders.count, leaders.allSatisfy({ now[$0.key] != $0.value }) {
                return nil
            }
        }
        throw TestFault("a log that went back is not noticed")
    }

    private func endSoon(of node: NodeID) async -> ChildProcess.ExitStatus? {
        do { return try await self.cluster.awaitEnd(node, within: .milliseconds(200)) } catch {
            return nil
        }
    }

    /// The terms of the leaders that other nodes have.
    private func leaders(besides node: NodeID) async -> [UInt32: UInt64] {
        let others = self.cluster.nodes.filter { $0 != node }
        var terms: [UInt32: UInt64] = [:]
        for status in await self.cluster.statuses(of: others) {
            for group in status?.groups ?? [] where group.role == "leader" {
                terms[group.group] = group.term
            }
        }
        return terms
    }

    /// The files of a node's Raft log that end so, by age.
    private func files(of node: NodeID, ending suffix: String) throws -> [String] {
        let directory = self.cluster.directory(of: node) + "/data/meta/raft"
        return try FileManager.default.contentsOfDirectory(atPath: directory)
            .filter { $0.hasSuffix(suffix) }.sorted().map { directory + "/" + $0 }
    }

    /// Flips a bit of the first name that a file holds; false where it holds none.
    private func flip(in path: String) throws -> Bool {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        guard let place = bytes.range(of: Data("damaged-object-".utf8)) else { return false }
        bytes[place.lowerBound] ^= 0x04
        try bytes.write(to: URL(fileURLWithPath: path))
        return true
    }

    /// Cuts a file before the first of the objects from this number on; false where it holds none.
    private func cut(_ path: String?, holding first: Int) throws -> Bool {
        guard let path else { return false }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let places = (first..<first + Self.batch).compactMap { number in
            bytes.range(of: Data(self.objects.key(number).utf8))?.lowerBound
        }
        guard let place = places.min() else { return false }
        try bytes[..<place].write(to: URL(fileURLWithPath: path))
        return true
    }
}
