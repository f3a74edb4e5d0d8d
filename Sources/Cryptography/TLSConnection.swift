internal import COpenSSL
internal import COpenSSLShim
internal import IORuntime
internal import Primitives

/// One connection's state in OpenSSL, between plaintext and the stream below: takes ciphertext from
/// the stream as it needs it, and leaves what is to be sent in a buffer. Never waits. Unchecked,
/// because one channel, on the stream's loop, owns it.
///
/// The thread's error queue is emptied before each call and read right after it, so that nothing
/// leaks from one connection into another.
final class TLSConnection: @unchecked Sendable {
    /// Ciphertext waiting to leave: eight full records go out in one send.
    static let outputCapacityBytes = 140 << 10
    /// Kept free of application data, for what the protocol itself must say, and for the overhead
    /// of a record (RFC 8446 §5.2: 5 bytes of header, 1 of type, 16 of tag).
    private static let outputReserveBytes = 512
    /// RFC 8446 §5.1.
    private static let recordLimitBytes = 16_384
    /// A longer piece waits rather than be cut to less than this.
    private static let leastRecordBytes = 4_096

    enum Outcome {
        case bytes(Int)
        /// Nothing more without more ciphertext from the other end, which the stream does not have
        /// now; `inputFault` says whether it ever will.
        case needsInput
        /// The other end has said that it will send no more.
        case ended
        case failed(StreamFault)
    }

    private let ssl: OpaquePointer
    private let buffers: UnsafeMutablePointer<holdfast_tls_buffers>
    // Shared, and here so that the one outlives the other.
    private let context: TLSContext
    private var check: PeerCheck?
    private let stream: any ByteStream
    /// Why the stream gives no more ciphertext.
    private(set) var inputFault: StreamFault?

    init(_ context: TLSContext, over stream: any ByteStream) throws(StreamFault) {
        OpenSSLErrors.clear()
        guard let ssl = SSL_new(context.pointer) else { throw Self.fault(of: nil) }
        self.context = context
        self.stream = stream
        self.ssl = ssl
        self.buffers = .allocate(capacity: 1)
        self.buffers.initialize(to: holdfast_tls_buffers())
        // Called by this connection's own calls into OpenSSL only, so it is there.
        self.buffers.pointee.source = Unmanaged.passUnretained(self).toOpaque()
        self.buffers.pointee.pull = { source, bytes, count in
            guard let source, let bytes else { return 0 }
            let connection = Unmanaged<TLSConnection>.fromOpaque(source).takeUnretainedValue()
            return connection.pull(into: UnsafeMutableRawBufferPointer(start: bytes, count: count))
        }
        guard let bio = holdfast_tls_bio(self.buffers) else { throw Self.fault(of: nil) }
        SSL_set_bio(ssl, bio, bio)
        if context.isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }

    deinit {
        SSL_free(self.ssl)
        self.buffers.pointee.out?.deallocate()
        self.buffers.deallocate()
    }

    func use(_ check: PeerCheck) {
        self.check = check
        check.attach(to: self.ssl)
    }

    /// Lets the handshake succeed only if the certificate is valid for this name or address.
    func expect(host: String) throws(StreamFault) {
        let parameters = SSL_get0_param(self.ssl)
        if X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1 { return }
        OpenSSLErrors.clear()
        X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        guard X509_VERIFY_PARAM_set1_host(parameters, host, host.utf8.count) == 1,
            holdfast_ssl_set_server_name(self.ssl, host) == 1
        else {
            OpenSSLErrors.clear()
            throw .insecure("\"\(host)\" is not a host name")
        }
    }

    // MARK: Plaintext

    /// Goes on with the handshake; `.bytes` when it is done.
    func shakeHands() -> Outcome {
        self.allocateOutput()
        OpenSSLErrors.clear()
        let result = SSL_do_handshake(self.ssl)
        return result == 1 ? .bytes(0) : self.outcome(of: result)
    }

    /// Decodes as much as is there, at most one record.
    func decode(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        // An answer to the other end's change of keys needs a place to go.
        self.allocateOutput()
        OpenSSLErrors.clear()
        var count = 0
        let result = SSL_read_ex(self.ssl, buffer.baseAddress, buffer.count, &count)
        return result == 1 ? .bytes(count) : self.outcome(of: result)
    }

    /// Whether `encode` takes bytes.
    var hasRoom: Bool { self.room >= Self.leastRecordBytes }

    /// Encodes the bytes at the cursor into one record, if there is room for it.
    /// `.bytes(0)`: not now.
    func encode(_ cursor: inout GatheringCursor) -> Outcome {
        self.allocateOutput()
        let room = min(self.room, Self.recordLimitBytes)
        guard room >= min(cursor.remaining, Self.leastRecordBytes) else { return .bytes(0) }
        OpenSSLErrors.clear()
        var count = 0
        let result = cursor.withBytes(limit: room) {
            SSL_write_ex(self.ssl, $0.baseAddress, $0.count, &count)
        }
        guard result == 1 else { return self.outcome(of: result) }
        cursor.advance(by: count)
        return .bytes(count)
    }

    /// Encodes that no more will come (RFC 8446 §6.1).
    func encodeEnd() {
        self.allocateOutput()
        OpenSSLErrors.clear()
        SSL_shutdown(self.ssl)
        OpenSSLErrors.clear()
    }

    // MARK: Ciphertext

    /// Takes what has arrived on the stream; 0 when there is nothing now, or nothing any more.
    private func pull(into room: UnsafeMutableRawBufferPointer) -> Int {
        guard self.inputFault == nil else { return 0 }
        do throws(StreamFault) {
            guard let count = try self.stream.readNow(into: room) else { return 0 }
            // Without the other end's farewell, somebody between may have cut the stream off.
            if count == 0 { self.inputFault = .endedEarly }
            return count
        } catch {
            self.inputFault = error
            return 0
        }
    }

    /// Ciphertext that has yet to leave.
    var output: UnsafeRawBufferPointer {
        let buffers = self.buffers.pointee
        guard let start = buffers.out else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(
            start: start + buffers.out_start, count: buffers.out_end - buffers.out_start)
    }

    func sent(_ count: Int) {
        self.buffers.pointee.out_start += count
        if self.buffers.pointee.out_start == self.buffers.pointee.out_end {
            self.buffers.pointee.out_start = 0
            self.buffers.pointee.out_end = 0
        }
    }

    /// Gives the output buffer back when it holds nothing, as OpenSSL does with its own: an idle
    /// connection costs little more than its keys.
    func releaseIdleBuffers() {
        if self.output.isEmpty {
            self.buffers.pointee.out?.deallocate()
            self.buffers.pointee.out = nil
            self.buffers.pointee.out_capacity = 0
        }
    }

    private var room: Int {
        guard self.buffers.pointee.out != nil else {
            return Self.outputCapacityBytes - Self.outputReserveBytes
        }
        return Self.outputCapacityBytes - self.buffers.pointee.out_end - Self.outputReserveBytes
    }

    private func allocateOutput() {
        guard self.buffers.pointee.out == nil else { return }
        self.buffers.pointee.out = .allocate(capacity: Self.outputCapacityBytes)
        self.buffers.pointee.out_capacity = Self.outputCapacityBytes
    }

    // MARK: Faults

    private func outcome(of result: Int32) -> Outcome {
        switch SSL_get_error(self.ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsInput
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_WANT_WRITE:
            // The reserve is used up by answers that the other end does not read.
            return .failed(.insecure("the other end changes keys faster than it reads"))
        case _: return .failed(Self.fault(of: self.check))
        }
    }

    private static func fault(of check: PeerCheck?) -> StreamFault {
        let reason = OpenSSLErrors.takeReason() ?? "OpenSSL gives no reason"
        if let refused = check?.reason {
            return .insecure("the other end's certificate is refused: \(refused)")
        }
        switch reason {
        case "wrong version number", "http request", "https proxy request",
            "packet length too long", "unsupported protocol", "bad record type":
            return .insecure("the other end does not speak TLS 1.3: \(reason)")
        case "peer did not return a certificate":
            return .insecure("the other end shows no certificate, and only nodes may connect here")
        case _ where reason.hasSuffix("alert unknown ca"):
            return .insecure(
                "the other end refuses our certificate: it does not know the authority")
        case _ where reason.contains("alert"):
            return .insecure("the other end refuses: \(reason)")
        case _:
            return .insecure("TLS: \(reason)")
        }
    }
}

/// Walks over several buffers as if they were one.
struct GatheringCursor {
    private var buffers: ArraySlice<UnsafeRawBufferPointer>
    /// Bytes of the first buffer that are behind us.
    private var offset = 0
    private(set) var remaining: Int

    init(_ buffers: [UnsafeRawBufferPointer]) {
        self.buffers = buffers[...]
        self.remaining = buffers.reduce(0) { $0 + $1.count }
        self.skipEmpty()
    }

    /// Hands over the next bytes, at most `limit`. They are copied only where a short buffer is
    /// followed by another, so that a head and its body share a record.
    func withBytes<Value>(limit: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        let count = min(limit, self.remaining)
        guard let first = self.buffers.first else {
            return body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
        if first.count - self.offset >= count {
            return body(UnsafeRawBufferPointer(rebasing: first[self.offset..<self.offset + count]))
        }
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { staging in
            var filled = 0
            var start = self.offset
            for buffer in self.buffers {
                let piece = min(buffer.count - start, count - filled)
                staging[filled..<filled + piece].copyBytes(from: buffer[start..<start + piece])
                filled += piece
                start = 0
                if filled == count { break }
            }
            return body(UnsafeRawBufferPointer(staging))
        }
    }

    mutating func advance(by count: Int) {
        self.remaining -= count
        self.offset += count
        self.skipEmpty()
    }

    private mutating func skipEmpty() {
        while let first = self.buffers.first, self.offset >= first.count {
            self.offset -= first.count
            self.buffers.removeFirst()
        }
    }
}
