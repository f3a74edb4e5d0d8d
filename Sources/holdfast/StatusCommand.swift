import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let status = Subcommand(
        name: "status", summary: "show what every node does",
        help: """
            holdfast status --admin HOST:PORT,…

            Asks every node on its admin port and shows its zone and roles, the groups it leads,
            their terms, the log entries it has applied and how far it is behind, its chunks and
            disk, and the promise that is in force. Exit status 1 when a node does not answer.

              --admin LIST       admin ports of the nodes, comma-separated (or HOLDFAST_ADMIN)
              --config FILE      settings, one a line: name = value (or HOLDFAST_CONFIG)

            """,
        parser: OptionParser(values: ["admin", "config"]),
        run: { options, environment async throws(CommandFault) in
            do throws(SettingsFault) {
                let files = environment.files
                let addresses = try await environment.blocking(.disk) {
                    () throws(SettingsFault) in
                    try ClientSettings.adminAddresses(
                        options, variables: ProgramEnvironment.variables, files: files)
                }
                let client = StatusClient(environment, loop: environment.loops[0])
                let table = StatusTable(await client.ask(addresses))
                let text = table.lines.joined(separator: "\n") + "\n"
                guard Terminal.write(text, to: .output) else { return 1 }
                return table.allAnswered ? 0 : 1
            } catch {
                throw CommandFault.settings(error)
            }
        })
}
