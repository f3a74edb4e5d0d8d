import Cryptography
import IORuntime
import Node
import Primitives
import Settings

/// `holdfast node add|drain|undrain|remove|list`: which nodes a running cluster has. Run where the
/// cluster's authority is, for that is what the cluster believes it by.
struct MembershipCommand {
    static let help = """
        holdfast node list    --dir DIR
        holdfast node add     --dir DIR [--zone ZONE] [--host ADDRESS] [--base-port P]
        holdfast node drain   --dir DIR ID [--below-three]
        holdfast node undrain --dir DIR ID
        holdfast node remove  --dir DIR ID [--lost]

        Change which nodes a running cluster has. DIR is what holdfast init made; its
        env names the nodes that there are afterwards.

        list     shows every node, how it stands, and in which groups it votes
        add      makes an identity under a number that no node ever had, to be carried
                 to its machine. The node becomes a voter where one is missing
        drain    takes a node's votes away, and ends when it has none; others vote in
                 its place where there are any. It goes on serving, its chunks stay
        undrain  takes a drain back
        remove   takes a node out for ever: its certificate is refused from then on

          --zone ZONE      what fails together with it (the zone with the fewest nodes)
          --host ADDRESS   its numeric address (that of the others)
          --base-port P    ports P+ID, P+400+ID, P+100+ID and P+200+ID, as with init
                           (the base of the others)
          --below-three    though fewer than three are left to vote: none may fail then
          --lost           though it votes: it will never come back, its disk is gone

        """
    static let verbs = ["list", "add", "drain", "undrain", "remove"]
    static let flags = ["lost", "below-three"]
    static let values = ["dir", "zone", "host", "base-port"]
    private static let basePortRange = 1024...65_000
    /// How long a drain is waited for; it goes on without us.
    private static let drainPatience: Duration = .seconds(600)

    private enum Verb: String {
        case list
        case add
        case drain
        case undrain
        case remove
    }

    private let verb: Verb
    private let directory: String
    private let node: NodeID?
    private let wish: JoiningNode.Wish
    private let isLost: Bool
    private let mayLeaveTwo: Bool

    init(_ options: ParsedOptions) throws(CommandFault) {
        guard let verb = Verb(rawValue: options.operands[0]) else {
            throw .usage(
                "node \(options.operands[0]): there are add, drain, undrain, remove and list")
        }
        self.verb = verb
        let sources = SettingSources(options: options)
        do throws(SettingsFault) {
            self.directory = try sources.require("dir").value
            self.wish = JoiningNode.Wish(
                zone: options.value("zone"), host: options.value("host"),
                basePort: try sources.number("base-port", in: Self.basePortRange))
        } catch { throw .settings(error) }
        self.isLost = options.isGiven("lost")
        if self.isLost, verb != .remove { throw .usage("--lost belongs to remove") }
        self.mayLeaveTwo = options.isGiven("below-three")
        if self.mayLeaveTwo, verb != .drain { throw .usage("--below-three belongs to drain") }
        let number = options.operands.dropFirst().first
        switch verb {
        case .drain, .undrain, .remove:
            guard let id = number.flatMap({ UInt32($0) }), id > 0 else {
                throw .usage("node \(verb.rawValue): the number of a node is missing")
            }
            self.node = NodeID(id)
        case .list, .add:
            guard number == nil else {
                throw .usage("node \(verb.rawValue) takes no number: the cluster gives it")
            }
            self.node = nil
        }
    }

    func run(in environment: RealEnvironment) async throws(CommandFault) {
        ProgramEnvironment.keepNewFilesPrivate()
        let (directory, files, now) = (self.directory, environment.files, environment.wallClock)
        do throws(OperatorFault) {
            let identity = try await environment.blocking(.disk) {
                () throws(OperatorFault) -> OperatorIdentity in
                try OperatorIdentity(clusterDirectory: directory, now: now, files)
            }
            let cluster = try ClusterOperator(identity, in: environment)
            switch (self.verb, self.node) {
            case (.add, _): try await self.add(to: cluster, identity, environment)
            case (.drain, let node?): try await self.drain(node, cluster, environment)
            case (.undrain, let node?):
                try await cluster.undrain(node)
                Self.say("node \(node) may vote again")
            case (.remove, let node?):
                try await cluster.remove(node, isLost: self.isLost)
                Self.say("node \(node) is removed; its certificate is refused from now on")
                try await self.nameNodes(
                    removed: cluster.removedNodes.union([node]), environment)
            case (.list, _), (_, nil): try await self.list(cluster)
            }
        } catch { throw .failed("\(error)") }
    }

    private func add(
        to cluster: ClusterOperator, _ identity: OperatorIdentity, _ environment: RealEnvironment
    ) async throws(OperatorFault) {
        let (directory, files, wish) = (self.directory, environment.files, self.wish)
        let joining = try await environment.blocking(.disk) {
            () throws(OperatorFault) -> JoiningNode in
            try JoiningNode(identity, clusterDirectory: directory, wish: wish, files)
        }
        let made = try await cluster.add(joining)
        let node = made.configuration.node
        let target = joining.identityDirectory(of: node)
        do throws(FileFault) {
            try await environment.blocking(.disk) { () throws(FileFault) in
                try made.write(into: target, files)
            }
        } catch {
            throw .refused(
                "node \(node) is registered and its identity could not be written: \(error); "
                    + "`holdfast node remove --lost` it, then add again")
        }
        Self.say(
            "made node \(node) in zone \(made.configuration.zone): \(target)\n"
                + "edge \(made.configuration.edge) admin \(made.configuration.admin)")
        try await self.nameNodes(removed: cluster.removedNodes, environment)
    }

    /// What a shell sources names the nodes that there are now.
    private func nameNodes(
        removed: Set<NodeID>, _ environment: RealEnvironment
    ) async throws(OperatorFault) {
        let (directory, files) = (self.directory, environment.files)
        try await environment.blocking(.disk) { () throws(OperatorFault) in
            try ShellVariables.update(clusterDirectory: directory, without: removed, files)
        }
    }

    private func drain(
        _ node: NodeID, _ cluster: ClusterOperator, _ environment: RealEnvironment
    ) async throws(OperatorFault) {
        try await cluster.beginDrain(of: node, mayLeaveTwo: self.mayLeaveTwo)
        let isDone = try await cluster.awaitDrain(
            of: node, by: environment.now + Self.drainPatience
        ) { left in
            guard !left.isEmpty else { return }
            let groups = left.map(\.description).joined(separator: ",")
            Self.say("node \(node) still takes part in groups \(groups)")
        }
        guard isDone else {
            throw .refused(
                "node \(node) still votes; the drain goes on: see `holdfast node list`")
        }
        Self.say("node \(node) is drained: it votes nowhere")
    }

    private func list(_ cluster: ClusterOperator) async throws(OperatorFault) {
        for standing in try await cluster.standings() { Self.say(standing.description) }
    }

    private static func say(_ text: String) { Terminal.write(text + "\n", to: .output) }
}
