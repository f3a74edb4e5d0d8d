import ChunkProtocol
import ChunkStore
import IORuntime
import OrderedStorage
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// What a check of a directory finds, and that it leaves no trace.
struct VerificationTests {
    private static let chunks = (1...9).map { TestChunk($0, plainBytes: 3 * 65_536) }

    private func filled() -> StoreMachine {
        let machine = StoreMachine()
        machine.run { store in
            for chunk in Self.chunks { #expect(await store.put(chunk) == .stored) }
            try await store.delete(Self.chunks[6...].map(\.name))
            await store.upkeepFinished()
        }
        return machine
    }

    private static func verify(_ machine: StoreMachine) throws -> StoreReport {
        let factory = SimulatedStoreFactory(machine.node)
        return try StoreVerification.run("/chunks", machine.files, openIndex: factory.open)
    }

    @Test func `a store that was closed in good order is sound`() throws {
        let machine = self.filled()
        let report = try Self.verify(machine)
        var expected = StoreReport()
        expected.segments = machine.segments.count
        expected.records = 6
        expected.live = 6
        expected.tombstones = 3
        #expect(report == expected)
        #expect(report.isSound)
        #expect(report.table.hasSuffix("sound\n"))
    }

    @Test func `a flipped byte names its chunk and frame, and a flipped header its row`() throws {
        let machine = self.filled()
        let recordBytes: UInt64 = 200_704
        #expect(SegmentFormat.recordBytes(frameCount: 3, sealedBytes: 196_656) == 200_704)
        machine.node.disk.flipBits(1, in: machine.segments[0], at: recordBytes + 70_000)
        machine.node.disk.flipBits(1, in: machine.segments[0], at: 2 * recordBytes + 9)
        let report = try Self.verify(machine)
        #expect(!report.isSound)
        #expect(report.badChunks == 2 && report.badFrames == 1)
        #expect(report.rowsSurplus == 1 && report.rowsMissing == 0)
        #expect(
            report.bad == [
                StoreReport.BadChunk(
                    name: Self.chunks[1].name, segment: 1, offset: recordBytes, frames: [1]),
                StoreReport.BadChunk(
                    name: Self.chunks[2].name, segment: 1, offset: 2 * recordBytes, frames: []),
            ])
        #expect(report.live == 5 && report.records == 5)
        #expect(report.table.contains("bad: chunk 7-2 at segment 1, offset 200704: frame 1\n"))
        #expect(
            report.json.hasSuffix(
                "\"bad\":[{\"chunk\":\"7-2\",\"segment\":1,\"offset\":200704,\"frames\":[1]},"
                    + "{\"chunk\":\"7-3\",\"segment\":1,\"offset\":401408,\"frames\":[]}]}\n"))
    }

    @Test func `without an index the segments are checked for themselves`() throws {
        let machine = self.filled()
        machine.node.disk.flipBits(1, in: machine.segments[0], at: 70_000)
        try machine.loseIndex()
        let report = try Self.verify(machine)
        #expect(!report.hasIndex && !report.isSound)
        #expect(report.bad.map(\.name) == [Self.chunks[0].name])
        #expect(report.live == 6 && report.badChunks == 1)
    }

    @Test func `what a killed process left behind its index is no damage`() throws {
        let machine = StoreMachine()
        machine.run { store in
            for chunk in Self.chunks { #expect(await store.put(chunk) == .stored) }
            try await store.delete([Self.chunks[3].name])
            machine.node.crash()
        }
        machine.node.restart()
        let report = try Self.verify(machine)
        #expect(report.isSound)
        #expect(report.live + report.notYetIndexed >= 8)
        #expect(report.rowsMissing == 0 && report.rowsSurplus == 0)
        machine.run { store in
            #expect(await store.status().chunks == UInt64(report.live))
        }
    }

    @Test func `a row that no record has, and a record without a row, are counted`() throws {
        let machine = self.filled()
        let families = ["chunks", "facts", "segments", "remains"].enumerated().map {
            Family(index: $0.offset, name: $0.element)
        }
        let index = try SimulatedStoreFactory(machine.node).open(
            "/chunks/index", StoreOptions(families: families, isLogged: false))
        let cursor = index.scan(families[0], .all)
        let first = try #require(try cursor.next())
        var batch = WriteBatch()
        batch.delete(families[0], first.key)
        batch.put(families[0], [0xff] + first.key.dropFirst(), first.value)
        try index.write(batch, .unlogged)
        try index.flush()
        index.close()
        let report = try Self.verify(machine)
        #expect(report.rowsMissing == 1 && report.rowsSurplus == 1)
        #expect(!report.isSound)
    }

    @Test func `a directory in use is refused, and one that is none`() {
        let machine = StoreMachine()
        machine.run { store in
            let files = machine.files
            let factory = SimulatedStoreFactory(machine.node)
            await #expect(throws: StoreVerification.Fault.inUse(directory: "/chunks")) {
                try await machine.node.environment.blocking(.disk) {
                    () throws(StoreVerification.Fault) in
                    _ = try StoreVerification.run("/chunks", files, openIndex: factory.open)
                }
            }
            await #expect(throws: StoreVerification.Fault.notAStore(directory: "/other")) {
                try await machine.node.environment.blocking(.disk) {
                    () throws(StoreVerification.Fault) in
                    _ = try StoreVerification.run("/other", files, openIndex: factory.open)
                }
            }
        }
    }
}
