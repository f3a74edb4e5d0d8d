package import Primitives
internal import Wire

/// An S3 credential as it rests: its secret is sealed under the master key, which only meta nodes
/// have.
package struct AccessKey: Equatable, Sendable {
    package let id: AccessKeyID
    package let owner: OwnerID
    package let state: AccessKeyState
    package let wrappedSecret: [UInt8]

    package init(id: AccessKeyID, owner: OwnerID, state: AccessKeyState, wrappedSecret: [UInt8]) {
        self.id = id
        self.owner = owner
        self.state = state
        self.wrappedSecret = wrappedSecret
    }
}

extension AccessKey {
    func with(wrappedSecret: [UInt8]) -> AccessKey {
        AccessKey(id: self.id, owner: self.owner, state: self.state, wrappedSecret: wrappedSecret)
    }
}

/// Raw values are for ever.
package enum AccessKeyState: UInt8, Sendable {
    case active = 1
    /// Known, but no request signed with it is let through.
    case disabled = 2
}

/// A key pair that signs links. Edges are told the public half alone.
package struct LinkKey: Equatable, Sendable {
    /// What a link names it by: 1 to 64 visible characters.
    package let id: String
    package let algorithm: LinkKeyAlgorithm
    package let publicKey: [UInt8]
    /// Sealed under the master key; empty where it was left out.
    package let wrappedPrivateKey: [UInt8]

    package init(
        id: String, algorithm: LinkKeyAlgorithm, publicKey: [UInt8], wrappedPrivateKey: [UInt8]
    ) {
        self.id = id
        self.algorithm = algorithm
        self.publicKey = publicKey
        self.wrappedPrivateKey = wrappedPrivateKey
    }

    package var withoutPrivateKey: LinkKey { self.with(wrappedPrivateKey: []) }

    func with(wrappedPrivateKey: [UInt8]) -> LinkKey {
        LinkKey(
            id: self.id, algorithm: self.algorithm, publicKey: self.publicKey,
            wrappedPrivateKey: wrappedPrivateKey)
    }
}

/// Raw values are for ever.
package enum LinkKeyAlgorithm: UInt8, Sendable {
    case ed25519 = 1
    case rsa = 2
    case ecdsaP256 = 3
}

extension AccessKey: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.id)
        writer.write(self.owner)
        writer.write(self.state.rawValue)
        writer.writeBytes(self.wrappedSecret)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let id = try AccessKeyID(from: &reader)
        let owner = try OwnerID(from: &reader)
        let at = reader.offset
        guard let state = AccessKeyState(rawValue: try reader.read()) else {
            throw .invalid(field: "access key state", offset: at)
        }
        let secret = try reader.readBytes(
            field: "wrapped secret", limit: CatalogLimits.wrappedBytes)
        self.init(id: id, owner: owner, state: state, wrappedSecret: Array(secret))
    }
}

extension LinkKey: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.writeString(self.id)
        writer.write(self.algorithm.rawValue)
        writer.writeBytes(self.publicKey)
        writer.writeBytes(self.wrappedPrivateKey)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let id = try reader.readString(field: "link key", bounds: CatalogLimits.linkKeyIDBytes)
        let at = reader.offset
        guard let algorithm = LinkKeyAlgorithm(rawValue: try reader.read()) else {
            throw .invalid(field: "link key algorithm", offset: at)
        }
        let publicKey = try reader.readBytes(
            field: "public key", limit: CatalogLimits.publicKeyBytes)
        let wrapped = try reader.readBytes(
            field: "wrapped private key", limit: CatalogLimits.wrappedBytes)
        self.init(
            id: id, algorithm: algorithm, publicKey: Array(publicKey),
            wrappedPrivateKey: Array(wrapped))
    }
}
