import ChunkStore
import FileClient
import IORuntime
import OrderedStorage
import RocksStore
import Settings

extension Subcommand {
    static let verify = Subcommand(
        name: "verify", summary: "check a store's directory while its node is stopped",
        help: """
            holdfast verify DIR [--json]

            Reads every segment of a store: DIR is a node's data directory, or the chunks
            directory in it. Checks each record's header and frames by their checksums (no
            key is needed), and compares the index with the segments in both directions.
            Changes nothing. Refuses while a node uses the directory.

            Exit status 0: all is as it was written. 1: something is not; each bad chunk is
            named, and the node's next start or a read will fetch it from another copy. 2:
            not understood, no store, or in use.

              --json             the result as one JSON object, and no progress
              --quiet            no progress

            """,
        parser: OptionParser(flags: ["json", "quiet"], operands: 1...1, operandName: "DIR"),
        run: { options, environment async throws(CommandFault) in
            let directory = options.operands[0]
            let isQuiet = options.flag("quiet") || options.flag("json")
            let files = environment.files
            let report: StoreReport
            do throws(StoreVerification.Fault) {
                report = try await environment.blocking(.disk) {
                    () throws(StoreVerification.Fault) in
                    let factory = RocksStoreFactory()
                    let bar = VerifyProgress(isQuiet: isQuiet)
                    defer { bar.end() }
                    return try StoreVerification.run(
                        directory, files, openIndex: factory.openReadOnly, progress: bar.show)
                }
            } catch {
                switch error {
                case .notAStore(let directory):
                    throw CommandFault.usage("there is no store in \(directory)")
                case .inUse(let directory):
                    throw CommandFault.usage(
                        "\(directory) is in use by a node; stop that one first")
                case .file(let fault): throw CommandFault.failed("\(fault)")
                case .index(let fault): throw CommandFault.failed("index: \(fault)")
                }
            }
            let text = options.flag("json") ? report.json : report.table
            guard Terminal.write(text, to: .output) else { return 1 }
            return report.isSound ? 0 : 1
        })
}

/// How far a verification is, on standard error: a line that is written over on a terminal, and one
/// for every tenth part elsewhere.
private final class VerifyProgress {
    private let isQuiet: Bool
    private let isTerminal = Terminal.isTerminal(.errors)
    private var tenths = 0

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    func show(_ segment: Int, of count: Int) {
        guard !self.isQuiet, count > 0 else { return }
        let text = "verifying segment \(segment + 1) of \(count)"
        if self.isTerminal {
            Terminal.write("\r\u{1B}[K" + text, to: .errors)
        } else if segment * 10 / count > self.tenths {
            self.tenths = segment * 10 / count
            Terminal.write(text + "\n", to: .errors)
        }
    }

    func end() {
        if !self.isQuiet, self.isTerminal { Terminal.write("\r\u{1B}[K", to: .errors) }
    }
}
