import IORuntime
import Settings
import Simulation

/// Runs whole clusters in the simulator: one for each seed, or one for each step of a story at which
/// a machine may die.
@main
enum HoldfastSimulate {
    private static let usage = """
        usage: holdfast-simulate [OPTIONS]
               holdfast-simulate --story NAME [OPTIONS]

        Runs clusters of production nodes in one thread and in virtual time, under clients and
        faults that a seed decides, and checks every promise. A seed that fails is printed and can be
        run again: the same seed does the same things in every process.

          --seed S     the first seed (default 1)
          --seeds N    how many seeds, counting up (default 1)
          --nodes N    nodes of the cluster: 1, or 3 and more (default 5)
          --minutes M  virtual minutes of work and faults (default 1)
          --trace      print every line of the trace to standard error
          --jobs N     worlds to run at once, each in a process of its own (default: as many as the
                       machine has processors; a single world runs in this process)

        With a story, short acts of one client are told again and again on five nodes, each time with
        a death right before another step: a sync, a change of a name, a batch of a store, a message.
        Then everything is mended and compared with what was acknowledged.

          --story NAME  \(CrashStory.allCases.map(\.rawValue).joined(separator: ", ")), or all
          --every-step  walk all steps of every machine, killed and without power, and of all
                        machines when all lose power
          --sample N    of each of these walks, N steps at equal distances
          --at PLACE    tell it once, or once for each step of a range: n3-killed:117,
                        n1-power-cut:1-20, all-power-cut:9

        Prints one line for each world, or for each walk. The exit status is 0, 1 when a world broke
        a promise, 2 for a wrong command line.

        """

    private static let parser = OptionParser(
        flags: ["trace", "every-step"],
        values: ["seed", "seeds", "nodes", "minutes", "jobs", "story", "sample", "at"])

    static func main() {
        RealEnvironment.run(loopCount: 1) { environment in
            await Self.run(ProgramEnvironment.arguments, in: environment)
        }
    }

    private static func run(_ words: [String], in environment: RealEnvironment) async -> Int32 {
        let options: ParsedOptions
        do throws(OptionFault) { options = try Self.parser.parse(words) } catch {
            if error == .helpWanted {
                Terminal.write(Self.usage, to: .output)
                return 0
            }
            return Self.refuse("\(error)")
        }
        let isGood: Bool
        do throws(UsageFault) {
            let jobs = try Self.number(options, "jobs", in: 1...1024)
            let workers = try WorkerProcesses(environment, width: jobs.map(Int.init))
            if options.isGiven("story") {
                isGood = try await StoryRuns(options, workers).run()
            } else {
                isGood = try await SeedRuns(options, workers).run()
            }
        } catch {
            return Self.refuse(error.reason)
        }
        return isGood ? 0 : 1
    }

    static func number(
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

/// Why a command line cannot be carried out.
struct UsageFault: Error { let reason: String }
