import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let stat = Subcommand(
        name: "stat", summary: "show what is known of objects and buckets",
        help: """
            holdfast stat BUCKET[/KEY]…

            Shows size, time, entity tag, type, checksums and fields of each object, or
            when a bucket was made. Exit status 4 when one is not there; the others are
            shown.

              --json             one JSON object a line; see holdfast help json
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["json"], operands: 1...Int.max, operandName: "BUCKET[/KEY]"),
        run: { options, environment async throws(CommandFault) in
            let client = try await ClientCommand.client(options, environment)
            var paths: [RemotePath] = []
            for operand in options.operands { paths.append(try ClientCommand.path(operand)) }
            var status = ExitStatus.done
            for (number, path) in paths.enumerated() {
                do throws(FileClientFault) {
                    let isJSON = options.flag("json")
                    let shown = try await StatText.of(path, client, isJSON: isJSON)
                    let text = number > 0 && !isJSON ? "\n" + shown : shown
                    guard Terminal.write(text, to: .output) else { return ExitStatus.failed }
                } catch {
                    guard ExitStatus.of(error) == ExitStatus.notFound else {
                        throw CommandFault.transfer(error)
                    }
                    ErrorLine.write("\(error)")
                    status = ExitStatus.notFound
                }
            }
            return status
        })
}

private enum StatText {
    private struct Object: Encodable {
        let bucket: String
        let key: String
        let sizeBytes: UInt64
        let lastModified: String
        let etag: String
        let contentType: String?
        let sha256: String?
        let checksums: [String: String]
        let fields: [String: String]
    }

    static func of(
        _ path: RemotePath, _ client: FileClient, isJSON: Bool
    ) async throws(FileClientFault) -> String {
        guard !path.isBucket else { return try await Self.bucket(path, client, isJSON: isJSON) }
        guard let facts = try await client.facts(path) else { throw .nothingThere(path) }
        guard isJSON else { return Self.lines(of: facts) }
        return JSONLine.text(
            Object(
                bucket: path.bucket, key: path.key, sizeBytes: facts.sizeBytes,
                lastModified: facts.lastModified, etag: facts.etag,
                contentType: facts.contentType, sha256: facts.sha256,
                checksums: Dictionary(facts.checksums.map { ($0.algorithm, $0.value) }) { $1 },
                fields: Dictionary(facts.fields.map { ($0.name, $0.value) }) { $1 }))
    }

    private static func bucket(
        _ path: RemotePath, _ client: FileClient, isJSON: Bool
    ) async throws(FileClientFault) -> String {
        guard let found = try await client.buckets().first(where: { $0.name == path.bucket })
        else { throw .nothingThere(path) }
        guard isJSON else {
            return Self.table([
                ("bucket", found.name), ("created", ListTime.text(found.created) + " UTC"),
            ])
        }
        return JSONLine.text(JSONLine.Bucket(bucket: found.name, created: found.created))
    }

    private static func lines(of facts: ObjectFacts) -> String {
        var rows = [
            ("bucket", facts.path.bucket), ("key", facts.path.key),
            ("size", "\(facts.sizeBytes) bytes (\(TransferText.size(facts.sizeBytes)))"),
            ("modified", ListTime.text(facts.lastModified) + " UTC"), ("etag", facts.etag),
        ]
        if let type = facts.contentType { rows.append(("type", type)) }
        if let sha256 = facts.sha256 { rows.append(("sha256", sha256)) }
        for checksum in facts.checksums {
            // Base64, as S3 has it, where ours is in hexadecimal.
            rows.append(("\(checksum.algorithm) (base64)", checksum.value))
        }
        return Self.table(rows + facts.fields.map { ($0.name, $0.value) })
    }

    private static func table(_ rows: [(name: String, value: String)]) -> String {
        let width = rows.map(\.name.count).max() ?? 0
        return rows.map { row in
            row.name + String(repeating: " ", count: width - row.name.count + 2)
                + TransferText.printable(row.value) + "\n"
        }.joined()
    }
}
