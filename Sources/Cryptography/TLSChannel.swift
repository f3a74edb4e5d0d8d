internal import IORuntime
internal import Primitives

/// A byte stream inside TLS 1.3. Unchecked, because it belongs to the loop of the stream below, and
/// is used from there only.
///
/// `writeNow` takes plaintext while the ciphertext buffer has room. What the stream below does not
/// take at once a task on the loop sends on, so that a caller who goes over to reading leaves
/// nothing behind, and nobody has to write in order to be read.
final class TLSChannel: SecureChannel, @unchecked Sendable {
    /// How long ciphertext may wait for the other end to take any of it before the channel is given
    /// up, when no caller with a deadline of its own is waiting.
    static let stalledOutputLimit: Duration = .seconds(300)

    private let connection: TLSConnection
    private let check: PeerCheck
    private let stream: any ByteStream
    /// What each further call of its kind throws.
    private var readFault: StreamFault?
    private var writeFault: StreamFault?
    /// The caller's buffer was full: what is decoded may be more than what was read.
    private var mayHaveMore = false
    private var hasFinishedWriting = false
    /// The task that sends on is running.
    private var isDraining = false
    private var waitingWriter: UnsafeContinuation<Void, Never>?

    init(
        _ connection: TLSConnection, check: PeerCheck, over stream: any ByteStream
    ) throws(StreamFault) {
        self.connection = connection
        self.check = check
        self.stream = stream
        connection.use(check)
    }

    var peer: PeerIdentity { self.check.identity }
    var provesBytes: Bool { true }
    var remoteAddress: SocketAddress { self.stream.remoteAddress }
    var loop: any EventLoop { self.stream.loop }

    // MARK: Handshake

    func shakeHands(by deadline: Instant) async throws(StreamFault) {
        while true {
            switch self.connection.shakeHands() {
            case .bytes:
                try await self.sendAll(by: deadline)
                return
            case .needsInput:
                try await self.sendAll(by: deadline)
                if let fault = self.connection.inputFault { throw fault }
                try await self.stream.readable(by: deadline)
            case .ended:
                throw .endedEarly
            case .failed(let fault):
                // The alert tells the other end the reason, if it still listens; whether it does
                // must not hide the reason from us.
                do throws(StreamFault) { try await self.sendAll(by: deadline) } catch {
                    throw fault
                }
                throw fault
            }
        }
    }

    private func sendAll(by deadline: Instant) async throws(StreamFault) {
        while try !self.sendOutput() { try await self.stream.writable(by: deadline) }
    }

    // MARK: Reading

    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        if let fault = self.readFault { throw fault }
        var total = 0
        while total < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[total...])
            switch self.connection.decode(into: rest) {
            case .bytes(let count):
                total += count
            case .needsInput:
                self.mayHaveMore = false
                self.sendAnswers()
                if total > 0 { return total }
                guard let fault = self.connection.inputFault else { return nil }
                self.readFault = fault
                throw fault
            case .ended:
                self.mayHaveMore = true
                return total
            case .failed(let fault):
                self.fail(fault)
                if total > 0 { return total }
                throw fault
            }
        }
        self.mayHaveMore = true
        return total
    }

    /// Sends what reading has made OpenSSL say, if anything.
    private func sendAnswers() {
        guard !self.isDraining, !self.connection.output.isEmpty else { return }
        // What was read stays good when nothing can be sent any more; the next writer hears of it.
        do throws(StreamFault) { try self.flush() } catch { self.writeFault = error }
    }

    func readable(by deadline: Instant) async throws(StreamFault) {
        if let fault = self.readFault { throw fault }
        if self.mayHaveMore { return }
        self.connection.releaseIdleBuffers()
        try await self.stream.readable(by: deadline)
    }

    // MARK: Writing

    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        if let fault = self.writeFault { throw fault }
        if self.hasFinishedWriting { throw .closed }
        var cursor = GatheringCursor(buffers)
        var total = 0
        while cursor.remaining > 0 {
            switch self.connection.encode(&cursor) {
            case .bytes(0):
                if self.isDraining { return total }
                try self.flush()
                if self.isDraining, !self.connection.hasRoom { return total }
            case .bytes(let count):
                total += count
            case .failed(let fault):
                self.fail(fault)
                throw fault
            case .needsInput, .ended:
                brokenInvariant("TLS 1.3 writes without reading")
            }
        }
        if !self.isDraining { try self.flush() }
        return total
    }

    func writable(by deadline: Instant) async throws(StreamFault) {
        while true {
            if let fault = self.writeFault { throw fault }
            if self.mayWrite { return }
            if self.loop.now >= deadline { throw .deadlineExceeded }
            await self.roomOrDeadline(deadline)
        }
    }

    private func roomOrDeadline(_ deadline: Instant) async {
        invariant(self.waitingWriter == nil, "one writer may wait at a time")
        let loop = self.loop
        let timer = loop.spawn {
            do { try await loop.sleep(for: deadline - loop.now) } catch { return }
            self.wakeWriter()
        }
        await withUnsafeContinuation { continuation in
            // The way here is no promise that nothing ran since the caller looked.
            if self.mayWrite || self.writeFault != nil || loop.now >= deadline {
                continuation.resume()
            } else {
                self.waitingWriter = continuation
            }
        }
        timer.cancel()
    }

    private var mayWrite: Bool { !self.isDraining || self.connection.hasRoom }

    private func wakeWriter() {
        let writer = self.waitingWriter
        self.waitingWriter = nil
        writer?.resume()
    }

    /// Sends what the stream below takes now, and starts the task that sends the rest.
    private func flush() throws(StreamFault) {
        do throws(StreamFault) {
            guard try !self.sendOutput() else { return }
        } catch {
            self.writeFault = error
            throw error
        }
        self.isDraining = true
        self.loop.spawn { await self.drain() }
    }

    /// True when nothing is left.
    private func sendOutput() throws(StreamFault) -> Bool {
        while !self.connection.output.isEmpty {
            let count = try self.stream.writeNow([self.connection.output])
            if count == 0 { return false }
            self.connection.sent(count)
        }
        return true
    }

    private func drain() async {
        var isEmpty = false
        while !isEmpty {
            do throws(StreamFault) {
                try await self.stream.writable(by: self.loop.now + Self.stalledOutputLimit)
                isEmpty = try self.sendOutput()
            } catch {
                if self.writeFault == nil { self.writeFault = error }
                if error == .deadlineExceeded { self.stream.close() }
                break
            }
            if self.connection.hasRoom { self.wakeWriter() }
        }
        self.isDraining = false
        if isEmpty, self.hasFinishedWriting { self.stream.finishWriting() }
        self.wakeWriter()
    }

    // MARK: Ending

    func finishWriting() {
        guard !self.hasFinishedWriting, self.writeFault == nil else { return }
        self.hasFinishedWriting = true
        self.connection.encodeEnd()
        if self.isDraining { return }
        do throws(StreamFault) {
            try self.flush()
            if !self.isDraining { self.stream.finishWriting() }
        } catch { self.stream.close() }
    }

    func close() {
        self.readFault = .closed
        self.writeFault = .closed
        self.stream.close()
        self.wakeWriter()
    }

    /// The protocol is broken: nothing further may be read or written. Its alert leaves if it can.
    private func fail(_ fault: StreamFault) {
        self.readFault = fault
        self.writeFault = fault
        self.hasFinishedWriting = true
        if self.isDraining { return }
        do throws(StreamFault) { _ = try self.sendOutput() } catch { self.stream.close() }
        self.wakeWriter()
    }
}
