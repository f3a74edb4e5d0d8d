import IORuntime
import Primitives

/// Connections in memory on one `MemoryLoop`; no files.
///
/// `@unchecked Sendable` because everything happens on the loop's one thread.
final class MemoryEnvironment: Environment, @unchecked Sendable {
    let memoryLoop = MemoryLoop()
    private var listeners: [UInt16: MemoryListener] = [:]
    private var nextPort: UInt16 = 1000
    /// How many bytes a connection holds in each direction.
    var capacity = 65_536
    /// The connections made, the server's ends.
    private(set) var accepted: [MemoryStream] = []

    var loops: [any EventLoop] { [self.memoryLoop] }
    var now: Instant { self.memoryLoop.now }
    /// Sun, 06 Nov 1994 08:49:36 GMT, and what has passed since.
    var wallClock: Timestamp {
        Timestamp(milliseconds: 784_111_776_000 + Int64(self.now.nanoseconds / 1_000_000))
    }

    func randomBytes(_ count: Int) -> [UInt8] { Array(repeating: 7, count: count) }

    func blocking<Value: Sendable>(
        _ lane: BlockingLane, _ work: @escaping @Sendable () -> Value
    ) async -> Value { work() }

    var files: any FileSystem { brokenInvariant("HTTP touches no files") }

    func connect(
        to address: SocketAddress, on loop: any EventLoop, deadline: Instant
    ) async throws(StreamFault) -> any ByteStream { try self.connectNow(to: address) }

    func connectNow(to address: SocketAddress) throws(StreamFault) -> MemoryStream {
        guard let listener = self.listeners[address.port] else { throw .refused(address) }
        let (client, server) = MemoryStream.pair(self.memoryLoop, capacity: self.capacity)
        self.accepted.append(server)
        listener.arrived(server)
        return client
    }

    func listen(
        on address: SocketAddress, loop: any EventLoop
    ) throws(StreamFault) -> any Listener {
        var bound = address
        if bound.port == 0 {
            self.nextPort += 1
            bound.port = self.nextPort
        }
        guard self.listeners[bound.port] == nil else { throw .addressInUse(bound) }
        let listener = MemoryListener(bound) { self.listeners[bound.port] = nil }
        self.listeners[bound.port] = listener
        return listener
    }

    func log(_ line: String) {}
    func terminate(status: Int32, reason: String) -> Never { brokenInvariant(reason) }
}

/// `@unchecked Sendable` for the same reason as its environment.
final class MemoryListener: Listener, @unchecked Sendable {
    let address: SocketAddress
    private var waiting: [MemoryStream] = []
    private var isClosed = false
    private var wake: UnsafeContinuation<Void, Never>?
    private let onClose: () -> Void

    init(_ address: SocketAddress, onClose: @escaping () -> Void) {
        self.address = address
        self.onClose = onClose
    }

    func arrived(_ stream: MemoryStream) {
        self.waiting.append(stream)
        self.wakeUp()
    }

    func accept() async throws(StreamFault) -> any ByteStream {
        while self.waiting.isEmpty {
            if self.isClosed { throw .closed }
            await withUnsafeContinuation { self.wake = $0 }
        }
        return self.waiting.removeFirst()
    }

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.onClose()
        self.wakeUp()
    }

    private func wakeUp() {
        self.wake?.resume()
        self.wake = nil
    }
}
