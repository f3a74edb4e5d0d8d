import Primitives

/// Cuts a stream of bytes into frames. It owns the memory that the stream is read into: the caller
/// lets it `fill` from the socket, then takes `next` until that is nil.
///
/// Small frames are read many at a time into one buffer, and each payload is copied out once. The
/// payload of a large frame is read where it will stay. After a fault the stream has no meaning any
/// more, and the decoder throws the same fault for ever.
package struct FrameDecoder: Sendable {
    /// The buffer that small frames are read into.
    package static let bufferSizeBytes = 64 << 10
    /// From this size on, what is missing of a payload is read straight to its place.
    package static let directSizeBytes = 16 << 10

    /// Whether payloads may come without a checksum: only where the channel below proves each byte.
    package var takesUncheckedPayloads = false

    private var buffer: [UInt8] = []
    /// What of `buffer` was read and not yet taken.
    private var unread = 0..<0
    private var large: LargeFrame?
    private var fault: FormatFault?

    private struct LargeFrame: Sendable {
        var header: FrameHeader
        var payload: [UInt8]
        var filled: Int
    }

    package init() {}

    /// Calls `read` once with room for at least one byte, and passes on what it returns: how many
    /// bytes it has put there, 0 at the stream's end, nil when nothing has arrived.
    package mutating func fill<Fault: Error>(
        _ read: (UnsafeMutableRawBufferPointer) throws(Fault) -> Int?
    ) throws(Fault) -> Int? {
        if self.large != nil { return try self.fillLarge(read) }
        if self.buffer.isEmpty { self.buffer = [UInt8](repeating: 0, count: Self.bufferSizeBytes) }
        self.makeRoom()
        let end = self.unread.upperBound
        let result: Result<Int?, Fault> = self.buffer.withUnsafeMutableBytes { space in
            let room = UnsafeMutableRawBufferPointer(rebasing: space[end...])
            do throws(Fault) { return .success(try read(room)) } catch { return .failure(error) }
        }
        let count = try result.get()
        if let count {
            invariant(count <= self.buffer.count - end, "no more is read than there is room for")
            self.unread = self.unread.lowerBound..<end + count
        }
        return count
    }

    private mutating func fillLarge<Fault: Error>(
        _ read: (UnsafeMutableRawBufferPointer) throws(Fault) -> Int?
    ) throws(Fault) -> Int? {
        // Taken out and put back, so that the payload has one owner while it is written to.
        guard var frame = self.large.take() else { return nil }
        defer { self.large = frame }
        let filled = frame.filled
        let result: Result<Int?, Fault> = frame.payload.withUnsafeMutableBytes { space in
            let room = UnsafeMutableRawBufferPointer(rebasing: space[filled...])
            do throws(Fault) { return .success(try read(room)) } catch { return .failure(error) }
        }
        let count = try result.get()
        if let count {
            invariant(
                count <= frame.payload.count - filled, "no more is read than there is room for")
            frame.filled += count
        }
        return count
    }

    /// Moves what is unread to the front when the room behind it runs out. Nothing that `next` has
    /// left can fill the buffer: a frame from `directSizeBytes` on leaves it for a place of its own.
    private mutating func makeRoom() {
        if self.unread.isEmpty {
            self.unread = 0..<0
        } else if self.unread.upperBound > self.buffer.count - Self.directSizeBytes {
            let count = self.unread.count
            self.buffer.withUnsafeMutableBytes { space in
                let rest = UnsafeRawBufferPointer(rebasing: space[self.unread])
                UnsafeMutableRawBufferPointer(rebasing: space[..<count]).copyMemory(from: rest)
            }
            self.unread = 0..<count
        }
    }

    /// The next frame that has arrived whole; nil when more bytes are needed.
    package mutating func next() throws(FormatFault) -> Frame? {
        if let fault = self.fault { throw fault }
        do throws(FormatFault) {
            if self.large != nil { return try self.nextLarge() }
            return try self.nextBuffered()
        } catch {
            self.fault = error
            throw error
        }
    }

    private mutating func nextLarge() throws(FormatFault) -> Frame? {
        guard let frame = self.large, frame.filled == frame.payload.count else { return nil }
        self.large = nil
        return try self.checked(frame.header, frame.payload)
    }

    private mutating func nextBuffered() throws(FormatFault) -> Frame? {
        guard self.unread.count >= FrameHeader.sizeBytes else { return nil }
        let start = self.unread.lowerBound
        let parsed: Result<FrameHeader, FormatFault> = self.buffer.withUnsafeBytes { bytes in
            do throws(FormatFault) {
                return .success(
                    try FrameHeader(reading: UnsafeRawBufferPointer(rebasing: bytes[start...])))
            } catch { return .failure(error) }
        }
        let header = try parsed.get()
        let payloadStart = start + FrameHeader.sizeBytes
        let arrived = self.unread.upperBound - payloadStart
        if arrived >= header.lengthBytes {
            let end = payloadStart + header.lengthBytes
            self.unread = end..<self.unread.upperBound
            return try self.checked(header, [UInt8](self.buffer[payloadStart..<end]))
        }
        if header.lengthBytes >= Self.directSizeBytes {
            let here = self.buffer[payloadStart..<self.unread.upperBound]
            // Not cleared: nobody sees the payload before all of it has been read.
            let payload = [UInt8](unsafeUninitializedCapacity: header.lengthBytes) { room, count in
                UnsafeMutableRawBufferPointer(room).copyBytes(from: here)
                count = header.lengthBytes
            }
            self.unread = 0..<0
            self.large = LargeFrame(header: header, payload: payload, filled: arrived)
        }
        return nil
    }

    private func checked(
        _ header: FrameHeader, _ payload: [UInt8]
    ) throws(FormatFault) -> Frame {
        if let recorded = header.payloadChecksum {
            let computed = CRC32C.of(payload)
            guard computed == recorded else {
                throw .checksumMismatch(recorded: recorded, computed: computed)
            }
        } else if !self.takesUncheckedPayloads {
            throw .invalid(field: "flags", offset: 4)
        }
        return Frame(
            kind: header.kind, isLast: header.isLast, tag: header.tag, call: header.call,
            payload: payload)
    }
}
