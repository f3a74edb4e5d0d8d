import IORuntime
import Primitives

/// One direction of a connection: bytes on their way, at most `capacity`.
final class MemoryPipe {
    private let loop: SteppingLoop
    private let capacity: Int
    private var bytes: [UInt8] = []
    private var hasEnded = false
    private var isBroken = false
    private var reader: UnsafeContinuation<Void, Never>?
    private var writer: UnsafeContinuation<Void, Never>?
    /// Bytes that have ever gone in.
    private(set) var count = 0
    /// Flips the byte at this place of the whole stream.
    var flip: (position: Int, bits: UInt8)?

    init(loop: SteppingLoop, capacity: Int) {
        self.loop = loop
        self.capacity = capacity
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        if self.isBroken { throw .reset }
        if self.bytes.isEmpty { return self.hasEnded ? 0 : nil }
        let count = min(buffer.count, self.bytes.count)
        buffer.copyBytes(from: self.bytes[..<count])
        self.bytes.removeFirst(count)
        self.wake(&self.writer)
        return count
    }

    func write(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        if self.isBroken { throw .reset }
        var taken = 0
        for buffer in buffers {
            let piece = buffer.prefix(self.capacity - self.bytes.count)
            self.bytes += piece
            if let flip = self.flip, (self.count..<self.count + piece.count).contains(flip.position)
            {
                self.bytes[self.bytes.count - piece.count + flip.position - self.count] ^= flip.bits
            }
            self.count += piece.count
            taken += piece.count
        }
        if taken > 0 { self.wake(&self.reader) }
        return taken
    }

    func end() {
        self.hasEnded = true
        self.wake(&self.reader)
    }

    /// Lets the writing end find that it is closed.
    func wakeWriter() { self.wake(&self.writer) }

    func breakOff() {
        self.isBroken = true
        self.wake(&self.reader)
        self.wake(&self.writer)
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        while self.bytes.isEmpty, !self.hasEnded, !self.isBroken {
            if self.loop.now >= deadline { throw .deadlineExceeded }
            await withUnsafeContinuation { continuation in
                // Something may have run since the check above.
                guard self.bytes.isEmpty, !self.hasEnded, !self.isBroken else {
                    continuation.resume()
                    return
                }
                self.reader = continuation
                self.loop.at(deadline) { self.wake(&self.reader) }
            }
        }
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        while self.bytes.count == self.capacity, !self.isBroken, !self.hasEnded {
            if self.loop.now >= deadline { throw .deadlineExceeded }
            await withUnsafeContinuation { continuation in
                guard self.bytes.count == self.capacity, !self.isBroken, !self.hasEnded else {
                    continuation.resume()
                    return
                }
                self.writer = continuation
                self.loop.at(deadline) { self.wake(&self.writer) }
            }
        }
    }

    private func wake(_ waiting: inout UnsafeContinuation<Void, Never>?) {
        let continuation = waiting
        waiting = nil
        continuation?.resume()
    }
}

/// One end of a connection in memory. `@unchecked Sendable`: used on its loop only.
final class MemoryStream: ByteStream, @unchecked Sendable {
    let incoming: MemoryPipe
    let outgoing: MemoryPipe
    private let steppingLoop: SteppingLoop
    private(set) var isClosed = false

    private init(incoming: MemoryPipe, outgoing: MemoryPipe, loop: SteppingLoop) {
        self.incoming = incoming
        self.outgoing = outgoing
        self.steppingLoop = loop
    }

    static func pair(
        on loop: SteppingLoop, capacity: Int
    ) -> (client: MemoryStream, server: MemoryStream) {
        let up = MemoryPipe(loop: loop, capacity: capacity)
        let down = MemoryPipe(loop: loop, capacity: capacity)
        return (
            MemoryStream(incoming: down, outgoing: up, loop: loop),
            MemoryStream(incoming: up, outgoing: down, loop: loop)
        )
    }

    var loop: any EventLoop { self.steppingLoop }
    var remoteAddress: SocketAddress { SocketAddress(host: "127.0.0.1", port: 1) }

    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        if self.isClosed { throw .closed }
        return try self.incoming.read(into: buffer)
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        try await self.incoming.readable(by: deadline)
        if self.isClosed { throw .closed }
    }

    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        if self.isClosed { throw .closed }
        return try self.outgoing.write(buffers)
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        try await self.outgoing.writable(by: deadline)
        if self.isClosed { throw .closed }
    }

    func finishWriting() { self.outgoing.end() }

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.outgoing.end()
        self.outgoing.wakeWriter()
        self.incoming.breakOff()
    }
}
