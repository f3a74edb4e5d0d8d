import Catalog
import Cryptography
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// What the head of a PutObject says: what to store, and how the body proves itself.
package struct PutRequest: Sendable {
    package private(set) var options: PutOptions
    package private(set) var form = BodyForm()
    /// The body's SHA-256 was stated by the request's signature.
    private var isSignedHash = false

    /// - Parameters:
    ///   - mayLackLength: without any length there is no body, which for an object is more likely a
    ///     client's mistake than its wish.
    ///   - statesChecksum: whether the fields of a checksum speak of this body.
    package init(
        _ head: RequestHead, payload: SigV4Payload, mayLackLength: Bool = false,
        statesChecksum: Bool = true
    ) throws(S3Refusal) {
        try Self.refuseUnknown(head.fields)
        self.options = try PutOptions(head)
        if !mayLackLength, head.framing == .none, !head.fields.contains("content-length") {
            throw S3Refusal(.missingContentLength)
        }
        switch payload {
        case .hash(let digest):
            self.options.stated.sha256 = digest
            self.isSignedHash = true
        case .unsigned: break
        case .signedChunks(let withTrailer):
            self.form.encoding = .chunks(isSigned: true)
            try self.readChunked(head.fields, withTrailer: withTrailer)
        case .unsignedChunksWithTrailer:
            self.form.encoding = .chunks(isSigned: false)
            try self.readChunked(head.fields, withTrailer: true)
        }
        if statesChecksum { try self.readChecksum(head.fields) }
        self.options.statedChunks = try Self.statedChunks(head.fields)
    }

    /// The chunks that a client says a body has: `x-holdfast-chunk-sha256: SIZE=HEX, …`, sizes in
    /// bytes and hashes in hexadecimal, in the order of the body. The server cuts there, holds each
    /// chunk against its hash, and does not store again what the bucket has.
    package static func statedChunks(_ fields: Fields) throws(S3Refusal) -> [StatedChunk] {
        guard let value = fields.joined("x-holdfast-chunk-sha256") else { return [] }
        var chunks: [StatedChunk] = []
        for item in value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let words = item.filter { $0 != UInt8(ascii: " ") }
                .split(separator: UInt8(ascii: "="), omittingEmptySubsequences: false)
            guard words.count == 2,
                let size = Int(String(decoding: words[0], as: UTF8.self)),
                let sha256 = Hex.decode(String(decoding: words[1], as: UTF8.self)),
                let chunk = StatedChunk(sizeBytes: size, sha256: sha256)
            else {
                throw S3Refusal(
                    .invalidArgument, "x-holdfast-chunk-sha256 is a list of SIZE=HEX")
            }
            chunks.append(chunk)
        }
        return chunks
    }

    /// The object's length is that behind the encoding, and has a field of its own.
    private mutating func readChunked(
        _ fields: Fields, withTrailer: Bool
    ) throws(S3Refusal) {
        guard let text = fields.text("x-amz-decoded-content-length"), let length = UInt64(text)
        else { throw S3Refusal(.missingContentLength) }
        self.options.stated.sizeBytes = length
        guard withTrailer, let trailer = fields.text("x-amz-trailer"), !trailer.isEmpty else {
            return
        }
        guard let algorithm = Self.algorithm(ofField: trailer.lowercased()) else {
            throw S3Refusal(.invalidRequest, "The value specified in x-amz-trailer is not known")
        }
        self.form.checksum = .init(algorithm: algorithm, expected: nil)
    }

    private static let checksumPrefix = "x-amz-checksum-"
    /// Fields with that prefix that hold no checksum.
    private static let notChecksums = ["algorithm", "mode", "type"]

    private static func algorithm(ofField name: String) -> ChecksumAlgorithm? {
        guard name.hasPrefix(self.checksumPrefix) else { return nil }
        let word = name.dropFirst(self.checksumPrefix.utf8.count)
        return ChecksumAlgorithm.allCases.first { $0.name == word }
    }

    private mutating func readChecksum(_ fields: Fields) throws(S3Refusal) {
        var found: ObjectChecksum?
        for index in 0..<fields.count {
            let name = String(decoding: fields.name(at: index), as: UTF8.self)
            guard name.hasPrefix(Self.checksumPrefix),
                !Self.notChecksums.contains(
                    String(name.dropFirst(Self.checksumPrefix.utf8.count)))
            else { continue }
            guard found == nil, self.form.checksum == nil else {
                throw S3Refusal(
                    .invalidRequest, "Expecting a single x-amz-checksum- header")
            }
            guard let algorithm = Self.algorithm(ofField: name) else {
                throw S3Refusal(.invalidRequest, "\(name) names no checksum that is known")
            }
            let text = String(decoding: fields.value(at: index), as: UTF8.self)
            guard let value = Base64.decode(text), value.count == algorithm.sizeBytes else {
                throw S3Refusal(.invalidRequest, "Value for \(name) header is invalid")
            }
            found = ObjectChecksum(algorithm: algorithm, value: value)
        }
        if let found { try self.state(found) }
    }

    /// Has the checksum verified where it costs least.
    private mutating func state(_ checksum: ObjectChecksum) throws(S3Refusal) {
        switch checksum.algorithm {
        case .crc32: self.options.stated.crc32 = checksum.value
        case .crc32c: self.options.stated.crc32c = checksum.value
        case .sha256:
            if let signed = self.options.stated.sha256, signed != checksum.value {
                throw S3Refusal(.badDigest)
            }
            self.options.stated.sha256 = checksum.value
            self.form.verifiedElsewhere = [checksum]
        case .crc64nvme, .sha1:
            self.form.checksum = .init(algorithm: checksum.algorithm, expected: checksum.value)
        }
    }

    /// Which of the two statements of a SHA-256 was broken decides what S3 calls it.
    func refusal(of fault: AccessFault) -> S3Refusal {
        if fault == .bodyMismatch(.sha256), !self.isSignedHash { return S3Refusal(.badDigest) }
        return S3Refusal(of: fault)
    }

    /// Holds a body that was collected whole against what was stated of it.
    func check(_ body: [UInt8]) throws(S3Refusal) {
        let stated = self.options.stated
        if let size = stated.sizeBytes, size != UInt64(body.count) {
            throw S3Refusal(.incompleteBody)
        }
        if let sha256 = stated.sha256, sha256 != SHA256.hash(body) {
            throw self.refusal(of: .bodyMismatch(.sha256))
        }
        let isRight =
            (stated.md5 ?? MD5.hash(body)) == MD5.hash(body)
            && (stated.crc32 ?? []).elementsEqual(
                stated.crc32 == nil ? [] : BodyChecksum.of(body, .crc32))
            && (stated.crc32c ?? []).elementsEqual(
                stated.crc32c == nil ? [] : BodyChecksum.of(body, .crc32c))
        guard isRight else { throw S3Refusal(.badDigest) }
    }

    // MARK: What is not here

    /// Fields that ask for something else than to store the bytes as they are.
    private static let unknown: [StaticString] = [
        "x-amz-copy-source", "x-amz-tagging", "x-amz-website-redirect-location",
        "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
        "x-amz-object-lock-legal-hold", "x-amz-write-offset-bytes",
    ]

    static func refuseUnknown(
        _ fields: Fields, mayCopy: Bool = false
    ) throws(S3Refusal) {
        for name in self.unknown where fields.contains(name) {
            if mayCopy, name.description == "x-amz-copy-source" { continue }
            var refusal = S3Refusal(.notImplemented)
            refusal.details = [.init("Header", name.description)]
            throw refusal
        }
        try AccessControl.check(fields)
        try S3Door.refuseCustomerKeys(fields)
        if let encryption = fields.text("x-amz-server-side-encryption"), encryption != "AES256" {
            throw S3Refusal(.notImplemented, "Only AES256 is implemented")
        }
        if let storageClass = fields.text("x-amz-storage-class"), storageClass != "STANDARD" {
            throw S3Refusal(.invalidStorageClass)
        }
    }
}

/// How a body is wrapped, and what the door itself verifies of it.
package struct BodyForm: Equatable, Sendable {
    package enum Encoding: Equatable, Sendable {
        case plain
        /// `aws-chunked`.
        case chunks(isSigned: Bool)
    }

    package struct Checksum: Equatable, Sendable {
        package let algorithm: ChecksumAlgorithm
        /// Nil: it comes in the trailer.
        package let expected: [UInt8]?

        package init(algorithm: ChecksumAlgorithm, expected: [UInt8]?) {
            self.algorithm = algorithm
            self.expected = expected
        }
    }

    package var encoding = Encoding.plain
    package var checksum: Checksum?
    /// Stored with the object; `StatedBody` has them verified.
    package var verifiedElsewhere: [ObjectChecksum] = []

    package init() {}
}
