import Cryptography
import IORuntime
import Node
import Primitives
import Settings

/// `holdfast init`: makes all that a new cluster needs to exist before its first node starts.
///
/// | below DIR             | content                                                          |
/// |-----------------------|------------------------------------------------------------------|
/// | `node-I/identity/`    | who node I is: to be carried to its machine                      |
/// | `authority/ca.pem`    | what clients of the HTTPS doors trust                            |
/// | `authority/ca.key`    | makes certificates for more nodes: the operator's alone          |
/// | `env`                 | variables for a shell: edges, access key, secret; written last   |
extension Subcommand {
    static let initialize = Subcommand(
        name: "init", summary: "make the identities of a new cluster's nodes",
        help: """
            holdfast init --dir DIR --nodes N [--data-groups G] [--base-port P]
                          [--host ADDRESS] [--plain-http]

            Makes the identities of a new cluster's nodes, its certificate authority and
            its first access key below DIR, and starts nothing. DIR must be new or empty.

              --dir DIR          where everything goes
              --nodes N          1, or 3 to 99; five outlive the loss of any two
              --data-groups G    groups among which the metadata is dealt, 1 to 64; 4 when
                                 not given, which with the system group is a leader for
                                 each of five nodes
              --base-port P      node I listens on P+I (HTTP), P+400+I (HTTPS), P+100+I
                                 (admin) and P+200+I (peers); 9000 when not given
              --host ADDRESS     the numeric address of all nodes; 127.0.0.1 when not
                                 given. HTTP without TLS stays on 127.0.0.1 all the same
              --plain-http       HTTP without TLS listens on that address too: signatures
                                 and bodies are there for all to read who are on the way

            """,
        parser: OptionParser(
            flags: ["plain-http"], values: ["dir", "nodes", "data-groups", "base-port", "host"]),
        run: { options, environment async throws(CommandFault) in
            try await InitCommand(options).run(in: environment)
            return 0
        })
}

private struct InitCommand {
    private static let nodesRange = 1...99
    private static let defaultBasePort = 9000
    /// Such that every port of every node is unprivileged and fits sixteen bits.
    private static let basePortRange = 1024...65_000
    private static let defaultHost = "127.0.0.1"

    private let directory: String
    private let plans: [NewCluster.NodePlan]
    private let dataGroups: Int

    init(_ options: ParsedOptions) throws(CommandFault) {
        let sources = SettingSources(options: options)
        let (directory, count, dataGroups, basePort): (String, Int?, Int?, Int?)
        do throws(SettingsFault) {
            directory = try sources.require("dir").value
            count = try sources.number("nodes", in: Self.nodesRange)
            dataGroups = try sources.number("data-groups", in: NewCluster.dataGroupsRange)
            basePort = try sources.number("base-port", in: Self.basePortRange)
        } catch { throw .settings(error) }
        guard let count else { throw .usage("--nodes is missing: 1, or 3 to 99") }
        guard count != 2 else {
            throw .usage(
                "two nodes cannot go on without each other: neither alone is a majority, so a "
                    + "cluster of two fails twice as often as one node; take 1, or 3 and more")
        }
        self.directory = Self.absolute(directory)
        self.dataGroups = dataGroups ?? NewCluster.defaultDataGroups
        self.plans = Self.plans(
            count, basePort: basePort ?? Self.defaultBasePort,
            host: options.value("host") ?? Self.defaultHost,
            isPlainAnywhere: options.flag("plain-http"))
    }

    /// Makes the files, or says why not. Nothing that is there already is touched.
    func run(in environment: any Environment) async throws(CommandFault) {
        ProgramEnvironment.keepNewFilesPrivate()
        let files = environment.files
        let directory = self.directory
        try await environment.blocking(.disk) { () throws(CommandFault) in
            try Self.checkIsNew(directory, files)
        }
        let cluster: NewCluster
        do throws(NewCluster.Fault) {
            cluster = try NewCluster(
                nodes: self.plans, dataGroups: self.dataGroups, now: environment.wallClock,
                randomness: environment.randomBytes)
        } catch { throw .failed("the cluster cannot be made: \(error)") }
        let doors = self.plans.map {
            ShellVariables.Doors(edge: $0.edge, https: $0.https, admin: $0.admin)
        }
        let variables = ShellVariables(of: cluster, doors: doors, directory: directory).text
        do throws(FileFault) {
            try await environment.blocking(.disk) { () throws(FileFault) in
                try Self.write(cluster, variables: variables, into: directory, files)
            }
        } catch { throw .failed("\(error); remove \(directory) before the next try") }
        let count = self.plans.count
        Terminal.write(
            "made cluster \(cluster.cluster) of \(count) \(count == 1 ? "node" : "nodes") in "
                + "\(directory)\n", to: .output)
    }

    private static func checkIsNew(
        _ directory: String, _ files: any FileSystem
    ) throws(CommandFault) {
        do throws(FileFault) {
            if try files.status(directory + "/env") != nil {
                throw FileFault.exists(path: directory)
            }
            guard try files.status(directory) != nil else { return }
            guard try files.list(directory).isEmpty else {
                throw FileFault.notFound(path: directory + "/env")
            }
        } catch {
            switch error {
            case .exists:
                throw .failed(
                    "\(directory) holds a cluster already, and making another would destroy its "
                        + "keys: choose another --dir, or remove this one with its data first")
            case .notFound:
                throw .failed(
                    "\(directory) is not empty and holds no whole cluster (an earlier init may have "
                        + "stopped half-way): remove it or choose another --dir")
            case .full, .system: throw .failed("\(error)")
            }
        }
    }

    /// Writes `env` last: a directory without it is half made.
    private static func write(
        _ cluster: NewCluster, variables: String, into directory: String, _ files: any FileSystem
    ) throws(FileFault) {
        for identity in cluster.identities {
            try identity.write(
                into: "\(directory)/node-\(identity.configuration.node)/identity", files)
        }
        let authority = directory + "/authority"
        try files.makeDirectory(authority)
        try files.replace(
            authority + "/ca.key", with: Array(cluster.authority.pem.keyPEM.utf8))
        try files.replace(
            authority + "/ca.pem", with: Array(cluster.authority.pem.certificatePEM.utf8))
        try files.replace(ShellVariables.path(in: directory), with: Array(variables.utf8))
    }
}

extension InitCommand {
    /// Zones for any number of nodes: five nodes are in zones of two, two and one, and of more nodes
    /// the first five, which vote, still are.
    static func zone(ofNode number: Int, of count: Int) -> String {
        let zones = ["a", "b", "c"]
        if count >= 5, number <= 6 { return zones[(number - 1) / 2] }
        return zones[(number - 1) % 3]
    }

    static func plans(
        _ count: Int, basePort: Int, host: String, isPlainAnywhere: Bool
    ) -> [NewCluster.NodePlan] {
        (1...count).map { number in
            NewCluster.NodePlan(
                node: NodeID(UInt32(number)), zone: Self.zone(ofNode: number, of: count),
                host: host, base: basePort, isPlainAnywhere: isPlainAnywhere)
        }
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let current = ProgramEnvironment.currentDirectory else {
            return path
        }
        return current + "/" + path
    }
}
