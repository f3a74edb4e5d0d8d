internal import COpenSSL
internal import Primitives

/// Judges the certificate of one connection's other end, in the middle of the handshake, so that
/// who is refused is told so by an alert. Unchecked, because only its own
/// connection uses it.
final class PeerCheck: @unchecked Sendable {
    enum Expectation {
        /// Any node of the cluster, or just this one, and not revoked.
        case node(NodeID?, ClusterID, isRevoked: @Sendable (NodeID) -> Bool)
        /// Whatever the chain and the host name, which OpenSSL checks, allow.
        case validChain
    }

    private let expectation: Expectation
    /// Who the other end proved to be.
    private(set) var identity = PeerIdentity.anonymous
    /// Why its certificate was refused.
    private(set) var reason: String?

    init(_ expectation: Expectation) { self.expectation = expectation }

    /// Makes every connection of `context` ask its own check, which `attach` gives it.
    static func install(in context: OpaquePointer) {
        SSL_CTX_set_cert_verify_callback(
            context,
            { store, _ in
                let index = SSL_get_ex_data_X509_STORE_CTX_idx()
                guard let ssl = X509_STORE_CTX_get_ex_data(store, index),
                    let check = SSL_get_ex_data(OpaquePointer(ssl), PeerCheck.dataIndex)
                else { return 0 }
                let peerCheck = Unmanaged<PeerCheck>.fromOpaque(check).takeUnretainedValue()
                return peerCheck.accepts(store) ? 1 : 0
            }, nil)
    }

    /// The connection must not outlive the check.
    func attach(to ssl: OpaquePointer) {
        SSL_set_ex_data(ssl, Self.dataIndex, Unmanaged.passUnretained(self).toOpaque())
    }

    /// The slot that OpenSSL leaves to the application.
    private static let dataIndex: Int32 = 0

    private func accepts(_ store: OpaquePointer?) -> Bool {
        guard X509_verify_cert(store) == 1 else {
            let error = X509_STORE_CTX_get_error(store)
            self.reason = X509_verify_cert_error_string(Int(error)).map { String(cString: $0) }
            return false
        }
        switch self.expectation {
        case .validChain:
            return true
        case .node(let expected, let cluster, let isRevoked):
            let uri = NodeURI.of(X509_STORE_CTX_get0_cert(store))
            guard let uri, let named = NodeURI.parse(uri) else {
                return self.refuse(store, "it is not the certificate of a node")
            }
            guard named.cluster == cluster else {
                return self.refuse(store, "it is of cluster \(named.cluster), not \(cluster)")
            }
            if let expected, named.node != expected {
                return self.refuse(store, "it is of node \(named.node), not \(expected)")
            }
            guard !isRevoked(named.node) else {
                X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED)
                self.reason = "the certificate of node \(named.node) is revoked"
                return false
            }
            self.identity = .node(named.node, cluster: cluster)
            return true
        }
    }

    private func refuse(_ store: OpaquePointer?, _ reason: String) -> Bool {
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH)
        self.reason = reason
        return false
    }
}
