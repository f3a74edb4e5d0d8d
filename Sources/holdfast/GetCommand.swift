import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let get = Subcommand(
        name: "get", summary: "fetch objects into a directory",
        help: """
            holdfast get BUCKET[/PREFIX] DIR

            Fetches the object PREFIX and everything in the folder PREFIX/ into DIR,
            checking each against its checksum. PREFIX/a/b becomes DIR/a/b; nothing is
            written outside DIR. A file gets its name when it is whole, and replaces an
            older one. An interrupted get goes on when it is given again: holdfast help
            resume

              --include PATTERN  only objects that match; see holdfast help patterns
              --exclude PATTERN  not those that match
              --skip-same        leave files alone that have the object's content already
              --verify           read each file back; fail where there is no checksum
              --sync             each file survives a power cut before the next begins
              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["quiet", "sync", "skip-same", "verify"], lists: ClientCommand.filterOptions,
            operands: 2...2, operandName: "BUCKET[/PREFIX] DIR"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let path = try ClientCommand.path(options.operands[0])
            let directory = options.operands[1]
            var wanted = TransferOptions()
            wanted.filter = try ClientCommand.filter(options)
            wanted.skipsSame = options.flag("skip-same")
            wanted.verifies = options.flag("verify")
            wanted.syncs = options.flag("sync")
            let transfer = wanted
            guard !directory.isEmpty else { throw .usage("DIR is empty") }
            let progress = TransferProgress()
            let display = ProgressDisplay(
                "fetched", progress, isQuiet: options.flag("quiet"), environment)
            try await ClientCommand.running(client, environment, display) {
                () async throws(FileClientFault) in
                try await client.get(
                    path, into: directory, options: transfer, progress: progress,
                    report: display.report)
            }
            return display.exitStatus
        })
}
