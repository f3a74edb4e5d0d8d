import Catalog
import Primitives
import Signing
import Wire

/// Asks whether a signature of version 2 is that of an access key's secret. Such signatures know no
/// keys of a day, so it is judged where the secret may be used, and an edge learns yes or no.
package struct SigV2ProofRequest: WireMessage, Equatable {
    /// A policy of a form is the longest text.
    package static let textLimitBytes = 32 << 10

    package let group: GroupID
    package let accessKey: AccessKeyID
    package let text: [UInt8]
    /// HMAC with SHA-1 of the text.
    package let signature: [UInt8]

    package init(group: GroupID, accessKey: AccessKeyID, text: [UInt8], signature: [UInt8]) {
        self.group = group
        self.accessKey = accessKey
        self.text = text
        self.signature = signature
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        self.accessKey.encode(into: &writer)
        writer.writeBytes(self.text)
        writer.writeBytes(self.signature)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
        self.accessKey = try AccessKeyID(from: &reader)
        self.text = Array(try reader.readBytes(field: "text", limit: Self.textLimitBytes))
        self.signature = Array(
            try reader.readBytes(field: "signature", limit: SigV2Claim.signatureBytes))
    }
}

package enum SigV2ProofAnswer: WireMessage, Equatable {
    case holds(owner: OwnerID)
    case differs
    /// No such access key, or it is disabled.
    case absent
    /// The group does not own the access key's slot.
    case slotNotOwned
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .holds(let owner):
            writer.write(UInt8(1))
            owner.encode(into: &writer)
        case .differs: writer.write(UInt8(2))
        case .absent: writer.write(UInt8(3))
        case .slotNotOwned: writer.write(UInt8(4))
        case .refused(let refusal):
            writer.write(UInt8(5))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .holds(owner: try OwnerID(from: &reader))
        case 2: self = .differs
        case 3: self = .absent
        case 4: self = .slotNotOwned
        case 5: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// What was found out of a signature of version 2.
package enum SigV2Proof: Equatable, Sendable {
    case holds(owner: OwnerID)
    case differs
    /// No such access key, or it is disabled.
    case unknownKey
}
