import Cryptography
import IORuntime
import Primitives
import Wire

extension Hello {
    /// What the other end says when all is well.
    var answer: Hello {
        Hello(
            lane: self.lane, sender: self.addressee, addressee: self.sender,
            cluster: self.cluster)
    }

    func write(to channel: any SecureChannel, deadline: Instant) async throws(LinkFault) {
        var bytes: [UInt8] = []
        Frame(kind: .hello, payload: self.encoded).append(to: &bytes)
        do throws(StreamFault) { try await channel.write(bytes, by: deadline) } catch {
            throw .stream(error)
        }
    }

    static func read(
        from channel: any SecureChannel, _ decoder: inout FrameDecoder, deadline: Instant
    ) async throws(LinkFault) -> Hello {
        let frame = try await FrameLink.firstFrame(
            from: channel, into: &decoder, deadline: deadline)
        guard frame.kind == .hello else { throw .unexpected(frame.kind) }
        do throws(FormatFault) { return try Hello(decoding: frame.payload) } catch {
            throw .format(error)
        }
    }
}
