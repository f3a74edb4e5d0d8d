import IORuntime
import Settings
import Simulation

/// Seeds as the command line wants them: one in this process, several in processes of their own.
struct SeedRuns {
    private let settings: SimulationSettings
    private let seeds: [UInt64]
    private let isTraced: Bool
    /// What a worker is told beside its seed.
    private let inherited: [String]
    private let workers: WorkerProcesses

    init(_ options: ParsedOptions, _ workers: WorkerProcesses) throws(UsageFault) {
        for name in ["every-step", "sample", "at"] where options.isGiven(name) {
            throw UsageFault(reason: "--\(name) is for a --story")
        }
        var settings = SimulationSettings()
        var inherited: [String] = []
        let first = try HoldfastSimulate.number(options, "seed", in: 0...UInt64.max) ?? 1
        let count = try HoldfastSimulate.number(options, "seeds", in: 1...1_000_000) ?? 1
        if let nodes = try HoldfastSimulate.number(options, "nodes", in: 1...64) {
            guard nodes != 2 else { throw UsageFault(reason: "two nodes make no cluster") }
            settings.nodeCount = Int(nodes)
            inherited += ["--nodes", String(nodes)]
        }
        if let minutes = try HoldfastSimulate.number(options, "minutes", in: 1...10_000) {
            settings.span = .seconds(Int64(minutes) * 60)
            inherited += ["--minutes", String(minutes)]
        }
        self.isTraced = options.flag("trace")
        if self.isTraced { inherited.append("--trace") }
        self.settings = settings
        self.seeds = (0..<count).map { first &+ $0 }
        self.inherited = inherited
        self.workers = workers
    }

    /// Whether every seed kept every promise.
    func run() async -> Bool {
        if self.seeds.count == 1 { return self.runHere(self.seeds[0]) }
        var failed: [UInt64] = []
        let jobs = self.seeds.map { ["--seed", String($0)] + self.inherited }
        await self.workers.run(jobs) { index, leavings in
            for line in leavings.output { Terminal.write(line + "\n", to: .output) }
            if let trouble = leavings.trouble {
                Terminal.write("seed \(self.seeds[index]): FAILED: \(trouble)\n", to: .output)
            }
            if !leavings.isGood { failed.append(self.seeds[index]) }
        }
        guard !failed.isEmpty else { return true }
        let seeds = failed.map(String.init).joined(separator: " ")
        Terminal.write("error: failed seeds: \(seeds)\n", to: .errors)
        return false
    }

    private func runHere(_ seed: UInt64) -> Bool {
        do {
            let run = try SimulationRun(seed: seed, self.settings)
            if self.isTraced { run.follow { Terminal.write($0 + "\n", to: .errors) } }
            let report = try run.run()
            Terminal.write(report.line + "\n", to: .output)
            for violation in report.violations {
                Terminal.write("  violation: \(violation)\n", to: .output)
            }
            return report.isGood
        } catch {
            Terminal.write("seed \(seed): could not be run: \(error)\n", to: .output)
            return false
        }
    }
}
