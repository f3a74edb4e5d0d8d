import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let cat = Subcommand(
        name: "cat", summary: "write objects to standard output",
        help: """
            holdfast cat BUCKET/KEY…

            Writes the bytes of objects to standard output, one behind the other. When an
            edge fails in the middle, the next one goes on where it stopped. Each object is
            checked against its checksum; when its bytes are wrong, the command fails, and
            what was written is not to be trusted.

              holdfast cat logs/today.gz | zcat | grep error

            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(operands: 1...Int.max, operandName: "BUCKET/KEY"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            var paths: [RemotePath] = []
            for operand in options.operands { paths.append(try ClientCommand.object(operand)) }
            do throws(FileClientFault) {
                for path in paths {
                    let isTaken = try await client.stream(path) { bytes in
                        // A pipe may be slow: only this transfer waits for it.
                        await environment.blocking(.disk) { Terminal.write(bytes, to: .output) }
                    }
                    guard isTaken else { return ExitStatus.failed }
                }
                return ExitStatus.done
            } catch {
                throw CommandFault.transfer(error)
            }
        })
}
