import Primitives
import Wire

/// A body or a long message on its way out, cut into frames as their turns come.
struct OutgoingStream {
    let kind: FrameKind
    let tag: UInt16
    let call: UInt64
    private let pieces: [[UInt8]]
    private var piece = 0
    private var offset = 0
    private(set) var remainingBytes: Int

    /// Shorter pieces are gathered, up to this size, into one frame.
    private static let gatherBytes = 16 << 10

    init(kind: FrameKind, tag: UInt16 = 0, call: UInt64, pieces: [[UInt8]], sizeBytes: Int) {
        self.kind = kind
        self.tag = tag
        self.call = call
        self.pieces = pieces
        self.remainingBytes = sizeBytes
    }

    /// The next frame's payload: a part of one piece where that is long, without copying it.
    mutating func nextPart() -> ArraySlice<UInt8> {
        guard self.remainingBytes > 0 else { return [] }
        self.skipEmptyPieces()
        let left = self.pieces[self.piece].count - self.offset
        if left >= Self.gatherBytes || left == self.remainingBytes {
            return self.take(upTo: PeerLimits.partSizeBytes)
        }
        var gathered: [UInt8] = []
        while gathered.count < Self.gatherBytes, self.remainingBytes > 0 {
            self.skipEmptyPieces()
            gathered.append(contentsOf: self.take(upTo: Self.gatherBytes))
        }
        return gathered[...]
    }

    private mutating func take(upTo limit: Int) -> ArraySlice<UInt8> {
        let end = min(self.offset + limit, self.pieces[self.piece].count)
        let part = self.pieces[self.piece][self.offset..<end]
        self.offset = end
        self.remainingBytes -= part.count
        return part
    }

    private mutating func skipEmptyPieces() {
        while self.offset == self.pieces[self.piece].count {
            self.piece += 1
            self.offset = 0
        }
    }
}

/// What one write takes: frames that are ready, and behind them the payload of one part, whose
/// header ends `frames`.
struct OutgoingBatch {
    var frames: [UInt8] = []
    var part: ArraySlice<UInt8> = []
    /// The call whose body has left with this batch.
    var finishedBody: UInt64?
    var countBytes: Int { self.frames.count + self.part.count }
}

/// What waits to be written on one connection. Small frames leave first and many at once; bodies
/// and long messages follow one part each, in turn.
struct Outbox {
    /// How many batches were taken. What was staged while it was n has left once it is above n.
    private(set) var batchesTaken: UInt64 = 0
    /// Bytes of heads and bodies that were put in and not yet taken.
    private(set) var callBytes = 0
    /// The same of messages.
    private(set) var messageBytes = 0

    private var staged: [UInt8] = []
    private var stagedCallBytes = 0
    private var stagedMessageBytes = 0
    private var bodies = Fifo<OutgoingStream>()
    /// Messages behind one that is too long for a frame: they stay in order.
    private var messages = Fifo<OutgoingStream>()
    private var isMessagesTurn = false

    var isEmpty: Bool { self.staged.isEmpty && self.bodies.isEmpty && self.messages.isEmpty }

    /// What the frame of a message says of it where a call has its number. One message at a time
    /// travels in parts, and whole ones may stand between them.
    static let wholeMessage: UInt64 = 0
    static let messageInParts: UInt64 = 1

    /// Puts in one whole frame.
    mutating func stage(
        _ kind: FrameKind, isLast: Bool = true, tag: UInt16 = 0, call: UInt64 = 0,
        payload: (inout [UInt8]) -> Void = { _ in }
    ) {
        let before = self.staged.count
        FrameHeader.appendFrame(
            kind, isLast: isLast, tag: tag, call: call, to: &self.staged, payload: payload)
        self.stagedCallBytes += self.staged.count - before
        self.callBytes += self.staged.count - before
    }

    mutating func append(body: OutgoingStream) {
        self.callBytes += body.remainingBytes
        self.bodies.append(body)
    }

    /// - Parameter isUrgent: whether it goes before messages that wait, if it fits into a frame.
    mutating func append(message: [UInt8], kind: UInt16, isUrgent: Bool) {
        self.messageBytes += message.count
        let isShort = message.count <= PeerLimits.partSizeBytes
        if isShort, isUrgent || self.messages.isEmpty {
            self.stagedMessageBytes += message.count
            FrameHeader.appendFrame(.message, tag: kind, to: &self.staged) {
                $0.append(contentsOf: message)
            }
        } else {
            self.messages.append(
                OutgoingStream(
                    kind: .message, tag: kind,
                    call: isShort ? Self.wholeMessage : Self.messageInParts, pieces: [message],
                    sizeBytes: message.count))
        }
    }

    /// Drops what is left of a call's body; the other side must be told by a cancel.
    mutating func removeBody(of call: UInt64) {
        for body in self.bodies.remove(where: { $0.call == call }) {
            self.callBytes -= body.remainingBytes
        }
    }

    /// Takes what the next write shall write. `spare` lends its memory to the frames staged next.
    ///
    /// - Parameter checksParts: whether parts carry a checksum, because nothing else proves them.
    mutating func takeBatch(spare: inout [UInt8], checksParts: Bool) -> OutgoingBatch? {
        guard !self.isEmpty else { return nil }
        self.batchesTaken += 1
        var batch = OutgoingBatch()
        swap(&self.staged, &batch.frames)
        swap(&self.staged, &spare)
        self.staged.removeAll(keepingCapacity: true)
        self.callBytes -= self.stagedCallBytes
        self.messageBytes -= self.stagedMessageBytes
        self.stagedCallBytes = 0
        self.stagedMessageBytes = 0
        self.appendPart(to: &batch, withChecksum: checksParts)
        return batch
    }

    /// One part of a body or of a message: bodies take turns, and between them the messages do.
    private mutating func appendPart(to batch: inout OutgoingBatch, withChecksum: Bool) {
        self.isMessagesTurn.toggle()
        let isMessage = self.bodies.isEmpty || (self.isMessagesTurn && !self.messages.isEmpty)
        guard
            var stream = isMessage ? self.messages.popFirst() : self.bodies.popFirst()
        else { return }
        batch.part = stream.nextPart()
        let isLast = stream.remainingBytes == 0
        FrameHeader(
            kind: stream.kind, isLast: isLast, tag: stream.tag, call: stream.call,
            lengthBytes: batch.part.count,
            payloadChecksum: withChecksum ? CRC32C.of(batch.part) : nil
        ).append(to: &batch.frames)
        if isMessage {
            self.messageBytes -= batch.part.count
            if !isLast { self.messages.prependFirst(stream) }
        } else {
            self.callBytes -= batch.part.count
            if isLast { batch.finishedBody = stream.call } else { self.bodies.append(stream) }
        }
    }
}
