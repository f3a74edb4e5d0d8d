import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let status = Subcommand(
        name: "status", summary: "show what every node does",
        help: """
            holdfast status --admin HOST:PORT,…

            Asks every node on its admin port and shows its zone and roles, the groups it
            leads, their terms, the log entries it has applied and how far it is behind,
            its chunks and disk, and the promise that is in force. Exit status 1 when a
            node does not answer.

              --json             one JSON object a line; see holdfast help json
              --admin LIST       admin ports of the nodes, comma-separated (or
                                 HOLDFAST_ADMIN)
              --config FILE      settings, one a line: name = value (or HOLDFAST_CONFIG)

            """,
        parser: OptionParser(flags: ["json"], values: ["admin", "config"]),
        run: { options, environment async throws(CommandFault) in
            do throws(SettingsFault) {
                let files = environment.files
                let addresses = try await environment.blocking(.disk) {
                    () throws(SettingsFault) in
                    try ClientSettings.adminAddresses(
                        options, variables: ProgramEnvironment.variables, files: files)
                }
                let client = StatusClient(environment, loop: environment.loops[0])
                let asked = await client.ask(addresses)
                let table = StatusTable(asked)
                let text =
                    options.flag("json")
                    ? asked.map { JSONLine.text(StatusLine($0)) }.joined()
                    : table.lines.joined(separator: "\n") + "\n"
                guard Terminal.write(text, to: .output) else { return 1 }
                return table.allAnswered ? 0 : 1
            } catch {
                throw CommandFault.settings(error)
            }
        })
}

/// What one node has answered, as JSON.
private struct StatusLine: Encodable {
    let address: String
    private(set) var node: NodeStatus?
    private(set) var error: String?

    init(_ asked: AskedNode) {
        self.address = asked.address.description
        switch asked.answer {
        case .success(let status): self.node = status
        case .failure(let fault): self.error = "\(fault)"
        }
    }
}
