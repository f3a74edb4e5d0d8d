import Primitives

/// What a frame between two nodes is. Raw values are for ever.
package enum FrameKind: UInt8, Sendable, CaseIterable {
    /// The first frame of a connection, each way: who is there and what it speaks.
    case hello = 1
    /// A call begins. Its `last` flag says that no body follows.
    case requestHead = 2
    /// A piece of a request's body.
    case requestPart = 3
    /// The answer to a call begins. Its `last` flag says that no body follows.
    case responseHead = 4
    /// A piece of a response's body.
    case responsePart = 5
    /// The answer is no: the tag is the code, the payload the message.
    case refusal = 6
    /// A message without an answer, or a piece of one.
    case message = 7
    /// The caller has given up; the answer is not wanted any more.
    case cancel = 8
    /// The receiver has room for the announced body of this call.
    case credit = 9
    /// Nothing to say, but still there.
    case ping = 10
}

/// What stands before every frame's payload: 28 bytes, little-endian.
///
///     0   magic      UInt16  0x4648 ("HF")
///     2   version    UInt8   1
///     3   kind       UInt8   FrameKind
///     4   flags      UInt8   bit 0: the last frame of its request, response or message
///                            bit 1: the payload has no checksum
///     5   reserved   UInt8   0
///     6   tag        UInt16  the kind of a request or a message, the code of a refusal, else 0
///     8   call       UInt64  which call or message of the connection; 0 where there is none
///     16  length     UInt32  of the payload
///     20  payload    UInt32  CRC-32C of the payload; 0 where it has none
///     24  header     UInt32  CRC-32C of the 24 bytes before
///
/// The header has a checksum of its own, so that a damaged length is found out before anybody waits
/// for the bytes it promises. A payload goes without only over a channel that authenticates each
/// byte itself: there a checksum finds nothing more, and costs both ends a pass over the bytes.
package struct FrameHeader: Equatable, Sendable {
    package static let sizeBytes = 28
    package static let magic: UInt16 = 0x4648
    package static let version: UInt8 = 1
    /// The longest payload of one frame.
    package static let payloadLimitBytes = 256 << 10

    package var kind: FrameKind
    package var isLast: Bool
    package var tag: UInt16
    package var call: UInt64
    package var lengthBytes: Int
    /// Nil: the payload goes without one.
    package var payloadChecksum: UInt32?

    package init(
        kind: FrameKind, isLast: Bool = true, tag: UInt16 = 0, call: UInt64 = 0,
        lengthBytes: Int = 0, payloadChecksum: UInt32? = 0
    ) {
        self.kind = kind
        self.isLast = isLast
        self.tag = tag
        self.call = call
        self.lengthBytes = lengthBytes
        self.payloadChecksum = payloadChecksum
    }

    /// Appends the 28 bytes to `bytes`.
    package func append(to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: Self.blank)
        self.store(at: start, in: &bytes)
    }

    /// Appends a frame whose payload is what `write` appends, without an array of its own for it.
    package static func appendFrame(
        _ kind: FrameKind, isLast: Bool = true, tag: UInt16 = 0, call: UInt64 = 0,
        to bytes: inout [UInt8], payload write: (inout [UInt8]) -> Void
    ) {
        let start = bytes.count
        bytes.append(contentsOf: Self.blank)
        write(&bytes)
        let payload = bytes[(start + Self.sizeBytes)...]
        let header = FrameHeader(
            kind: kind, isLast: isLast, tag: tag, call: call, lengthBytes: payload.count,
            payloadChecksum: CRC32C.of(payload))
        header.store(at: start, in: &bytes)
    }

    private var isUnchecked: Bool { self.payloadChecksum == nil }

    private enum Flag {
        static let last: UInt8 = 1
        static let unchecked: UInt8 = 2
    }

    private static let blank = [UInt8](repeating: 0, count: Self.sizeBytes)

    private func store(at start: Int, in bytes: inout [UInt8]) {
        invariant(
            self.lengthBytes <= Self.payloadLimitBytes,
            "a frame of \(self.lengthBytes) bytes is longer than the format allows")
        bytes.withUnsafeMutableBytes { all in
            let field = UnsafeMutableRawBufferPointer(rebasing: all[start..<start + Self.sizeBytes])
            func store<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
                field.storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
            }
            store(Self.magic, at: 0)
            store(Self.version, at: 2)
            store(self.kind.rawValue, at: 3)
            store((self.isLast ? Flag.last : 0) | (self.isUnchecked ? Flag.unchecked : 0), at: 4)
            store(UInt8(0), at: 5)
            store(self.tag, at: 6)
            store(self.call, at: 8)
            store(UInt32(self.lengthBytes), at: 16)
            store(self.payloadChecksum ?? 0, at: 20)
            store(CRC32C.of(UnsafeRawBufferPointer(rebasing: field[..<24])), at: 24)
        }
    }

    /// Reads the header that `bytes` begins with.
    ///
    /// - Precondition: there are at least 28 bytes.
    init(reading bytes: UnsafeRawBufferPointer) throws(FormatFault) {
        func load<Number: FixedWidthInteger>(_ offset: Int, _: Number.Type) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        guard load(0, UInt16.self) == Self.magic else {
            throw .invalid(field: "magic", offset: 0)
        }
        guard load(2, UInt8.self) == Self.version else {
            throw .unknownVersion(Int(load(2, UInt8.self)))
        }
        let recorded = load(24, UInt32.self)
        let computed = CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<24]))
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        guard let kind = FrameKind(rawValue: load(3, UInt8.self)) else {
            throw .invalid(field: "kind", offset: 3)
        }
        let flags = load(4, UInt8.self)
        guard flags & ~(Flag.last | Flag.unchecked) == 0 else {
            throw .invalid(field: "flags", offset: 4)
        }
        let isUnchecked = flags & Flag.unchecked != 0
        let checksum = load(20, UInt32.self)
        guard !isUnchecked || checksum == 0 else { throw .invalid(field: "payload", offset: 20) }
        guard load(5, UInt8.self) == 0 else { throw .invalid(field: "reserved", offset: 5) }
        let length = Int(load(16, UInt32.self))
        guard length <= Self.payloadLimitBytes else {
            throw .tooLarge(field: "length", size: length, limit: Self.payloadLimitBytes)
        }
        self.init(
            kind: kind, isLast: flags & Flag.last != 0, tag: load(6, UInt16.self),
            call: load(8, UInt64.self), lengthBytes: length,
            payloadChecksum: isUnchecked ? nil : checksum)
    }
}

/// One frame, whole.
package struct Frame: Equatable, Sendable {
    package var kind: FrameKind
    package var isLast: Bool
    package var tag: UInt16
    package var call: UInt64
    package var payload: [UInt8]

    package init(
        kind: FrameKind, isLast: Bool = true, tag: UInt16 = 0, call: UInt64 = 0,
        payload: [UInt8] = []
    ) {
        self.kind = kind
        self.isLast = isLast
        self.tag = tag
        self.call = call
        self.payload = payload
    }

    /// Appends the frame to `bytes`, header first.
    package func append(to bytes: inout [UInt8]) {
        FrameHeader.appendFrame(
            self.kind, isLast: self.isLast, tag: self.tag, call: self.call, to: &bytes
        ) { $0.append(contentsOf: self.payload) }
    }
}
