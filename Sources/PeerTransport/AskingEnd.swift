import IORuntime
import Primitives
import Wire

/// Resumes a caller with what became of its call.
typealias CallResult = Result<PeerResponse, CallFault>
typealias CallContinuation = UnsafeContinuation<CallResult, Never>

/// What an end of a connection wants done outside its lock, in this order.
struct AskingEffects {
    var wakeWriter: UnsafeContinuation<Void, Never>?
    var dial = false
    /// Call `deadlinePassed` then.
    var armDeadline: Instant?
    var claims: [(ticket: ByteBudget.Ticket, sizeBytes: Int, call: UInt64)] = []
    var releases: [ByteBudget.Ticket] = []
    var finished: [(caller: CallContinuation, result: CallResult)] = []
}

/// The calls of this node on one lane of one peer, as a value: which wait, which are under way,
/// what is to be written. Inputs in, effects out; no clock and no socket.
struct AskingEnd: Sendable {
    /// What the connection is doing.
    enum Phase {
        /// Never used yet. The first call or message dials.
        case idle
        /// A first dial, or the one right after a loss: calls wait for its outcome.
        case dialing
        /// Frames flow.
        case up
        /// The last dial has failed and others follow at intervals: calls fail at once.
        case down
        /// This side shuts down; for ever.
        case closed
    }

    struct Call {
        let caller: CallContinuation
        let deadline: Instant
        var stage: Stage
        var eagerBytes = 0
        var response: Response?
    }

    enum Stage {
        /// For the connection, or for room in the write queue.
        case waiting(PeerRequest)
        /// The head is staged, the body waits for credit.
        case parked(OutgoingStream)
        /// Parts of the body are still to be taken.
        case sending
        /// All is staged; it has left when more batches were taken than this.
        case sent(batchesBefore: UInt64)
    }

    struct Response {
        var head: [UInt8]
        var body: [[UInt8]] = []
        var missingBytes: Int
        var ticket: ByteBudget.Ticket?
        /// Parts before the credit that they were to wait for are a violation.
        var mayArrive: Bool
    }

    private let node: NodeID
    private let limits: PeerLimits
    private(set) var phase = Phase.idle
    var outbox = Outbox()
    var calls: [UInt64: Call] = [:]
    var waiting = Fifo<UInt64>()
    private var eagerBytes = 0
    private var writer: UnsafeContinuation<Void, Never>?
    /// When the deadline timer goes off next; nil when it is not set.
    private var armedDeadline: Instant?

    init(node: NodeID, limits: PeerLimits) {
        self.node = node
        self.limits = limits
    }

    var callsInFlight: Int { self.calls.count }

    // MARK: Calls

    mutating func begin(
        _ id: UInt64, _ request: PeerRequest, deadline: Instant, now: Instant,
        caller: CallContinuation, into effects: inout AskingEffects
    ) {
        if let fault = self.refusal(of: request, deadline: deadline, now: now) {
            effects.finished.append((caller, .failure(fault)))
            return
        }
        self.calls[id] = Call(caller: caller, deadline: deadline, stage: .waiting(request))
        self.waiting.append(id)
        self.arm(deadline, into: &effects)
        if self.phase == .idle {
            self.phase = .dialing
            effects.dial = true
        }
        self.admit(now: now, into: &effects)
    }

    private func refusal(of request: PeerRequest, deadline: Instant, now: Instant) -> CallFault? {
        if let tooLarge = request.tooLarge { return tooLarge }
        switch self.phase {
        case .closed: return .shuttingDown
        case .down: return .unreachable(self.node)
        case .idle, .dialing, .up: break
        }
        if deadline <= now { return .deadlineExceeded(mayHaveRun: false) }
        return self.calls.count >= self.limits.callsInFlight ? .overloaded : nil
    }

    /// Stages calls that wait, in order, as long as the write queue has room for them.
    mutating func admit(now: Instant, into effects: inout AskingEffects) {
        guard self.phase == .up else { return }
        while let id = self.waiting.popFirst() {
            guard case .waiting(let request)? = self.calls[id]?.stage else { continue }
            let size = request.head.count + request.bodyBytes
            let queued = self.outbox.callBytes
            guard queued == 0 || queued + size <= self.limits.writeQueueBytes else {
                self.waiting.prependFirst(id)
                break
            }
            self.stage(id, request, now: now)
        }
        self.wakeWriterIfNeeded(into: &effects)
    }

    private mutating func stage(_ id: UInt64, _ request: PeerRequest, now: Instant) {
        let size = request.bodyBytes
        let isEager =
            size <= PeerLimits.eagerBodyBytes
            && self.eagerBytes + size <= self.limits.eagerWindowBytes
        let body = BodyAnnouncement(sizeBytes: size, waitsForCredit: !isEager)
        let timeLeft = (self.calls[id]?.deadline ?? now) - now
        self.outbox.stage(.requestHead, isLast: size == 0, tag: request.kind, call: id) {
            RequestHead.append(timeLeft: timeLeft, body: body, head: request.head, to: &$0)
        }
        guard size > 0 else {
            self.calls[id]?.stage = .sent(batchesBefore: self.outbox.batchesTaken)
            return
        }
        let stream = OutgoingStream(
            kind: .requestPart, call: id, pieces: request.body, sizeBytes: size)
        if isEager {
            self.eagerBytes += size
            self.calls[id]?.eagerBytes = size
            self.calls[id]?.stage = .sending
            self.outbox.append(body: stream)
        } else {
            self.calls[id]?.stage = .parked(stream)
        }
    }

    /// The caller's task was cancelled.
    mutating func cancel(_ id: UInt64, now: Instant, into effects: inout AskingEffects) {
        self.abandon(id, into: &effects) { .cancelled(mayHaveRun: $0) }
        self.admit(now: now, into: &effects)
    }

    /// The timer that `armDeadline` asked for has gone off.
    mutating func deadlinePassed(now: Instant, into effects: inout AskingEffects) {
        self.armedDeadline = nil
        let late = self.calls.filter { $0.value.deadline <= now }.keys.sorted()
        for id in late {
            self.abandon(id, into: &effects) { .deadlineExceeded(mayHaveRun: $0) }
        }
        if let next = self.calls.values.map(\.deadline).min() { self.arm(next, into: &effects) }
        self.admit(now: now, into: &effects)
    }

    /// Ends a call that the caller does not wait for any longer, and tells the other side.
    private mutating func abandon(
        _ id: UInt64, into effects: inout AskingEffects, fault: (_ mayHaveRun: Bool) -> CallFault
    ) {
        guard let call = self.calls[id] else { return }
        let mayHaveRun: Bool
        switch call.stage {
        case .waiting: mayHaveRun = false
        case .parked, .sending:
            mayHaveRun = false
            self.outbox.removeBody(of: id)
            self.outbox.stage(.cancel, call: id)
        // Staged frames are not taken back, so what has not left yet still will.
        case .sent:
            mayHaveRun = true
            self.outbox.stage(.cancel, call: id)
        }
        self.finish(id, .failure(fault(mayHaveRun)), into: &effects)
    }

    mutating func finish(
        _ id: UInt64, _ result: CallResult, into effects: inout AskingEffects
    ) {
        guard let call = self.calls.removeValue(forKey: id) else { return }
        self.eagerBytes -= call.eagerBytes
        if let ticket = call.response?.ticket { effects.releases.append(ticket) }
        effects.finished.append((call.caller, result))
    }

    private mutating func arm(_ deadline: Instant, into effects: inout AskingEffects) {
        if let armed = self.armedDeadline, armed <= deadline { return }
        self.armedDeadline = deadline
        effects.armDeadline = deadline
    }

    // MARK: Messages

    /// - Returns: false when the message was dropped.
    mutating func send(
        _ message: [UInt8], kind: UInt16, isUrgent: Bool, into effects: inout AskingEffects
    ) -> Bool {
        switch self.phase {
        case .idle:
            self.phase = .dialing
            effects.dial = true
        case .dialing, .up: break
        case .down, .closed: return false
        }
        guard message.count <= PeerLimits.messageLimitBytes,
            self.outbox.messageBytes + message.count <= self.limits.messageQueueBytes
        else { return false }
        self.outbox.append(message: message, kind: kind, isUrgent: isUrgent)
        self.wakeWriterIfNeeded(into: &effects)
        return true
    }

    // MARK: The connection

    /// A connection stands: what waits may go.
    mutating func connected(now: Instant, into effects: inout AskingEffects) {
        guard self.phase != .closed else { return }
        self.phase = .up
        self.admit(now: now, into: &effects)
    }

    /// The connection is no more, and is dialed anew at once. What has left may have run; what
    /// waits goes on waiting.
    mutating func disconnected(into effects: inout AskingEffects) {
        guard self.phase == .up else { return }
        self.phase = .dialing
        self.failStarted(into: &effects)
        effects.wakeWriter = self.writer.take()
    }

    /// A dial has failed.
    mutating func dialFailed(into effects: inout AskingEffects) {
        guard self.phase != .closed else { return }
        self.phase = .down
        for id in self.calls.keys.sorted() {
            self.finish(id, .failure(.unreachable(self.node)), into: &effects)
        }
        self.waiting = Fifo()
        self.outbox = Outbox()
    }

    /// This side shuts down.
    mutating func close(into effects: inout AskingEffects) {
        self.phase = .closed
        self.failStarted(into: &effects)
        for id in self.calls.keys.sorted() {
            self.finish(id, .failure(.shuttingDown), into: &effects)
        }
        effects.wakeWriter = self.writer.take()
    }

    private mutating func failStarted(into effects: inout AskingEffects) {
        for id in self.calls.keys.sorted() {
            switch self.calls[id]?.stage {
            case .waiting, nil: continue
            case .parked, .sending:
                self.finish(id, .failure(.connectionLost(mayHaveRun: false)), into: &effects)
            case .sent(let batchesBefore):
                let hasLeft = self.outbox.batchesTaken > batchesBefore
                self.finish(id, .failure(.connectionLost(mayHaveRun: hasLeft)), into: &effects)
            }
        }
        self.outbox = Outbox()
        self.eagerBytes = 0
    }

    // MARK: Writing

    mutating func writerStep(
        spare: inout [UInt8], checksParts: Bool, now: Instant, into effects: inout AskingEffects
    ) -> WriterStep {
        guard self.phase == .up else { return .stop }
        guard let batch = self.outbox.takeBatch(spare: &spare, checksParts: checksParts) else {
            return .wait
        }
        if let id = batch.finishedBody, self.calls[id] != nil {
            self.calls[id]?.stage = .sent(batchesBefore: 0)
        }
        if !self.waiting.isEmpty { self.admit(now: now, into: &effects) }
        return .write(batch)
    }

    /// Keeps the writer until there is something to do, or resumes it at once.
    mutating func park(writer: UnsafeContinuation<Void, Never>, into effects: inout AskingEffects) {
        if self.outbox.isEmpty, self.phase == .up {
            self.writer = writer
        } else {
            effects.wakeWriter = writer
        }
    }

    mutating func ping(into effects: inout AskingEffects) {
        self.outbox.stage(.ping)
        self.wakeWriterIfNeeded(into: &effects)
    }

    mutating func wakeWriterIfNeeded(into effects: inout AskingEffects) {
        if !self.outbox.isEmpty, let writer = self.writer.take() { effects.wakeWriter = writer }
    }
}
