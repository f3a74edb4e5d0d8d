import Cryptography
import Foundation
import IORuntime
import Primitives
import Testing

/// Two clusters with their authorities, made once.
struct TLSFixture {
    let cluster: ClusterID
    let authority: CertificateAuthority

    /// Certificates are checked against the machine's own clock, so they are made for it.
    init(clusterByte: UInt8) throws {
        self.cluster = try #require(ClusterID(bytes: [UInt8](repeating: clusterByte, count: 16)))
        self.authority = try CertificateAuthority.make(cluster: self.cluster, now: Self.today)
    }

    static let today = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))

    func node(_ number: UInt32, at time: Timestamp = today) throws -> CertifiedKey {
        try self.authority.issue(
            node: NodeID(number), names: ["127.0.0.1", "localhost"], now: time)
    }

    func peers(
        _ number: UInt32, revoked: Set<NodeID> = []
    ) throws -> TLSChannelSecurity {
        try self.peers(identity: self.node(number), revoked: revoked)
    }

    func peers(
        identity: CertifiedKey, revoked: Set<NodeID> = []
    ) throws -> TLSChannelSecurity {
        try TLSChannelSecurity.peers(
            identity: identity, authority: self.authority.pem.certificatePEM,
            cluster: self.cluster, isRevoked: { revoked.contains($0) })
    }
}

/// What came of a handshake at both ends.
struct Handshake {
    let loop: SteppingLoop
    let streams: (client: MemoryStream, server: MemoryStream)
    let client: Result<any SecureChannel, StreamFault>
    let server: Result<any SecureChannel, StreamFault>

    init(
        _ clientSecurity: TLSChannelSecurity, as role: ChannelRole,
        with serverSecurity: TLSChannelSecurity, capacity: Int = 65_536,
        prepare: (MemoryStream, MemoryStream) -> Void = { _, _ in }
    ) {
        let loop = SteppingLoop()
        let streams = MemoryStream.pair(on: loop, capacity: capacity)
        prepare(streams.client, streams.server)
        let client = Box<Result<any SecureChannel, StreamFault>?>(nil)
        let server = Box<Result<any SecureChannel, StreamFault>?>(nil)
        _ = loop.run {
            let accepting = loop.spawn {
                server.value = await Self.secure(streams.server, as: .server, serverSecurity)
            }
            client.value = await Self.secure(streams.client, as: role, clientSecurity)
            await accepting.finished()
        }
        self.loop = loop
        self.streams = streams
        self.client = client.value ?? .failure(.deadlineExceeded)
        self.server = server.value ?? .failure(.deadlineExceeded)
    }

    static func secure(
        _ stream: any ByteStream, as role: ChannelRole, _ security: TLSChannelSecurity
    ) async -> Result<any SecureChannel, StreamFault> {
        do throws(StreamFault) {
            let deadline = stream.loop.now + .seconds(5)
            return .success(try await security.secure(stream, as: role, deadline: deadline))
        } catch { return .failure(error) }
    }

    var clientFault: StreamFault? {
        if case .failure(let fault) = self.client { fault } else { nil }
    }

    var serverFault: StreamFault? {
        if case .failure(let fault) = self.server { fault } else { nil }
    }

    /// The reason at either end, as text.
    var reasons: String {
        "\(String(describing: self.clientFault)) / \(String(describing: self.serverFault))"
    }
}

extension ByteStream {
    /// Reads until the end, or until `limit` bytes are there.
    func readAll(limit: Int = .max, by deadline: Instant) async throws(StreamFault) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < limit {
            guard let piece = try self.readPiece() else {
                try await self.readable(by: deadline)
                continue
            }
            if piece.isEmpty { return all }
            all += piece
        }
        return all
    }

    private func readPiece() throws(StreamFault) -> [UInt8]? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 10_000, alignment: 1)
        defer { buffer.deallocate() }
        return try self.readNow(into: buffer).map { Array(buffer[..<$0]) }
    }

    /// Writes pieces of `size` bytes each in one call.
    func writeNow(_ bytes: [UInt8], inPiecesOf size: Int) throws(StreamFault) -> Int {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        return try self.writeNow(
            stride(from: 0, to: bytes.count, by: size).map {
                UnsafeRawBufferPointer(rebasing: buffer[$0..<min($0 + size, bytes.count)])
            })
    }
}
