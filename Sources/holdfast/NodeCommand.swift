import Cryptography
import IORuntime
import Node
import Primitives
import RocksStore
import Settings
import Synchronization
import Telemetry

extension Subcommand {
    static let node = Subcommand(
        name: "node", summary: "run one node of a cluster; add, drain, remove, list nodes",
        help: """
            holdfast node --identity DIR --data DIR [SETTINGS]
            holdfast node list|add|drain|undrain|remove …      holdfast help node-membership

            Runs one node, with the roles that its identity names, until SIGTERM or SIGINT:
            it then finishes what it is doing, within 10 s, and ends with status 0. A
            second signal ends it at once. Log lines go to standard error.

              --identity DIR     what holdfast init made for this node
              --data DIR         where the node keeps everything; made at the first start
              --loops N          threads that serve connections, 1 to 64 (1 on machines of
                                 one or two processors, 2 on larger ones)
              --log-level LEVEL  debug, info, warning or error (info)

            What its edge remembers and takes: holdfast help edge. Disk space and the
            Raft log: holdfast help node-settings. How long chunks that nobody needs stay:
            holdfast help node-cleaning. HOLDFAST_LOOPS and so on, one for each option with
            a value, do the same from the environment.

            """,
        verbs: MembershipCommand.verbs,
        parser: OptionParser(
            flags: MembershipCommand.flags,
            values: MembershipCommand.values + [
                "identity", "data", "loops", "cache-mib", "largest-body-mib", "compression",
                "reserve-mib", "low-space-mib", "ballast-mib", "log-level",
            ] + NodeOptions.logSettings + NodeOptions.edgeSettings
                + NodeOptions.deletionSettings,
            operands: 0...2, operandName: "add|drain|undrain|remove|list"),
        loopCount: { NodeCommand.loopCount($0) },
        run: { options, environment async throws(CommandFault) in
            if options.operands.isEmpty {
                for name in MembershipCommand.values + MembershipCommand.flags
                where options.isGiven(name) {
                    throw .usage("--\(name) belongs to add, drain, undrain, remove and list")
                }
                try await NodeCommand(options).run(in: environment)
            } else {
                try await MembershipCommand(options).run(in: environment)
            }
            return 0
        })
}

/// One node of a cluster, from its identity to its end.
private struct NodeCommand {
    private static let loopsRange = 1...64
    private static let cacheRange = 0...1_048_576
    private static let largestBodyRange = 1...4_194_304
    private static let reserveRange = 1...1_048_576
    private static let lowSpaceRange = 1...65_536
    private static let ballastRange = 0...65_536
    private static let drainTimeout: Duration = .seconds(10)
    /// Beyond the drain, for closing stores.
    private static let closeTimeout: Duration = .seconds(5)

    private let options: NodeOptions

    init(_ parsed: ParsedOptions) throws(CommandFault) {
        let sources = SettingSources(
            options: parsed, variables: ProgramEnvironment.variables)
        do throws(SettingsFault) {
            var options = NodeOptions(
                identityDirectory: try sources.require("identity").value,
                dataDirectory: try sources.require("data").value)
            _ = try sources.number("loops", in: Self.loopsRange)
            if let mebibytes = try sources.number("cache-mib", in: Self.cacheRange) {
                options.cacheBytes = mebibytes << 20
            }
            if let mebibytes = try sources.number("largest-body-mib", in: Self.largestBodyRange) {
                options.largestBodyBytes = UInt64(mebibytes) << 20
            }
            if let isOn = try sources.isOn("compression") { options.isCompressing = isOn }
            try Self.setSpace(in: &options, from: sources)
            try options.readLogSettings(sources)
            try options.readEdgeSettings(sources)
            try options.readDeletionSettings(sources)
            if let level = sources.find("log-level") {
                guard let known = LogLevel.allCases.first(where: { $0.name == level.value }) else {
                    throw SettingsFault.malformed(
                        level.origin, value: level.value, wanted: "debug, info, warning or error")
                }
                options.logLevel = known
            }
            self.options = options
        } catch { throw .settings(error) }
    }

    /// What is kept free for whom.
    private static func setSpace(
        in options: inout NodeOptions, from sources: SettingSources
    ) throws(SettingsFault) {
        if let mebibytes = try sources.number("low-space-mib", in: Self.lowSpaceRange) {
            options.lowSpaceBytes = UInt64(mebibytes) << 20
        }
        if let mebibytes = try sources.number("ballast-mib", in: Self.ballastRange) {
            options.ballastBytes = UInt64(mebibytes) << 20
        }
        if let mebibytes = try sources.number("reserve-mib", in: Self.reserveRange) {
            options.reserveBytes = UInt64(mebibytes) << 20
        }
        let least = options.leastReserveBytes
        guard options.reserveBytes >= least else {
            throw .malformed(
                sources.find("reserve-mib")?.origin ?? "the reserve when not given",
                value: "\(options.reserveBytes >> 20)",
                wanted: "at least \((least + (1 << 20) - 1) >> 20), which the ballast and five "
                    + "quarters of --low-space-mib make")
        }
    }

    /// The loops to run on, which are made before anything else; what cannot be understood here is
    /// refused right afterwards. A loop is a thread that never rests under load: several nodes on a
    /// machine of two processors want one each.
    static func loopCount(_ parsed: ParsedOptions) -> Int {
        let sources = SettingSources(options: parsed, variables: ProgramEnvironment.variables)
        if let count = sources.find("loops").flatMap({ Int($0.value) }),
            self.loopsRange.contains(count)
        {
            return count
        }
        return ProgramEnvironment.processorCount > 2 ? 2 : 1
    }

    /// Returns when the node has ended in good order.
    func run(in environment: RealEnvironment) async throws(CommandFault) {
        ProgramEnvironment.keepNewFilesPrivate()
        ResourceLimits.raiseDescriptorLimit()
        ResourceLimits.keepLargeBuffers()
        let signals: SignalStream
        do throws(StreamFault) {
            signals = try await environment.catchSignals([.terminate, .interrupt])
        } catch { throw .failed("signals cannot be caught: \(error)") }
        defer { signals.close() }
        let running = Mutex<Node?>(nil)
        let end = environment.loops[0].spawn {
            _ = await signals.next()
            // Nothing was promised before the start is over, and what is on disk stands a crash.
            guard let node = running.withLock({ $0 }) else {
                environment.terminate(status: 1, reason: "stopped by a signal while starting")
            }
            Self.limitDrain(signals, environment)
            await node.stop(by: environment.now + Self.drainTimeout)
        }
        let node = try await self.start(in: environment)
        running.withLock { $0 = node }
        await end.finished()
    }

    private func start(in environment: RealEnvironment) async throws(CommandFault) -> Node {
        let files = environment.files
        let directory = self.options.identityDirectory
        do throws(NodeFault) {
            let identity = try await environment.blocking(.disk) {
                () throws(NodeFault) -> NodeIdentity in
                try NodeIdentity.read(directory, files)
            }
            let security: NodeSecurity
            do throws(CertificateFault) { security = try NodeSecurity(identity) } catch {
                throw NodeFault.identity(path: directory, reason: "\(error)")
            }
            return try await Node.start(
                identity, self.options, security: security, in: environment,
                stores: RocksStoreFactory())
        } catch { throw .failed("\(error)") }
    }

    /// Ends the process when the drain takes too long, or when another signal says that nobody
    /// wants to wait for it. Either is safe: acknowledged writes do not depend on a good end.
    private static func limitDrain(_ signals: SignalStream, _ environment: RealEnvironment) {
        let loop = environment.loops[0]
        loop.spawn {
            guard await signals.next() != nil else { return }
            environment.terminate(status: 1, reason: "stopped by a second signal while draining")
        }
        loop.spawn {
            let limit = Self.drainTimeout + Self.closeTimeout
            do { try await loop.sleep(for: limit) } catch { return }
            environment.terminate(status: 1, reason: "did not drain within \(limit)")
        }
    }
}
