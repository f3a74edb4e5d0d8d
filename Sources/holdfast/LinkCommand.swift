import FileClient
import IORuntime
import Settings

extension Subcommand {
    static let link = Subcommand(
        name: "link", summary: "make a URL that lets others in for a while",
        help: """
            holdfast link BUCKET/KEY
            holdfast link --list PREFIX COUNT --bucket BUCKET

            Prints a URL on the edge that made it; any edge honours it. Whoever has the URL
            can use it until it expires. The second form prints path and query only, one a
            line, for the objects PREFIX00000000, PREFIX00000001, … in BUCKET.

              --expires SPAN     how long it holds: 90s, 15m, 1h, 7d (1h; at most 7d)
              --method LIST      what it allows, comma-separated: GET, PUT, DELETE (GET)
              --prefix           for everything in the folder KEY/: its name goes before
                                 the ?
              --count N          URLs for KEY00000000 up to N of them
            \(ClientCommand.optionsHelp)
            """,
        parser: ClientCommand.parser(
            flags: ["list", "prefix"], values: ["expires", "method", "count", "bucket"],
            operands: 1...2, operandName: "BUCKET/KEY"),
        run: { options, environment async throws(CommandFault) in
            let (wanted, count) = try LinkOptions.read(options)
            let client = try await ClientCommand.client(options, environment)
            do throws(FileClientFault) {
                let links =
                    if let count {
                        try await client.links(wanted, count: count)
                    } else {
                        [try await client.link(wanted)]
                    }
                let isList = options.flag("list")
                let lines = links.map { (isList ? $0.target : $0.url) + "\n" }
                return Terminal.write(lines.joined(), to: .output) ? 0 : 1
            } catch {
                throw CommandFault.transfer(error)
            }
        })
}

private enum LinkOptions {
    private static let standardExpirySeconds: Int64 = 3600
    private static let methods = ["GET", "HEAD", "PUT", "DELETE"]

    /// The link that is wanted, or the first of so many.
    static func read(_ options: ParsedOptions) throws(CommandFault) -> (LinkRequest, Int?) {
        let (path, count) = try Self.target(options)
        var wanted = LinkRequest(path, expiresInSeconds: Self.standardExpirySeconds)
        do throws(SettingsFault) {
            let sources = SettingSources(options: options)
            if let seconds = try sources.seconds("expires", in: LinkRequest.expiresRange) {
                wanted.expiresInSeconds = seconds
            }
        } catch {
            throw .settings(error)
        }
        if let methods = options.value("method") {
            wanted.methods = SettingSources.list(methods).map { $0.uppercased() }
            for method in wanted.methods where !Self.methods.contains(method) {
                throw .usage(
                    "--method: \(method) is not one of \(Self.methods.joined(separator: ", "))")
            }
        }
        if options.flag("prefix") { wanted.scope = .prefix }
        guard !wanted.path.key.isEmpty || wanted.scope == .prefix || count != nil else {
            throw .usage("\(wanted.path) has no key; give --prefix for the whole bucket")
        }
        return (wanted, count)
    }

    private static func target(
        _ options: ParsedOptions
    ) throws(CommandFault) -> (RemotePath, Int?) {
        guard options.flag("list") else {
            guard options.operands.count == 1 else {
                throw .usage("\(options.operands[1]) is one word too many")
            }
            guard !options.isGiven("bucket") else { throw .usage("--bucket belongs to --list") }
            let count = try options.value("count").map { text throws(CommandFault) in
                try Self.count(text)
            }
            return (try ClientCommand.path(options.operands[0]), count)
        }
        guard options.operands.count == 2 else { throw .usage("--list needs PREFIX and COUNT") }
        guard let bucket = options.value("bucket") else {
            throw .usage("--list needs --bucket BUCKET")
        }
        let path = try ClientCommand.path("\(bucket)/\(options.operands[0])")
        return (path, try Self.count(options.operands[1]))
    }

    private static func count(_ text: String) throws(CommandFault) -> Int {
        guard let count = Int(text), (1...LinkRequest.mostLinks).contains(count) else {
            throw .usage("\(text) is not a number of links from 1 to \(LinkRequest.mostLinks)")
        }
        return count
    }
}
