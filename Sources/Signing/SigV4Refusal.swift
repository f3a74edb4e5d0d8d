package import Primitives

/// What came of a request's signature.
package enum SigV4Verdict: Equatable, Sendable {
    case accepted(SigV4Acceptance)
    case refused(SigV4Refusal)
}

/// A request whose signature holds: who signed it, and what is left for the body to prove.
package struct SigV4Acceptance: Equatable, Sendable {
    package let accessKey: String
    package let scope: SigV4Scope
    package let payload: SigV4Payload
    package let isPresigned: Bool
    /// `x-amz-date`, as the client wrote it.
    package let date: String
    /// The seed of a chain of signed chunks.
    package let signature: String
}

/// Why a request is not let in, each with the answer that S3 gives to it.
package enum SigV4Refusal: Error, Equatable, Sendable {
    /// No access key has this id.
    case unknownAccessKey(String)
    /// Both strings help who debugs a client, and neither holds a secret.
    case signatureMismatch(canonicalRequest: String, stringToSign: String)
    case clockSkewed(requestTime: Timestamp, serverTime: Timestamp)
    /// A presigned URL after its end.
    case expired(at: Timestamp, serverTime: Timestamp)
    /// A presigned URL more than the allowed skew before its date.
    case notYetValid(from: Timestamp, serverTime: Timestamp)
    case malformedHeader(String)
    /// The scope names another region than this cluster's.
    case wrongRegion(String, expected: String)
    case malformedQuery(String)
    /// A signature in the header and one in the query.
    case signedTwice
    /// A header that must be signed is not.
    case unsignedHeader(String)
    /// Neither `x-amz-date` nor `Date` holds a time.
    case missingDate
    case missingPayloadHash
    case invalidPayloadHash
    /// The path or the query is not well percent-encoded.
    case malformedTarget
    case notImplemented(String)

    /// The HTTP status.
    package var status: Int {
        switch self {
        case .unknownAccessKey, .signatureMismatch, .clockSkewed, .expired, .notYetValid,
            .unsignedHeader, .missingDate:
            403
        case .malformedHeader, .wrongRegion, .malformedQuery, .signedTwice, .missingPayloadHash,
            .invalidPayloadHash, .malformedTarget:
            400
        case .notImplemented: 501
        }
    }

    /// The `Code` of S3's error document.
    package var code: String {
        switch self {
        case .unknownAccessKey: "InvalidAccessKeyId"
        case .signatureMismatch: "SignatureDoesNotMatch"
        case .clockSkewed: "RequestTimeTooSkewed"
        case .expired, .notYetValid, .unsignedHeader, .missingDate: "AccessDenied"
        case .malformedHeader, .wrongRegion: "AuthorizationHeaderMalformed"
        case .malformedQuery: "AuthorizationQueryParametersError"
        case .signedTwice, .invalidPayloadHash: "InvalidArgument"
        case .missingPayloadHash: "InvalidRequest"
        case .malformedTarget: "InvalidURI"
        case .notImplemented: "NotImplemented"
        }
    }

    /// The `Message` of S3's error document.
    package var message: String {
        switch self {
        case .unknownAccessKey:
            "The access key Id you provided does not exist in our records."
        case .signatureMismatch:
            "The request signature we calculated does not match the signature you provided. "
                + "Check your key and signing method."
        case .clockSkewed:
            "The difference between the request time and the current time is too large."
        case .expired: "Request has expired"
        case .notYetValid: "Request is not valid yet"
        case .malformedHeader(let reason): "The authorization header is malformed; \(reason)"
        case .wrongRegion(let region, let expected):
            "The authorization header is malformed; the region '\(region)' is wrong; "
                + "expecting '\(expected)'"
        case .malformedQuery(let reason): reason
        case .signedTwice:
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, or the "
                + "Authorization header should be specified"
        case .unsignedHeader(let name):
            "There were headers present in the request which were not signed: \(name)"
        case .missingDate:
            "AWS authentication requires a valid Date or x-amz-date header"
        case .missingPayloadHash:
            "Missing required header for this request: x-amz-content-sha256"
        case .invalidPayloadHash:
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming form, or a valid SHA-256"
        case .malformedTarget: "Couldn't parse the specified URI."
        case .notImplemented(let what): "Not implemented: \(what)"
        }
    }
}
