package import Primitives

/// The master keys that a meta node holds, oldest first: those that stored secrets may still be
/// wrapped by, and last the one that an operator wants them wrapped by.
package struct MasterKeyRing: Sendable {
    /// A rotation needs two; more wait for a drop.
    package static let mostKeys = 8

    package private(set) var keys: [MasterKey]

    package init(_ first: MasterKey) { self.keys = [first] }

    /// Nil unless there is a key, at most `mostKeys`, and none twice.
    package init?(_ keys: [MasterKey]) {
        guard (1...Self.mostKeys).contains(keys.count), Set(keys.map(\.id)).count == keys.count
        else { return nil }
        self.keys = keys
    }

    /// Ascending by age.
    package var ids: [MasterKeyID] { self.keys.map(\.id) }

    /// The youngest: the one that new secrets are to be wrapped by, once every meta node holds it.
    package var newest: MasterKey { self.keys[self.keys.count - 1] }

    package subscript(id: MasterKeyID) -> MasterKey? { self.keys.first { $0.id == id } }

    /// The ring with one more, younger key; nil when it is full or holds the key already.
    package func adding(_ key: MasterKey) -> MasterKeyRing? { MasterKeyRing(self.keys + [key]) }

    /// The ring without a key; nil when it does not hold it, or holds no other.
    package func dropping(_ id: MasterKeyID) -> MasterKeyRing? {
        let rest = self.keys.filter { $0.id != id }
        return rest.count < self.keys.count ? MasterKeyRing(rest) : nil
    }

    /// Opens a secret with the key it names.
    package func unwrap(
        _ envelope: [UInt8], context: String
    ) throws(UnwrapFault) -> [UInt8] {
        guard let id = WrappedSecret.masterKey(of: envelope) else { throw .damaged }
        guard let key = self[id] else { throw .keyMissing(id) }
        guard let secret = key.unwrap(envelope, context: context) else { throw .damaged }
        return secret
    }
}

/// Why a wrapped secret does not open.
package enum UnwrapFault: Error, Equatable, Sendable {
    /// The ring does not hold the key that wrapped it.
    case keyMissing(MasterKeyID)
    /// Not what was wrapped, or not for this context.
    case damaged
}

/// The file of a key ring, version 1. `name = value` lines; those that begin with `#` are comments.
///
///     version = 1
///     2d5b…(32 digits) = 8f01…(64 digits)      a key behind its id; the oldest first
///
/// The id follows from the key, so a key with a wrong digit is noticed here instead of opening
/// nothing later.
extension MasterKeyRing {
    package enum Fault: Error, Equatable, Sendable, CustomStringConvertible {
        case malformedLine(number: Int)
        case unknownVersion
        /// The digits are not those of the key that the line names.
        case wrongKey(line: Int)
        /// No key, too many, or one twice.
        case wrongKeys

        package var description: String {
            switch self {
            case .malformedLine(let number): "line \(number) is no key"
            case .unknownVersion: "the first line is not `version = 1`"
            case .wrongKey(let line): "line \(line): the digits are not those of the key it names"
            case .wrongKeys: "1 to \(MasterKeyRing.mostKeys) different keys are wanted"
            }
        }
    }

    package var text: String {
        let lines = self.keys.map { "\($0.id) = \($0.digits)\n" }
        return "version = 1\n\(lines.joined())"
    }

    package init(text: String) throws(Fault) {
        var keys: [MasterKey] = []
        var hasVersion = false
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.isEmpty || words[0].hasPrefix("#") { continue }
            guard hasVersion else {
                guard words == ["version", "=", "1"] else { throw .unknownVersion }
                hasVersion = true
                continue
            }
            guard words.count == 3, words[1] == "=", let id = MasterKeyID(words[0]),
                let bytes = Hex.decode(words[2]), let key = SymmetricKey(bytes: bytes)
            else { throw .malformedLine(number: index + 1) }
            let master = MasterKey(key)
            guard master.id == id else { throw .wrongKey(line: index + 1) }
            keys.append(master)
        }
        guard hasVersion else { throw .unknownVersion }
        guard let ring = MasterKeyRing(keys) else { throw .wrongKeys }
        self = ring
    }
}
