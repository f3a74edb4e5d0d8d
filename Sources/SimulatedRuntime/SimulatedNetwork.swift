import IORuntime
import Primitives

/// The wires between the machines, and the TCP of their kernels.
///
/// A connection never loses, repeats or reorders bytes: loss shows as delay, and what cannot be
/// delivered waits, or ends with the connection. Connections are independent of each other, so
/// messages on two of them overtake each other freely; that, and retries after a reset, is where
/// reordered and repeated messages come from.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedNetwork: @unchecked Sendable {
    /// How every path fares that has no conditions of its own.
    package var conditions = LinkConditions.local

    /// Bytes under way and unread, in one direction of one connection.
    package var streamBufferBytes = 256 << 10

    /// How often a read or write takes only part of what it could (0...1).
    package var shortTransferProbability = 0.05

    /// Connections that wait in a listener; a further one gets no answer.
    package static let backlogLimit = 1024

    unowned let simulator: Simulator
    var generator: SeededGenerator

    private var conditionsOfPath: [NetworkPath: LinkConditions] = [:]
    private var blocked: Set<NetworkPath> = []
    private var cloggedUntil: [NetworkPath: Instant] = [:]
    private var busyUntil: [NetworkPath: Instant] = [:]
    private var machines: [String: SimulatedNode] = [:]
    private var listeners: [ListeningPoint: [ListeningSocket]] = [:]
    /// In the order they were made.
    private var connections: [SimulatedConnection] = []
    private var pruneAtCount = 64
    private var lastEphemeralPort: UInt16 = 32_767

    private struct ListeningPoint: Hashable {
        let machine: Int
        let port: UInt16
    }

    init(_ simulator: Simulator, _ generator: SeededGenerator) {
        self.simulator = simulator
        self.generator = generator
    }

    func attach(_ node: SimulatedNode) {
        invariant(self.machines[node.host] == nil, "no two machines share an address")
        self.machines[node.host] = node
    }

    /// Lets `name` be connected to as the machine's address is.
    package func addName(_ name: String, of node: SimulatedNode) { self.machines[name] = node }

    func discard() {
        self.connections = []
        self.listeners = [:]
        self.machines = [:]
    }
}

// MARK: - Faults

extension SimulatedNetwork {
    package enum Direction: Sendable, Equatable {
        case bothWays
        /// Packets from the first to the second are lost; the others arrive.
        case oneWay
    }

    /// Sets how packets fare between two machines, both ways.
    package func setConditions(
        _ conditions: LinkConditions, between a: SimulatedNode, and b: SimulatedNode
    ) {
        self.conditionsOfPath[NetworkPath(from: a.index, to: b.index)] = conditions
        self.conditionsOfPath[NetworkPath(from: b.index, to: a.index)] = conditions
    }

    /// Cuts all paths from machines of the first list to machines of the second, silently.
    package func partition(
        _ first: [SimulatedNode], from second: [SimulatedNode], _ direction: Direction = .bothWays
    ) {
        let names = { (nodes: [SimulatedNode]) in nodes.map(\.name).joined(separator: ",") }
        let arrow = direction == .bothWays ? "<-/->" : "-/->"
        self.simulator.note("network", "cut \(names(first)) \(arrow) \(names(second))")
        for a in first {
            for b in second where a !== b {
                self.blocked.insert(NetworkPath(from: a.index, to: b.index))
                if direction == .bothWays {
                    self.blocked.insert(NetworkPath(from: b.index, to: a.index))
                }
            }
        }
    }

    /// Cuts a machine off from all others.
    package func isolate(_ node: SimulatedNode) {
        self.partition([node], from: self.simulator.nodes.filter { $0 !== node })
    }

    /// Mends the paths between machines of the two lists.
    package func heal(_ first: [SimulatedNode], _ second: [SimulatedNode]) {
        for a in first {
            for b in second {
                self.blocked.remove(NetworkPath(from: a.index, to: b.index))
                self.blocked.remove(NetworkPath(from: b.index, to: a.index))
            }
        }
        self.simulator.note("network", "healed in part")
        self.pathsChanged()
    }

    /// Mends every path.
    package func heal() {
        self.blocked = []
        self.cloggedUntil = [:]
        self.simulator.note("network", "healed")
        self.pathsChanged()
    }

    /// Holds everything back on one path for `span`, then lets it go.
    package func clog(from: SimulatedNode, to: SimulatedNode, for span: Duration) {
        let path = NetworkPath(from: from.index, to: to.index)
        let end = self.simulator.now + span
        if let until = self.cloggedUntil[path], until >= end { return }
        self.cloggedUntil[path] = end
        self.simulator.note("network", "clogged \(from.name) -> \(to.name)")
        self.simulator.schedule(at: end) { self.pathsChanged() }
    }

    /// Resets every connection between two machines, as a box between them that forgot them does.
    package func resetConnections(between a: SimulatedNode, and b: SimulatedNode) {
        self.simulator.note("network", "reset all between \(a.name) and \(b.name)")
        for connection in self.connections where connection.joins(a, b) {
            connection.client.resetArrived()
            connection.server.resetArrived()
        }
    }

    /// How many connections live.
    package var connectionCount: Int {
        self.prune()
        return self.connections.count
    }
}

// MARK: - What streams ask

extension SimulatedNetwork {
    func isBlocked(_ path: NetworkPath) -> Bool {
        let nodes = self.simulator.nodes
        if nodes[path.to].isPaused || !nodes[path.to].hasPower { return true }
        if nodes[path.from].isPaused || !nodes[path.from].hasPower { return true }
        if !self.blocked.isEmpty, self.blocked.contains(path) { return true }
        guard !self.cloggedUntil.isEmpty, let until = self.cloggedUntil[path] else { return false }
        return until > self.simulator.now
    }

    /// When a packet that leaves now is on the other side, having been lost as often as the seed
    /// wants. The pause before TCP sends again doubles from 200 ms.
    func arrival(on path: NetworkPath, sizeBytes: Int) -> Instant {
        let conditions = self.conditions(of: path)
        var time = self.simulator.now
        if let rate = conditions.bytesPerSecond {
            let start = max(time, self.busyUntil[path] ?? time)
            time = start + .nanoseconds(Int64(sizeBytes) * 1_000_000_000 / Int64(max(rate, 1)))
            self.busyUntil[path] = time
        }
        time = time + self.generator.duration(in: conditions.delay)
        var pause = Duration.milliseconds(200)
        for _ in 0..<5 where self.generator.chance(conditions.lossProbability) {
            time = time + pause
            pause = pause + pause
        }
        return time
    }

    private func conditions(of path: NetworkPath) -> LinkConditions {
        if path.from == path.to { return .loopback }
        if self.conditionsOfPath.isEmpty { return self.conditions }
        return self.conditionsOfPath[path] ?? self.conditions
    }

    /// How much of `count` bytes one call moves: all, or now and then fewer, at least one.
    func transferSize(of count: Int) -> Int {
        guard count > 1, self.generator.chance(self.shortTransferProbability) else { return count }
        return 1 + self.generator.below(count)
    }

    func machine(_ host: String, from node: SimulatedNode) -> SimulatedNode? {
        switch host {
        case "127.0.0.1", "::1", "localhost": node
        default: self.machines[host]
        }
    }

    func nextEphemeralPort() -> UInt16 {
        self.lastEphemeralPort =
            self.lastEphemeralPort == .max ? 32_768 : self.lastEphemeralPort + 1
        return self.lastEphemeralPort
    }

    func add(_ connection: SimulatedConnection) {
        if self.connections.count >= self.pruneAtCount {
            self.prune()
            self.pruneAtCount = max(64, 2 * self.connections.count)
        }
        self.connections.append(connection)
    }

    private func prune() { self.connections.removeAll { $0.isOver } }
}

// MARK: - Listening

extension SimulatedNetwork {
    func listen(
        on address: SocketAddress, for process: SimulatedEnvironment, loop: SimulatedLoop
    ) throws(StreamFault) -> ListeningSocket {
        let node = process.node
        let isOwn =
            ["0.0.0.0", "::", node.host].contains(address.host)
            || self.machine(address.host, from: node) === node
        // EADDRNOTAVAIL
        guard isOwn else { throw .system(call: "bind", errno: 99) }
        var point = ListeningPoint(machine: node.index, port: address.port)
        if address.port == 0 {
            repeat {
                point = ListeningPoint(machine: node.index, port: self.nextEphemeralPort())
            } while self.listeners[point] != nil
        }
        let listener = ListeningSocket(
            self, process, loop, SocketAddress(host: address.host, port: point.port))
        self.listeners[point, default: []].append(listener)
        return listener
    }

    /// A listener of the port, drawn where several loops share it; nil when nobody listens.
    func listener(on node: SimulatedNode, port: UInt16) -> ListeningSocket? {
        let point = ListeningPoint(machine: node.index, port: port)
        return self.generator.pick(self.listeners[point] ?? [])
    }

    func remove(_ listener: ListeningSocket) {
        let point = ListeningPoint(
            machine: listener.process.node.index, port: listener.address.port)
        self.listeners[point]?.removeAll { $0 === listener }
        if self.listeners[point]?.isEmpty == true { self.listeners[point] = nil }
    }
}

// MARK: - What happens to machines

extension SimulatedNetwork {
    /// Lets what waited for a path go on, in the order the connections were made.
    func pathsChanged() {
        for connection in self.connections { connection.pathsChanged() }
    }

    /// The kernel ends the sockets of a dead process.
    func processDied(_ process: SimulatedEnvironment) {
        self.removeListeners(of: process)
        for connection in self.connections {
            for end in connection.ends where end.process === process { end.close() }
        }
    }

    /// The machine's kernel forgot its connections and tells nobody.
    func lostPower(_ node: SimulatedNode) {
        self.removeListeners(of: node.environment)
        for connection in self.connections {
            for end in connection.ends where end.process.node === node { end.vanish() }
        }
    }

    private func removeListeners(of process: SimulatedEnvironment) {
        // Each point is handled for itself, so the dictionary's order decides nothing.
        for point in self.listeners.keys where point.machine == process.node.index {
            self.listeners[point] = nil
        }
    }
}
