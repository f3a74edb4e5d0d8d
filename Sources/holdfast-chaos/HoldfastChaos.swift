import ChaosKit
import IORuntime
import Primitives
import Settings

/// Runs a scenario of chaos against a cluster of its own. Exit statuses: 0 the promises hold, 1 they
/// do not or could not be checked, 2 not understood.
@main
enum HoldfastChaos {
    private static let help = """
        holdfast-chaos kill-nodes [--minutes M] [--seed S] [--dir DIR]

        Makes a cluster of five processes on free ports of this machine and keeps uploads and
        downloads going through all its edges, while it kills (-9) one node after another, then any
        two at once, and starts them again. Reads every acknowledged byte back and prints a report.
        Exit status 1 when anything was lost, was wrong, or did not go on.

          --minutes M        how long the load goes on, 1 to 1440 (2)
          --seed S           decides contents and kills (a new one each time); timing still varies
          --dir DIR          for the cluster, must not exist; kept when something is wrong
                             (a new one below TMPDIR)

        """

    private static let parser = OptionParser(values: ["minutes", "seed", "dir"])
    private static let minutesRange = 1...1440
    private static let defaultMinutes = 2

    static func main() {
        var words = ProgramEnvironment.arguments[...]
        guard let name = words.popFirst() else { Self.leave(2, Self.help) }
        if ["help", "--help", "-h"].contains(name) { Self.leave(0, Self.help) }
        guard name == "kill-nodes" else {
            Self.leave(2, "error: there is no scenario \(name); see holdfast-chaos --help\n")
        }
        let options: ParsedOptions
        do throws(OptionFault) { options = try Self.parser.parse(Array(words)) } catch {
            if error == .helpWanted { Self.leave(0, Self.help) }
            Self.leave(2, "error: \(error); see holdfast-chaos --help\n")
        }
        let minutes: Int
        let seed: UInt64?
        do throws(SettingsFault) {
            let sources = SettingSources(options: options)
            minutes = try sources.number("minutes", in: Self.minutesRange) ?? Self.defaultMinutes
            seed = try Self.seed(options)
        } catch { Self.leave(2, "error: \(error)\n") }
        let directory = options.value("dir")
        ResourceLimits.raiseDescriptorLimit()
        RealEnvironment.run(loopCount: 1) { environment in
            await Self.killNodes(minutes: minutes, seed: seed, directory: directory, environment)
        }
    }

    private static func seed(_ options: ParsedOptions) throws(SettingsFault) -> UInt64? {
        guard let text = options.value("seed") else { return nil }
        guard let seed = UInt64(text) else {
            throw .malformed("--seed", value: text, wanted: "a whole number")
        }
        return seed
    }

    private static func killNodes(
        minutes: Int, seed: UInt64?, directory: String?, _ environment: RealEnvironment
    ) async -> Int32 {
        let seed =
            seed ?? environment.randomBytes(4).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let base = ProgramEnvironment.variable("TMPDIR") ?? "/tmp"
        let directory =
            directory ?? "\(base)/holdfast-chaos-\(Hex.encode(environment.randomBytes(6)))"
        guard let program = HoldfastProgram.besideThisOne else {
            return Self.failed("this program's own path is not known, so neither is holdfast's")
        }
        Terminal.write("seed \(seed), cluster in \(directory)\n", to: .output)
        do throws(ProcessClusterFault) {
            let cluster = try await ProcessCluster.make(
                ProcessCluster.Plan(program: program, directory: directory), in: environment)
            let plan = KillNodes.Plan(seed: seed, span: .seconds(60 * minutes))
            let scenario = KillNodes(plan, on: cluster) { Terminal.write($0 + "\n", to: .output) }
            let status = await Self.run(scenario)
            await cluster.killAll()
            if status == 0 { return await Self.remove(directory, environment) }
            Terminal.write("the cluster's data and logs are in \(directory)\n", to: .output)
            return status
        } catch { return Self.failed("\(error)") }
    }

    private static func run(_ scenario: KillNodes) async -> Int32 {
        do throws(ChaosFault) {
            let report = try await scenario.run()
            Terminal.write("\n" + report.lines.joined(separator: "\n") + "\n", to: .output)
            return report.holds ? 0 : 1
        } catch { return Self.failed("\(error)") }
    }

    private static func remove(_ directory: String, _ environment: RealEnvironment) async -> Int32 {
        let files = environment.files
        do throws(FileFault) {
            try await environment.blocking(.disk) { () throws(FileFault) in
                try files.removeTree(directory)
            }
            return 0
        } catch { return Self.failed("\(directory) cannot be removed: \(error)") }
    }

    private static func failed(_ text: String) -> Int32 {
        Terminal.write("error: \(text)\n", to: .errors)
        return 1
    }

    private static func leave(_ status: Int32, _ text: String) -> Never {
        Terminal.write(text, to: status == 0 ? .output : .errors)
        RealEnvironment.run(loopCount: 1) { _ in status }
    }
}
