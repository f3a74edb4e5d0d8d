import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let put = Subcommand(
        name: "put", summary: "store files and folders",
        help: """
            holdfast put SRC… BUCKET[/PREFIX]

            Stores files and the content of folders, and makes the bucket where it is
            missing. A folder gives PREFIX/… without its own name. A file gives
            PREFIX/NAME; when it is the only SRC and PREFIX does not end in /, it gives
            PREFIX itself. Symbolic links, special files and empty folders are left out.
            An interrupted put goes on when it is given again: holdfast help resume

              --include PATTERN  only files that match; see holdfast help patterns
              --exclude PATTERN  not those that match
              --skip-same        leave objects alone that have the file's content already
              --verify           read each object back and compare it with the file
              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["quiet", "skip-same", "verify"], lists: ClientCommand.filterOptions,
            operands: 2...Int.max, operandName: "SRC… BUCKET[/PREFIX]"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let destination = try ClientCommand.path(options.operands.last ?? "")
            let sources = Array(options.operands.dropLast())
            var wanted = TransferOptions()
            wanted.filter = try ClientCommand.filter(options)
            wanted.skipsSame = options.flag("skip-same")
            wanted.verifies = options.flag("verify")
            let transfer = wanted
            let progress = TransferProgress()
            let display = ProgressDisplay(
                "stored", progress, isQuiet: options.flag("quiet"), environment)
            try await ClientCommand.running(client, environment, display) {
                () async throws(FileClientFault) in
                try await client.put(
                    sources, to: destination, options: transfer, progress: progress,
                    report: display.report)
            }
            return display.exitStatus
        })
}
