/// Why bytes are not a message that we take. Every one of these ends the connection: after it
/// nobody can tell where the next message begins (RFC 9112 §9.6, §11.2).
package enum HTTPRefusal: Error, Hashable, Sendable, CaseIterable {
    /// More than one empty line stands before the message (RFC 9112 §2.2 asks to skip one).
    case emptyLines
    case malformedRequestLine
    case malformedStatusLine
    /// The target is in no form of RFC 9112 §3.2, or holds a byte that no target holds.
    case malformedTarget
    /// CONNECT: this is no proxy.
    case tunnelRequested
    /// Neither HTTP/1.0 nor HTTP/1.1.
    case unsupportedVersion
    case requestLineTooLong
    case headTooLarge
    case tooManyFields
    /// A line ends in a bare line feed, which some readers take for the end and others do not.
    case bareLineFeed
    /// A line begins with a blank: the abolished line folding (RFC 9112 §5.2).
    case foldedField
    /// A field name is empty, is no token, or has a blank before its colon (RFC 9112 §5.1).
    case malformedFieldName
    /// A control byte, such as NUL or a bare carriage return, in a field value (RFC 9110 §5.5).
    case forbiddenByteInField
    case malformedContentLength
    /// Several Content-Length fields or values, even equal ones: some hop may see another.
    case repeatedContentLength
    /// Both framings at once: the classical smuggling pair (RFC 9112 §6.3).
    case contentLengthWithTransferEncoding
    /// A transfer coding other than exactly `chunked`.
    case unknownTransferCoding
    case repeatedTransferEncoding
    /// HTTP/1.0 has no transfer codings (RFC 9112 §6.1).
    case transferEncodingInOldVersion
    /// HTTP/1.1 asks for exactly one Host field (RFC 9112 §3.2).
    case missingHost
    case repeatedHost
    case malformedHost
    case malformedChunkSize
    case chunkLineTooLong
    /// The lines of many small chunks, with their extensions, are far more than the body is.
    case chunkLinesOutweighBody
    /// A chunk's bytes are not followed by CRLF.
    case unterminatedChunk
    case trailersTooLarge

    /// What a server answers before it closes.
    package var status: Status {
        switch self {
        case .requestLineTooLong: .targetTooLong
        case .headTooLarge, .tooManyFields, .trailersTooLarge: .headTooLarge
        case .tunnelRequested, .unknownTransferCoding: .notImplemented
        case .unsupportedVersion: .versionNotSupported
        case .emptyLines, .malformedRequestLine, .malformedStatusLine, .malformedTarget,
            .bareLineFeed, .foldedField, .malformedFieldName, .forbiddenByteInField,
            .malformedContentLength, .repeatedContentLength, .contentLengthWithTransferEncoding,
            .repeatedTransferEncoding, .transferEncodingInOldVersion, .missingHost, .repeatedHost,
            .malformedHost, .malformedChunkSize, .chunkLineTooLong, .chunkLinesOutweighBody,
            .unterminatedChunk:
            .badRequest
        }
    }
}
