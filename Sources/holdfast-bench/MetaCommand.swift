import IORuntime
import Node
import Primitives
import Settings

/// `holdfast-bench meta`: joins a cluster as a peer without a role, runs one workload against its
/// metadata, and prints how it went.
enum MetaCommand {
    private static let usage = """
        usage: OP=put|range|mix [CLIENTS=32] [COUNT=10000] [SECS=10] [VALUE=256] [KEYS=10000] \\
               holdfast-bench meta --identity DIR --authority DIR [--buckets N]

          --identity DIR   identity directory of any node: its node.conf names the cluster
          --authority DIR  the cluster's authority (ca.pem, ca.key), which certifies this process
          --buckets N      buckets the keys are spread over, and so groups (default 1)

        put stores objects of VALUE bytes, sealed nowhere and kept inline, each by one command of
        the catalog; range reads them back with their bytes, linearizably; mix does half and half.
        Each of CLIENTS does one operation at a time. The run ends after COUNT operations or SECS
        seconds. Keys that are not there are put before the clock starts.

        """

    static func run(_ words: [String], in environment: RealEnvironment) async -> Int32 {
        let parser = OptionParser(values: ["identity", "authority", "buckets"])
        do throws(OptionFault) {
            let options = try parser.parse(words)
            let workload = try Self.workload(options, ProgramEnvironment.variables)
            guard let identity = options.value("identity"),
                let authority = options.value("authority")
            else { return Self.refuse("--identity and --authority are needed") }
            return await Self.run(
                workload, identity: identity, authority: authority, in: environment)
        } catch {
            if case .helpWanted = error {
                Terminal.write(Self.usage, to: .output)
                return 0
            }
            return Self.refuse("\(error)")
        }
    }

    private static func run(
        _ workload: MetaWorkload, identity: String, authority: String,
        in environment: RealEnvironment
    ) async -> Int32 {
        do throws(BenchFault) {
            let cluster = try await ClusterOperator.joined(
                identityDirectory: identity, authorityDirectory: authority, in: environment)
            let report = try await workload.run(by: cluster, in: environment)
            Terminal.write(report.json + "\n", to: .output)
            guard report.wrongValues == 0, report.operations > 0 else { return 1 }
            return 0
        } catch {
            Terminal.write("error: \(error)\n", to: .errors)
            return 1
        }
    }

    private static func workload(
        _ options: ParsedOptions, _ variables: [String: String]
    ) throws(OptionFault) -> MetaWorkload {
        func number(_ name: String, _ fallback: Int, _ range: ClosedRange<Int>) throws(OptionFault)
            -> Int
        {
            guard let text = variables[name] else { return fallback }
            guard let value = Int(text), range.contains(value) else {
                throw .unexpectedOperand("\(name)=\(text)")
            }
            return value
        }
        guard let kind = MetaWorkload.Kind(rawValue: variables["OP"] ?? "") else {
            throw .missingOperand("OP=put|range|mix in the environment")
        }
        let buckets = options.value("buckets").map { Int($0) ?? 0 } ?? 1
        guard MetaWorkload.bucketCounts.contains(buckets) else {
            throw .unexpectedOperand("--buckets \(buckets)")
        }
        return MetaWorkload(
            kind: kind, clients: try number("CLIENTS", 32, MetaWorkload.clientCounts),
            count: try number("COUNT", 10_000, 1...Int.max),
            span: .seconds(try number("SECS", 10, 1...86_400)),
            valueBytes: try number("VALUE", 256, MetaWorkload.valueSizesBytes),
            keys: try number("KEYS", 10_000, MetaWorkload.keyCounts), buckets: buckets)
    }

    private static func refuse(_ reason: String) -> Int32 {
        Terminal.write("error: \(reason); see holdfast-bench meta --help\n", to: .errors)
        return 2
    }
}
