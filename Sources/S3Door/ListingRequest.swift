import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives

/// What the parameters of ListObjects and ListObjectsV2 ask for.
package struct ListingRequest: Equatable, Sendable {
    package let prefix: [UInt8]
    package let delimiter: [UInt8]
    package let maxKeys: Int
    package let encodesNames: Bool
    package let fetchesOwner: Bool
    package let start: ListStart
    package let version: Version

    /// The forms of the request, with what each answer repeats.
    package enum Version: Equatable, Sendable {
        case first(marker: [UInt8])
        case second(startAfter: [UInt8]?, token: String?)
    }

    package init(_ query: S3Query) throws(S3Refusal) {
        self.prefix = try query.name("prefix") ?? []
        self.delimiter = try query.name("delimiter") ?? []
        self.maxKeys = try query.pageLimit("max-keys")
        self.encodesNames = try query.encodesNames()
        guard try query.text("list-type") == "2" else {
            let marker = try query.name("marker") ?? []
            self.version = .first(marker: marker)
            self.fetchesOwner = true
            self.start = Self.start(
                behind: marker, prefix: self.prefix, delimiter: self.delimiter)
            return
        }
        self.fetchesOwner = try query.text("fetch-owner") == "true"
        let startAfter = try query.name("start-after")
        let token = try query.text("continuation-token")
        self.version = .second(startAfter: startAfter, token: token)
        if let token {
            guard let start = ContinuationToken.read(token) else {
                throw S3Refusal(.invalidArgument, "The continuation token provided is incorrect")
            }
            self.start = start
        } else {
            self.start = startAfter.map { $0.isEmpty ? .beginning : .after($0) } ?? .beginning
        }
    }

    /// A marker that is itself a common prefix was the end of a page: what it stands for was told.
    static func isCommonPrefix(_ marker: [UInt8], prefix: [UInt8], delimiter: [UInt8]) -> Bool {
        let rest = marker.dropFirst(prefix.count)
        return !delimiter.isEmpty && marker.starts(with: prefix) && rest.count >= delimiter.count
            && rest.suffix(delimiter.count).elementsEqual(delimiter)
    }

    private static func start(
        behind marker: [UInt8], prefix: [UInt8], delimiter: [UInt8]
    ) -> ListStart {
        if marker.isEmpty { return .beginning }
        let isPrefix = Self.isCommonPrefix(marker, prefix: prefix, delimiter: delimiter)
        return isPrefix ? .afterPrefix(marker) : .after(marker)
    }
}

extension S3Query {
    /// A key, or what keys may begin with.
    func name(_ parameter: String) throws(S3Refusal) -> [UInt8]? {
        guard let text = try self.text(parameter) else { return nil }
        guard text.utf8.count <= CatalogLimits.objectKeyBytes.upperBound else {
            throw S3Refusal(.invalidArgument, "\(parameter) is longer than any key")
        }
        return Array(text.utf8)
    }

    /// How much a page may hold: what is above the most that there is counts as that.
    func pageLimit(_ parameter: String) throws(S3Refusal) -> Int {
        guard let text = try self.text(parameter), !text.isEmpty else {
            return CatalogLimits.listPage
        }
        guard let number = Int32(text), number >= 0 else {
            throw S3Refusal(
                .invalidArgument,
                "Provided \(parameter) not an integer or within integer range")
        }
        return min(Int(number), CatalogLimits.listPage)
    }

    /// Whether names are wanted percent-encoded, because XML has no place for some of them.
    func encodesNames() throws(S3Refusal) -> Bool {
        switch try self.text("encoding-type") {
        case nil, "": return false
        case "url": return true
        default: throw S3Refusal(.invalidArgument, "Invalid Encoding Method specified in Request")
        }
    }
}

/// Where the next page begins, as text that clients give back unread.
package enum ContinuationToken {
    /// Raw values travel through clients: forever.
    private static let format: UInt8 = 1
    private static let afterKey: UInt8 = 1
    private static let afterPrefix: UInt8 = 2

    package static func text(_ start: ListStart) -> String {
        switch start {
        case .beginning: ""
        case .after(let key): Base64.encodeForURL([Self.format, Self.afterKey] + key)
        case .afterPrefix(let prefix):
            Base64.encodeForURL([Self.format, Self.afterPrefix] + prefix)
        }
    }

    package static func read(_ text: String) -> ListStart? {
        guard let bytes = Base64.decodeForURL(text), bytes.count > 2, bytes[0] == Self.format,
            CatalogLimits.objectKeyBytes.contains(bytes.count - 2)
        else { return nil }
        switch bytes[1] {
        case Self.afterKey: return .after(Array(bytes[2...]))
        case Self.afterPrefix: return .afterPrefix(Array(bytes[2...]))
        default: return nil
        }
    }
}
