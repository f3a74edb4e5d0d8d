import IORuntime
import Settings
import Simulation

/// Runs whole clusters in the simulator, one for each seed.
@main
enum HoldfastSimulate {
    private static let usage = """
        usage: holdfast-simulate [OPTIONS]

        Runs clusters of production nodes in one thread and in virtual time, under clients and
        faults that a seed decides, and checks every promise. A seed that fails is printed and can be
        run again: the same seed does the same things in every process.

          --seed S     the first seed (default 1)
          --seeds N    how many seeds, counting up (default 1)
          --nodes N    nodes of the cluster: 1, or 3 and more (default 5)
          --minutes M  virtual minutes of work and faults (default 1)
          --trace      print every line of the trace to standard error

        Prints one line for each seed. The exit status is 0, 1 when a seed failed, 2 for a wrong
        command line.

        """

    private static let parser = OptionParser(
        flags: ["trace"], values: ["seed", "seeds", "nodes", "minutes"])

    static func main() {
        RealEnvironment.run(loopCount: 1) { _ in Self.run(ProgramEnvironment.arguments) }
    }

    private static func run(_ words: [String]) -> Int32 {
        let options: ParsedOptions
        do throws(OptionFault) { options = try Self.parser.parse(words) } catch {
            if error == .helpWanted {
                Terminal.write(Self.usage, to: .output)
                return 0
            }
            return Self.refuse("\(error)")
        }
        var settings = SimulationSettings()
        var seed: UInt64 = 1
        var count: UInt64 = 1
        do throws(UsageFault) {
            seed = try Self.number(options, "seed", in: 0...UInt64.max) ?? seed
            count = try Self.number(options, "seeds", in: 1...1_000_000_000) ?? count
            if let nodes = try Self.number(options, "nodes", in: 1...64) {
                guard nodes != 2 else { throw UsageFault(reason: "two nodes make no cluster") }
                settings.nodeCount = Int(nodes)
            }
            if let minutes = try Self.number(options, "minutes", in: 1...10_000) {
                settings.span = .seconds(Int64(minutes) * 60)
            }
        } catch {
            return Self.refuse(error.reason)
        }
        var failed: [UInt64] = []
        for offset in 0..<count {
            let isGood = Self.runSeed(seed &+ offset, settings, trace: options.flag("trace"))
            if !isGood { failed.append(seed &+ offset) }
        }
        guard failed.isEmpty else {
            let seeds = failed.map(String.init).joined(separator: " ")
            Terminal.write("error: failed seeds: \(seeds)\n", to: .errors)
            return 1
        }
        return 0
    }

    private static func runSeed(
        _ seed: UInt64, _ settings: SimulationSettings, trace: Bool
    ) -> Bool {
        do {
            let run = try SimulationRun(seed: seed, settings)
            if trace {
                run.follow { Terminal.write($0 + "\n", to: .errors) }
            }
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

    private struct UsageFault: Error { let reason: String }

    private static func number(
        _ options: ParsedOptions, _ name: String, in range: ClosedRange<UInt64>
    ) throws(UsageFault) -> UInt64? {
        guard let text = options.value(name) else { return nil }
        guard let number = UInt64(text), range.contains(number) else {
            throw UsageFault(
                reason: "--\(name) is a number from \(range.lowerBound) to \(range.upperBound), "
                    + "not \(text)")
        }
        return number
    }

    private static func refuse(_ reason: String) -> Int32 {
        Terminal.write("error: \(reason); see holdfast-simulate --help\n", to: .errors)
        return 2
    }
}
