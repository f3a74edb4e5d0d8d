import HTTPSyntax
import Primitives
import Signing

/// A request to whichever edge, before it has a host and a signature.
struct EdgeRequest: Sendable {
    var method: HTTPSyntax.Method
    /// Escaped as signatures want it.
    var rawPath: [UInt8]
    /// Not escaped, in order.
    var query: [(name: String, value: String)] = []
    var fields: [(name: String, value: String)] = []
    var payload: SigV4Payload = .hash(Self.emptyHash)
    /// What it is about, for messages.
    var subject: String
    /// Refusals that the caller expects and gets as ordinary answers.
    var acceptedRefusals: [Status] = []

    /// The SHA-256 of no bytes.
    private static let emptyHash = Hex.decode(SigV4Payload.emptyHash) ?? []

    init(_ method: HTTPSyntax.Method, _ path: RemotePath, query: [(String, String)] = []) {
        self.init(method, prefix: "/", path, query: query)
    }

    /// `prefix` is the door: `/` for S3, `/f/` for links.
    init(
        _ method: HTTPSyntax.Method, prefix: String, _ path: RemotePath,
        query: [(String, String)] = []
    ) {
        self.method = method
        var text = "\(prefix)\(path.bucket)"
        if !path.isBucket { text += "/" + path.key }
        self.rawPath = PercentCoding.encode(text.utf8, keepingSlashes: true)
        self.query = query.map { (name: $0, value: $1) }
        self.subject = path.description
    }

    /// The list of buckets.
    static let buckets = {
        var request = EdgeRequest(.get, RemotePath(bucket: ""))
        request.subject = "the list of buckets"
        return request
    }()

    /// The request as `edge` is to get it. Refuses what cannot be put into a head.
    func signed(
        for edge: EdgeAddress, by signer: SigV4Signer, at now: Timestamp
    ) throws(FieldFault) -> OutgoingRequest {
        var signable = SignableRequest(
            method: self.method.description, rawPath: self.rawPath,
            headers: [.init("host", edge.host)]
                + self.fields.map { SignableRequest.Header($0.name, $0.value) })
        for parameter in self.query { signable.append(parameter.name, parameter.value) }
        signer.sign(&signable, payload: self.payload, at: now)
        var block = FieldBlock()
        for header in signable.headers where header.name != "host" {
            try block.add(header.name, bytes: header.value[...])
        }
        return try OutgoingRequest(
            self.method, target: signable.target, host: edge.host, fields: block)
    }
}
