import IORuntime
import Primitives

/// One direction of a connection in memory.
private final class Pipe {
    var bytes: [UInt8] = []
    var isEnded = false
    let capacity: Int
    var readerWakes: (() -> Void)?
    var writerWakes: (() -> Void)?
    init(capacity: Int) { self.capacity = capacity }

    func changed() {
        let wakes = [self.readerWakes, self.writerWakes]
        self.readerWakes = nil
        self.writerWakes = nil
        for wake in wakes { wake?() }
    }
}

/// One end of a connection in memory: bounded, ordered, and as fast as its reader.
///
/// `@unchecked Sendable` because both ends live on one loop, on one thread.
final class MemoryStream: ByteStream, @unchecked Sendable {
    private let incoming: Pipe
    private let outgoing: Pipe
    private let memoryLoop: MemoryLoop
    private var isClosed = false
    private weak var peer: MemoryStream?

    /// The most bytes that one read gives.
    var readLimit = Int.max
    /// Writes so far, by size.
    private(set) var writes: [Int] = []
    /// Whether the other end has given the connection up.
    private var isReset = false

    let remoteAddress = SocketAddress(host: "memory", port: 1)
    var loop: any EventLoop { self.memoryLoop }

    private init(_ loop: MemoryLoop, incoming: Pipe, outgoing: Pipe) {
        self.memoryLoop = loop
        self.incoming = incoming
        self.outgoing = outgoing
    }

    static func pair(_ loop: MemoryLoop, capacity: Int = 65_536) -> (MemoryStream, MemoryStream) {
        let there = Pipe(capacity: capacity)
        let back = Pipe(capacity: capacity)
        let a = MemoryStream(loop, incoming: back, outgoing: there)
        let b = MemoryStream(loop, incoming: there, outgoing: back)
        a.peer = b
        b.peer = a
        return (a, b)
    }

    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        if self.isClosed { throw .closed }
        let count = min(buffer.count, self.incoming.bytes.count, self.readLimit)
        guard count > 0 else {
            if self.isReset { throw .reset }
            return self.incoming.isEnded ? 0 : nil
        }
        buffer.copyBytes(from: self.incoming.bytes.prefix(count))
        self.incoming.bytes.removeFirst(count)
        self.incoming.changed()
        return count
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        let pipe = self.incoming
        try await self.wait(by: deadline) { wake in
            if !pipe.bytes.isEmpty || pipe.isEnded || self.isReset { return false }
            pipe.readerWakes = wake
            return true
        }
    }

    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        if self.isClosed { throw .closed }
        if self.isReset || self.peer?.isClosed ?? true { throw .reset }
        var room = self.outgoing.capacity - self.outgoing.bytes.count
        var taken = 0
        for buffer in buffers {
            let count = min(room, buffer.count)
            self.outgoing.bytes.append(contentsOf: buffer.prefix(count))
            room -= count
            taken += count
        }
        if taken > 0 {
            self.writes.append(taken)
            self.outgoing.changed()
        }
        return taken
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        let pipe = self.outgoing
        try await self.wait(by: deadline) { wake in
            if pipe.bytes.count < pipe.capacity || self.isReset || self.peer?.isClosed ?? true {
                return false
            }
            pipe.writerWakes = wake
            return true
        }
    }

    private func wait(
        by deadline: Instant, _ register: (@escaping () -> Void) -> Bool
    ) async throws(StreamFault) {
        if self.isClosed { throw .closed }
        let loop = self.memoryLoop
        let inTime = await withUnsafeContinuation {
            (continuation: UnsafeContinuation<Bool, Never>) in
            var isOver = false
            var timer = 0
            let finish = { (inTime: Bool) in
                guard !isOver else { return }
                isOver = true
                loop.cancel(timer)
                continuation.resume(returning: inTime)
            }
            if register({ finish(true) }) {
                timer = loop.after(deadline) { finish(false) }
            } else {
                finish(true)
            }
        }
        if self.isClosed { throw .closed }
        if !inTime { throw .deadlineExceeded }
    }

    func finishWriting() {
        self.outgoing.isEnded = true
        self.outgoing.changed()
    }

    /// As TCP does: closed over unread bytes the peer is reset, else it sees the end.
    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        if !self.incoming.bytes.isEmpty { self.peer?.isReset = true }
        self.outgoing.isEnded = true
        self.incoming.changed()
        self.outgoing.changed()
    }

    /// Gives the connection up so that the peer's next call fails.
    func reset() {
        self.peer?.isReset = true
        self.outgoing.bytes = []
        self.close()
    }
}
