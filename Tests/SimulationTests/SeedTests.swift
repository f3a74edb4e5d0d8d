import Simulation
import Testing

struct SeedTests {
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a seed keeps every promise`(seed: UInt64) throws {
        let run = try SimulationRun(seed: seed)
        let report = try run.run()
        print(report)
        #expect(report.violations == [])
    }
}
