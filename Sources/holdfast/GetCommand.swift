import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let get = Subcommand(
        name: "get", summary: "fetch objects into a directory",
        help: """
            holdfast get BUCKET[/PREFIX] DIR

            Fetches the object PREFIX and all objects PREFIX/… into DIR, several at once, and
            checks each against the checksum that the edge announces. PREFIX/a/b becomes
            DIR/a/b; nothing is written outside DIR, and a key that would leave it (.., //) is
            refused. A file appears under its name only when it is whole; an older one of the
            same name is replaced. Exit status 1 when anything could not be fetched.

              --sync             each file survives a power cut before the next begins
              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["quiet", "sync"], operands: 2...2, operandName: "BUCKET[/PREFIX] DIR"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let path = try ClientCommand.path(options.operands[0])
            let directory = options.operands[1]
            let isSynced = options.flag("sync")
            guard !directory.isEmpty else { throw .usage("DIR is empty") }
            let progress = TransferProgress()
            let display = ProgressDisplay(
                "fetched", progress, isQuiet: options.flag("quiet"), environment)
            try await ClientCommand.running(client, environment, display) {
                () async throws(FileClientFault) in
                try await client.get(
                    path, into: directory, sync: isSynced, progress: progress,
                    report: display.report)
            }
            return progress.counts.filesFailed == 0 ? 0 : 1
        })
}
