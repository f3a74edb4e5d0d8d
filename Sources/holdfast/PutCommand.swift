import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let put = Subcommand(
        name: "put", summary: "store files and folders",
        help: """
            holdfast put SRC… BUCKET[/PREFIX]

            Stores files and the content of folders, several at once, and makes the bucket
            where it is missing. A folder gives PREFIX/… without its own name. A file gives
            PREFIX/NAME; when it is the only SRC and PREFIX does not end in /, it gives PREFIX
            itself. Symbolic links and special files in folders are left out, and so are empty
            folders. Exit status 1 when anything could not be stored.

              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["quiet"], operands: 2...Int.max, operandName: "SRC… BUCKET[/PREFIX]"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let destination = try ClientCommand.path(options.operands.last ?? "")
            let sources = Array(options.operands.dropLast())
            let progress = TransferProgress()
            let display = ProgressDisplay(
                "stored", progress, isQuiet: options.flag("quiet"), environment)
            try await ClientCommand.running(client, environment, display) {
                () async throws(FileClientFault) in
                try await client.put(
                    sources, to: destination, progress: progress, report: display.report)
            }
            return progress.counts.filesFailed == 0 ? 0 : 1
        })
}
