internal import Primitives

/// The canonical forms of Signature Version 4 for S3 ("Authenticating Requests: Using the
/// Authorization Header", Amazon S3 API Reference). S3 encodes the path once, normalising nothing.
package enum SigV4Canonical {
    package static let algorithm = "AWS4-HMAC-SHA256"

    /// Method, path, query, headers, their names, payload. Nil when the target is not well encoded.
    ///
    /// - Parameter signedHeaders: lower case, sorted.
    package static func request(
        _ request: SignableRequest, signedHeaders: [String], payload: String
    ) -> [UInt8]? {
        guard let path = PercentCoding.decode(request.rawPath[...]),
            let query = QueryParameters(request.rawQuery)
        else { return nil }
        var text = Array(request.method.utf8)
        text.append(Self.newline)
        text += PercentCoding.encode(path, keepingSlashes: true)
        text.append(Self.newline)
        text += Self.query(query)
        text.append(Self.newline)
        for name in signedHeaders {
            text += name.utf8
            text.append(UInt8(ascii: ":"))
            var isFirst = true
            for header in request.headers where header.name == name {
                if !isFirst { text.append(UInt8(ascii: ",")) }
                isFirst = false
                Self.append(trimmed: header.value, to: &text)
            }
            text.append(Self.newline)
        }
        text.append(Self.newline)
        text += signedHeaders.joined(separator: ";").utf8
        text.append(Self.newline)
        text += payload.utf8
        return text
    }

    package static func stringToSign(
        date: String, scope: SigV4Scope, canonicalRequest: [UInt8],
        using primitives: any SigningPrimitives
    ) -> String {
        let hash = Hex.encode(primitives.sha256(canonicalRequest))
        return "\(Self.algorithm)\n\(date)\n\(scope)\n\(hash)"
    }

    private static let newline = UInt8(ascii: "\n")

    /// All parameters but the signature, encoded and then sorted by name and value.
    private static func query(_ query: QueryParameters) -> [UInt8] {
        let signature = Array("X-Amz-Signature".utf8)
        let encoded = query.parameters.filter { $0.name != signature }.map {
            (
                name: PercentCoding.encode($0.name, keepingSlashes: false),
                value: PercentCoding.encode($0.value, keepingSlashes: false)
            )
        }
        let sorted = encoded.sorted { a, b in
            a.name == b.name
                ? a.value.lexicographicallyPrecedes(b.value)
                : a.name.lexicographicallyPrecedes(b.name)
        }
        let pairs = sorted.map { $0.name + [UInt8(ascii: "=")] + $0.value }
        return Array(pairs.joined(separator: [UInt8(ascii: "&")]))
    }

    /// Without blanks at the ends, and with one for each run of them inside.
    private static func append(trimmed value: [UInt8], to text: inout [UInt8]) {
        let start = text.count
        var isBehindBlank = false
        for byte in value {
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") {
                isBehindBlank = true
                continue
            }
            if isBehindBlank, text.count > start { text.append(UInt8(ascii: " ")) }
            isBehindBlank = false
            text.append(byte)
        }
    }
}
