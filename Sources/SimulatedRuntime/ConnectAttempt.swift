import IORuntime
import Primitives

/// One `connect`: sends SYN until the other machine answers or the deadline passes (RFC 9293 §3.5;
/// the first pause before sending again is one second, RFC 6298 §2).
final class ConnectAttempt {
    private let network: SimulatedNetwork
    private let process: SimulatedEnvironment
    private let address: SocketAddress
    private let loop: SimulatedLoop
    private let deadline: Instant
    private var continuation: UnsafeContinuation<Result<StreamEnd, StreamFault>, Never>?
    private var deadlineTicket: TimerQueue.Ticket?
    private var pause = Duration.seconds(1)

    init(
        _ network: SimulatedNetwork, from process: SimulatedEnvironment,
        to address: SocketAddress, on loop: SimulatedLoop, deadline: Instant
    ) {
        self.network = network
        self.process = process
        self.address = address
        self.loop = loop
        self.deadline = deadline
    }

    private var simulator: Simulator { self.network.simulator }

    func begin(_ continuation: UnsafeContinuation<Result<StreamEnd, StreamFault>, Never>) {
        self.continuation = continuation
        guard let target = self.network.machine(self.address.host, from: self.process.node) else {
            // EHOSTUNREACH
            return self.finish(.failure(.unreachable(self.address, errno: 113)))
        }
        if self.deadline < Simulator.never {
            self.deadlineTicket = self.simulator.schedule(at: self.deadline, for: self.process) {
                self.finish(.failure(.deadlineExceeded))
            }
        }
        self.send(to: target)
    }

    private func finish(_ result: Result<StreamEnd, StreamFault>) {
        if let deadlineTicket { self.simulator.cancel(deadlineTicket) }
        let continuation = self.continuation.take()
        continuation?.resume(returning: result)
    }

    private func send(to target: SimulatedNode) {
        guard self.continuation != nil else { return }
        let path = NetworkPath(from: self.process.node.index, to: target.index)
        let arrival = self.network.arrival(on: path, sizeBytes: 60)
        self.simulator.schedule(at: arrival, for: self.process) {
            guard self.continuation != nil else { return }
            if self.network.isBlocked(path) { return self.sendAgain(to: target) }
            self.arrived(at: target, path)
        }
    }

    private func sendAgain(to target: SimulatedNode) {
        self.simulator.schedule(after: self.pause, for: self.process) { self.send(to: target) }
        self.pause = self.pause + self.pause
    }

    private func arrived(at target: SimulatedNode, _ path: NetworkPath) {
        let listener = self.network.listener(on: target, port: self.address.port)
        if let listener, !listener.hasRoom { return self.sendAgain(to: target) }
        let answer = self.network.arrival(on: path.reversed, sizeBytes: 60)
        self.simulator.schedule(at: answer, for: self.process) {
            guard self.continuation != nil else { return }
            if self.network.isBlocked(path.reversed) { return self.sendAgain(to: target) }
            if let listener, listener.process.isAlive {
                self.connected(to: listener, path)
            } else {
                self.finish(.failure(.refused(self.address)))
            }
        }
    }

    /// The client has its answer; the server hears of that one packet later.
    private func connected(to listener: ListeningSocket, _ path: NetworkPath) {
        let local = SocketAddress(
            host: self.process.node.host, port: self.network.nextEphemeralPort())
        let connection = SimulatedConnection(
            self.network,
            client: (self.process, self.loop, local),
            server: (listener.process, listener.loop, self.address))
        self.network.add(connection)
        let arrival = self.network.arrival(on: path, sizeBytes: 60)
        self.simulator.schedule(at: arrival, for: listener.process) {
            listener.arrived(connection.server)
        }
        self.finish(.success(connection.client))
    }
}
