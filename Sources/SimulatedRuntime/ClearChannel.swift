import Cryptography
import IORuntime
import Primitives

/// Says in clear who one is, and believes the other side: what TLS is to a process, for a world in
/// which nobody lies about their key. Whom TLS would refuse, this refuses too.
package struct ClearChannelSecurity: ChannelSecurity {
    /// What the other side is told.
    package let identity: PeerIdentity
    /// The host names that this side's certificate would be valid for.
    package let hostNames: [String]
    /// Whether a server takes only clients that are nodes of its own cluster.
    package let requiresNode: Bool

    package init(identity: PeerIdentity, hostNames: [String] = [], requiresNode: Bool = false) {
        self.identity = identity
        self.hostNames = hostNames
        self.requiresNode = requiresNode
    }

    package func secure(
        _ stream: any ByteStream, as role: ChannelRole, deadline: Instant
    ) async throws(StreamFault) -> any SecureChannel {
        do throws(StreamFault) {
            let peer =
                switch role {
                case .server: try await self.answer(stream, deadline)
                case .client, .clientOfHost: try await self.introduce(stream, role, deadline)
                }
            return ClearChannel(stream, peer)
        } catch {
            stream.close()
            throw error
        }
    }

    private var hello: ClearHello { ClearHello(identity: self.identity, hostNames: self.hostNames) }

    private func introduce(
        _ stream: any ByteStream, _ role: ChannelRole, _ deadline: Instant
    ) async throws(StreamFault) -> PeerIdentity {
        try await stream.write(self.hello.encoded, by: deadline)
        let answer = try await Self.receive(stream, deadline)
        switch role {
        case .client(let node):
            guard case .node(node, let cluster) = answer.identity, self.isOwn(cluster) else {
                throw .insecure("\(answer.identity) answered where node \(node) was called")
            }
        case .clientOfHost(let name):
            guard answer.hostNames.contains(name) else {
                throw .insecure("the certificate is not valid for \(name)")
            }
        case .server:
            break
        }
        return answer.identity
    }

    private func answer(
        _ stream: any ByteStream, _ deadline: Instant
    ) async throws(StreamFault) -> PeerIdentity {
        let client = try await Self.receive(stream, deadline)
        if self.requiresNode {
            guard case .node(_, let cluster) = client.identity, self.isOwn(cluster) else {
                throw .insecure("\(client.identity) is no node of this cluster")
            }
        }
        try await stream.write(self.hello.encoded, by: deadline)
        return client.identity
    }

    private func isOwn(_ cluster: ClusterID) -> Bool {
        switch self.identity {
        case .node(_, let own): own == cluster
        case .anonymous: true
        }
    }

    private static func receive(
        _ stream: any ByteStream, _ deadline: Instant
    ) async throws(StreamFault) -> ClearHello {
        let prefix = try await Self.read(ClearHello.prefixBytes, from: stream, deadline)
        let count = try Self.parsed { () throws(FormatFault) in
            try ClearHello.bodyBytes(prefix: prefix)
        }
        let body = try await Self.read(count, from: stream, deadline)
        return try Self.parsed { () throws(FormatFault) in try ClearHello(body: body) }
    }

    private static func parsed<Value>(
        _ parse: () throws(FormatFault) -> Value
    ) throws(StreamFault) -> Value {
        do throws(FormatFault) { return try parse() } catch {
            throw .insecure("no hello: \(error)")
        }
    }

    private static func read(
        _ count: Int, from stream: any ByteStream, _ deadline: Instant
    ) async throws(StreamFault) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var part = [UInt8](repeating: 0, count: count - bytes.count)
            let result: Result<Int?, StreamFault> = part.withUnsafeMutableBytes { buffer in
                do throws(StreamFault) { return .success(try stream.readNow(into: buffer)) } catch {
                    return .failure(error)
                }
            }
            switch try result.get() {
            case nil: try await stream.readable(by: deadline)
            case 0?: throw .insecure("the other side ended the handshake")
            case let arrived?: bytes += part[..<arrived]
            }
        }
        return bytes
    }
}

/// A stream whose other end has said who it is.
///
/// `Sendable` as the stream below it is: it holds nothing that changes.
package final class ClearChannel: SecureChannel {
    package let peer: PeerIdentity
    package var provesBytes: Bool { false }
    private let stream: any ByteStream

    init(_ stream: any ByteStream, _ peer: PeerIdentity) {
        self.stream = stream
        self.peer = peer
    }

    package func readNow(into buffer: UnsafeMutableRawBufferPointer) throws(StreamFault) -> Int? {
        try self.stream.readNow(into: buffer)
    }

    package func readable(by deadline: Instant) async throws(StreamFault) {
        try await self.stream.readable(by: deadline)
    }

    package func writeNow(_ buffers: [UnsafeRawBufferPointer]) throws(StreamFault) -> Int {
        try self.stream.writeNow(buffers)
    }

    package func writable(by deadline: Instant) async throws(StreamFault) {
        try await self.stream.writable(by: deadline)
    }

    package func finishWriting() { self.stream.finishWriting() }
    package func close() { self.stream.close() }
    package var remoteAddress: SocketAddress { self.stream.remoteAddress }
    package var loop: any EventLoop { self.stream.loop }
}
