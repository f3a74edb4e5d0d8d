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
        holdfast-chaos failover [--kills N] [--pauses N] [--dir DIR]

        Both make a cluster of five processes on free ports of this machine. Exit status 1 when a
        promise is broken.

        kill-nodes keeps uploads and downloads going through all edges, while it kills (-9) one node
        after another, then any two at once, and starts them again. Reads every acknowledged byte
        back.

          --minutes M        how long the load goes on, 1 to 1440 (2)
          --seed S           decides contents and kills (a new one each time); timing still varies

        failover measures how long small writes wait when the leader of a group is killed (-9), and
        when it stands still (SIGSTOP): median, 99th percentile, worst.

          --kills N          leaders killed, one after the other, 0 to 1000 (50)
          --pauses N         leaders stopped after that, 0 to 1000 (10)

        For both:

          --dir DIR          for the cluster, must not exist; kept when something is wrong
                             (a new one below TMPDIR)

        """

    private static let minutesRange = 1...1440
    private static let defaultMinutes = 2
    private static let blowsRange = 0...1000
    private static let defaultKills = 50
    private static let defaultPauses = 10

    private enum Scenario {
        case killNodes(minutes: Int, seed: UInt64?)
        case failover(Failover.Plan)
    }

    static func main() {
        var words = ProgramEnvironment.arguments[...]
        guard let name = words.popFirst() else { Self.leave(2, Self.help) }
        if ["help", "--help", "-h"].contains(name) { Self.leave(0, Self.help) }
        let scenario: Scenario
        let options: ParsedOptions
        do throws(OptionFault) {
            switch name {
            case "kill-nodes":
                options = try OptionParser(values: ["minutes", "seed", "dir"]).parse(Array(words))
            case "failover":
                options = try OptionParser(values: ["kills", "pauses", "dir"]).parse(Array(words))
            default:
                Self.leave(2, "error: there is no scenario \(name); see holdfast-chaos --help\n")
            }
        } catch {
            if error == .helpWanted { Self.leave(0, Self.help) }
            Self.leave(2, "error: \(error); see holdfast-chaos --help\n")
        }
        do throws(SettingsFault) {
            scenario = try Self.scenario(name, SettingSources(options: options), options)
        } catch { Self.leave(2, "error: \(error)\n") }
        let directory = options.value("dir")
        ResourceLimits.raiseDescriptorLimit()
        RealEnvironment.run(loopCount: 1) { environment in
            await Self.run(scenario, directory: directory, environment)
        }
    }

    private static func scenario(
        _ name: String, _ sources: SettingSources, _ options: ParsedOptions
    ) throws(SettingsFault) -> Scenario {
        if name == "failover" {
            return .failover(
                Failover.Plan(
                    kills: try sources.number("kills", in: Self.blowsRange) ?? Self.defaultKills,
                    pauses: try sources.number("pauses", in: Self.blowsRange)
                        ?? Self.defaultPauses))
        }
        return .killNodes(
            minutes: try sources.number("minutes", in: Self.minutesRange) ?? Self.defaultMinutes,
            seed: try Self.seed(options))
    }

    private static func seed(_ options: ParsedOptions) throws(SettingsFault) -> UInt64? {
        guard let text = options.value("seed") else { return nil }
        guard let seed = UInt64(text) else {
            throw .malformed("--seed", value: text, wanted: "a whole number")
        }
        return seed
    }

    private static func run(
        _ scenario: Scenario, directory: String?, _ environment: RealEnvironment
    ) async -> Int32 {
        let base = ProgramEnvironment.variable("TMPDIR") ?? "/tmp"
        let directory =
            directory ?? "\(base)/holdfast-chaos-\(Hex.encode(environment.randomBytes(6)))"
        guard let program = HoldfastProgram.besideThisOne else {
            return Self.failed("this program's own path is not known, so neither is holdfast's")
        }
        Terminal.write("cluster in \(directory)\n", to: .output)
        do throws(ProcessClusterFault) {
            let cluster = try await ProcessCluster.make(
                ProcessCluster.Plan(program: program, directory: directory), in: environment)
            let status = await Self.run(scenario, on: cluster, environment)
            await cluster.killAll()
            if status == 0 { return await Self.remove(directory, environment) }
            Terminal.write("the cluster's data and logs are in \(directory)\n", to: .output)
            return status
        } catch { return Self.failed("\(error)") }
    }

    private static func run(
        _ scenario: Scenario, on cluster: ProcessCluster, _ environment: RealEnvironment
    ) async -> Int32 {
        let tell: @Sendable (String) -> Void = { Terminal.write($0 + "\n", to: .output) }
        let lines: [String]
        let holds: Bool
        do throws(ChaosFault) {
            switch scenario {
            case .killNodes(let minutes, let seed):
                let seed =
                    seed ?? environment.randomBytes(4).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                tell("seed \(seed)")
                let plan = KillNodes.Plan(seed: seed, span: .seconds(60 * minutes))
                let report = try await KillNodes(plan, on: cluster, report: tell).run()
                (lines, holds) = (report.lines, report.holds)
            case .failover(let plan):
                let report = try await Failover(plan, on: cluster, report: tell).run()
                (lines, holds) = (report.lines, report.holds)
            }
        } catch { return Self.failed("\(error)") }
        tell("\n" + lines.joined(separator: "\n"))
        return holds ? 0 : 1
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
