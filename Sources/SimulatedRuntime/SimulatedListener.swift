import IORuntime
import Primitives

/// A listening socket of a simulated process.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedListener: Listener, @unchecked Sendable {
    package let address: SocketAddress
    let process: SimulatedEnvironment
    let loop: SimulatedLoop

    private unowned let network: SimulatedNetwork
    private var waiting: [SimulatedStream] = []
    private var acceptors: [UnsafeContinuation<SimulatedStream?, Never>] = []
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

    package func accept() async throws(StreamFault) -> any ByteStream {
        self.network.simulator.confine()
        if self.isClosed { throw .closed }
        if !self.waiting.isEmpty { return self.waiting.removeFirst() }
        let stream = await withUnsafeContinuation { self.acceptors.append($0) }
        guard let stream else { throw .closed }
        return stream
    }

    package func close() {
        self.network.simulator.confine()
        guard !self.isClosed else { return }
        self.isClosed = true
        self.network.remove(self)
        for stream in self.waiting { stream.abort() }
        self.waiting = []
        for acceptor in self.acceptors { acceptor.resume(returning: nil) }
        self.acceptors = []
    }

    var hasRoom: Bool { self.waiting.count < SimulatedNetwork.backlogLimit }

    /// Hands a finished handshake to who accepts, or resets it when nobody will.
    func arrived(_ stream: SimulatedStream) {
        if self.isClosed || !self.process.isAlive {
            stream.abort()
        } else if self.acceptors.isEmpty {
            self.waiting.append(stream)
        } else {
            self.acceptors.removeFirst().resume(returning: stream)
        }
    }
}
