import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let remove = Subcommand(
        name: "rm", summary: "remove objects, folders, buckets",
        help: """
            holdfast rm BUCKET/KEY… [--recursive]

            Removes objects; one that is not there is as good as removed. BUCKET alone
            removes an empty bucket. What is removed is gone: nothing asks first.

              --recursive        also everything in the folder KEY/; with BUCKET alone,
                                 everything in the bucket and the bucket itself
              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["recursive", "quiet"], operands: 1...Int.max, operandName: "BUCKET/KEY"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            var paths: [RemotePath] = []
            for operand in options.operands { paths.append(try ClientCommand.path(operand)) }
            let progress = TransferProgress()
            guard options.flag("recursive") else {
                do throws(FileClientFault) {
                    for path in paths { try await client.remove(path) }
                } catch {
                    throw CommandFault.transfer(error)
                }
                return 0
            }
            let display = ProgressDisplay(
                "removed", progress, isQuiet: options.flag("quiet"), environment)
            try await ClientCommand.running(client, environment, display) {
                () async throws(FileClientFault) in
                for path in paths {
                    try await client.removeFolder(path, progress: progress, report: display.report)
                }
            }
            return display.exitStatus
        })
}
