internal import COpenSSL
internal import COpenSSLShim
package import IORuntime
package import Primitives

/// TLS 1.3 (RFC 8446), and nothing older, by OpenSSL. Its contexts are shared by all connections
/// and loops; to change certificates make a new value, and new connections use it.
package struct TLSChannelSecurity: ChannelSecurity {
    /// Whose signature on a door's certificate counts.
    package enum Trust: Sendable {
        /// The authorities that the system's administrator installed.
        case system
        /// These, in PEM.
        case authorities(String)
    }

    private enum Purpose: Sendable {
        case peers(ClusterID, isRevoked: @Sendable (NodeID) -> Bool)
        case doors
    }

    private let purpose: Purpose
    /// Nil when there is no certificate to accept with.
    private let server: TLSContext?
    private let client: TLSContext

    /// Between nodes: both ends show a certificate of the cluster's authority.
    ///
    /// - Parameters:
    ///   - identity: this node's certificate and key.
    ///   - authority: the certificate of the cluster's authority, in PEM; several while it changes.
    ///   - isRevoked: asked in each handshake; must not block.
    package static func peers(
        identity: CertifiedKey, authority: String, cluster: ClusterID,
        isRevoked: @escaping @Sendable (NodeID) -> Bool
    ) throws(CertificateFault) -> TLSChannelSecurity {
        let trust = Trust.authorities(authority)
        return TLSChannelSecurity(
            purpose: .peers(cluster, isRevoked: isRevoked),
            server: try TLSContext(
                .server(asksClient: true), identity: identity, trust: trust),
            client: try TLSContext(
                .client, identity: identity, trust: trust))
    }

    /// Between clients and doors: only the door shows a certificate.
    ///
    /// - Parameters:
    ///   - certificate: the door's; nil on the client's side.
    ///   - trust: whose certificates a client accepts.
    package static func doors(
        certificate: CertifiedKey? = nil, trust: Trust = .system
    ) throws(CertificateFault) -> TLSChannelSecurity {
        var server: TLSContext?
        if let certificate {
            server = try TLSContext(
                .server(asksClient: false), identity: certificate, trust: nil)
        }
        return TLSChannelSecurity(
            purpose: .doors, server: server,
            client: try TLSContext(.client, identity: nil, trust: trust))
    }

    private init(purpose: Purpose, server: TLSContext?, client: TLSContext) {
        self.purpose = purpose
        self.server = server
        self.client = client
    }

    package func secure(
        _ stream: any ByteStream, as role: ChannelRole, deadline: Instant
    ) async throws(StreamFault) -> any SecureChannel {
        do throws(StreamFault) {
            let channel = try self.channel(over: stream, as: role)
            try await channel.shakeHands(by: deadline)
            return channel
        } catch {
            stream.close()
            throw error
        }
    }

    private func channel(
        over stream: any ByteStream, as role: ChannelRole
    ) throws(StreamFault) -> TLSChannel {
        switch (role, self.purpose) {
        case (.server, .peers(let cluster, let isRevoked)):
            let check = PeerCheck(.node(nil, cluster, isRevoked: isRevoked))
            return try TLSChannel(
                try self.connection(self.server, over: stream), check: check, over: stream)
        case (.server, .doors):
            let check = PeerCheck(.validChain)
            return try TLSChannel(
                try self.connection(self.server, over: stream), check: check, over: stream)
        case (.client(let node), .peers(let cluster, let isRevoked)):
            let check = PeerCheck(.node(node, cluster, isRevoked: isRevoked))
            return try TLSChannel(
                try self.connection(self.client, over: stream), check: check, over: stream)
        case (.clientOfHost(let host), .doors):
            let connection = try self.connection(self.client, over: stream)
            try connection.expect(host: host)
            return try TLSChannel(connection, check: PeerCheck(.validChain), over: stream)
        case (.client, .doors), (.clientOfHost, .peers):
            throw .insecure("certificates of peers and of doors do not mix")
        }
    }

    private func connection(
        _ context: TLSContext?, over stream: any ByteStream
    ) throws(StreamFault) -> TLSConnection {
        guard let context else { throw .insecure("no certificate is set to accept with") }
        return try TLSConnection(context, over: stream)
    }
}

/// What all connections of one kind share. Unchecked, because nobody changes it after it was
/// made, and OpenSSL counts its references atomically.
final class TLSContext: @unchecked Sendable {
    enum Side {
        case server(asksClient: Bool)
        case client
    }

    let pointer: OpaquePointer
    let isServer: Bool

    init(
        _ side: Side, identity: CertifiedKey?, trust: TLSChannelSecurity.Trust?
    ) throws(CertificateFault) {
        let method: OpaquePointer?
        switch side {
        case .server:
            method = TLS_server_method()
            self.isServer = true
        case .client:
            method = TLS_client_method()
            self.isServer = false
        }
        guard let pointer = SSL_CTX_new(method) else { throw .taken(from: "SSL_CTX_new") }
        self.pointer = pointer
        guard holdfast_ssl_ctx_only_tls13(pointer) == 1 else {
            throw .taken(from: "SSL_CTX_set_min_proto_version")
        }
        holdfast_ssl_ctx_set_modes(pointer)
        holdfast_ssl_ctx_read_ahead(pointer)
        holdfast_ssl_ctx_without_session_cache(pointer)
        SSL_CTX_set_num_tickets(pointer, Self.ticketCount(side))
        PeerCheck.install(in: pointer)
        switch side {
        case .server(asksClient: true):
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        case .server(asksClient: false):
            SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        case .client:
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        }
        if let identity { try self.use(identity) }
        if let trust { try self.trust(trust) }
    }

    deinit { SSL_CTX_free(self.pointer) }

    /// How many tickets a handshake gives, by which a session is resumed (RFC 8446 §4.6.1).
    ///
    /// Peers get none: a ticket outlives the revocation of the certificate behind it. Clients of doors
    /// have no certificate, and get one. It is sealed by a key of this context alone, and nothing is
    /// kept here for it: another edge, a restart or another certificate means a whole handshake.
    private static func ticketCount(_ side: Side) -> Int {
        switch side {
        case .server(asksClient: false): 1
        case .server(asksClient: true), .client: 0
        }
    }

    private func use(_ identity: CertifiedKey) throws(CertificateFault) {
        let certificates = try PEM.certificates(in: identity.certificatePEM)
        let key = try PEM.privateKey(in: identity.keyPEM)
        guard SSL_CTX_use_certificate(self.pointer, certificates[0].pointer) == 1 else {
            throw .taken(from: "SSL_CTX_use_certificate")
        }
        guard SSL_CTX_use_PrivateKey(self.pointer, key.pointer) == 1 else {
            OpenSSLErrors.clear()
            throw .keyMismatch
        }
        for certificate in certificates.dropFirst() {
            guard holdfast_ssl_ctx_add_chain_certificate(self.pointer, certificate.pointer) == 1
            else { throw .taken(from: "SSL_CTX_add1_chain_cert") }
        }
    }

    private func trust(_ trust: TLSChannelSecurity.Trust) throws(CertificateFault) {
        switch trust {
        case .system:
            guard SSL_CTX_set_default_verify_paths(self.pointer) == 1 else {
                throw .taken(from: "SSL_CTX_set_default_verify_paths")
            }
        case .authorities(let text):
            let store = SSL_CTX_get_cert_store(self.pointer)
            for certificate in try PEM.certificates(in: text) {
                guard X509_STORE_add_cert(store, certificate.pointer) == 1 else {
                    throw .taken(from: "X509_STORE_add_cert")
                }
            }
        }
    }
}
