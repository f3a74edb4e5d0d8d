package import Primitives

/// A signature of version 2 in a URL's query, read but not yet checked (Amazon S3 Developer Guide,
/// "Signing and authenticating REST requests", query string authentication). SDKs still make them
/// for clients that name one of Amazon's first regions.
///
/// Only the secret itself checks it, so an edge has it checked where the secret may be used.
package struct SigV2Claim: Equatable, Sendable {
    package let accessKey: String
    package let expiry: Timestamp
    /// What was signed, by HMAC with SHA-1.
    package let stringToSign: String
    package let signature: [UInt8]

    /// Of HMAC with SHA-1.
    package static let signatureBytes = 20

    /// Nil: the request carries none.
    package static func read(_ request: SignableRequest) throws(SigV4Refusal) -> SigV2Claim? {
        if request.rawQuery.isEmpty { return nil }
        guard let query = QueryParameters(request.rawQuery) else { throw .malformedTarget }
        guard query.contains(Self.keyParameter) else { return nil }
        guard !request.contains("authorization"), !query.contains("X-Amz-Algorithm") else {
            throw .signedTwice
        }
        guard let accessKey = query.only(Self.keyParameter), !accessKey.isEmpty,
            let expires = query.only("Expires"), let text = query.only("Signature")
        else {
            throw .malformedQuery(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
                    + "parameters, each once.")
        }
        guard let seconds = Int64(expires), seconds >= 0, seconds <= Self.latestExpirySeconds else {
            throw .malformedQuery("Expires must be a time in seconds since 1970")
        }
        guard let signature = Base64.decode(text), signature.count == Self.signatureBytes else {
            throw .malformedQuery("Signature must be 20 bytes in Base64")
        }
        let path = String(decoding: request.rawPath, as: UTF8.self)
        return SigV2Claim(
            accessKey: accessKey, expiry: Timestamp(milliseconds: seconds * 1_000),
            stringToSign: "\(request.method)\n\(Self.value("content-md5", of: request))\n"
                + "\(Self.value("content-type", of: request))\n\(expires)\n"
                + Self.amazonHeaders(of: request) + path + Self.subresources(of: query),
            signature: signature)
    }

    /// Whether the URL's time has come to its end.
    package func refusalOfTime(now: Timestamp) -> SigV4Refusal? {
        now <= self.expiry ? nil : .expired(at: self.expiry, serverTime: now)
    }

    private static let keyParameter = "AWSAccessKeyId"
    /// The year 9999, behind which times have no text.
    private static let latestExpirySeconds: Int64 = 253_402_300_799

    private static func value(_ name: String, of request: SignableRequest) -> String {
        request.values(of: name).first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Every `x-amz-` header by name, with its values joined, each on a line.
    private static func amazonHeaders(of request: SignableRequest) -> String {
        let names = Set(request.headers.map(\.name).filter { $0.hasPrefix("x-amz-") })
        return names.sorted().map { name in
            let values = request.values(of: name).map { String(decoding: $0, as: UTF8.self) }
            return "\(name):\(values.joined(separator: ","))\n"
        }.joined()
    }

    /// Parameters that name another thing than the path alone, and those that change the answer:
    /// the rest of a query is not signed.
    private static let signedParameters: Set<String> = [
        "accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location",
        "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication",
        "requestPayment", "response-cache-control", "response-content-disposition",
        "response-content-encoding", "response-content-language", "response-content-type",
        "response-expires", "restore", "select", "select-type", "storageClass", "tagging",
        "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
    ]

    private static func subresources(of query: QueryParameters) -> String {
        let signed = query.parameters.map {
            (
                name: String(decoding: $0.name, as: UTF8.self),
                value: String(decoding: $0.value, as: UTF8.self)
            )
        }.filter { self.signedParameters.contains($0.name) }
        let pieces = signed.sorted { $0.name < $1.name }.map {
            $0.value.isEmpty ? $0.name : "\($0.name)=\($0.value)"
        }
        return pieces.isEmpty ? "" : "?" + pieces.joined(separator: "&")
    }
}
