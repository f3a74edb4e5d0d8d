import Cryptography
import IORuntime
import Primitives
import Wire

/// What the writer of a connection does next.
enum WriterStep {
    case write(OutgoingBatch)
    /// Nothing to write: park.
    case wait
    /// The connection is over.
    case stop
}

/// The end of a connection, asking or answering, as the link below it sees it.
protocol LinkEnd: AnyObject, Sendable {
    /// - Parameter checksParts: whether parts of bodies and messages carry a checksum.
    func writerStep(spare: inout [UInt8], checksParts: Bool) -> WriterStep
    func park(writer: UnsafeContinuation<Void, Never>)
    func receive(_ frame: Frame) throws(LinkFault)
    func ping()
    /// How many batches the writer has taken: whether anything was written lately.
    var batchesTaken: UInt64 { get }
    /// The link is over; its writer must not wait any longer. Called at least once.
    func disconnected()
}

/// Moves frames between a secure channel and one end, until either is over.
struct FrameLink {
    let channel: any SecureChannel
    let end: any LinkEnd
    let limits: PeerLimits

    /// After so many bytes in one go, others get their turn on the loop.
    private static let turnBytes = 1 << 20

    /// Returns when the connection is over, and why.
    ///
    /// - Parameter decoder: what has read the hello, and perhaps what stands behind it.
    func run(_ decoder: FrameDecoder) async -> LinkFault {
        await withTaskGroup(of: LinkFault?.self) { group in
            group.addTask {
                await self.untilOver { () throws(LinkFault) in try await self.read(decoder) }
            }
            group.addTask {
                await self.untilOver { () throws(LinkFault) in try await self.write() }
            }
            group.addTask {
                await self.keepAlive()
                return nil
            }
            var first: LinkFault?
            while let ended = await group.next() {
                guard first == nil, let fault = ended else { continue }
                first = fault
                group.cancelAll()
            }
            return first ?? .stream(.closed)
        }
    }

    /// Whoever ends first ends the others: the channel is closed, the parked writer resumed.
    private func untilOver(_ work: () async throws(LinkFault) -> Void) async -> LinkFault {
        var fault = LinkFault.stream(.closed)
        do throws(LinkFault) { try await work() } catch { fault = error }
        self.channel.close()
        self.end.disconnected()
        return fault
    }

    // MARK: Reading

    private func read(_ first: FrameDecoder) async throws(LinkFault) {
        var decoder = first
        decoder.takesUncheckedPayloads = self.channel.provesBytes
        var turn = 0
        try self.deliver(from: &decoder)
        while true {
            let count = try await Self.readMore(
                from: self.channel, into: &decoder, by: self.limits.silenceLimit)
            try self.deliver(from: &decoder)
            turn += count
            if turn >= Self.turnBytes {
                turn = 0
                await self.letOthersRun()
            }
        }
    }

    private func deliver(from decoder: inout FrameDecoder) throws(LinkFault) {
        while let frame = try Self.next(of: &decoder) { try self.end.receive(frame) }
    }

    private static func next(of decoder: inout FrameDecoder) throws(LinkFault) -> Frame? {
        do throws(FormatFault) { return try decoder.next() } catch { throw .format(error) }
    }

    /// Reads once, waiting at most `limit` for something to read; says how many bytes came.
    private static func readMore(
        from channel: any SecureChannel, into decoder: inout FrameDecoder, by limit: Duration
    ) async throws(LinkFault) -> Int {
        do throws(StreamFault) {
            while true {
                let count = try decoder.fill { room throws(StreamFault) -> Int? in
                    try channel.readNow(into: room)
                }
                guard let count else {
                    try await channel.readable(by: channel.loop.now + limit)
                    continue
                }
                guard count > 0 else { throw StreamFault.endedEarly }
                return count
            }
        } catch { throw .stream(error) }
    }

    /// The first frame of a connection.
    static func firstFrame(
        from channel: any SecureChannel, into decoder: inout FrameDecoder, deadline: Instant
    ) async throws(LinkFault) -> Frame {
        while true {
            if let frame = try Self.next(of: &decoder) { return frame }
            _ = try await Self.readMore(
                from: channel, into: &decoder, by: deadline - channel.loop.now)
        }
    }

    // MARK: Writing

    private func write() async throws(LinkFault) {
        let checksParts = !self.channel.provesBytes
        var spare: [UInt8] = []
        var turn = 0
        while true {
            switch self.end.writerStep(spare: &spare, checksParts: checksParts) {
            case .stop: return
            case .wait: await withUnsafeContinuation { self.end.park(writer: $0) }
            case .write(let batch):
                do throws(StreamFault) { try await self.write(batch) } catch {
                    throw .stream(error)
                }
                turn += batch.countBytes
                spare = batch.frames
                if turn >= Self.turnBytes {
                    turn = 0
                    await self.letOthersRun()
                }
            }
        }
    }

    private func write(_ batch: OutgoingBatch) async throws(StreamFault) {
        var written = 0
        while written < batch.countBytes {
            let count = try self.writeNow(batch, from: written)
            written += count
            if count == 0 {
                try await self.channel.writable(
                    by: self.channel.loop.now + self.limits.silenceLimit)
            }
        }
    }

    private func writeNow(_ batch: OutgoingBatch, from start: Int) throws(StreamFault) -> Int {
        let result: Result<Int, StreamFault> = batch.frames.withUnsafeBytes { frames in
            batch.part.withUnsafeBytes { part in
                let restOfFrames = UnsafeRawBufferPointer(rebasing: frames.dropFirst(start))
                let restOfPart = UnsafeRawBufferPointer(
                    rebasing: part.dropFirst(max(0, start - frames.count)))
                let buffers = [restOfFrames, restOfPart].filter { !$0.isEmpty }
                do throws(StreamFault) {
                    return .success(try self.channel.writeNow(buffers))
                } catch { return .failure(error) }
            }
        }
        return try result.get()
    }

    /// Says that this side is there whenever it has said nothing for a while. Each side does so,
    /// so that nobody needs to answer.
    ///
    /// Links look at the same moments, and so do all nodes of one machine: one wake-up serves many.
    private func keepAlive() async {
        var batchesBefore = self.end.batchesTaken
        let interval = UInt64(self.limits.pingInterval.wholeNanoseconds)
        while true {
            let rest = interval - self.channel.loop.now.nanoseconds % interval
            do { try await self.channel.loop.sleep(for: .nanoseconds(Int64(rest))) } catch {
                return
            }
            let batches = self.end.batchesTaken
            if batches == batchesBefore { self.end.ping() }
            batchesBefore = batches
        }
    }

    /// Cancellation shows at the next read or write, on the closed channel.
    private func letOthersRun() async {
        do { try await self.channel.loop.sleep(for: .zero) } catch { return }
    }
}
