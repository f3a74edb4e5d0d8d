import FileClient
import IORuntime
import Primitives

/// A cluster of real processes on this machine, made and ended by us: each node is a child process
/// with a directory of its own, reached over loopback like any node.
///
/// Its nodes die with the process that started them, whatever ends it.
package actor ProcessCluster {
    package struct Plan: Sendable {
        /// The `holdfast` program.
        package var program: String
        /// Must not exist yet; holds everything of the cluster.
        package var directory: String
        package var nodeCount = 5
        /// Given to `holdfast node` beside its directories.
        package var nodeArguments: [String] = []

        package init(program: String, directory: String) {
            self.program = program
            self.directory = directory
        }
    }

    private static let portTries = 20
    /// Below the ports that Linux gives to outgoing connections (32768 and up).
    private static let basePorts: ClosedRange<UInt64> = 10_000...31_000
    /// What `holdfast init` adds to the base port for the listeners of node 0.
    private static let portOffsets = [0, 100, 200, 400]
    private static let initTimeout: Duration = .seconds(30)
    private static let outputLimitBytes = 64 << 10
    /// A node drains for 10 s at most, and closes its stores.
    private static let drainTimeout: Duration = .seconds(20)
    private static let killTimeout: Duration = .seconds(10)
    private static let readinessPause: Duration = .milliseconds(50)
    private static let logTailBytes = 2_000

    package nonisolated let plan: Plan
    package nonisolated let variables: ClusterVariables
    package nonisolated let environment: RealEnvironment
    package nonisolated let loop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }
    private let statuses: StatusClient
    private var processes: [NodeID: ChildProcess] = [:]

    private init(_ plan: Plan, variables: ClusterVariables, in environment: RealEnvironment) {
        self.plan = plan
        self.variables = variables
        self.environment = environment
        self.loop = environment.loops[0]
        self.statuses = StatusClient(environment, loop: environment.loops[0])
    }

    /// Makes the cluster's identities on free ports; no node runs yet. The caller is a task of the
    /// environment's first loop.
    package static func make(
        _ plan: Plan, in environment: RealEnvironment
    ) async throws(ProcessClusterFault) -> ProcessCluster {
        let base = try Self.freeBasePort(plan.nodeCount, environment)
        let said = try await Self.run(
            ChildCommand(
                program: plan.program,
                arguments: [
                    "init", "--dir", plan.directory, "--nodes", "\(plan.nodeCount)",
                    "--base-port", "\(base)",
                ],
                output: .discarded, errors: .captured(limitBytes: Self.outputLimitBytes)),
            environment)
        guard said.isEmpty else { throw .notMade(said) }
        let text = try await Self.contents(of: plan.directory + "/env", environment)
        guard let variables = ClusterVariables(text: text) else {
            throw .notMade("its variables cannot be understood:\n\(text)")
        }
        return ProcessCluster(plan, variables: variables, in: environment)
    }

    package nonisolated var nodes: [NodeID] {
        (1...self.plan.nodeCount).map { NodeID(UInt32($0)) }
    }

    package nonisolated func directory(of node: NodeID) -> String {
        "\(self.plan.directory)/node-\(node)"
    }

    /// A client of all edges, or of those of the named nodes.
    package nonisolated func client(
        edgesOf nodes: [NodeID]? = nil, attempts: EdgeAttempts.Limits = EdgeAttempts.Limits()
    ) -> FileClient {
        var options = self.variables.clientOptions(edges: nodes?.map(Self.position))
        options.attempts = attempts
        return FileClient(self.environment, loop: self.loop, options: options)
    }

    private static func position(of node: NodeID) -> Int { Int(node.rawValue) - 1 }

    // MARK: - Starting and ending

    /// Starts a node's process and returns at once.
    package func start(_ node: NodeID) async throws(ProcessClusterFault) {
        if let process = self.processes[node], process.isRunning { throw .alreadyRunning(node) }
        let directory = self.directory(of: node)
        let log = directory + "/log"
        // setpriv, because only a process can ask to die with its parent, and this one must not be
        // known to the program under test.
        let command = ChildCommand(
            program: "setpriv",
            arguments: [
                "--pdeathsig", "KILL", self.plan.program, "node", "--identity",
                directory + "/identity", "--data", directory + "/data",
            ] + self.plan.nodeArguments,
            output: .appended(path: log), errors: .appended(path: log))
        do throws(ProcessFault) {
            self.processes[node] = try await self.environment.start(command)
        } catch { throw .process(error) }
    }

    /// Starts every node that does not run, and waits until all take part.
    package func startAll() async throws(ProcessClusterFault) {
        for node in self.nodes where !(self.processes[node]?.isRunning ?? false) {
            try await self.start(node)
        }
        try await self.awaitReady(self.nodes)
    }

    /// Ends nodes as a power cut of their processes would: kill -9, all at once.
    package func kill(_ nodes: [NodeID]) async throws(ProcessClusterFault) {
        var ending: [(NodeID, ChildProcess)] = []
        for node in nodes {
            guard let process = self.processes[node], process.send(.kill) else {
                throw .notRunning(node)
            }
            ending.append((node, process))
        }
        for (node, process) in ending {
            let deadline = self.loop.now + Self.killTimeout
            guard await process.exitStatus(by: deadline) != nil else { throw .doesNotEnd(node) }
            self.processes[node] = nil
        }
    }

    /// Lets a node stand still (SIGSTOP), with all that it has open, until `resume`.
    package func pause(_ node: NodeID) throws(ProcessClusterFault) {
        guard self.processes[node]?.send(.stop) == true else { throw .notRunning(node) }
    }

    package func resume(_ node: NodeID) throws(ProcessClusterFault) {
        guard self.processes[node]?.send(.continue) == true else { throw .notRunning(node) }
    }

    /// Asks a node to end in good order (SIGTERM) and waits for it.
    package func terminate(
        _ node: NodeID
    ) async throws(ProcessClusterFault) -> ChildProcess.ExitStatus {
        guard let process = self.processes[node], process.send(.terminate) else {
            throw .notRunning(node)
        }
        return try await self.awaitEnd(node, within: Self.drainTimeout)
    }

    /// Waits for a node that ends by itself.
    package func awaitEnd(
        _ node: NodeID, within timeout: Duration
    ) async throws(ProcessClusterFault) -> ChildProcess.ExitStatus {
        guard let process = self.processes[node] else { throw .notRunning(node) }
        guard let status = await process.exitStatus(by: self.loop.now + timeout) else {
            throw .doesNotEnd(node)
        }
        self.processes[node] = nil
        return status
    }

    /// Kills whatever runs, for the end of a test or a scenario.
    package func killAll() async {
        let running = self.processes.sorted { $0.key < $1.key }.map(\.value)
        self.processes = [:]
        for process in running { process.send(.kill) }
        for process in running {
            _ = await process.exitStatus(by: self.loop.now + Self.killTimeout)
        }
    }

    // MARK: - Looking at it

    /// Waits until the nodes take part in their cluster.
    package func awaitReady(
        _ nodes: [NodeID], within timeout: Duration = .seconds(60)
    ) async throws(ProcessClusterFault) {
        let deadline = self.loop.now + timeout
        var waiting = nodes
        while true {
            for node in waiting where self.processes[node] == nil { throw .notRunning(node) }
            try await self.checkThatAllRun()
            let answers = await self.statuses(of: waiting)
            waiting = zip(waiting, answers).filter { !($1?.ready ?? false) }.map(\.0)
            guard let first = waiting.first else { return }
            guard self.loop.now < deadline else {
                throw .notReady(waiting, log: await self.logTail(of: first))
            }
            do { try await self.loop.sleep(for: Self.readinessPause) } catch { throw .cancelled }
        }
    }

    /// Throws when a node has ended that nobody has told to.
    package func checkThatAllRun() async throws(ProcessClusterFault) {
        let ended = self.processes.sorted { $0.key < $1.key }.first { !$0.value.isRunning }
        guard let node = ended?.key else { return }
        let status = try await self.awaitEnd(node, within: Self.killTimeout)
        throw .ended(node, status, log: await self.logTail(of: node))
    }

    /// What each node says of itself; nil for one that does not answer.
    package func statuses(of nodes: [NodeID]) async -> [NodeStatus?] {
        let addresses = nodes.map { self.variables.adminAddresses[Self.position(of: $0)] }
        return await self.statuses.ask(addresses).map { asked in
            switch asked.answer {
            case .success(let status): status
            case .failure: nil
            }
        }
    }

    /// The end of what a node has written to its log.
    package func logTail(of node: NodeID) async -> String {
        do throws(ProcessClusterFault) {
            let path = self.directory(of: node) + "/log"
            let text = try await Self.contents(of: path, self.environment)
            return String(decoding: text.utf8.suffix(Self.logTailBytes), as: UTF8.self)
        } catch { return "(\(error))" }
    }
}

extension ProcessCluster {
    /// A base port from which on every port of every node can be listened on now.
    private static func freeBasePort(
        _ nodeCount: Int, _ environment: RealEnvironment
    ) throws(ProcessClusterFault) -> UInt16 {
        let seed = environment.randomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<Self.portTries {
            let base = UInt16(UInt64.random(in: Self.basePorts, using: &generator))
            let ports = Self.portOffsets.flatMap { offset in
                (1...nodeCount).map { base + UInt16(offset + $0) }
            }
            if ports.allSatisfy({ Self.isFree($0, environment) }) { return base }
        }
        throw .noFreePorts(tries: Self.portTries)
    }

    private static func isFree(_ port: UInt16, _ environment: RealEnvironment) -> Bool {
        do throws(StreamFault) {
            let address = SocketAddress(host: "127.0.0.1", port: port)
            try environment.listen(on: address, loop: environment.loops[0]).close()
            return true
        } catch { return false }
    }

    /// Runs a program to its end. Returns what it said when it failed, and nothing when it did not.
    private static func run(
        _ command: ChildCommand, _ environment: RealEnvironment
    ) async throws(ProcessClusterFault) -> String {
        do throws(ProcessFault) {
            let process = try await environment.start(command)
            let deadline = environment.now + Self.initTimeout
            guard let status = await process.exitStatus(by: deadline) else {
                process.send(.kill)
                return "no end within \(Self.initTimeout)"
            }
            guard status != .exited(0) else { return "" }
            return "\(status): " + String(decoding: await process.capturedErrors(), as: UTF8.self)
        } catch { throw .process(error) }
    }

    private static func contents(
        of path: String, _ environment: RealEnvironment
    ) async throws(ProcessClusterFault) -> String {
        let files = environment.files
        do throws(FileFault) {
            let bytes = try await environment.blocking(.disk) { () throws(FileFault) in
                try files.contents(of: path, limit: 64 << 20)
            }
            return String(decoding: bytes, as: UTF8.self)
        } catch { throw .file(error) }
    }
}
