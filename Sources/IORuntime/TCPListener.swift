import CLinux
import Glibc
import Primitives
import Synchronization

/// A listening TCP socket for one loop.
///
/// Each loop has a socket of its own (SO_REUSEPORT): the kernel spreads connections over them by a
/// hash. One socket in several epolls would wake the loop that waits last, which at moderate load
/// gets nearly all connections, and keeps them.
final class TCPListener: Listener {
    /// Connections that the kernel keeps for us; cut to net.core.somaxconn.
    private static let backlog: Int32 = 4096
    /// Connections that one loop takes in one turn, so that a flood leaves time for those it has.
    private static let acceptsPerTurn = 64
    /// After running out of descriptors or memory.
    private static let pauseWhenFull = Duration.milliseconds(100)

    private enum State {
        /// From the start, so that any thread can listen for any loop.
        case listening(Int32)
        /// From the first `accept`, which is on the loop.
        case watched(Descriptor)
        /// From `close`, or when the loop could not watch.
        case closed
    }

    private enum Attempt {
        case stream(TCPStream)
        /// Nothing came of it; the descriptor's readiness says whether to try again.
        case nothing
        case full
    }

    private let loop: EpollLoop
    private let registry: ListenerRegistry
    private let state: Mutex<State>
    let address: SocketAddress

    init(
        on address: SocketAddress, loop: EpollLoop, registry: ListenerRegistry
    ) throws(StreamFault) {
        guard let numeric = NumericAddress(address) else {
            throw .system(call: "listen (the address is not numeric)", errno: EINVAL)
        }
        let (number, bound) = try registry.join(numeric.text) { joins in
            numeric.withPacked { holdfast_listen($0, Self.backlog, joins) }
        }
        self.loop = loop
        self.registry = registry
        self.address = bound
        self.state = Mutex(.listening(number))
    }

    deinit { self.close() }

    func accept() async throws(StreamFault) -> any ByteStream {
        let descriptor = try self.descriptor()
        while true {
            try await descriptor.ready(.reading, by: .never)
            switch try self.acceptNow(descriptor) {
            case .stream(let stream): return stream
            case .nothing: continue
            case .full: try await self.pause(descriptor)
            }
        }
    }

    func close() {
        let state = self.state.withLock { state in
            let old = state
            state = .closed
            return old
        }
        switch state {
        case .listening(let number):
            Glibc.close(number)
            self.registry.leave(self.address)
        case .watched(let descriptor):
            let (registry, address) = (self.registry, self.address)
            self.loop.execute {
                descriptor.close()
                registry.leave(address)
            }
        case .closed: break
        }
    }

    private func descriptor() throws(StreamFault) -> Descriptor {
        try self.state.withLock { state throws(StreamFault) in
            switch state {
            case .watched(let descriptor): return descriptor
            case .closed: throw .closed
            case .listening(let number):
                state = .closed
                let descriptor = try Descriptor(adopting: number, on: self.loop)
                state = .watched(descriptor)
                return descriptor
            }
        }
    }

    private func acceptNow(_ descriptor: Descriptor) throws(StreamFault) -> Attempt {
        var peer = holdfast_address()
        let number = holdfast_accept(descriptor.number, &peer)
        if number >= 0 {
            let cost = Descriptor.bytesPerTurn / Self.acceptsPerTurn
            descriptor.tried(.reading, moved: cost, wanted: cost)
            do throws(StreamFault) {
                let accepted = try Descriptor(adopting: number, on: self.loop, isWritable: true)
                return .stream(TCPStream(accepted, to: NumericAddress(peer).text))
            } catch { return .full }
        }
        switch -number {
        case EAGAIN:
            descriptor.wouldBlock(.reading)
            return .nothing
        // What the connection met before we came (accept(2), "Error handling").
        case EINTR, ECONNABORTED, EPROTO, ENOPROTOOPT, ENETDOWN, EHOSTDOWN, ENONET, EHOSTUNREACH,
            ENETUNREACH, ETIMEDOUT, EPERM:
            return .nothing
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .full
        case let error: throw .system(call: "accept4", errno: error)
        }
    }

    /// Lets descriptors be closed elsewhere: the connection that could not be taken stays queued, and
    /// trying at once would keep the loop busy with failures.
    private func pause(_ descriptor: Descriptor) async throws(StreamFault) {
        descriptor.wouldBlock(.reading)
        do throws(StreamFault) {
            try await descriptor.ready(.reading, by: self.loop.now + Self.pauseWhenFull)
        } catch {
            guard error == .deadlineExceeded else { throw error }
            descriptor.assumeReady(.reading)
        }
    }
}

/// The addresses that this environment listens on. Only listeners of one environment share a port;
/// to anyone else, in this process or another, the address is in use.
final class ListenerRegistry: Sendable {
    private let listenerCounts = Mutex<[SocketAddress: Int]>([:])

    /// Binds a socket through `bind`, which is told whether it joins others of ours, and returns it
    /// with its address, the port filled in.
    func join(
        _ address: SocketAddress, bind: (Bool) -> Int32
    ) throws(StreamFault) -> (number: Int32, bound: SocketAddress) {
        try self.listenerCounts.withLock { counts throws(StreamFault) in
            let joins = address.port != 0 && counts[address] != nil
            let number = bind(joins)
            guard number >= 0 else {
                throw StreamFault(call: "listen", errno: -number, peer: address)
            }
            var packed = holdfast_address()
            let result = holdfast_local_address(number, &packed)
            guard result == 0 else {
                Glibc.close(number)
                throw .system(call: "getsockname", errno: -result)
            }
            let bound = NumericAddress(packed).text
            counts[bound, default: 0] += 1
            return (number, bound)
        }
    }

    func leave(_ address: SocketAddress) {
        self.listenerCounts.withLock { counts in
            let count = counts[address, default: 1] - 1
            counts[address] = count == 0 ? nil : count
        }
    }
}
