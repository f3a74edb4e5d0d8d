import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let copy = Subcommand(
        name: "cp", summary: "copy objects and folders inside the cluster",
        help: """
            holdfast cp SRC… DST         SRC: BUCKET[/PREFIX]   DST: BUCKET[/PREFIX]

            Copies the object SRC and everything in the folder SRC/, inside a bucket or
            into another, which is made where it is missing. No byte passes this machine;
            inside a bucket a copy takes no room. An object becomes DST itself, or DST/NAME
            when DST is a bucket or ends in /. What is in SRC/ keeps its path below DST.

              --include PATTERN  only objects that match; see holdfast help patterns
              --exclude PATTERN  not those that match
              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["quiet"], lists: ClientCommand.filterOptions, operands: 2...Int.max,
            operandName: "SRC… DST"),
        run: { options, environment async throws(CommandFault) in
            try await CopyCommand.run(options, environment, verb: "copied", removing: false)
        })

    static let move = Subcommand(
        name: "mv", summary: "move or rename objects and folders",
        help: """
            holdfast mv SRC… DST         SRC: BUCKET[/PREFIX]   DST: BUCKET[/PREFIX]

            Copies as holdfast cp does, and removes each source once its copy stands, and
            only if it is still the version that was copied: what somebody writes meanwhile
            stays. An interrupted move has each object in one of the two places, or in
            both; the same command goes on with it.

              --include PATTERN  only objects that match; see holdfast help patterns
              --exclude PATTERN  not those that match
              --quiet            no progress, only errors
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["quiet"], lists: ClientCommand.filterOptions, operands: 2...Int.max,
            operandName: "SRC… DST"),
        run: { options, environment async throws(CommandFault) in
            try await CopyCommand.run(options, environment, verb: "moved", removing: true)
        })
}

private enum CopyCommand {
    static func run(
        _ options: ParsedOptions, _ environment: RealEnvironment, verb: String, removing: Bool
    ) async throws(CommandFault) -> Int32 {
        let client = try await ClientCommand.client(options, environment)
        let filter = try ClientCommand.filter(options)
        let destination = try ClientCommand.path(options.operands.last ?? "")
        var plans: [CopyPlan] = []
        for operand in options.operands.dropLast() {
            plans.append(CopyPlan(from: try ClientCommand.path(operand), to: destination))
        }
        guard plans.count == 1 || destination.isBucket || destination.isFolder else {
            throw .usage("\(destination) must end in / when there is more than one SRC")
        }
        let progress = TransferProgress()
        let display = ProgressDisplay(verb, progress, isQuiet: options.flag("quiet"), environment)
        try await ClientCommand.running(client, environment, display) {
            () async throws(FileClientFault) in
            for plan in plans {
                try await client.copy(
                    plan, removing: removing, filter: filter, progress: progress,
                    report: display.report)
            }
        }
        return display.exitStatus
    }
}
