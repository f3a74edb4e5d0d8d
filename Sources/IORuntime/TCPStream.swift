import CLinux
import Glibc
import Primitives

/// A TCP connection on its loop. `close` may be called from anywhere; a stream that nobody holds any
/// more closes itself.
final class TCPStream: ByteStream {
    /// Buffers that go into one system call (Linux's IOV_MAX); the rest waits for the next.
    private static let buffersPerWrite = 1024

    private let descriptor: Descriptor
    let remoteAddress: SocketAddress
    var loop: any EventLoop { self.descriptor.loop }

    init(_ descriptor: Descriptor, to remoteAddress: SocketAddress) {
        self.descriptor = descriptor
        self.remoteAddress = remoteAddress
    }

    deinit { self.descriptor.close() }

    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        try self.descriptor.receive(into: buffer, from: self.remoteAddress)
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        try await self.descriptor.ready(.reading, by: deadline)
    }

    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        let capacity = min(buffers.count, Self.buffersPerWrite)
        let result = withUnsafeTemporaryAllocation(of: iovec.self, capacity: capacity) {
            vectors -> Result<Int, StreamFault> in
            var total = 0
            for (position, buffer) in buffers.prefix(capacity).enumerated() {
                let base = UnsafeMutableRawPointer(mutating: buffer.baseAddress)
                vectors[position] = iovec(iov_base: base, iov_len: buffer.count)
                total += buffer.count
            }
            do throws(StreamFault) {
                return .success(
                    try self.descriptor.send(
                        UnsafeBufferPointer(vectors), total: total, to: self.remoteAddress))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        try await self.descriptor.ready(.writing, by: deadline)
    }

    func finishWriting() { self.descriptor.finishWriting() }
    func close() { self.descriptor.close() }
}

extension TCPStream {
    /// Connects to one of `addresses`, in their order; each has an even share of the time left. The
    /// caller is on `loop`. `name` is what faults are about.
    static func connect(
        to addresses: [NumericAddress], named name: SocketAddress, on loop: EpollLoop,
        deadline: Instant
    ) async throws(StreamFault) -> TCPStream {
        var fault = StreamFault.unreachable(name, errno: EADDRNOTAVAIL)
        for (position, address) in addresses.enumerated() {
            let now = loop.now
            let timeLeft = now.nanoseconds(until: deadline)
            let share = timeLeft / Int64(addresses.count - position)
            do throws(StreamFault) {
                return try await Self.connect(
                    to: address, named: name, on: loop, deadline: now + .nanoseconds(share))
            } catch { fault = error }
        }
        throw fault
    }

    private static func connect(
        to address: NumericAddress, named name: SocketAddress, on loop: EpollLoop,
        deadline: Instant
    ) async throws(StreamFault) -> TCPStream {
        let number = address.withPacked { holdfast_connect($0) }
        guard number >= 0 else {
            throw StreamFault(call: "connect", errno: -number, peer: name)
        }
        let descriptor = try Descriptor(adopting: number, on: loop)
        do throws(StreamFault) {
            try await descriptor.ready(.writing, by: deadline)
            let result = holdfast_connected(descriptor.number)
            guard result == 0 else {
                throw StreamFault(call: "connect", errno: -result, peer: name)
            }
        } catch {
            descriptor.close()
            throw error
        }
        return TCPStream(descriptor, to: name)
    }
}
