import Primitives
import Wire

/// What both ends say first. Not to be trusted: it is held against the certificate.
///
///     version UInt16 · lane UInt8 · sender UInt32 · addressee UInt32 · cluster 16 bytes
struct Hello: WireMessage, Equatable {
    /// The version of all that follows the hello.
    static let currentVersion: UInt16 = 1

    var version = Self.currentVersion
    var lane: Lane
    var sender: NodeID
    var addressee: NodeID
    var cluster: ClusterID

    init(lane: Lane, sender: NodeID, addressee: NodeID, cluster: ClusterID) {
        self.lane = lane
        self.sender = sender
        self.addressee = addressee
        self.cluster = cluster
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(self.version)
        writer.write(self.lane.rawValue)
        writer.write(self.sender.rawValue)
        writer.write(self.addressee.rawValue)
        writer.writeRaw(self.cluster.bytes)
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        self.version = try reader.read()
        guard self.version == Self.currentVersion else {
            throw .unknownVersion(Int(self.version))
        }
        let at = reader.offset
        guard let lane = Lane(rawValue: try reader.read()) else {
            throw .invalid(field: "lane", offset: at)
        }
        self.lane = lane
        self.sender = NodeID(try reader.read())
        self.addressee = NodeID(try reader.read())
        guard let cluster = ClusterID(bytes: Array(try reader.readRaw(16))) else {
            throw .invalid(field: "cluster", offset: reader.offset)
        }
        self.cluster = cluster
    }
}

/// What a head says about the body behind it.
struct BodyAnnouncement: Equatable {
    var sizeBytes: Int
    /// The sender sends nothing of the body before it is given credit.
    var waitsForCredit: Bool

    static let none = BodyAnnouncement(sizeBytes: 0, waitsForCredit: false)
}

/// The payload of a request head: remaining microseconds UInt64 · body bytes UInt32 · waits for
/// credit UInt8 · head. The time left travels, not the deadline, because clocks differ.
struct RequestHead: Equatable {
    var timeLeft: Duration
    var body: BodyAnnouncement
    var head: ArraySlice<UInt8>

    static func append(
        timeLeft: Duration, body: BodyAnnouncement, head: [UInt8], to bytes: inout [UInt8]
    ) {
        let microseconds = UInt64(max(0, timeLeft.wholeNanoseconds / 1_000))
        bytes.appendLittleEndian(microseconds)
        ResponseHead.append(body: body, head: head, to: &bytes)
    }

    init(reading payload: [UInt8]) throws(FormatFault) {
        var reader = ByteReader(payload)
        let microseconds = try reader.read(UInt64.self)
        // An hour: more is no deadline.
        self.timeLeft = .microseconds(Int64(min(microseconds, 3_600_000_000)))
        self.body = try BodyAnnouncement(from: &reader)
        self.head = reader.readRest()
    }
}

/// The payload of a response head: body bytes UInt32 · waits for credit UInt8 · head.
struct ResponseHead: Equatable {
    var body: BodyAnnouncement
    var head: ArraySlice<UInt8>

    static func append(body: BodyAnnouncement, head: [UInt8], to bytes: inout [UInt8]) {
        bytes.appendLittleEndian(UInt32(body.sizeBytes))
        bytes.append(body.waitsForCredit ? 1 : 0)
        bytes.append(contentsOf: head)
    }

    init(reading payload: [UInt8]) throws(FormatFault) {
        var reader = ByteReader(payload)
        self.body = try BodyAnnouncement(from: &reader)
        self.head = reader.readRest()
    }
}

extension BodyAnnouncement {
    init(from reader: inout ByteReader) throws(FormatFault) {
        let size = Int(try reader.read(UInt32.self))
        guard size <= PeerLimits.bodyLimitBytes else {
            throw .tooLarge(field: "body", size: size, limit: PeerLimits.bodyLimitBytes)
        }
        self.init(sizeBytes: size, waitsForCredit: try reader.readBool(field: "credit"))
        // What is sent unasked is small; anything else asks.
        guard self.waitsForCredit || size <= PeerLimits.eagerBodyBytes else {
            throw .tooLarge(field: "unasked body", size: size, limit: PeerLimits.eagerBodyBytes)
        }
    }
}

/// The payload of a refusal: cause UInt8 · UTF-8 message. The code is the frame's tag.
enum RefusalCause: UInt8 {
    /// The service said no.
    case answer = 0
    /// The other node has too many calls of ours under way.
    case overloaded = 1
    /// The other node is going down.
    case shuttingDown = 2

    /// The longest message; what is longer is cut.
    static let messageLimitBytes = 4_096

    static func fault(code: UInt16, payload: [UInt8]) throws(FormatFault) -> CallFault {
        var reader = ByteReader(payload)
        guard let cause = RefusalCause(rawValue: try reader.read()) else {
            throw .invalid(field: "cause", offset: 0)
        }
        switch cause {
        case .answer:
            let message = String(decoding: reader.readRest(), as: UTF8.self)
            return .refused(code: code, message: message)
        case .overloaded: return .overloaded
        case .shuttingDown: return .shuttingDown
        }
    }
}

extension [UInt8] {
    fileprivate mutating func appendLittleEndian<Number: FixedWidthInteger>(_ number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { self.append(contentsOf: $0) }
    }
}
