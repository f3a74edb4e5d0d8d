internal import COpenSSL
internal import COpenSSLShim
package import Primitives

/// Why a certificate could not be made or read.
package enum CertificateFault: Error, Equatable, Sendable {
    /// The text holds no certificate or key in PEM, or one that OpenSSL cannot read.
    case unreadable(what: String, reason: String)
    /// The certificate is not that of a Holdfast cluster's authority.
    case notAnAuthority
    /// The private key is not the certificate's.
    case keyMismatch
    /// Not a host name or a numeric address.
    case badName(String)
    /// OpenSSL refused; `call` says where.
    case openSSL(call: String, reason: String)

    static func taken(from call: String) -> CertificateFault {
        .openSSL(call: call, reason: OpenSSLErrors.takeReason() ?? "no reason given")
    }
}

/// A certificate (with those that lead from it to its authority, if any, behind it) and its private
/// key, both in PEM.
package struct CertifiedKey: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    package let certificatePEM: String
    package let keyPEM: String

    package init(certificatePEM: String, keyPEM: String) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }

    package var description: String { "CertifiedKey" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The name under which a node's certificate stands in its subject alternative names (RFC 5280
/// §4.2.1.6): `holdfast://CLUSTER/node/7`.
enum NodeURI {
    static let lengthLimit = 128

    static func text(_ node: NodeID, of cluster: ClusterID) -> String {
        "holdfast://\(cluster)/node/\(node)"
    }

    static func authority(of cluster: ClusterID) -> String { "holdfast://\(cluster)/authority" }

    /// Nil for anything that `text` would not write.
    static func parse(_ text: String) -> (node: NodeID, cluster: ClusterID)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, let cluster = ClusterID(parts[2]), let number = UInt32(parts[4]),
            Self.text(NodeID(number), of: cluster) == text
        else { return nil }
        return (NodeID(number), cluster)
    }

    static func parseAuthority(_ text: String) -> ClusterID? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 4, let cluster = ClusterID(parts[2]),
            Self.authority(of: cluster) == text
        else { return nil }
        return cluster
    }

    /// The only URI that a certificate names.
    static func of(_ certificate: OpaquePointer?) -> String? {
        var text = [CChar](repeating: 0, count: Self.lengthLimit)
        let count = holdfast_certificate_uri(certificate, &text, text.count)
        guard count >= 0 else { return nil }
        return String(validating: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The authority of one cluster: signs the certificates by which its nodes know each other. Its key
/// stays with the operator, outside the nodes.
package struct CertificateAuthority: Sendable {
    package static let validity: Duration = .seconds(20 * 365 * 86_400)
    package static let issuedValidity: Duration = .seconds(5 * 365 * 86_400)
    /// Clocks that are behind ours by less accept a new certificate.
    package static let backdating: Duration = .seconds(3_600)

    package let cluster: ClusterID
    /// What the nodes trust, and the key, in PEM.
    package let pem: CertifiedKey
    private let certificate: CertificateHandle
    private let key: KeyHandle

    /// Makes the authority of a new cluster. The key is of OpenSSL's own randomness.
    package static func make(
        cluster: ClusterID, now: Timestamp
    ) throws(CertificateFault) -> CertificateAuthority {
        let key = try CertificateBuilder.makeKey()
        let builder = try CertificateBuilder(
            commonName: "Holdfast cluster \(cluster)", key: key,
            validFrom: now + (.zero - Self.backdating), until: now + Self.validity)
        try builder.extend(
            issuer: nil,
            [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
                (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
                (NID_subject_alt_name, "URI:\(NodeURI.authority(of: cluster))"),
            ])
        let certificate = try builder.signed(by: key)
        let pem = CertifiedKey(
            certificatePEM: try PEM.text(of: certificate), keyPEM: try PEM.text(of: key))
        return CertificateAuthority(
            cluster: cluster, pem: pem, certificate: certificate, key: key)
    }

    /// Reads back what `make` made.
    package init(_ pem: CertifiedKey) throws(CertificateFault) {
        let certificates = try PEM.certificates(in: pem.certificatePEM)
        guard let certificate = certificates.first,
            let uri = NodeURI.of(certificate.pointer),
            let cluster = NodeURI.parseAuthority(uri)
        else { throw .notAnAuthority }
        let key = try PEM.privateKey(in: pem.keyPEM)
        guard X509_check_private_key(certificate.pointer, key.pointer) == 1 else {
            OpenSSLErrors.clear()
            throw .keyMismatch
        }
        self.init(cluster: cluster, pem: pem, certificate: certificate, key: key)
    }

    private init(
        cluster: ClusterID, pem: CertifiedKey, certificate: CertificateHandle, key: KeyHandle
    ) {
        self.cluster = cluster
        self.pem = pem
        self.certificate = certificate
        self.key = key
    }

    /// The certificate by which `node` proves itself to its peers, as server and as client.
    ///
    /// - Parameter names: host names and numeric addresses under which it is reached.
    package func issue(
        node: NodeID, names: [String], now: Timestamp
    ) throws(CertificateFault) -> CertifiedKey {
        try self.issue(
            commonName: "Holdfast node \(node)",
            alternativeNames: ["URI:\(NodeURI.text(node, of: self.cluster))"]
                + Self.alternativeNames(names),
            usage: "serverAuth,clientAuth", now: now)
    }

    /// A certificate for a door: it proves a host's name to clients, and is no node's.
    package func issueDoor(
        names: [String], now: Timestamp
    ) throws(CertificateFault) -> CertifiedKey {
        guard let first = names.first else { throw .badName("") }
        return try self.issue(
            commonName: first, alternativeNames: Self.alternativeNames(names),
            usage: "serverAuth", now: now)
    }

    private func issue(
        commonName: String, alternativeNames: [String], usage: String, now: Timestamp
    ) throws(CertificateFault) -> CertifiedKey {
        let key = try CertificateBuilder.makeKey()
        let builder = try CertificateBuilder(
            commonName: commonName, key: key, validFrom: now + (.zero - Self.backdating),
            until: now + Self.issuedValidity)
        try builder.extend(
            issuer: self.certificate,
            [
                (NID_basic_constraints, "critical,CA:FALSE"),
                (NID_key_usage, "critical,digitalSignature"),
                (NID_ext_key_usage, usage),
                (NID_subject_key_identifier, "hash"),
                (NID_authority_key_identifier, "keyid:always"),
                (NID_subject_alt_name, alternativeNames.joined(separator: ",")),
            ])
        let certificate = try builder.signed(by: self.key)
        return CertifiedKey(
            certificatePEM: try PEM.text(of: certificate), keyPEM: try PEM.text(of: key))
    }

    /// In the form of OpenSSL's configuration, where a comma would begin another name: so only what
    /// names and addresses are made of gets in.
    private static func alternativeNames(_ names: [String]) throws(CertificateFault) -> [String] {
        var texts: [String] = []
        for name in names {
            let isNumeric =
                name.contains(":") || name.utf8.allSatisfy { "0123456789.".utf8.contains($0) }
            let allowed = isNumeric ? "0123456789abcdefABCDEF.:" : Self.hostCharacters
            guard !name.isEmpty, name.utf8.count <= 253,
                name.utf8.allSatisfy({ allowed.utf8.contains($0) })
            else { throw .badName(name) }
            texts.append(isNumeric ? "IP:\(name)" : "DNS:\(name)")
        }
        return texts
    }

    private static let hostCharacters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*"
}
