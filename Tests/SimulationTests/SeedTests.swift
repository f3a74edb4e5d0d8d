import Primitives
import Simulation
import Testing

struct SeedTests {
    private static func settings(span: Duration) -> SimulationSettings {
        var settings = SimulationSettings()
        settings.span = span
        return settings
    }

    /// A minute's work is a second's in a release build, and ten times as much in a debug build.
    /// `holdfast-simulate --seeds` runs as many as one has time for.
    #if DEBUG
    private static let seeds: ClosedRange<UInt64> = 1...3
    #else
    private static let seeds: ClosedRange<UInt64> = 1...30
    #endif

    @Test(arguments: Self.seeds)
    func `a seed keeps every promise`(seed: UInt64) throws {
        // So long that something is done in the slowest worlds too, where a message may take as long
        // as an election.
        let report = try SimulationRun(seed: seed, Self.settings(span: .seconds(45))).run()
        #expect(report.violations == [])
        #expect(report.tally.puts > 10)
        #expect(report.tally.gets > 10)
        #expect(report.stateComparisons > 0)
    }

    /// Each process has its own seed for the order of sets and dictionaries.
    @Test func `two processes with different hash seeds run one seed alike`() async throws {
        let first = try await Self.runInChild()
        let second = try await Self.runInChild()
        #expect(first.run.hasPrefix("seed 5: good"))
        #expect(first.run == second.run)
        #expect(first.hash != second.hash)
    }

    private static func runInChild() async throws -> (run: String, hash: String) {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) {
            var settings = SimulationSettings()
            settings.span = .seconds(10)
            print(try SimulationRun(seed: 5, settings).run().line)
            print("hash", "the same text".hashValue)
        }
        let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
        let lines = output.split(separator: "\n").map(String.init)
        return (
            try #require(lines.first { $0.hasPrefix("seed") }),
            try #require(lines.first { $0.hasPrefix("hash") })
        )
    }
}
