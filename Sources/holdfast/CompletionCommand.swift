import IORuntime
import Settings

extension Subcommand {
    static let completion = Subcommand(
        name: "completion", summary: "print what a shell needs to complete words",
        help: """
            holdfast completion bash|zsh|fish

            Prints a script that lets the shell complete commands, verbs and options.

              bash   source <(holdfast completion bash)             in ~/.bashrc
              zsh    source <(holdfast completion zsh)              in ~/.zshrc
              fish   holdfast completion fish | source              in config.fish

            """,
        verbs: CompletionScript.Shell.allCases.map(\.rawValue),
        parser: OptionParser(operands: 1...1, operandName: "bash|zsh|fish"),
        run: { options, _ async throws(CommandFault) in
            guard let shell = CompletionScript.Shell(rawValue: options.operands[0]) else {
                throw .usage("completion \(options.operands[0]): there are bash, zsh and fish")
            }
            let help = CompletionScript.Command(
                name: "help", summary: "tell of a command or a topic", parser: OptionParser(),
                verbs: HelpTopic.all.map(\.name) + Subcommand.all.map(\.name))
            let script = CompletionScript(
                program: "holdfast",
                commands: Subcommand.all.map {
                    CompletionScript.Command(
                        name: $0.name, summary: $0.summary, parser: $0.parser, verbs: $0.verbs)
                } + [help])
            return Terminal.write(script.text(for: shell), to: .output) ? 0 : 1
        })
}
