import CLinux
import Glibc
import Primitives

extension Descriptor {
    /// recv(2); see `ByteStream.readNow`.
    func receive(
        into buffer: UnsafeMutableRawBufferPointer, from peer: SocketAddress
    ) throws(StreamFault) -> Int? {
        invariant(buffer.count > 0, "a read asks for something, as 0 means the end")
        guard try self.mayTry(.reading) else { return nil }
        while true {
            let count = recv(self.number, buffer.baseAddress, buffer.count, 0)
            if count > 0 {
                self.tried(.reading, moved: count, wanted: buffer.count)
                return count
            }
            if count == 0 {
                // What arrived before the stream broke has been read by now.
                if let failure = self.failure { throw failure }
                return 0
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                self.wouldBlock(.reading)
                return nil
            case let error: throw self.broke(call: "recv", error, peer)
            }
        }
    }

    /// sendmsg(2) of buffers of `total` bytes; see `ByteStream.writeNow`.
    func send(
        _ buffers: UnsafeBufferPointer<iovec>, total: Int, to peer: SocketAddress
    ) throws(StreamFault) -> Int {
        guard try self.mayTry(.writing) else { return 0 }
        if let failure = self.failure { throw failure }
        guard total > 0, let first = buffers.baseAddress else { return 0 }
        while true {
            let count = holdfast_send(self.number, first, Int32(buffers.count))
            if count >= 0 {
                self.tried(.writing, moved: count, wanted: total)
                return count
            }
            switch Int32(-count) {
            case EINTR: continue
            case EAGAIN:
                self.wouldBlock(.writing)
                return 0
            case let error: throw self.broke(call: "sendmsg", error, peer)
            }
        }
    }

    func finishWriting() {
        self.loop.execute {
            guard self.number >= 0 else { return }
            // ENOTCONN: the peer was faster and has reset the stream, which reads will say.
            _ = shutdown(self.number, Int32(SHUT_WR))
        }
    }

    private func broke(call: String, _ error: Int32, _ peer: SocketAddress) -> StreamFault {
        let fault = StreamFault(call: call, errno: error, peer: peer)
        self.failure = fault
        return fault
    }
}

extension StreamFault {
    /// What the error of a call on a socket means to a protocol.
    init(call: String, errno error: Int32, peer: SocketAddress) {
        switch error {
        case ECONNREFUSED: self = .refused(peer)
        case ECONNRESET, EPIPE, ECONNABORTED: self = .reset
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN:
            self = .unreachable(peer, errno: error)
        case EADDRINUSE: self = .addressInUse(peer)
        default: self = .system(call: call, errno: error)
        }
    }
}
