import IORuntime
import Primitives

/// A connection as a process holds it. One that nobody holds any more closes itself, as a real one
/// does.
final class SimulatedStream: ByteStream {
    private let end: StreamEnd

    init(_ end: StreamEnd) { self.end = end }

    deinit { self.end.dropped() }

    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        try self.end.readNow(into: buffer)
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        try await self.end.readable(by: deadline)
    }

    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        try self.end.writeNow(buffers)
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        try await self.end.writable(by: deadline)
    }

    func finishWriting() { self.end.finishWriting() }
    func close() { self.end.close() }
    var remoteAddress: SocketAddress { self.end.remoteAddress }
    var loop: any EventLoop { self.end.loop }
}

/// A listening socket as a process holds it; closes itself as a stream does.
final class SimulatedListener: Listener {
    private let socket: ListeningSocket

    init(_ socket: ListeningSocket) { self.socket = socket }

    deinit { self.socket.dropped() }

    func accept() async throws(StreamFault) -> any ByteStream {
        SimulatedStream(try await self.socket.accept())
    }

    var address: SocketAddress { self.socket.address }
    func close() { self.socket.close() }
}
