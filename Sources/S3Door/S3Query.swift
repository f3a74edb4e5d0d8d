import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives

/// The parameters of a query, decoded once.
package struct S3Query: Equatable, Sendable {
    package struct Parameter: Equatable, Sendable {
        package let name: String
        package let value: [UInt8]
    }

    package let parameters: [Parameter]

    /// Throws when something is not well encoded. A parameter without `=` has the empty value.
    package init(_ rawQuery: ArraySlice<UInt8>?) throws(S3Refusal) {
        guard let rawQuery, !rawQuery.isEmpty else {
            self.parameters = []
            return
        }
        var parameters: [Parameter] = []
        for piece in QueryParameter.split(rawQuery) {
            guard let name = PercentCoding.decode(piece.name),
                let value = PercentCoding.decode(piece.value ?? []),
                let text = String(validating: name, as: UTF8.self)
            else { throw S3Refusal(.invalidURI) }
            parameters.append(Parameter(name: text, value: value))
        }
        self.parameters = parameters
    }

    package func contains(_ name: String) -> Bool {
        self.parameters.contains { $0.name == name }
    }

    /// The value of a parameter; of the first, where it is repeated.
    package func value(_ name: String) -> [UInt8]? {
        self.parameters.first { $0.name == name }?.value
    }

    /// The same as text; throws when it is not UTF-8.
    package func text(_ name: String) throws(S3Refusal) -> String? {
        guard let value = self.value(name) else { return nil }
        guard let text = String(validating: value, as: UTF8.self) else {
            throw S3Refusal(.invalidArgument, "\(name) is not UTF-8")
        }
        return text
    }

    // MARK: Uploads

    /// What names no upload names one that does not exist.
    func uploadID() throws(S3Refusal) -> UploadID {
        guard let id = UploadID(text: try self.text("uploadId") ?? "") else {
            throw S3Refusal(.noSuchUpload)
        }
        return id
    }

    func partNumber() throws(S3Refusal) -> PartNumber {
        guard let number = Int(try self.text("partNumber") ?? "").flatMap(PartNumber.init) else {
            throw S3Refusal(
                .invalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
        }
        return number
    }

    // MARK: What is not here

    /// Parameters that turn a request into another one (Amazon S3 API Reference). To take it for
    /// the plain one would answer a question that nobody asked.
    private static let subresources: Set<String> = [
        "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption",
        "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging",
        "metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock",
        "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock",
        "replication", "requestPayment", "restore", "retention", "select", "select-type",
        "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions",
        "website",
    ]

    /// For reads: what is not known to change the meaning is let through, as S3 does.
    func refuseSubresources(but known: Set<String> = []) throws(S3Refusal) {
        for parameter in self.parameters
        where Self.subresources.contains(parameter.name) && !known.contains(parameter.name) {
            throw Self.notImplemented(parameter)
        }
    }

    /// For writes: nothing is let through that is not known, so that no release of some client
    /// overwrites an object where it meant to set one of its properties.
    func refuseAll(but known: Set<String>) throws(S3Refusal) {
        for parameter in self.parameters where !known.contains(parameter.name) {
            if Self.isAccompanying(parameter.name) { continue }
            throw Self.notImplemented(parameter)
        }
    }

    /// Signatures of either version, and the name of the operation that some SDKs add.
    private static func isAccompanying(_ name: String) -> Bool {
        name.hasPrefix("X-Amz-")
            || ["x-id", "AWSAccessKeyId", "Expires", "Signature"].contains(name)
    }

    /// Every object has the one version that `null` names.
    func refuseVersions() throws(S3Refusal) {
        if let version = self.value("versionId"), !version.elementsEqual("null".utf8) {
            throw S3Refusal(.invalidArgument, "Invalid version id specified")
        }
    }

    private static func notImplemented(_ parameter: Parameter) -> S3Refusal {
        var refusal = S3Refusal(.notImplemented)
        refusal.details = [.init("Parameter", parameter.name)]
        return refusal
    }
}
