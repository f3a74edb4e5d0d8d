import IORuntime
import Node
import Primitives
import Settings

/// `holdfast-bench scale`: joins a cluster as a peer without a role, fills a small and a large
/// bucket, and compares what requests to them take.
enum ScaleCommand {
    private static let usage = """
        usage: holdfast-bench scale --identity DIR --authority DIR [OPTIONS]

          --identity DIR     identity directory of any node: its node.conf names the cluster
          --authority DIR    the cluster's authority (ca.pem, ca.key), which certifies this process
          --small N          objects of the small bucket (10000)
          --large N          objects of the large bucket (2000000)
          --rounds N         turns of 400 gets, 200 puts and 40 pages for each bucket (10)
          --clients N        that each do one request at a time (1)
          --within PERCENT   what a median of the large bucket may exceed the small one's by (20)

        Objects are small and inline, their keys in no order; puts replace objects; a page has 1,000
        keys and begins anywhere. Filling goes on where an earlier run has not. Prints a table. Exit
        status 1: a median is out of bounds, or a request failed.

        """

    static func run(_ words: [String], in environment: RealEnvironment) async -> Int32 {
        let parser = OptionParser(values: [
            "identity", "authority", "small", "large", "rounds", "clients", "within",
        ])
        let options: ParsedOptions
        do throws(OptionFault) { options = try parser.parse(words) } catch {
            if case .helpWanted = error {
                Terminal.write(Self.usage, to: .output)
                return 0
            }
            return Self.refuse("\(error)")
        }
        guard let identity = options.value("identity"), let authority = options.value("authority")
        else { return Self.refuse("--identity and --authority are needed") }
        let workload: ScaleWorkload
        let percent: Int
        do throws(SettingsFault) {
            let sources = SettingSources(options: options)
            let counts = ScaleWorkload.objectCounts
            workload = ScaleWorkload(
                small: try sources.number("small", in: counts) ?? 10_000,
                large: try sources.number("large", in: counts) ?? 2_000_000,
                rounds: try sources.number("rounds", in: ScaleWorkload.roundCounts) ?? 10,
                clients: try sources.number("clients", in: ScaleWorkload.clientCounts) ?? 1,
                report: { Terminal.write($0 + "\n", to: .errors) })
            percent = try sources.number("within", in: 0...1_000) ?? 20
        } catch { return Self.refuse("\(error)") }
        do throws(BenchFault) {
            let cluster = try await ClusterOperator.joined(
                identityDirectory: identity, authorityDirectory: authority, in: environment)
            let report = try await workload.run(by: cluster, in: environment)
            Terminal.write(report.lines.joined(separator: "\n") + "\n", to: .output)
            return report.holds(withinPercent: percent) ? 0 : 1
        } catch {
            Terminal.write("error: \(error)\n", to: .errors)
            return 1
        }
    }

    private static func refuse(_ reason: String) -> Int32 {
        Terminal.write("error: \(reason); see holdfast-bench scale --help\n", to: .errors)
        return 2
    }
}
