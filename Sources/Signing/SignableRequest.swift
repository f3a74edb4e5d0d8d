internal import Primitives

/// What signing sees of an HTTP request: the bytes as they stood on the wire.
package struct SignableRequest: Hashable, Sendable {
    package struct Header: Hashable, Sendable {
        /// Lower case.
        package let name: String
        package let value: [UInt8]

        package init(_ name: String, _ value: [UInt8]) {
            self.name = name.lowercased()
            self.value = value
        }

        package init(_ name: String, _ value: String) { self.init(name, Array(value.utf8)) }
    }

    package var method: String
    /// As the client encoded it, never normalised: frameworks that clean paths break signatures.
    package var rawPath: [UInt8]
    /// Behind the first `?`, without it; empty when there is none.
    package var rawQuery: [UInt8]
    /// In the order they came; a name may repeat.
    package var headers: [Header]

    package init(method: String, rawPath: [UInt8], rawQuery: [UInt8] = [], headers: [Header]) {
        self.method = method
        self.rawPath = rawPath
        self.rawQuery = rawQuery
        self.headers = headers
    }

    /// Splits a request target in origin form (`/path?query`).
    package init(method: String, target: String, headers: [Header]) {
        let bytes = Array(target.utf8)
        let mark = bytes.firstIndex(of: UInt8(ascii: "?"))
        self.init(
            method: method, rawPath: Array(bytes[..<(mark ?? bytes.endIndex)]),
            rawQuery: mark.map { Array(bytes[($0 + 1)...]) } ?? [], headers: headers)
    }

    package func values(of name: String) -> [[UInt8]] {
        self.headers.filter { $0.name == name }.map(\.value)
    }

    package func contains(_ name: String) -> Bool { self.headers.contains { $0.name == name } }

    /// The value of a header that may stand once: nil when it is absent, repeated or not UTF-8.
    package func only(_ name: String) -> String? {
        guard let place = self.headers.firstIndex(where: { $0.name == name }),
            !self.headers[(place + 1)...].contains(where: { $0.name == name })
        else { return nil }
        return String(validating: self.headers[place].value, as: UTF8.self)
    }
}

/// The parameters of a query, decoded, in their order.
struct QueryParameters {
    struct Parameter: Hashable {
        let name: [UInt8]
        let value: [UInt8]
    }

    let parameters: [Parameter]

    /// Nil when something is not well percent-encoded. A parameter without `=` has the empty value.
    init?(_ rawQuery: [UInt8]) {
        var parameters: [Parameter] = []
        for piece in rawQuery.split(separator: UInt8(ascii: "&")) {
            let equals = piece.firstIndex(of: UInt8(ascii: "="))
            let value = equals.map { piece[($0 + 1)...] } ?? []
            guard let name = PercentCoding.decode(piece[..<(equals ?? piece.endIndex)]),
                let value = PercentCoding.decode(value)
            else { return nil }
            parameters.append(Parameter(name: name, value: value))
        }
        self.parameters = parameters
    }

    func values(of name: String) -> [[UInt8]] {
        let name = Array(name.utf8)
        return self.parameters.filter { $0.name == name }.map(\.value)
    }

    /// The value of a parameter that may stand once: nil when it is absent, repeated or not UTF-8.
    func only(_ name: String) -> String? {
        let values = self.values(of: name)
        guard values.count == 1, let value = values.first else { return nil }
        return String(validating: value, as: UTF8.self)
    }

    func contains(_ name: String) -> Bool { !self.values(of: name).isEmpty }
}
