/// One parameter of a query, with nothing decoded.
package struct QueryParameter: Equatable, Sendable {
    package let name: ArraySlice<UInt8>
    /// Nil when there is no equals sign, as in `?delete`.
    package let value: ArraySlice<UInt8>?

    /// The parameters in the order they were sent; empty pieces between ampersands are left out.
    package static func split(_ query: ArraySlice<UInt8>) -> [QueryParameter] {
        query.split(separator: UInt8(ascii: "&")).map { piece in
            guard let equals = piece.firstIndex(of: UInt8(ascii: "=")) else {
                return QueryParameter(name: piece, value: nil)
            }
            return QueryParameter(name: piece[..<equals], value: piece[(equals + 1)...])
        }
    }
}
