import FileClient
import IORuntime
import Primitives
import Settings

extension Subcommand {
    static let list = Subcommand(
        name: "ls", summary: "list buckets or objects",
        help: """
            holdfast ls [BUCKET[/PREFIX]]

            Without BUCKET lists the buckets. With it lists the objects whose keys begin
            with PREFIX: when each was written (UTC), its size in bytes, its key. What goes
            on behind a further / is shown as one folder.

              --recursive        every object, no folders
              --human            sizes as 1.2 MB, not in bytes
              --json             one JSON object a line; see holdfast help json
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["recursive", "human", "json"], operands: 0...1,
            operandName: "BUCKET[/PREFIX]"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            let path = try options.operands.first.map { operand throws(CommandFault) in
                try ClientCommand.path(operand)
            }
            let list = ObjectList(isJSON: options.flag("json"), isHuman: options.flag("human"))
            do throws(FileClientFault) {
                let isWritten =
                    if let path {
                        try await list.show(
                            path, client, delimiter: options.flag("recursive") ? nil : "/")
                    } else {
                        list.show(try await client.buckets())
                    }
                return isWritten ? ExitStatus.done : ExitStatus.failed
            } catch {
                throw CommandFault.transfer(error)
            }
        })
}

/// `2026-01-31T12:00:00.000Z` as people write it.
enum ListTime {
    static let columns = 19

    static func text(_ time: String) -> String {
        let shown = time.prefix(Self.columns).map { $0 == "T" ? " " : $0 }
        return TransferText.printable(String(shown))
    }
}

/// Listings as text. Each call returns false when nobody takes the text any more.
private struct ObjectList {
    let isJSON: Bool
    let isHuman: Bool

    private static let sizeColumns = 14

    private struct Folder: Encodable {
        let folder: String
    }

    private struct Object: Encodable {
        let key: String
        let sizeBytes: UInt64
        let lastModified: String
        let etag: String
    }

    func show(_ buckets: [ListedBucket]) -> Bool {
        let lines = buckets.map { bucket in
            self.isJSON
                ? JSONLine.text(JSONLine.Bucket(bucket: bucket.name, created: bucket.created))
                : "\(ListTime.text(bucket.created))  \(TransferText.printable(bucket.name))\n"
        }
        return Terminal.write(lines.joined(), to: .output)
    }

    func show(
        _ path: RemotePath, _ client: FileClient, delimiter: String?
    ) async throws(FileClientFault) -> Bool {
        var token: String?
        repeat {
            let page = try await client.list(path, delimiter: delimiter, after: token)
            token = page.next
            let folders = page.commonPrefixes.map { (key: $0, line: self.line(folder: $0)) }
            let objects = page.objects.map { (key: $0.key, line: self.line($0)) }
            let entries = (folders + objects).sorted {
                $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
            }
            guard Terminal.write(entries.map(\.line).joined(), to: .output) else { return false }
        } while token != nil
        return true
    }

    private func line(folder: String) -> String {
        self.isJSON
            ? JSONLine.text(Folder(folder: folder))
            : Self.line(date: "", size: "folder", key: folder)
    }

    private func line(_ object: ListedObject) -> String {
        guard !self.isJSON else {
            return JSONLine.text(
                Object(
                    key: object.key, sizeBytes: object.sizeBytes,
                    lastModified: object.lastModified, etag: object.etag))
        }
        let size = self.isHuman ? TransferText.size(object.sizeBytes) : "\(object.sizeBytes)"
        return Self.line(date: ListTime.text(object.lastModified), size: size, key: object.key)
    }

    private static func line(date: String, size: String, key: String) -> String {
        Self.padded(date, to: ListTime.columns, atStart: false) + "  "
            + Self.padded(size, to: Self.sizeColumns, atStart: true)
            + "  \(TransferText.printable(key))\n"
    }

    private static func padded(_ text: String, to columns: Int, atStart: Bool) -> String {
        let blanks = String(repeating: " ", count: max(0, columns - text.count))
        return atStart ? blanks + text : text + blanks
    }
}
