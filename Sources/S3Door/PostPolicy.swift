import FoundationEssentials
import ObjectExchange
import Primitives
import Signing

/// What whoever signed a browser's form allows it to hold (Amazon S3 API Reference, "Creating a POST
/// policy").
package struct PostPolicy: Equatable, Sendable {
    package enum Condition: Equatable, Sendable {
        /// Names are in lower case, without their dollar sign.
        case equal(field: String, value: String)
        case startsWith(field: String, prefix: String)
        case length(ClosedRange<UInt64>)
    }

    package let expiration: Timestamp
    package let conditions: [Condition]

    /// Reads the JSON document behind a form's `policy`, which is Base64.
    package init(_ text: String) throws(S3Refusal) {
        guard let bytes = Base64.decode(text) else {
            throw S3Refusal(.invalidPolicyDocument, "Invalid Policy: it is not Base64.")
        }
        let document: Document
        do { document = try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch {
            throw S3Refusal(.invalidPolicyDocument, "Invalid Policy: Invalid JSON.")
        }
        guard let expiration = Self.time(document.expiration) else {
            throw S3Refusal(.invalidPolicyDocument, "Invalid Policy: Invalid 'expiration' value")
        }
        self.expiration = expiration
        self.conditions = document.conditions.flatMap(\.conditions)
    }

    /// `2026-11-30T12:00:00.000Z`, the fraction read over: a policy ends with its second.
    private static func time(_ text: String) -> Timestamp? {
        guard text.utf8.last == UInt8(ascii: "Z") else { return nil }
        let seconds = text.dropLast().prefix { $0 != "." }
        let digits = seconds.filter { $0 != "-" && $0 != ":" }
        guard seconds.utf8.count == 19, digits.utf8.count == 15 else { return nil }
        return SigV4Date.parse(digits + "Z")
    }

    /// Throws unless the policy is in force and every field of the form is one that it allows.
    ///
    /// - Parameters:
    ///   - fields: by their names in lower case, `key` as it will be used, and `bucket` the one that
    ///     the form was sent to.
    package func check(_ fields: [(name: String, value: String)], at now: Timestamp)
        throws(S3Refusal)
    {
        guard now <= self.expiration else {
            throw S3Refusal(.accessDenied, "Invalid according to Policy: Policy expired.")
        }
        func value(_ field: String) -> String {
            fields.first { $0.name == field }?.value ?? ""
        }
        var allowed: Set<String> = []
        for condition in self.conditions {
            let holds: Bool
            switch condition {
            case .equal(let field, let wanted):
                allowed.insert(field)
                holds = value(field) == wanted
            case .startsWith(let field, let prefix):
                allowed.insert(field)
                holds = value(field).utf8.starts(with: prefix.utf8)
            case .length: holds = true
            }
            guard holds else {
                throw S3Refusal(
                    .accessDenied,
                    "Invalid according to Policy: Policy Condition failed: \(condition.text)")
            }
        }
        for (name, _) in fields where !allowed.contains(name) && !Self.isExempt(name) {
            throw S3Refusal(
                .accessDenied, "Invalid according to Policy: Extra input fields: \(name)")
        }
    }

    /// How long the file may be; all that conditions allow together.
    package var lengths: ClosedRange<UInt64>? {
        var lengths: ClosedRange<UInt64> = 0...UInt64.max
        for condition in self.conditions {
            guard case .length(let range) = condition else { continue }
            guard lengths.overlaps(range) else { return nil }
            lengths = lengths.clamped(to: range)
        }
        return lengths
    }

    /// Fields that need no condition: those that prove the policy, and what its maker does not care
    /// for. The bucket is that of the address, which the signer's right to it decides.
    private static func isExempt(_ name: String) -> Bool {
        ["policy", "x-amz-signature", "signature", "awsaccesskeyid", "file", "bucket"]
            .contains(name) || name.hasPrefix("x-ignore-")
    }

    // MARK: The document

    private struct Document: Decodable {
        let expiration: String
        let conditions: [Item]
    }

    /// An object of exact values, or an array of an operator and its two operands.
    private struct Item: Decodable {
        let conditions: [Condition]

        init(from decoder: any Decoder) throws {
            if let pairs = try? decoder.singleValueContainer().decode([String: String].self) {
                self.conditions = pairs.sorted { $0.key < $1.key }.map {
                    .equal(field: $0.key.lowercased(), value: $0.value)
                }
                return
            }
            var list = try decoder.unkeyedContainer()
            let name = try list.decode(String.self).lowercased()
            switch name {
            case "content-length-range":
                let least = try Self.number(&list)
                let most = try Self.number(&list)
                guard least <= most else { throw Malformed() }
                self.conditions = [.length(least...most)]
            case "eq", "starts-with":
                let field = try list.decode(String.self)
                let value = try list.decode(String.self)
                guard field.utf8.first == UInt8(ascii: "$") else { throw Malformed() }
                let word = field.dropFirst().lowercased()
                self.conditions = [
                    name == "eq"
                        ? .equal(field: word, value: value)
                        : .startsWith(field: word, prefix: value)
                ]
            default: throw Malformed()
            }
            guard list.isAtEnd else { throw Malformed() }
        }

        /// Some makers of policies write numbers as text.
        private static func number(_ list: inout any UnkeyedDecodingContainer) throws -> UInt64 {
            if let number = try? list.decode(UInt64.self) { return number }
            guard let number = UInt64(try list.decode(String.self)) else { throw Malformed() }
            return number
        }
    }

    private struct Malformed: Error {}
}

extension PostPolicy.Condition {
    /// As the document has it.
    fileprivate var text: String {
        switch self {
        case .equal(let field, let value): "[\"eq\", \"$\(field)\", \"\(value)\"]"
        case .startsWith(let field, let prefix):
            "[\"starts-with\", \"$\(field)\", \"\(prefix)\"]"
        case .length(let range):
            "[\"content-length-range\", \(range.lowerBound), \(range.upperBound)]"
        }
    }
}
