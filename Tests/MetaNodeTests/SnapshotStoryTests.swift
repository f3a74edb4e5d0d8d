import Catalog
import ClusterClient
import Consensus
import Foundation
import IORuntime
import MetaNode
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// A node is away for longer than the others' logs reach, and comes back by a snapshot.
struct SnapshotStoryTests {
    @Test func `a node that was away for longer than the logs reach is given a snapshot`() throws {
        let ending = try SnapshotStory(seed: 1, nil).tell()
        #expect(ending.installed == 1)
        #expect(ending.piecesReceived > 10)
        #expect(ending.bytesResumed == 0)
        #expect(ending.directories == ["0-0", "1-1"])
    }

    @Test func `a fetch that a death ends goes on where it was`() throws {
        let ending = try SnapshotStory(
            seed: 1, nil, bytesPerSecond: 64 << 10, diesAfterPieces: 5
        ).tell()
        #expect(ending.deaths == 1 && ending.installed == 1 && ending.problems == [])
        #expect(ending.bytesResumed >= 4 * 4096, "one of the pieces is a short file")
    }

    @Test func `a fetch keeps to its rate`() throws {
        let slow = try SnapshotStory(seed: 1, nil, bytesPerSecond: 64 << 10).tell()
        #expect(slow.installed == 1)
        let seconds = Double(slow.bytesReceived) / Double(64 << 10)
        #expect(slow.time > .seconds(seconds * 0.9))
    }

    // A process for each walk, because what worlds leave in memory ends with it.

    @Test func `a death of the receiver at any step loses nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.receiver, .killed) }
    }

    @Test func `a power cut of the receiver at any step loses nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.receiver, .powerCut) }
    }

    @Test func `a death of the sender at any step loses nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.sender, .killed) }
    }

    #if DEBUG
    private static let usualSamples = 12
    #else
    private static let usualSamples = 60
    #endif

    /// Tells the story with a death before operations of the victim's disk at equal distances;
    /// `SNAPSHOT_STEPS=100000` before each one.
    private static func walk(_ victim: SnapshotStory.Victim, _ kind: SimulatedDeath) throws {
        let wanted =
            ProcessInfo.processInfo.environment["SNAPSHOT_STEPS"].flatMap { Int($0) }
            ?? Self.usualSamples
        let undisturbed = try SnapshotStory(seed: 1, nil, counting: victim).tell()
        let samples = min(wanted, undisturbed.operations)
        var installed = 0
        var deaths = 0
        for sample in 0..<samples {
            let operation = sample * undisturbed.operations / samples
            let death = SnapshotStory.Death(of: victim, kind, afterOperations: operation)
            let ending = try SnapshotStory(seed: 1, death).tell()
            try #require(ending.problems == [], "after \(operation) operations")
            installed += ending.installed
            deaths += ending.deaths
        }
        try #require(installed >= samples / 2 && deaths >= samples / 2)
    }
}
