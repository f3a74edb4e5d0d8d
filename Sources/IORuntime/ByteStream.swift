import Primitives

/// Where a TCP connection goes. `host` is a numeric address or, where the system resolves names, a
/// name.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: UInt16
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` or `[v6]:port`.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// Whether only this machine itself can be at the other end (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3).
    package var isLoopback: Bool {
        self.host == "::1" || self.host == "localhost" || self.host.hasPrefix("127.")
    }

    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }
}

/// A connected, ordered stream of bytes. Non-blocking: try, and wait when there is nothing to do.
///
/// A stream belongs to the loop it was made on and is used from there only. One reader and one
/// writer may wait at a time. After `close` every call throws `.closed`, and who waits is woken.
package protocol ByteStream: AnyObject, Sendable {
    /// Reads what has arrived, up to the buffer's size. Nil: nothing yet. 0: the peer has ended.
    func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int?

    /// Returns when `readNow` may return something else than nil.
    func readable(by deadline: Instant) async throws(StreamFault)

    /// Takes bytes of `buffers` in order and says how many; 0 when none can leave now.
    func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int

    /// Returns when `writeNow` may take bytes again.
    func writable(by deadline: Instant) async throws(StreamFault)

    /// Says that no more will be written, once what was taken has left.
    func finishWriting()

    /// Gives the stream up, in both directions, at once. Idempotent.
    func close()

    var remoteAddress: SocketAddress { get }
    var loop: any EventLoop { get }
}

package protocol Listener: AnyObject, Sendable {
    /// The next connection. Throws `.closed` after `close`.
    func accept() async throws(StreamFault) -> any ByteStream
    /// With the port that the system chose.
    var address: SocketAddress { get }
    func close()
}

package enum StreamFault: Error, Equatable, Sendable {
    /// Nobody listens there: what a peer process that has ended looks like.
    case refused(SocketAddress)
    /// The peer gave the connection up in the middle.
    case reset
    case unreachable(SocketAddress, errno: Int32)
    case deadlineExceeded
    /// This side has closed the stream.
    case closed
    /// The peer ended the stream where the protocol goes on.
    case endedEarly
    /// The address cannot be listened on.
    case addressInUse(SocketAddress)
    /// The secure channel could not be made or was broken; what the other side did or was.
    case insecure(String)
    case system(call: String, errno: Int32)
}

extension ByteStream {
    /// Writes all of `bytes`, waiting as often as needed.
    package func write(_ bytes: [UInt8], by deadline: Instant) async throws(StreamFault) {
        var written = 0
        while written < bytes.count {
            let taken = try self.takeNow(bytes[written...])
            written += taken
            if taken == 0 { try await self.writable(by: deadline) }
        }
    }

    private func takeNow(_ bytes: ArraySlice<UInt8>) throws(StreamFault) -> Int {
        let result: Result<Int, StreamFault> = bytes.withUnsafeBytes { buffer in
            do throws(StreamFault) { return .success(try self.writeNow([buffer])) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
