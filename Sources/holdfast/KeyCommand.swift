import Cryptography
import FileClient
import IORuntime
import Node
import Primitives
import Settings

/// `holdfast key`: the master keys, in the identity directories of meta nodes.
extension Subcommand {
    static let key = Subcommand(
        name: "key", summary: "rotate the master key that wraps all stored secrets",
        help: """
            holdfast key list IDENTITY…
            holdfast key rotate-master IDENTITY…
            holdfast key drop-master --key ID --admin HOST:PORT,… IDENTITY…

            Works on master.keys in the identity directories of meta nodes; those without
            the meta role are passed over. Running nodes look at the file every few
            seconds; nothing is restarted, and no stored byte but the wrapped keys is
            written again.

            list           shows the ids of the keys, oldest first; never a key
            rotate-master  makes a new key and adds it to every file; where the files
                           differ, it makes them the same instead. Give the identities of
                           all meta nodes, and for machines of their own copy the file.
                           Once every meta node holds the key it comes into force, and
                           secrets under older ones are wrapped anew: holdfast status shows
                           how many wait
            drop-master    removes an old key from the files; refused until the cluster has
                           logged that nothing needs it. Backups of before do need it: keep
                           a copy as long as those

              --key ID       the key to drop, 32 hexadecimal digits
              --admin LIST   admin ports of the nodes, comma-separated (or HOLDFAST_ADMIN)

            """,
        verbs: ["list", "rotate-master", "drop-master"],
        parser: OptionParser(
            values: ["key", "admin", "config"], operands: 2...100,
            operandName: "list|rotate-master|drop-master IDENTITY…"),
        run: { options, environment async throws(CommandFault) in
            try await KeyCommand(options).run(in: environment)
            return 0
        })
}

private struct KeyCommand {
    private enum Verb: String {
        case list
        case rotateMaster = "rotate-master"
        case dropMaster = "drop-master"
    }

    private let verb: Verb
    private let directories: [String]
    private let key: MasterKeyID?
    private let options: ParsedOptions

    init(_ options: ParsedOptions) throws(CommandFault) {
        guard let verb = Verb(rawValue: options.operands[0]) else {
            throw .usage(
                "key \(options.operands[0]): there are list, rotate-master and drop-master")
        }
        self.verb = verb
        self.directories = Array(options.operands.dropFirst())
        self.options = options
        let text = options.value("key")
        self.key = text.flatMap { MasterKeyID($0) }
        switch verb {
        case .dropMaster:
            guard self.key != nil else {
                throw .usage("--key is missing, or not 32 hexadecimal digits")
            }
        case .list, .rotateMaster:
            guard text == nil else { throw .usage("--key belongs to drop-master") }
        }
    }

    func run(in environment: RealEnvironment) async throws(CommandFault) {
        ProgramEnvironment.keepNewFilesPrivate()
        switch self.verb {
        case .list:
            let keys = try await self.change(in: environment) {
                files, _ throws(MasterKeyFilesFault) in files.keys
            }
            Terminal.write(keys.map { "\($0.id)\n" }.joined(), to: .output)
        case .rotateMaster:
            let (rotation, count) = try await self.change(in: environment) {
                files, system throws(MasterKeyFilesFault) in
                let rotation = try files.rotate(randomness: environment.randomBytes, system)
                return (rotation, files.paths.count)
            }
            switch rotation {
            case .added(let id):
                Terminal.write("made key \(id), in \(count) files\n", to: .output)
            case .completed(let id):
                Terminal.write(
                    "the \(count) files differed and are the same now; their youngest key is "
                        + "\(id)\n", to: .output)
            }
        case .dropMaster:
            guard let key = self.key else { brokenInvariant("drop-master comes with a key") }
            try await self.checkIsRetired(key, environment)
            try await self.change(in: environment) { files, system throws(MasterKeyFilesFault) in
                try files.drop(key, system)
            }
            Terminal.write("dropped key \(key)\n", to: .output)
        }
    }

    private func change<Value: Sendable>(
        in environment: RealEnvironment,
        _ work:
            @escaping @Sendable (inout MasterKeyFiles, any FileSystem) throws(MasterKeyFilesFault)
            -> Value
    ) async throws(CommandFault) -> Value {
        let (directories, system) = (self.directories, environment.files)
        do throws(MasterKeyFilesFault) {
            return try await environment.blocking(.disk) { () throws(MasterKeyFilesFault) in
                var files = try MasterKeyFiles(identityDirectories: directories, system)
                return try work(&files, system)
            }
        } catch { throw .failed("\(error)") }
    }

    /// One node's word is enough: what group 0 has retired once is retired for ever, whatever else
    /// that node has not heard yet.
    private func checkIsRetired(
        _ key: MasterKeyID, _ environment: RealEnvironment
    ) async throws(CommandFault) {
        let addresses: [SocketAddress]
        do throws(SettingsFault) {
            let (options, files) = (self.options, environment.files)
            addresses = try await environment.blocking(.disk) { () throws(SettingsFault) in
                try ClientSettings.adminAddresses(
                    options, variables: ProgramEnvironment.variables, files: files)
            }
        } catch { throw .settings(error) }
        let asked = await StatusClient(environment, loop: environment.loops[0]).ask(addresses)
        let reports = asked.compactMap(\.masterKeys)
        guard !reports.isEmpty else {
            throw .failed("no meta node answers, so nobody knows whether \(key) is still needed")
        }
        guard !reports.contains(where: { $0.retired.contains(key.description) }) else { return }
        let waiting = reports.flatMap(\.waiting).map(\.secrets).max() ?? 0
        if reports.contains(where: { $0.inForce == key.description }) {
            throw .failed("\(key) is in force; rotate-master brings another")
        }
        throw .failed(
            "\(key) may still be needed: the cluster has not retired it (secrets that wait in one "
                + "group: \(waiting)); see holdfast status")
    }
}
