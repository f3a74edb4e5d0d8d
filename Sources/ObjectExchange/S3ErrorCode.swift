import HTTPSyntax

/// What S3 calls the things that go wrong (Amazon S3 API Reference, "Error responses"). The raw
/// value stands in the `Code` of an answer, where clients match it.
package enum S3ErrorCode: String, CaseIterable, Sendable {
    case accessControlListNotSupported = "AccessControlListNotSupported"
    case accessDenied = "AccessDenied"
    case authorizationHeaderMalformed = "AuthorizationHeaderMalformed"
    case badDigest = "BadDigest"
    case bucketAlreadyExists = "BucketAlreadyExists"
    case bucketAlreadyOwnedByYou = "BucketAlreadyOwnedByYou"
    case bucketNotEmpty = "BucketNotEmpty"
    case entityTooLarge = "EntityTooLarge"
    case entityTooSmall = "EntityTooSmall"
    case formFieldsTooLarge = "MaxPostPreDataLengthExceeded"
    case incompleteBody = "IncompleteBody"
    /// Not of Amazon, whose disks are never full: the code goes with the status (RFC 4918 §11.5).
    case insufficientStorage = "InsufficientStorage"
    case internalError = "InternalError"
    case invalidAccessKeyId = "InvalidAccessKeyId"
    case invalidArgument = "InvalidArgument"
    case invalidBucketName = "InvalidBucketName"
    case invalidDigest = "InvalidDigest"
    case invalidPart = "InvalidPart"
    case invalidPartNumber = "InvalidPartNumber"
    case invalidPartOrder = "InvalidPartOrder"
    case invalidPolicyDocument = "InvalidPolicyDocument"
    case invalidRange = "InvalidRange"
    case invalidRequest = "InvalidRequest"
    case invalidStorageClass = "InvalidStorageClass"
    case invalidURI = "InvalidURI"
    case keyTooLong = "KeyTooLongError"
    case malformedForm = "MalformedPOSTRequest"
    case malformedTrailer = "MalformedTrailerError"
    case malformedXML = "MalformedXML"
    case maxMessageLengthExceeded = "MaxMessageLengthExceeded"
    case metadataTooLarge = "MetadataTooLarge"
    case methodNotAllowed = "MethodNotAllowed"
    case missingContentLength = "MissingContentLength"
    case noSuchBucket = "NoSuchBucket"
    case noSuchKey = "NoSuchKey"
    case noSuchUpload = "NoSuchUpload"
    case noSuchVersion = "NoSuchVersion"
    case notImplemented = "NotImplemented"
    case preconditionFailed = "PreconditionFailed"
    case requestTimeout = "RequestTimeout"
    case serviceUnavailable = "ServiceUnavailable"
    case signatureDoesNotMatch = "SignatureDoesNotMatch"
    case slowDown = "SlowDown"
    case contentHashMismatch = "XAmzContentSHA256Mismatch"

    package var status: Status {
        switch self {
        case .accessControlListNotSupported, .authorizationHeaderMalformed, .badDigest,
            .entityTooLarge, .entityTooSmall, .formFieldsTooLarge, .incompleteBody,
            .invalidArgument, .invalidBucketName, .invalidDigest, .invalidPart, .invalidPartOrder,
            .invalidPolicyDocument, .invalidRequest, .invalidStorageClass, .invalidURI, .keyTooLong,
            .malformedForm, .malformedTrailer,
            .malformedXML, .maxMessageLengthExceeded, .metadataTooLarge, .requestTimeout,
            .contentHashMismatch:
            .badRequest
        case .accessDenied, .invalidAccessKeyId, .signatureDoesNotMatch: .forbidden
        case .noSuchBucket, .noSuchKey, .noSuchUpload, .noSuchVersion: .notFound
        case .methodNotAllowed: .methodNotAllowed
        case .bucketAlreadyExists, .bucketAlreadyOwnedByYou, .bucketNotEmpty: .conflict
        case .missingContentLength: .lengthRequired
        case .preconditionFailed: .preconditionFailed
        case .invalidPartNumber, .invalidRange: .rangeNotSatisfiable
        case .insufficientStorage: .insufficientStorage
        case .internalError: .internalError
        case .notImplemented: .notImplemented
        case .serviceUnavailable, .slowDown: .unavailable
        }
    }

    /// What is said where there is nothing more exact to say.
    package var message: String {
        switch self {
        case .accessControlListNotSupported: "The bucket does not allow ACLs"
        case .accessDenied: "Access Denied"
        case .authorizationHeaderMalformed: "The authorization header is malformed"
        case .badDigest:
            "The Content-MD5 or checksum value that you specified did not match what was received"
        case .bucketAlreadyExists:
            "The requested bucket name is not available; select a different name and try again"
        case .bucketAlreadyOwnedByYou:
            "Your previous request to create the named bucket succeeded and you already own it"
        case .bucketNotEmpty: "The bucket you tried to delete is not empty"
        case .entityTooLarge: "Your proposed upload exceeds the maximum allowed size"
        case .entityTooSmall: "Your proposed upload is smaller than the minimum allowed size"
        case .formFieldsTooLarge:
            "Your POST request fields preceding the upload file were too large"
        case .incompleteBody:
            "You did not provide the number of bytes specified by the Content-Length HTTP header"
        case .insufficientStorage:
            "The disks of the cluster are full, so nothing was stored. Reads and deletes go on; "
                + "delete objects or add disk space, then try again"
        case .internalError: "We encountered an internal error; please try again"
        case .invalidAccessKeyId: "The access key Id you provided does not exist in our records"
        case .invalidArgument: "Invalid Argument"
        case .invalidBucketName: "The specified bucket is not valid"
        case .invalidDigest: "The Content-MD5 or checksum value that you specified is not valid"
        case .invalidPart:
            "One or more of the specified parts could not be found, or their entity tags differ"
        case .invalidPartNumber: "The requested partnumber is not satisfiable"
        case .invalidPartOrder: "The list of parts was not in ascending order"
        case .invalidPolicyDocument: "The content of the form does not meet the policy's form"
        case .invalidRange: "The requested range is not satisfiable"
        case .invalidRequest: "Invalid Request"
        case .invalidStorageClass: "The storage class you specified is not valid"
        case .invalidURI: "Couldn't parse the specified URI"
        case .keyTooLong: "Your key is too long"
        case .malformedForm: "The body of your POST request is not well-formed multipart/form-data"
        case .malformedTrailer: "The request contained trailing data that was not well-formed"
        case .malformedXML: "The XML you provided was not well-formed or did not validate"
        case .maxMessageLengthExceeded: "Your request was too big"
        case .metadataTooLarge: "Your metadata headers exceed the maximum allowed metadata size"
        case .methodNotAllowed: "The specified method is not allowed against this resource"
        case .missingContentLength: "You must provide the Content-Length HTTP header"
        case .noSuchBucket: "The specified bucket does not exist"
        case .noSuchKey: "The specified key does not exist"
        case .noSuchUpload:
            "The specified upload does not exist: it may have been aborted or completed"
        case .noSuchVersion: "The specified version does not exist"
        case .notImplemented:
            "A header or parameter you provided implies functionality that is not implemented"
        case .preconditionFailed: "At least one of the pre-conditions you specified did not hold"
        case .requestTimeout: "Your socket connection to the server was not used within the time"
        case .serviceUnavailable:
            "Too few nodes can be reached at the moment, or this one is still starting; try again"
        case .slowDown: "This node holds as many bytes of uploads as it may; try again"
        case .signatureDoesNotMatch:
            "The request signature we calculated does not match the signature you provided"
        case .contentHashMismatch:
            "The provided 'x-amz-content-sha256' header does not match what was computed"
        }
    }
}
