import ChunkProtocol
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// Reads one body into the drafts of its chunks, within the memory that all uploads share.
///
/// An upload begins with little and is given more as its bytes come, so that a thousand slow senders
/// hold little each. It waits for memory only with empty hands: who holds a part of a chunk and gets
/// no more ends the chunk there, sends it off and gives the memory back. And while others wait, a
/// chunk that has been filling for long ends with the next bytes that come.
struct BodyIntake {
    private let access: ObjectAccess
    private let stated: StatedBody
    private let loop: any EventLoop
    /// Bytes of the body that the source has given.
    private var receivedBytes: UInt64 = 0
    /// Where the next chunk ends at the latest; 0 when nothing may follow.
    var chunkBytes: Int

    /// What a chunk begins with, and the least one that is ended early holds.
    private static let firstBytes = 16 << 10
    /// What it grows by at most.
    private static let mostStepBytes = 1 << 20
    /// Room that takes longer than this to be filled is followed by no more than a frame.
    private static let quickFill: Duration = .seconds(1)

    init(_ access: ObjectAccess, _ stated: StatedBody, on loop: any EventLoop) {
        self.access = access
        self.stated = stated
        self.loop = loop
        self.chunkBytes = access.settings.chunkBytes
    }

    /// The next bytes of a body, at most a chunk's worth.
    struct Arrived: Sendable {
        let draft: Handover<ChunkDraft>
        let plainBytes: Int
        /// What the draft holds of the budget, to be released with it; nil for an empty draft.
        let ticket: ByteBudget.Ticket?
        let isLast: Bool
    }

    /// Reads the next chunk. Its draft is empty where the body has ended, which shows only behind
    /// the last chunk where no length was stated.
    ///
    /// - Parameter deadline: until when to wait for memory.
    mutating func nextChunk(
        from source: any BodySource, waitingUntil deadline: Instant
    ) async throws(AccessFault) -> Arrived {
        var draft = ChunkDraft()
        let first = min(Self.firstBytes, self.roomLeft(in: draft))
        guard first > 0 else {
            try await self.expectEnd(of: source)
            return Arrived(draft: Handover(draft), plainBytes: 0, ticket: nil, isLast: true)
        }
        guard
            let ticket = await self.access.budget.take(first, on: self.loop, by: deadline)
        else {
            self.access.counters.uploadsRefusedForMemory.add()
            throw .overloaded
        }
        draft.grow(by: first)
        do throws(AccessFault) {
            let isLast = try await self.fill(&draft, under: ticket, from: source)
            let plainBytes = draft.plainBytes
            if plainBytes == 0 { self.access.budget.release(ticket) }
            return Arrived(
                draft: Handover(draft), plainBytes: plainBytes,
                ticket: plainBytes == 0 ? nil : ticket, isLast: isLast)
        } catch {
            self.access.budget.release(ticket)
            throw error
        }
    }

    /// What the chunk may still take, as far as is known.
    private func roomLeft(in draft: ChunkDraft) -> Int {
        let inChunk = self.chunkBytes - draft.plainBytes
        guard let stated = self.stated.sizeBytes else { return inChunk }
        return Int(min(UInt64(inChunk), stated - self.receivedBytes))
    }

    /// Reads until the chunk ends, and says whether the body has ended with it.
    private mutating func fill(
        _ draft: inout ChunkDraft, under ticket: ByteBudget.Ticket, from source: any BodySource
    ) async throws(AccessFault) -> Bool {
        let begun = self.loop.now
        var stepBegun = begun
        var step = Self.firstBytes
        while true {
            if draft.isFull {
                let room = self.roomLeft(in: draft)
                if room == 0 { return try await self.hasEnded(source) }
                let now = self.loop.now
                let isQuick = now - stepBegun < Self.quickFill
                step = isQuick ? min(4 * step, Self.mostStepBytes) : SealedLayout.frameBytes
                stepBegun = now
                let growth = draft.growth(upTo: min(step, room))
                guard self.access.budget.extend(ticket, by: growth) else {
                    self.access.counters.chunksEndedEarly.add()
                    return false
                }
                draft.grow(by: growth)
            }
            let count: Int
            do throws(BodyFault) { count = try await draft.read(from: source) } catch {
                throw .source(error)
            }
            if count == 0 { return true }
            self.receivedBytes += UInt64(count)
            if self.receivedBytes > self.access.settings.largestBodyBytes {
                throw .bodyTooLarge(limitBytes: self.access.settings.largestBodyBytes)
            }
            if self.access.budget.isShort, draft.plainBytes >= Self.firstBytes,
                self.loop.now - begun >= Self.quickFill, self.roomLeft(in: draft) > 0
            {
                self.access.counters.chunksEndedEarly.add()
                return false
            }
        }
    }

    /// The chunk is full: whether the body has ended as well, where its stated length says so.
    private func hasEnded(_ source: any BodySource) async throws(AccessFault) -> Bool {
        guard let stated = self.stated.sizeBytes, stated == self.receivedBytes else { return false }
        try await self.expectEnd(of: source)
        return true
    }

    /// All that was stated has come: nothing may follow.
    private func expectEnd(of source: any BodySource) async throws(AccessFault) {
        let more: [UInt8]
        do throws(BodyFault) { more = try await source.next(upTo: 1) } catch {
            throw .source(error)
        }
        guard more.isEmpty else { throw .bodyIncomplete }
    }
}

/// A value on its way from one owner to the next, of which there is no second copy: who takes it
/// can change its memory in place.
final class Handover<Value: Sendable>: Sendable {
    private let value: Mutex<Value?>

    init(_ value: consuming Value) { self.value = Mutex(value) }

    /// - Precondition: nobody has taken it yet.
    func take() -> Value {
        guard let value = self.value.withLock({ $0.take() }) else {
            brokenInvariant("a value is handed over once")
        }
        return value
    }
}
