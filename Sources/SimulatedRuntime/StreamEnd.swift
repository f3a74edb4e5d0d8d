import IORuntime
import Primitives

/// One end of a TCP connection between simulated processes, as the kernel of its machine keeps it.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
final class StreamEnd: @unchecked Sendable {
    /// What the kernel knows of this end.
    private enum State: Equatable {
        case open
        /// The peer's reset arrived.
        case reset
        /// This side gave the stream up, or its process died.
        case closed
        /// The machine lost its power and forgot the connection.
        case vanished
    }

    let remoteAddress: SocketAddress
    let process: SimulatedEnvironment

    let loop: SimulatedLoop
    private unowned let network: SimulatedNetwork
    private let incoming: SimulatedPipe
    private let outgoing: SimulatedPipe
    private var state = State.open
    private var received = ReceivedBytes()
    private var hasPeerEnded = false
    private var hasFinishedWriting = false
    private var reader: Waiter?
    private var writer: Waiter?

    private struct Waiter {
        let continuation: UnsafeContinuation<StreamFault?, Never>
        /// Nil for who waits without a limit.
        let ticket: TimerQueue.Ticket?
    }

    init(
        _ network: SimulatedNetwork, _ end: SimulatedConnection.End, remoteAddress: SocketAddress,
        incoming: SimulatedPipe, outgoing: SimulatedPipe
    ) {
        self.network = network
        self.process = end.process
        self.loop = end.loop
        self.remoteAddress = remoteAddress
        self.incoming = incoming
        self.outgoing = outgoing
        incoming.deliver = { [weak self] in self?.arrived($0) }
        outgoing.roomMade = { [weak self] in self?.wakeWriter() }
    }

    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        self.network.simulator.confine()
        invariant(!buffer.isEmpty, "a read asks for something, as 0 means the end")
        if self.state == .closed { throw .closed }
        if !self.received.isEmpty {
            let wanted = min(buffer.count, self.received.count)
            let count = self.network.transferSize(of: wanted)
            self.received.move(count, into: buffer)
            self.incoming.confirm(count)
            return count
        }
        if self.state == .reset { throw .reset }
        return self.hasPeerEnded ? 0 : nil
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        self.network.simulator.confine()
        let fault = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<StreamFault?, Never>) in
            // Looked at only here: a task may pass through the run queue on its way to suspension.
            if self.state == .closed { return continuation.resume(returning: .closed) }
            if self.state != .open || self.hasPeerEnded || !self.received.isEmpty {
                return continuation.resume(returning: nil)
            }
            invariant(self.reader == nil, "one reader of a stream waits at a time")
            self.reader = self.waiter(continuation, by: deadline) { self.wakeReader($0) }
        }
        if let fault { throw fault }
    }

    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        self.network.simulator.confine()
        switch self.state {
        case .open: break
        case .reset: throw .reset
        case .closed, .vanished: throw .closed
        }
        // EPIPE, which says the same as the peer's reset.
        if self.hasFinishedWriting { throw .reset }
        let offered = buffers.reduce(0) { $0 + $1.count }
        let room = min(offered, self.outgoing.roomBytes)
        guard room > 0 else { return 0 }
        guard self.process.node.takes(.messageSent) else { throw .closed }
        let count = self.network.transferSize(of: room)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for buffer in buffers where bytes.count < count {
            bytes.append(contentsOf: buffer.prefix(count - bytes.count))
        }
        self.outgoing.send(.bytes(bytes))
        return count
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        self.network.simulator.confine()
        let fault = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<StreamFault?, Never>) in
            // Looked at only here: a task may pass through the run queue on its way to suspension.
            if self.state == .closed { return continuation.resume(returning: .closed) }
            if self.state != .open || self.hasFinishedWriting || self.outgoing.roomBytes > 0 {
                return continuation.resume(returning: nil)
            }
            invariant(self.writer == nil, "one writer of a stream waits at a time")
            self.writer = self.waiter(continuation, by: deadline) { self.wakeWriter($0) }
        }
        if let fault { throw fault }
    }

    func finishWriting() {
        self.network.simulator.confine()
        guard self.state == .open, !self.hasFinishedWriting else { return }
        self.hasFinishedWriting = true
        self.outgoing.send(.end)
    }

    /// As Linux closes a socket: bytes that nobody read make it a reset, otherwise what was written
    /// still goes out, and an end behind it.
    func close() {
        self.network.simulator.confine()
        guard self.state != .closed else { return }
        if self.state == .open {
            if !self.received.isEmpty {
                self.outgoing.sendReset()
            } else if !self.hasFinishedWriting {
                self.outgoing.send(.end)
            }
        }
        self.enter(.closed)
    }
}

extension StreamEnd {
    /// Whether the end holds nothing that anybody could still ask for.
    var isGone: Bool { self.state != .open }

    /// Nobody holds the stream any more. What is let go outside of the world is not heard in it.
    func dropped() {
        if self.network.simulator.isConfined { self.close() }
    }

    /// Ends the connection with a reset.
    func abort() {
        guard self.state == .open else { return }
        self.outgoing.sendReset()
        self.enter(.closed)
    }

    /// The machine loses its power: what is under way from it is lost, and it forgets.
    func vanish() {
        self.outgoing.clear()
        self.enter(.vanished)
    }

    /// A reset arrives, from the peer or from the network.
    func resetArrived() {
        guard self.state == .open else { return }
        self.outgoing.clear()
        self.enter(.reset)
    }

    private func enter(_ state: State) {
        self.state = state
        if state != .reset {
            self.incoming.confirm(self.received.count)
            self.received = ReceivedBytes()
        }
        let fault: StreamFault? = state == .closed ? .closed : nil
        self.wakeReader(fault)
        self.wakeWriter(fault)
    }

    private func arrived(_ segment: SimulatedPipe.Segment) {
        // A machine that dies now answers as a dead one; what comes behind finds it so.
        if case .bytes = segment, self.state == .open {
            _ = self.process.node.takes(.messageArrived)
        }
        self.network.simulator.trace.fold(UInt64(self.incoming.path.to) + 1)
        switch (segment, self.state) {
        case (.bytes(let bytes), .open):
            self.network.simulator.trace.fold(UInt64(bytes.count))
            self.received.append(bytes)
            self.wakeReader()
        case (.bytes(let bytes), .closed), (.bytes(let bytes), .vanished):
            // Nobody has this connection any more: the kernel says so.
            self.incoming.confirm(bytes.count)
            self.outgoing.sendReset()
        case (.bytes(let bytes), .reset):
            self.incoming.confirm(bytes.count)
        case (.end, .open):
            self.hasPeerEnded = true
            self.wakeReader()
        case (.end, .vanished):
            self.outgoing.sendReset()
        case (.end, .closed), (.end, .reset):
            break
        case (.reset, _):
            self.resetArrived()
        }
    }

    private func waiter(
        _ continuation: UnsafeContinuation<StreamFault?, Never>, by deadline: Instant,
        _ wake: @escaping (StreamFault?) -> Void
    ) -> Waiter {
        let due = self.process.time(ofReading: deadline)
        guard due < Simulator.never else { return Waiter(continuation: continuation, ticket: nil) }
        let ticket = self.network.simulator.schedule(at: due, for: self.process) {
            wake(.deadlineExceeded)
        }
        return Waiter(continuation: continuation, ticket: ticket)
    }

    private func wakeReader(_ fault: StreamFault? = nil) {
        guard let waiter = self.reader.take() else { return }
        if let ticket = waiter.ticket { self.network.simulator.cancel(ticket) }
        waiter.continuation.resume(returning: fault)
    }

    private func wakeWriter(_ fault: StreamFault? = nil) {
        guard let waiter = self.writer.take() else { return }
        if let ticket = waiter.ticket { self.network.simulator.cancel(ticket) }
        waiter.continuation.resume(returning: fault)
    }
}

/// Bytes that arrived and wait to be read, oldest first.
private struct ReceivedBytes {
    private var bytes: [UInt8] = []
    private var head = 0

    var count: Int { self.bytes.count - self.head }
    var isEmpty: Bool { self.count == 0 }

    mutating func append(_ more: [UInt8]) {
        if self.isEmpty {
            self.bytes = more
            self.head = 0
        } else {
            self.bytes.append(contentsOf: more)
        }
    }

    /// Moves the oldest `count` bytes out; what was read is given back when it is the larger half.
    mutating func move(_ count: Int, into buffer: UnsafeMutableRawBufferPointer) {
        buffer.copyBytes(from: self.bytes[self.head..<self.head + count])
        self.head += count
        if self.head > self.bytes.count / 2 {
            self.bytes.removeFirst(self.head)
            self.head = 0
        }
    }
}
