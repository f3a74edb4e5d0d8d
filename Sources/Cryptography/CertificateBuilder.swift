internal import COpenSSL
internal import COpenSSLShim
internal import Primitives

/// An X.509 certificate. Unchecked, because nobody changes it after it was signed or read, and
/// OpenSSL counts its references atomically.
final class CertificateHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { X509_free(self.pointer) }
}

/// A certificate in the making (X.509 version 3, RFC 5280).
struct CertificateBuilder {
    private let certificate: CertificateHandle

    static func makeKey() throws(CertificateFault) -> KeyHandle {
        guard let key = holdfast_make_p256_key() else { throw .taken(from: "EVP_EC_gen") }
        return KeyHandle(key)
    }

    init(
        commonName: String, key: KeyHandle, validFrom: Timestamp, until: Timestamp
    ) throws(CertificateFault) {
        guard let pointer = X509_new() else { throw .taken(from: "X509_new") }
        self.certificate = CertificateHandle(pointer)
        let version3 = 2
        guard X509_set_version(pointer, version3) == 1, X509_set_pubkey(pointer, key.pointer) == 1
        else { throw .taken(from: "X509_set_pubkey") }
        try self.setSerialNumber()
        let from = ASN1_TIME_set(nil, Int(validFrom.seconds))
        let end = ASN1_TIME_set(nil, Int(until.seconds))
        defer {
            ASN1_TIME_free(from)
            ASN1_TIME_free(end)
        }
        guard let from, let end, X509_set1_notBefore(pointer, from) == 1,
            X509_set1_notAfter(pointer, end) == 1
        else { throw .taken(from: "X509_set1_notAfter") }
        let name = Array(commonName.utf8.prefix(64))
        let added = X509_NAME_add_entry_by_NID(
            X509_get_subject_name(pointer), NID_commonName, MBSTRING_FLAG, name,
            Int32(name.count), -1, 0)
        guard added == 1 else { throw .taken(from: "X509_NAME_add_entry_by_NID") }
    }

    /// 127 random bits: unique without a counter (RFC 5280 §4.1.2.2 allows 20 bytes).
    private func setSerialNumber() throws(CertificateFault) {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard RAND_bytes(&bytes, Int32(bytes.count)) == 1 else { throw .taken(from: "RAND_bytes") }
        bytes[0] = bytes[0] & 0x7f | 0x01
        let number = BN_bin2bn(bytes, Int32(bytes.count), nil)
        defer { BN_free(number) }
        let serial = BN_to_ASN1_INTEGER(number, nil)
        defer { ASN1_INTEGER_free(serial) }
        guard let serial, X509_set_serialNumber(self.certificate.pointer, serial) == 1 else {
            throw .taken(from: "X509_set_serialNumber")
        }
    }

    /// Sets the issuer (nil: the certificate itself) and adds extensions, in OpenSSL's notation.
    func extend(
        issuer: CertificateHandle?, _ extensions: [(nid: Int32, value: String)]
    ) throws(CertificateFault) {
        let pointer = self.certificate.pointer
        let issuer = issuer?.pointer ?? pointer
        guard X509_set_issuer_name(pointer, X509_get_subject_name(issuer)) == 1 else {
            throw .taken(from: "X509_set_issuer_name")
        }
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, pointer, nil, nil, 0)
        for (nid, value) in extensions {
            let made = X509V3_EXT_conf_nid(nil, &context, nid, value)
            defer { X509_EXTENSION_free(made) }
            guard let made, X509_add_ext(pointer, made, -1) == 1 else {
                throw .taken(from: "X509V3_EXT_conf_nid(\(value))")
            }
        }
    }

    func signed(by key: KeyHandle) throws(CertificateFault) -> CertificateHandle {
        guard X509_sign(self.certificate.pointer, key.pointer, EVP_sha256()) > 0 else {
            throw .taken(from: "X509_sign")
        }
        return self.certificate
    }
}

/// Certificates and keys as text (RFC 7468).
enum PEM {
    /// A chain longer than this is nobody's.
    static let certificatesLimit = 512

    static func text(of certificate: CertificateHandle) throws(CertificateFault) -> String {
        try Self.text { PEM_write_bio_X509($0, certificate.pointer) == 1 }
    }

    static func text(of key: KeyHandle) throws(CertificateFault) -> String {
        try Self.text { PEM_write_bio_PrivateKey($0, key.pointer, nil, nil, 0, nil, nil) == 1 }
    }

    /// All certificates in `text`, in their order; at least one.
    static func certificates(in text: String) throws(CertificateFault) -> [CertificateHandle] {
        var certificates: [CertificateHandle] = []
        let bio = try Self.memory(text)
        defer {
            BIO_free(bio)
            OpenSSLErrors.clear()
        }
        while certificates.count < Self.certificatesLimit,
            let pointer = PEM_read_bio_X509(bio, nil, noPassword, nil)
        {
            certificates.append(CertificateHandle(pointer))
        }
        guard !certificates.isEmpty else {
            throw .unreadable(
                what: "certificate", reason: OpenSSLErrors.takeReason() ?? "none found")
        }
        return certificates
    }

    static func privateKey(in text: String) throws(CertificateFault) -> KeyHandle {
        let bio = try Self.memory(text)
        defer { BIO_free(bio) }
        guard let key = PEM_read_bio_PrivateKey(bio, nil, noPassword, nil) else {
            throw .unreadable(
                what: "private key", reason: OpenSSLErrors.takeReason() ?? "none found")
        }
        return KeyHandle(key)
    }

    /// A BIO that reads a copy of `text`.
    private static func memory(_ text: String) throws(CertificateFault) -> OpaquePointer {
        let bytes = Array(text.utf8)
        guard let bio = BIO_new(BIO_s_mem()) else { throw .taken(from: "BIO_new") }
        guard bytes.isEmpty || BIO_write(bio, bytes, Int32(clamping: bytes.count)) == bytes.count
        else {
            BIO_free(bio)
            throw .taken(from: "BIO_write")
        }
        return bio
    }

    private static func text(
        _ write: (OpaquePointer) -> Bool
    ) throws(CertificateFault) -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { throw .taken(from: "BIO_new") }
        defer { BIO_free(bio) }
        guard write(bio) else { throw .taken(from: "PEM_write_bio") }
        var start: UnsafePointer<CChar>?
        let count = holdfast_bio_contents(bio, &start)
        let bytes = UnsafeBufferPointer(start: start, count: count)
        return String(decoding: bytes.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Without it OpenSSL would ask the terminal for the password of an encrypted key.
private func noPassword(
    _: UnsafeMutablePointer<CChar>?, _: Int32, _: Int32, _: UnsafeMutableRawPointer?
) -> Int32 { -1 }
