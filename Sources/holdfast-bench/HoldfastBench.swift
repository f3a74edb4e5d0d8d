import IORuntime
import Settings

/// Workloads against a running cluster, for comparisons with other systems.
@main
enum HoldfastBench {
    private static let usage = """
        usage: holdfast-bench COMMAND [OPTIONS]

          meta    puts and reads of small objects straight at the metadata groups; prints one
                  line of JSON
          scale   whether requests to a bucket take longer as it grows to millions of objects;
                  prints a table

        `holdfast-bench COMMAND --help` says more. The exit status is 0, 1 when the workload failed
        or missed its bound, 2 for a wrong command line.

        """

    static func main() {
        // One loop, and it serves the client's connections: a hop between loops would be measured too.
        RealEnvironment.run(loopCount: 1) { environment in
            var words = ProgramEnvironment.arguments
            guard !words.isEmpty else {
                Terminal.write(Self.usage, to: .errors)
                return 2
            }
            let command = words.removeFirst()
            switch command {
            case "meta": return await MetaCommand.run(words, in: environment)
            case "scale": return await ScaleCommand.run(words, in: environment)
            case "--help", "-h", "help":
                Terminal.write(Self.usage, to: .output)
                return 0
            default:
                Terminal.write(
                    "error: unknown command \(command); see holdfast-bench --help\n", to: .errors)
                return 2
            }
        }
    }
}
