/// What a shell needs to complete the words of a program, made from the table of its commands.
package struct CompletionScript: Sendable {
    package enum Shell: String, CaseIterable, Sendable {
        case bash
        case zsh
        case fish
    }

    package struct Command: Sendable {
        let name: String
        /// Half a line; no quotes.
        let summary: String
        let parser: OptionParser
        /// Words that may stand behind the name, where there is a choice of them.
        let verbs: [String]

        package init(name: String, summary: String, parser: OptionParser, verbs: [String]) {
            self.name = name
            self.summary = summary
            self.parser = parser
            self.verbs = verbs
        }
    }

    private let program: String
    private let commands: [Command]

    package init(program: String, commands: [Command]) {
        self.program = program
        self.commands = commands
    }

    package func text(for shell: Shell) -> String {
        switch shell {
        case .bash: self.bash
        case .zsh: self.zsh
        case .fish: self.fish
        }
    }

    /// Operands are files where nothing else is known of them (`-o default`).
    private var bash: String {
        let cases = self.commands.map { command in
            let options = command.parser.options.map { "--\($0.name)" } + ["--help"]
            return """
                        \(command.name))
                            options='\(options.joined(separator: " "))'
                            verbs='\(command.verbs.joined(separator: " "))' ;;

                """
        }
        return """
            _\(self.program)() {
                local word=${COMP_WORDS[COMP_CWORD]} options= verbs=
                COMPREPLY=()
                if [ "$COMP_CWORD" -eq 1 ]; then
                    verbs='\(self.commands.map(\.name).joined(separator: " "))'
                else
                    case "${COMP_WORDS[1]}" in
            \(cases.joined())        esac
                    [ "$COMP_CWORD" -eq 2 ] || verbs=
                fi
                case "$word" in
                    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
                    *) mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word") ;;
                esac
            }
            complete -o default -F _\(self.program) \(self.program)

            """
    }

    private var zsh: String {
        let commands = self.commands.map { "        '\($0.name):\($0.summary)'\n" }
        let cases = self.commands.map { command in
            let options = command.parser.options.map { option in
                // An option that may come again is offered again.
                "'*--\(option.name)\(option.takesValue ? ":value:_files" : "")'"
            }
            let operands =
                command.verbs.isEmpty
                ? ["'*:file:_files'"]
                : ["'1:verb:(\(command.verbs.joined(separator: " ")))'", "'*:file:_files'"]
            return "        \(command.name)) _arguments "
                + (options + ["'--help'"] + operands).joined(separator: " ") + " ;;\n"
        }
        return """
            #compdef \(self.program)
            _\(self.program)() {
                local -a commands=(
            \(commands.joined())    )
                if (( CURRENT == 2 )); then
                    _describe command commands
                    return
                fi
                shift words
                (( CURRENT-- ))
                case $words[1] in
            \(cases.joined())    esac
            }
            if [ "$funcstack[1]" = _\(self.program) ]; then
                _\(self.program) "$@"
            else
                compdef _\(self.program) \(self.program)
            fi

            """
    }

    private var fish: String {
        var lines: [String] = []
        for command in self.commands {
            lines.append(
                "complete -c \(self.program) -n __fish_use_subcommand -f -a \(command.name) "
                    + "-d '\(command.summary)'")
            let isChosen = "-n '__fish_seen_subcommand_from \(command.name)'"
            if !command.verbs.isEmpty {
                lines.append(
                    "complete -c \(self.program) \(isChosen) -f -a "
                        + "'\(command.verbs.joined(separator: " "))'")
            }
            for option in command.parser.options {
                lines.append(
                    "complete -c \(self.program) \(isChosen) -l \(option.name)"
                        + (option.takesValue ? " -r" : ""))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
