import ChunkProtocol
import ChunkStore
import Foundation
import IORuntime
import OrderedStorage
import Primitives
import RocksStore
import Telemetry
import Testing

/// The same store on the machine's own disk.
struct RealDiskTests {
    /// Runs `work` on a loop of a real environment, with a fresh directory.
    private func run(
        _ work: @escaping @Sendable (RealEnvironment, String) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("holdfast-chunks-\(UUID().uuidString)").path
        defer {
            do { try FileManager.default.removeItem(atPath: directory) } catch {
                Issue.record("left behind: \(directory)")
            }
        }
        let environment = RealEnvironment(loopCount: 1)
        defer { environment.stop() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: environment.loops[0]) {
                try await work(environment, directory)
            }
            try await group.waitForAll()
        }
    }

    private func open(
        _ directory: String, in environment: RealEnvironment, _ stores: any StoreFactory,
        segmentBytes: UInt64 = 1 << 20
    ) async throws -> ChunkStore {
        let settings = ChunkStoreSettings(
            directory: directory, reserveBytes: 0, segmentBytes: segmentBytes)
        return try await ChunkStore.open(
            settings, in: environment, loop: environment.loops[0], stores: stores
        ) { status, reason in environment.terminate(status: status, reason: reason) }
    }

    @Test func `chunks on RocksDB are there after a restart, and after the index was lost`()
        async throws
    {
        let chunks = (1...20).map { TestChunk($0, plainBytes: Int($0) * 9000) }
        try await self.run { environment, directory in
            for isIndexLost in [false, false, true] {
                if isIndexLost {
                    try FileManager.default.removeItem(atPath: directory + "/index")
                }
                let store = try await self.open(directory, in: environment, RocksStoreFactory())
                #expect(store.counters.indexRebuilds.value == (isIndexLost ? 1 : 0))
                let answers = await store.putTogether(chunks)
                #expect(answers.allSatisfy { $0 == .stored })
                for chunk in chunks { #expect(await store.holds(chunk)) }
                #expect(await store.status().chunks == 20)
                await #expect(throws: ChunkStoreFault.inUse(directory: directory)) {
                    _ = try await self.open(directory, in: environment, RocksStoreFactory())
                }
                await store.close()
            }
        }
    }

    /// Every file below a directory with its size.
    private static func content(_ directory: String) throws -> [String: UInt64] {
        let files = FileManager.default
        var sizes: [String: UInt64] = [:]
        for path in try files.subpathsOfDirectory(atPath: directory) {
            let attributes = try files.attributesOfItem(atPath: directory + "/" + path)
            sizes[path] = (attributes[.size] as? UInt64) ?? 0
        }
        return sizes
    }

    @Test func `a verification finds a flipped byte on a real disk, and leaves all as it was`()
        async throws
    {
        let chunks = (1...20).map { TestChunk($0, plainBytes: Int($0) * 9000) }
        try await self.run { environment, directory in
            let factory = RocksStoreFactory()
            let store = try await self.open(directory, in: environment, factory)
            #expect(await store.putTogether(chunks).allSatisfy { $0 == .stored })
            try await store.delete(chunks.prefix(5).map(\.name))
            await store.upkeepFinished()
            await store.close()
            let before = try Self.content(directory)
            let sound = try StoreVerification.run(
                directory, environment.files, openIndex: factory.openReadOnly)
            #expect(sound.isSound && sound.live == 15 && sound.tombstones == 5)
            #expect(sound.records == 15, "the others are holes")

            let path = directory + "/segments/0000000000000001.segment"
            let file = try environment.files.open(path, .update)
            let size = try file.sizeBytes()
            let last = try file.read(1, at: size - 9000)
            try file.write(last.map { $0 ^ 0x10 }, at: size - 9000)
            file.close()
            let damaged = try StoreVerification.run(
                directory, environment.files, openIndex: factory.openReadOnly)
            #expect(!damaged.isSound && damaged.badChunks == 1)
            #expect(try Self.content(directory) == before)
        }
    }

    @Test func `however many segments are read, few are held open`() async throws {
        let chunks = (1...90).map { TestChunk($0) }
        try await self.run { environment, directory in
            let store = try await self.open(
                directory, in: environment, MemoryStoreFactory(), segmentBytes: 4096)
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
            for chunk in chunks { #expect(await store.holds(chunk)) }
            #expect(await store.status().segments == 90)
            let files = FileManager.default
            let open = try files.contentsOfDirectory(atPath: "/proc/self/fd").count { number in
                let target = try? files.destinationOfSymbolicLink(
                    atPath: "/proc/self/fd/\(number)")
                return target?.hasPrefix(directory + "/segments/") == true
            }
            #expect(open > 0 && open <= 65)
            await store.close()
        }
    }
}
