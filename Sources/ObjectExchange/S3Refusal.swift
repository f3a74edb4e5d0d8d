import Catalog
import ClusterClient
import HTTPSyntax
import HTTPTransport
import ObjectAccess
import Signing

/// An answer that is not what was asked for, in S3's form: both doors give it.
package struct S3Refusal: Error, Equatable, Sendable {
    /// An element beside `Code` and `Message`.
    package struct Detail: Equatable, Sendable {
        package let name: String
        package let value: String
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package let status: Status
    package let code: String
    package let message: String
    package var details: [Detail] = []
    /// For the log: what lies behind it, where the client is not told.
    package var cause: String?
    /// For 416 alone: how long the object is.
    package var unsatisfiedSize: UInt64?

    package init(_ code: S3ErrorCode, _ message: String? = nil, cause: String? = nil) {
        self.status = code.status
        self.code = code.rawValue
        self.message = message ?? code.message
        self.cause = cause
    }

    package init(of refusal: SigV4Refusal) {
        self.status = Status(UInt16(refusal.status))
        self.code = refusal.code
        self.message = refusal.message
        self.details = Self.details(of: refusal)
    }

    private static func details(of refusal: SigV4Refusal) -> [Detail] {
        switch refusal {
        case .unknownAccessKey(let id): [Detail("AWSAccessKeyId", id)]
        case .signatureMismatch(let canonicalRequest, let stringToSign):
            [
                Detail("StringToSign", stringToSign),
                Detail("CanonicalRequest", canonicalRequest),
            ]
        case .clockSkewed(let request, let server):
            [
                Detail("RequestTime", ISOTime.textInSeconds(request)),
                Detail("ServerTime", ISOTime.textInSeconds(server)),
                Detail("MaxAllowedSkewMilliseconds", "900000"),
            ]
        case .expired(let end, let server):
            [
                Detail("Expires", ISOTime.textInSeconds(end)),
                Detail("ServerTime", ISOTime.textInSeconds(server)),
            ]
        case .notYetValid(let from, let server):
            [
                Detail("ValidFrom", ISOTime.textInSeconds(from)),
                Detail("ServerTime", ISOTime.textInSeconds(server)),
            ]
        case .wrongRegion(_, let expected): [Detail("Region", expected)]
        case .malformedHeader, .malformedQuery, .signedTwice, .unsignedHeader, .missingDate,
            .missingPayloadHash, .invalidPayloadHash, .malformedTarget, .notImplemented:
            []
        }
    }

    package init(of fault: AccessFault) {
        switch fault {
        case .noSuchBucket(let name):
            self.init(.noSuchBucket)
            self.details = [Detail("BucketName", name.text)]
        case .noSuchKey: self.init(.noSuchKey)
        case .noSuchUpload: self.init(.noSuchUpload)
        case .bucketNotEmpty: self.init(.bucketNotEmpty)
        case .bucketTaken: self.init(.bucketAlreadyExists)
        case .preconditionFailed: self.init(.preconditionFailed)
        case .bodyMismatch(.sha256): self.init(.contentHashMismatch)
        case .bodyMismatch(.md5), .bodyMismatch(.crc32), .bodyMismatch(.crc32c),
            .bodyMismatch(.chunk):
            self.init(.badDigest)
        case .bodyIncomplete: self.init(.incompleteBody)
        case .bodyTooLarge(let limitBytes):
            self.init(.entityTooLarge)
            self.details = [Detail("MaxSizeAllowed", "\(limitBytes)")]
        case .source(let fault): self.init(of: fault)
        case .unavailable(let reason): self.init(.serviceUnavailable, cause: reason)
        case .overloaded: self.init(.slowDown)
        case .diskFull(let reason): self.init(.insufficientStorage, cause: reason)
        case .unreadable(let reason): self.init(.serviceUnavailable, cause: reason)
        // Never 412 or 409: the write may have been done, and only "unknown" is true.
        case .outcomeUnknown(let reason): self.init(.internalError, cause: reason)
        case .broken(let reason): self.init(.internalError, cause: reason)
        }
    }

    package init(of fault: BodyFault) {
        switch fault {
        case .truncated: self.init(.incompleteBody)
        case .malformed(let reason): self.init(.invalidRequest, cause: reason)
        case .tooSlow: self.init(.requestTimeout)
        // Nobody will hear it; the log does.
        case .connection(let reason): self.init(.requestTimeout, cause: reason)
        }
    }

    package init(of fault: ClusterFault) {
        switch fault {
        case .unavailable(let reason): self.init(.serviceUnavailable, cause: reason)
        case .diskFull(let reason): self.init(.insufficientStorage, cause: reason)
        case .outcomeUnknown(let reason), .malformed(let reason):
            self.init(.internalError, cause: reason)
        }
    }

    /// The document that is sent.
    package func document(resource: ArraySlice<UInt8>, id: RequestID) -> [UInt8] {
        var xml = XMLWriter()
        xml.element("Error") { xml in
            xml.element("Code", self.code)
            xml.element("Message", self.message)
            for detail in self.details { xml.element(named: detail.name, detail.value) }
            xml.element("Resource", utf8: resource)
            xml.element("RequestId", id.text)
            xml.element("HostId", id.host)
        }
        return xml.bytes
    }
}
