import FileClient
import IORuntime
import Primitives
import Settings

extension Subcommand {
    static let list = Subcommand(
        name: "ls", summary: "list buckets or objects",
        help: """
            holdfast ls [BUCKET[/PREFIX]]

            Without BUCKET lists the buckets. With it lists the objects whose keys begin with
            PREFIX: when each was written (UTC), its size in bytes, its key. What goes on
            behind a further / is shown as one folder.

              --recursive        every object, no folders
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["recursive"], operands: 0...1, operandName: "BUCKET[/PREFIX]"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let path = try options.operands.first.map { operand throws(CommandFault) in
                try ClientCommand.path(operand)
            }
            do throws(FileClientFault) {
                guard let path else { return ObjectList.show(try await client.buckets()) ? 0 : 1 }
                let isWritten = try await ObjectList.show(
                    path, client, delimiter: options.flag("recursive") ? nil : "/")
                return isWritten ? 0 : 1
            } catch {
                throw CommandFault.transfer(error)
            }
        })
}

/// Listings as text. Each call returns false when nobody takes the text any more.
private enum ObjectList {
    private static let sizeColumns = 14
    private static let dateColumns = 19

    static func show(_ buckets: [ListedBucket]) -> Bool {
        let lines = buckets.map { bucket in
            "\(Self.date(bucket.created))  \(TransferText.printable(bucket.name))\n"
        }
        return Terminal.write(lines.joined(), to: .output)
    }

    static func show(
        _ path: RemotePath, _ client: FileClient, delimiter: String?
    ) async throws(FileClientFault) -> Bool {
        var token: String?
        repeat {
            let page = try await client.list(path, delimiter: delimiter, after: token)
            token = page.next
            let folders = page.commonPrefixes.map {
                (key: $0, line: Self.line(date: "", size: "folder", key: $0))
            }
            let objects = page.objects.map {
                let date = Self.date($0.lastModified)
                return (
                    key: $0.key, line: Self.line(date: date, size: "\($0.sizeBytes)", key: $0.key)
                )
            }
            let entries = (folders + objects).sorted {
                $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
            }
            guard Terminal.write(entries.map(\.line).joined(), to: .output) else { return false }
        } while token != nil
        return true
    }

    private static func line(date: String, size: String, key: String) -> String {
        Self.padded(date, to: Self.dateColumns, atStart: false) + "  "
            + Self.padded(size, to: Self.sizeColumns, atStart: true)
            + "  \(TransferText.printable(key))\n"
    }

    private static func padded(_ text: String, to columns: Int, atStart: Bool) -> String {
        let blanks = String(repeating: " ", count: max(0, columns - text.count))
        return atStart ? blanks + text : text + blanks
    }

    /// `2026-01-31T12:00:00.000Z` as people write it.
    private static func date(_ text: String) -> String {
        let shown = text.prefix(Self.dateColumns).map { $0 == "T" ? " " : $0 }
        return TransferText.printable(String(shown))
    }
}
