import IORuntime
import Primitives

/// The bytes of one connection, in both directions, for the task that owns the connection: what was
/// received and not yet understood, and what was written and not yet sent.
///
/// Nothing waits while the other side could be waiting for bytes that lie here: every wait sends
/// what is pending first.
final class MessageStream {
    let stream: any ByteStream
    let loop: any EventLoop
    let received: ByteQueue

    /// Heads and small bodies collect here, so that pipelined answers leave in one write.
    var pending: [UInt8] = []
    /// How much of `pending` has left.
    private var sent = 0
    private var incoming: RateGauge
    private var outgoing: RateGauge
    /// Bytes moved since this task last gave the loop to others.
    private var unyieldedBytes = 0

    /// From here on, pending bytes are sent before more are added.
    static let pendingLimitBytes = 65_536
    /// What an idle connection keeps of the pending buffer.
    private static let idlePendingBytes = 1024
    /// A peer that is always ready must not keep the loop from everybody else.
    private static let yieldAfterBytes = 1_048_576
    /// What one small message counts as, for the same purpose.
    private static let messageCostBytes = 16_384
    /// The most slices in one write.
    private static let mostSlices = 16

    init(
        _ stream: any ByteStream, receiveLimitBytes: Int, leastBytesPerSecond: Int,
        rateWindow: Duration
    ) {
        self.stream = stream
        self.loop = stream.loop
        self.received = ByteQueue(limitBytes: receiveLimitBytes)
        self.incoming = RateGauge(leastBytesPerSecond: leastBytesPerSecond, window: rateWindow)
        self.outgoing = self.incoming
    }

    // MARK: Receiving

    /// Reads what has arrived into the queue. Nil: nothing yet. 0: the peer has ended.
    func fillNow() throws(StreamFault) -> Int? {
        let room = self.received.room()
        invariant(!room.isEmpty, "parsers refuse before the receive queue is full")
        guard let count = try self.stream.readNow(into: room) else { return nil }
        self.received.wrote(count)
        self.unyieldedBytes += count
        return count
    }

    /// Reads what has arrived straight into its place.
    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        guard let count = try self.stream.readNow(into: buffer) else { return nil }
        self.unyieldedBytes += count
        return count
    }

    /// Takes note of body bytes that arrived, for the rate that the peer is held to.
    func bodyMoved(_ count: Int) { self.incoming.moved(count) }

    /// Returns when there may be something to read.
    func readable(by deadline: Instant) async throws(StreamFault) {
        try await self.flush()
        self.unyieldedBytes = 0
        try await self.stream.readable(by: deadline)
    }

    /// The same inside a body, where the peer is held to the least rate.
    func bodyReadable(by deadline: Instant) async throws(StreamFault) {
        try await self.flush()
        self.unyieldedBytes = 0
        let start = self.loop.now
        guard start < deadline else { throw .deadlineExceeded }
        do throws(StreamFault) {
            try await self.stream.readable(by: min(deadline, self.incoming.deadline(now: start)))
        } catch .deadlineExceeded {
            // Whether that was too slow is decided over the whole window.
        }
        guard self.incoming.waited(from: start, to: self.loop.now) else {
            throw .deadlineExceeded
        }
    }

    // MARK: Sending

    var hasPending: Bool { self.sent < self.pending.count }

    /// Sends all that is pending.
    func flush(by deadline: Instant = .distantFuture) async throws(StreamFault) {
        while !(try self.flushNow()) { try await self.writable(by: deadline) }
    }

    /// Sends what can leave now; true when nothing is left.
    func flushNow() throws(StreamFault) -> Bool {
        if self.hasPending { _ = try self.sendNow([], skipping: 0) }
        return !self.hasPending
    }

    /// Sends what is pending and then the slices, without copying them. At most one deadline
    /// passes between two bytes that leave.
    func send(
        _ slices: [ArraySlice<UInt8>], by deadline: Instant = .distantFuture
    ) async throws(StreamFault) {
        let total = slices.reduce(0) { $0 + $1.count }
        var done = 0
        while done < total || self.hasPending {
            let taken = try self.sendNow(slices, skipping: done)
            done += taken.ofSlices
            if taken.nothing { try await self.writable(by: deadline) }
        }
        if self.mustYield { try await self.yield() }
    }

    /// What one write took.
    struct Taken {
        var ofSlices: Int
        var nothing: Bool
    }

    /// Sends what can leave now of the pending bytes and of the slices behind their first
    /// `skipped` bytes.
    func sendNow(
        _ slices: [ArraySlice<UInt8>], skipping skipped: Int
    ) throws(StreamFault) -> Taken {
        let unsent = self.pending.count - self.sent
        let result: Result<Int, StreamFault> = self.pending.withUnsafeBytes { bytes in
            var buffers: [UnsafeRawBufferPointer] = []
            if unsent > 0 { buffers.append(UnsafeRawBufferPointer(rebasing: bytes[self.sent...])) }
            return self.write(slices[...], skipping: skipped, after: &buffers)
        }
        let count = try result.get()
        let ofPending = min(count, unsent)
        self.sent += ofPending
        if !self.hasPending { self.clearPending() }
        self.outgoing.moved(count)
        self.unyieldedBytes += count
        return Taken(ofSlices: count - ofPending, nothing: count == 0)
    }

    /// Collects pointers slice by slice, each inside the scope in which it is valid.
    private func write(
        _ slices: ArraySlice<ArraySlice<UInt8>>, skipping skipped: Int,
        after buffers: inout [UnsafeRawBufferPointer]
    ) -> Result<Int, StreamFault> {
        var skipped = skipped
        var slices = slices
        while let slice = slices.first, slice.count <= skipped {
            skipped -= slice.count
            slices.removeFirst()
        }
        guard let slice = slices.first, buffers.count < Self.mostSlices else {
            guard !buffers.isEmpty else { return .success(0) }
            do throws(StreamFault) { return .success(try self.stream.writeNow(buffers)) } catch {
                return .failure(error)
            }
        }
        return slice.withUnsafeBytes { bytes in
            buffers.append(UnsafeRawBufferPointer(rebasing: bytes[skipped...]))
            return self.write(slices.dropFirst(), skipping: 0, after: &buffers)
        }
    }

    /// Waits until more can leave, and holds the peer to the least rate.
    func writable(by deadline: Instant) async throws(StreamFault) {
        self.unyieldedBytes = 0
        let start = self.loop.now
        guard start < deadline else { throw .deadlineExceeded }
        do throws(StreamFault) {
            try await self.stream.writable(by: min(deadline, self.outgoing.deadline(now: start)))
        } catch .deadlineExceeded {
            // Whether that was too slow is decided over the whole window.
        }
        guard self.outgoing.waited(from: start, to: self.loop.now) else {
            throw .deadlineExceeded
        }
    }

    private func clearPending() {
        self.pending.removeAll(keepingCapacity: true)
        self.sent = 0
    }

    // MARK: Fairness and rest

    /// Counts one message; true when others must be let onto the loop.
    func messageServed() -> Bool {
        self.unyieldedBytes += Self.messageCostBytes
        return self.mustYield
    }

    /// Whether this connection has long not waited.
    var mustYield: Bool { self.unyieldedBytes >= Self.yieldAfterBytes }

    /// Lets others onto the loop.
    func yield() async throws(StreamFault) {
        self.unyieldedBytes = 0
        do { try await self.loop.sleep(for: .zero) } catch { throw .closed }
    }

    /// Gives memory back before a long wait.
    func rest() {
        self.received.shrink()
        if self.pending.isEmpty, self.pending.capacity > Self.idlePendingBytes { self.pending = [] }
    }

    /// Ends the stream so that the peer gets what was written: bytes that it still sends are read
    /// and dropped for a while, because a connection closed over unread bytes is reset, and the
    /// reset overtakes the answer (RFC 9112 §9.6).
    func linger(limitBytes: Int, timeout: Duration) async {
        let deadline = self.loop.now + timeout
        do throws(StreamFault) {
            try await self.flush(by: deadline)
            self.stream.finishWriting()
            self.received.consume(self.received.count)
            var dropped = 0
            while dropped < limitBytes {
                guard let count = try self.fillNow() else {
                    try await self.stream.readable(by: deadline)
                    continue
                }
                if count == 0 { break }
                self.received.consume(count)
                dropped += count
            }
        } catch {
            // The peer is gone or does not listen: there is nobody left to be polite to.
        }
        self.stream.close()
    }
}

extension Instant {
    /// Later than any wait.
    static let distantFuture = Instant(nanoseconds: .max)
}
