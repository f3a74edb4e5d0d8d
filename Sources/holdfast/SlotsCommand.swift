import FileClient
import IORuntime
import Node
import Primitives
import Settings

/// `holdfast slots`: which group owns which slots, and how they come to another.
extension Subcommand {
    static let slots = Subcommand(
        name: "slots", summary: "show which group owns which slots, and move them",
        help: """
            holdfast slots show --dir DIR
            holdfast slots move --dir DIR --from FIRST --to LAST --group G

            Runs where the cluster's authority is. Buckets and access keys belong to one of
            65,536 slots by the hash of their name, and each slot belongs to a data group.

            show   a line for each run of slots, and one for each move that is under way
            move   has slots moved to a group, with everything that is in them, while
                   requests go on; waits an hour until they are there. Ended before, the
                   move goes on by itself, and the same command waits for it again

              --dir DIR      where holdfast init made the cluster
              --from FIRST   the first slot, 0 to 65535
              --to LAST      the last slot, itself included
              --group G      the data group that they go to

            """,
        verbs: ["show", "move"],
        parser: OptionParser(
            values: ["dir", "from", "to", "group"], operands: 1...1, operandName: "show|move"),
        run: { options, environment async throws(CommandFault) in
            try await SlotsCommand(options).run(in: environment)
            return 0
        })
}

private struct SlotsCommand {
    /// How long a move is waited for; it goes on without us.
    private static let movePatience: Duration = .seconds(3_600)

    private enum Verb {
        case show
        case move(first: Slot, last: Slot, group: GroupID)
    }

    private let verb: Verb
    private let directory: String

    init(_ options: ParsedOptions) throws(CommandFault) {
        let sources = SettingSources(options: options)
        let slots = 0...Slot.count - 1
        let (first, last, group): (Int?, Int?, Int?)
        do throws(SettingsFault) {
            self.directory = try sources.require("dir").value
            first = try sources.number("from", in: slots)
            last = try sources.number("to", in: slots)
            group = try sources.number("group", in: 1...Slot.count)
        } catch { throw .settings(error) }
        switch options.operands[0] {
        case "show":
            guard first == nil, last == nil, group == nil else {
                throw .usage("--from, --to and --group belong to move")
            }
            self.verb = .show
        case "move":
            guard let first, let last, let group, first <= last else {
                throw .usage("move needs --from, --to (not below it) and --group")
            }
            self.verb = .move(
                first: Slot(rawValue: UInt16(first)), last: Slot(rawValue: UInt16(last)),
                group: GroupID(UInt32(group)))
        case let other: throw .usage("slots \(other): there are show and move")
        }
    }

    func run(in environment: RealEnvironment) async throws(CommandFault) {
        let (directory, files) = (self.directory, environment.files)
        let now = environment.wallClock
        do throws(OperatorFault) {
            let identity = try await environment.blocking(.disk) { () throws(OperatorFault) in
                try OperatorIdentity(clusterDirectory: directory, now: now, files)
            }
            let cluster = try ClusterOperator(identity, in: environment)
            switch self.verb {
            case .show:
                let lines = try await cluster.slots()
                Terminal.write(lines.map { $0 + "\n" }.joined(), to: .output)
            case .move(let first, let last, let group):
                let areThere = try await cluster.moveSlots(
                    from: first, through: last, to: group,
                    by: environment.now + Self.movePatience
                ) { Terminal.write($0 + "\n", to: .output) }
                guard areThere else {
                    throw .refused(
                        "slots \(first)-\(last) are still on their way; the move goes on: see "
                            + "`holdfast slots show`")
                }
                Terminal.write("slots \(first)-\(last) are group \(group)'s\n", to: .output)
            }
        } catch { throw .failed("\(error)") }
    }
}
