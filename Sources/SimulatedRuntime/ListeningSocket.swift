import IORuntime
import Primitives

/// A listening socket of a simulated process, as the kernel of its machine keeps it.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
final class ListeningSocket: @unchecked Sendable {
    let address: SocketAddress
    let process: SimulatedEnvironment
    let loop: SimulatedLoop

    private unowned let network: SimulatedNetwork
    private var waiting: [StreamEnd] = []
    private var acceptors: [UnsafeContinuation<StreamEnd?, Never>] = []
    private var isClosed = false

    init(
        _ network: SimulatedNetwork, _ process: SimulatedEnvironment, _ loop: SimulatedLoop,
        _ address: SocketAddress
    ) {
        self.network = network
        self.process = process
        self.loop = loop
        self.address = address
    }

    func accept() async throws(StreamFault) -> StreamEnd {
        self.network.simulator.confine()
        let stream = await withUnsafeContinuation {
            (acceptor: UnsafeContinuation<StreamEnd?, Never>) in
            // Looked at only here: a task may pass through the run queue on its way to suspension.
            if self.isClosed {
                acceptor.resume(returning: nil)
            } else if !self.waiting.isEmpty {
                acceptor.resume(returning: self.waiting.removeFirst())
            } else {
                self.acceptors.append(acceptor)
            }
        }
        guard let stream else { throw .closed }
        return stream
    }

    func close() {
        self.network.simulator.confine()
        guard !self.isClosed else { return }
        self.isClosed = true
        self.network.remove(self)
        for stream in self.waiting { stream.abort() }
        self.waiting = []
        for acceptor in self.acceptors { acceptor.resume(returning: nil) }
        self.acceptors = []
    }

    /// Nobody holds the listener any more; as with a stream.
    func dropped() {
        if self.network.simulator.isConfined { self.close() }
    }

    var hasRoom: Bool { self.waiting.count < SimulatedNetwork.backlogLimit }

    /// Hands a finished handshake to who accepts, or resets it when nobody will.
    func arrived(_ stream: StreamEnd) {
        if self.isClosed || !self.process.isAlive {
            stream.abort()
        } else if self.acceptors.isEmpty {
            self.waiting.append(stream)
        } else {
            self.acceptors.removeFirst().resume(returning: stream)
        }
    }
}
