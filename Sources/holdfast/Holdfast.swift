import IORuntime
import Primitives
import Settings

/// The program: picks the subcommand, reads its options, runs it, and says how it ended. Exit
/// statuses: see `ExitStatus`.
@main
enum Holdfast {
    static func main() {
        var words = ProgramEnvironment.arguments[...]
        guard let name = words.popFirst() else { Self.leave(usage: "a command is missing") }
        if ["help", "--help", "-h"].contains(name) {
            guard let topic = words.first else { Self.leave(help: Self.help) }
            guard let text = Self.help(of: topic) else {
                Self.leave(usage: "there is no command and no topic \(topic)")
            }
            Self.leave(help: text)
        }
        guard let command = Subcommand.all.first(where: { $0.name == name }) else {
            Self.leave(usage: "there is no command \(name)")
        }
        let options: ParsedOptions
        do throws(OptionFault) { options = try command.parser.parse(Array(words)) } catch {
            guard error != .helpWanted else { Self.leave(help: command.help) }
            Self.leave(usage: "\(name): \(error)", seeAlso: "holdfast \(name) --help")
        }
        RealEnvironment.run(loopCount: command.loopCount(options)) { environment in
            do throws(CommandFault) {
                return try await command.run(options, environment)
            } catch {
                ErrorLine.write(error.description)
                return error.exitStatus
            }
        }
    }

    private static var help: String {
        let width = Subcommand.all.map(\.name.count).max() ?? 0
        let lines = Subcommand.all.map { command in
            "  \(command.name)"
                + String(repeating: " ", count: width - command.name.count + 2) + command.summary
        }
        return """
            holdfast COMMAND …: a file store of your own

            \(lines.joined(separator: "\n"))

            Exit status: 0 done, 1 failed, 2 not understood, 3 some of many failed,
            4 not there, 5 no right to it, 6 no edge answered, 130 interrupted by Ctrl-C.
            holdfast help COMMAND tells more, and so does holdfast help TOPIC:
            \(HelpTopic.all.map(\.name).joined(separator: " "))

            """
    }

    private static func help(of name: String) -> String? {
        Subcommand.all.first { $0.name == name }?.help
            ?? HelpTopic.all.first { $0.name == name }?.text
    }

    private static func leave(help: String) -> Never {
        Self.leave(Terminal.write(help, to: .output) ? 0 : 1)
    }

    private static func leave(usage text: String, seeAlso: String = "holdfast --help") -> Never {
        ErrorLine.write("\(text) (see \(seeAlso))")
        Self.leave(2)
    }

    private static func leave(_ status: Int32) -> Never {
        RealEnvironment.run(loopCount: 1) { _ in status }
    }
}
