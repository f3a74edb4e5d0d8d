internal import Primitives

/// The two forms in which a request carries a signature.
extension SigV4Claim {
    /// `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, the commas
    /// with or without a blank behind them.
    static func readHeader(of request: SignableRequest) throws(SigV4Refusal) -> SigV4Claim {
        guard let text = request.only("authorization") else {
            throw .malformedHeader("it must stand once, in UTF-8.")
        }
        guard text.utf8.count <= Self.headerLimitBytes else { throw .malformedHeader("too long.") }
        guard text.hasPrefix(SigV4Canonical.algorithm + " ") else {
            throw text.hasPrefix("AWS ") || text.hasPrefix("AWS4-ECDSA")
                ? .notImplemented("this signature version; use AWS4-HMAC-SHA256")
                : .malformedHeader("expecting AWS4-HMAC-SHA256.")
        }
        let fields = try Self.fields(of: text.dropFirst(SigV4Canonical.algorithm.utf8.count + 1))
        let (date, time) = try Self.readDate(of: request)
        let (accessKey, scope) = try Self.credential(fields.credential) { .malformedHeader($0) }
        guard date.hasPrefix(scope.day) else {
            throw .malformedHeader("the credential's date is not the request's.")
        }
        guard let signedHeaders = Self.readNames(fields.signedHeaders) else {
            throw .malformedHeader("SignedHeaders must be lower case, sorted, without repeats.")
        }
        guard let signature = Self.readSignature(fields.signature) else {
            throw .malformedHeader("Signature must be 64 hexadecimal digits.")
        }
        let payload = try Self.readPayload(of: request)
        return SigV4Claim(
            accessKey: accessKey, scope: scope, payload: payload, date: date, time: time,
            expiresSeconds: nil, signedHeaders: signedHeaders, signature: signature,
            payloadText: request.only(Self.payloadHeader) ?? payload.text)
    }

    /// `?X-Amz-Algorithm=…&X-Amz-Credential=…&X-Amz-Date=…&X-Amz-Expires=…&X-Amz-SignedHeaders=…`
    /// `&X-Amz-Signature=…`
    static func readQuery(
        _ query: QueryParameters, of request: SignableRequest
    ) throws(SigV4Refusal) -> SigV4Claim {
        guard let algorithm = query.only("X-Amz-Algorithm"),
            let credential = query.only("X-Amz-Credential"), let date = query.only("X-Amz-Date"),
            let expires = query.only("X-Amz-Expires"),
            let names = query.only("X-Amz-SignedHeaders"),
            let signatureText = query.only("X-Amz-Signature")
        else {
            throw .malformedQuery(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                    + "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                    + "X-Amz-Expires parameters, each once.")
        }
        guard algorithm == SigV4Canonical.algorithm else {
            throw .malformedQuery("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
        }
        let (accessKey, scope) = try Self.credential(credential) {
            .malformedQuery("Error parsing the X-Amz-Credential parameter; \($0)")
        }
        guard let time = SigV4Date.parse(date), date.hasPrefix(scope.day) else {
            throw .malformedQuery(
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\", of the "
                    + "credential's day")
        }
        guard let signedHeaders = Self.readNames(names) else {
            throw .malformedQuery("X-Amz-SignedHeaders must be sorted, in lower case")
        }
        guard let signature = Self.readSignature(signatureText) else {
            throw .malformedQuery("X-Amz-Signature must be 64 hexadecimal digits")
        }
        let payload = try Self.readPayload(of: query, request, signedHeaders: signedHeaders)
        return SigV4Claim(
            accessKey: accessKey, scope: scope, payload: payload.meaning, date: date, time: time,
            expiresSeconds: try Self.readExpires(expires), signedHeaders: signedHeaders,
            signature: signature, payloadText: payload.text)
    }

    private static func readExpires(_ text: String) throws(SigV4Refusal) -> Int64 {
        guard let seconds = Int64(text), text.utf8.first != UInt8(ascii: "+") else {
            throw .malformedQuery("X-Amz-Expires should be a number")
        }
        guard seconds >= 1 else {
            throw .malformedQuery("X-Amz-Expires must be positive")
        }
        guard seconds <= Self.expiresLimitSeconds else {
            throw .malformedQuery(
                "X-Amz-Expires must be less than a week (in seconds) that is 604800")
        }
        return seconds
    }

    private static func fields(
        of text: Substring
    ) throws(SigV4Refusal) -> (credential: String, signedHeaders: String, signature: String) {
        var credential: String?
        var names: String?
        var signature: String?
        for field in text.utf8.split(
            separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        {
            let trimmed = field.drop { $0 == UInt8(ascii: " ") }
            guard let equals = trimmed.firstIndex(of: UInt8(ascii: "=")) else {
                throw .malformedHeader("a field has no value.")
            }
            let value = String(Substring(trimmed[trimmed.index(after: equals)...]))
            let before: String?
            switch Substring(trimmed[..<equals]) {
            case "Credential": before = Self.replace(&credential, with: value)
            case "SignedHeaders": before = Self.replace(&names, with: value)
            case "Signature": before = Self.replace(&signature, with: value)
            default: throw .malformedHeader("it takes Credential, SignedHeaders and Signature.")
            }
            guard before == nil else { throw .malformedHeader("a field is repeated.") }
        }
        guard let credential, let names, let signature else {
            throw .malformedHeader("it takes Credential, SignedHeaders and Signature.")
        }
        return (credential, names, signature)
    }

    private static func replace(_ field: inout String?, with value: String) -> String? {
        defer { field = value }
        return field
    }

    /// `ACCESSKEY/yyyymmdd/region/s3/aws4_request`, or the reason why it is not.
    private static func readCredential(_ text: String) -> Result<(String, SigV4Scope), Reason> {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { Substring($0) }
        guard parts.count == 5, !parts[0].isEmpty, !parts[2].isEmpty else {
            return .failure(
                Reason(text: "expecting \"<KEY>/YYYYMMDD/REGION/s3/aws4_request\"."))
        }
        guard parts[3] == "s3" else {
            return .failure(Reason(text: "incorrect service. This endpoint belongs to \"s3\"."))
        }
        guard parts[4] == "aws4_request" else {
            return .failure(Reason(text: "incorrect terminal. It must be \"aws4_request\"."))
        }
        guard SigV4Date.parse("\(parts[1])T000000Z") != nil else {
            return .failure(Reason(text: "incorrect date format. It must be \"yyyyMMdd\"."))
        }
        return .success(
            (String(parts[0]), SigV4Scope(day: String(parts[1]), region: String(parts[2]))))
    }

    static func credential(
        _ text: String, _ refusal: (String) -> SigV4Refusal
    ) throws(SigV4Refusal) -> (accessKey: String, scope: SigV4Scope) {
        try self.mapping(self.readCredential(text), refusal)
    }

    private struct Reason: Error { let text: String }

    private static func mapping<Value>(
        _ result: Result<Value, Reason>, _ refusal: (String) -> SigV4Refusal
    ) throws(SigV4Refusal) -> Value {
        try result.mapError { refusal($0.text) }.get()
    }

    /// Sorted, lower case and each once, as the canonical request needs them.
    private static func readNames(_ text: String) -> [String]? {
        let names = text.utf8.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard names.count <= Self.signedHeadersLimit else { return nil }
        var last: String?
        for name in names {
            let isName = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
            guard isName, Self.isLowerCase(name) else { return nil }
            if let last, !last.utf8.lexicographicallyPrecedes(name.utf8) { return nil }
            last = name
        }
        return names
    }

    private static func isLowerCase(_ text: String) -> Bool {
        !text.utf8.contains { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") }
    }

    private static func readSignature(_ text: String) -> [UInt8]? {
        guard text.utf8.count == 64, Self.isLowerCase(text) else { return nil }
        return Hex.decode(text)
    }

    /// `x-amz-date`, or `Date` in its place; the form of the string to sign, and the time.
    private static func readDate(
        of request: SignableRequest
    ) throws(SigV4Refusal) -> (String, Timestamp) {
        if let date = request.only("x-amz-date") {
            if let time = SigV4Date.parse(date) { return (date, time) }
            guard let time = SigV4Date.parseHTTP(date) else { throw .missingDate }
            return (SigV4Date.text(time), time)
        }
        guard let date = request.only("date"),
            let time = SigV4Date.parseHTTP(date) ?? SigV4Date.parse(date)
        else { throw .missingDate }
        return (SigV4Date.text(time), time)
    }

    /// Clients whose requests have no body may leave the header out (curl does): that means the
    /// hash of nothing.
    private static func readPayload(
        of request: SignableRequest
    ) throws(SigV4Refusal) -> SigV4Payload {
        if !request.contains(Self.payloadHeader) {
            guard ["GET", "HEAD", "DELETE"].contains(request.method) else {
                throw .missingPayloadHash
            }
            return try SigV4Payload.read(SigV4Payload.emptyHash).get()
        }
        guard let text = request.only(Self.payloadHeader) else { throw .invalidPayloadHash }
        return try SigV4Payload.read(text).get()
    }

    private static func readPayload(
        of query: QueryParameters, _ request: SignableRequest, signedHeaders: [String]
    ) throws(SigV4Refusal) -> (meaning: SigV4Payload, text: String) {
        var text: String?
        if query.contains("X-Amz-Content-Sha256") {
            guard let value = query.only("X-Amz-Content-Sha256") else { throw .invalidPayloadHash }
            text = value
        }
        if signedHeaders.contains(Self.payloadHeader) {
            guard let value = request.only(Self.payloadHeader) else { throw .invalidPayloadHash }
            text = value
        }
        guard let text else { return (.unsigned, SigV4Payload.unsigned.text) }
        return (try SigV4Payload.read(text).get(), text)
    }
}
