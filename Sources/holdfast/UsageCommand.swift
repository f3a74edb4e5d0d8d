import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let usage = Subcommand(
        name: "du", summary: "add up what folders and buckets hold",
        help: """
            holdfast du [BUCKET[/PREFIX]]

            Adds up the objects in the folder PREFIX/, or in the bucket, and in each folder
            in it; without BUCKET in every bucket. Shows size, number of objects and name,
            the whole last. Sizes are those of the objects, not what their copies take on
            disks.

              --depth N          levels of folders that are shown, 0 to 64 (1)
              --bytes            sizes as whole bytes, not as 1.2 MB
              --json             one JSON object a line; see holdfast help json
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["bytes", "json"], values: ["depth"], operands: 0...1,
            operandName: "BUCKET[/PREFIX]"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let path = try options.operands.first.map { operand throws(CommandFault) in
                try ClientCommand.path(operand)
            }
            let depth: Int
            do throws(SettingsFault) {
                depth =
                    try SettingSources(options: options).number("depth", in: 0...64)
                    ?? (path == nil ? 0 : 1)
            } catch {
                throw .settings(error)
            }
            let text = UsageText(isJSON: options.flag("json"), inBytes: options.flag("bytes"))
            do throws(FileClientFault) {
                var isWritten = true
                let paths =
                    if let path { [path] } else { try await client.bucketPaths() }
                for path in paths {
                    try await client.usage(of: path, depth: depth) { usage in
                        isWritten = Terminal.write(text.line(usage), to: .output)
                        return isWritten
                    }
                    guard isWritten else { return ExitStatus.failed }
                }
                return ExitStatus.done
            } catch {
                throw CommandFault.transfer(error)
            }
        })
}

extension FileClient {
    fileprivate func bucketPaths() async throws(FileClientFault) -> [RemotePath] {
        try await self.buckets().map { RemotePath(bucket: $0.name) }
    }
}

private struct UsageText {
    let isJSON: Bool
    let inBytes: Bool

    private struct Line: Encodable {
        let name: String
        let objects: Int
        let sizeBytes: UInt64
    }

    private static let sizeColumns = 10
    private static let exactColumns = 16
    private static let countColumns = 9

    func line(_ usage: Usage) -> String {
        guard !self.isJSON else {
            return JSONLine.text(
                Line(name: usage.name, objects: usage.objects, sizeBytes: usage.sizeBytes))
        }
        let size = self.inBytes ? "\(usage.sizeBytes)" : TransferText.size(usage.sizeBytes)
        return Self.right(size, self.inBytes ? Self.exactColumns : Self.sizeColumns)
            + Self.right("\(usage.objects)", Self.countColumns)
            + "  \(TransferText.printable(usage.name))\n"
    }

    private static func right(_ text: String, _ columns: Int) -> String {
        String(repeating: " ", count: max(1, columns - text.count)) + text
    }
}
