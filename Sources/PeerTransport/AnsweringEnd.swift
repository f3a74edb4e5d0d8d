import IORuntime
import Primitives
import Wire

/// What the answering end of a connection wants done outside its lock, in this order.
struct AnsweringEffects {
    var wakeWriter: UnsafeContinuation<Void, Never>?
    var claims: [(ticket: ByteBudget.Ticket, sizeBytes: Int, call: UInt64)] = []
    var releases: [ByteBudget.Ticket] = []
    var cancels: [SpawnedTask] = []
    var messages: [(kind: UInt16, bytes: [UInt8])] = []
    var starts: [(call: UInt64, request: PeerRequest)] = []
}

/// A peer's calls to this node over one connection, as a value: which still arrive, which are being
/// answered, which answers are to be written. Inputs in, effects out; no clock and no socket.
struct AnsweringEnd: Sendable {
    private struct Incoming {
        let kind: UInt16
        let head: [UInt8]
        let deadline: Instant
        var body: [[UInt8]] = []
        var missingBytes: Int
        let eagerBytes: Int
        let ticket: ByteBudget.Ticket?
        /// Parts before the credit that they were to wait for are a violation.
        var mayArrive: Bool
    }

    private struct Running {
        /// Nil for the moment between the decision to start and the start.
        var task: SpawnedTask?
        let eagerBytes: Int
        let ticket: ByteBudget.Ticket?
    }

    private let limits: PeerLimits
    private(set) var isOpen = true
    /// No new calls are taken; those under way are answered.
    private(set) var isDraining = false
    private var outbox = Outbox()
    private var incoming: [UInt64: Incoming] = [:]
    private var running: [UInt64: Running] = [:]
    /// Response bodies that wait for the asker's credit.
    private var parked: [UInt64: OutgoingStream] = [:]
    /// Of bodies that came unasked and are not answered yet.
    private var eagerBytes = 0
    private var message: (kind: UInt16, bytes: [UInt8])?
    private var writer: UnsafeContinuation<Void, Never>?

    init(limits: PeerLimits) { self.limits = limits }

    /// Calls that have no complete answer yet.
    var callsUnderWay: Int { self.incoming.count + self.running.count }
    var hasUnwritten: Bool { !self.outbox.isEmpty || !self.parked.isEmpty }

    // MARK: Reading

    /// Takes one frame from the asking end.
    mutating func receive(
        _ frame: Frame, now: Instant, budget: ByteBudget, into effects: inout AnsweringEffects
    ) throws(LinkFault) {
        switch frame.kind {
        case .requestHead: try self.receiveHead(frame, now: now, budget: budget, into: &effects)
        case .requestPart: try self.receivePart(frame, now: now, into: &effects)
        case .message: try self.receiveMessage(frame, into: &effects)
        case .cancel: self.cancel(frame.call, into: &effects)
        case .credit:
            if let stream = self.parked.removeValue(forKey: frame.call) {
                self.outbox.append(body: stream)
            }
        case .ping: break
        case .hello, .responseHead, .responsePart, .refusal: throw .unexpected(frame.kind)
        }
        self.wakeWriterIfNeeded(into: &effects)
    }

    private mutating func receiveHead(
        _ frame: Frame, now: Instant, budget: ByteBudget, into effects: inout AnsweringEffects
    ) throws(LinkFault) {
        let id = frame.call
        guard self.incoming[id] == nil, self.running[id] == nil else {
            throw .unexpected(frame.kind)
        }
        let head: RequestHead
        do throws(FormatFault) { head = try RequestHead(reading: frame.payload) } catch {
            throw .format(error)
        }
        guard frame.isLast == (head.body.sizeBytes == 0) else { throw .unexpected(frame.kind) }
        if self.isDraining { return self.refuse(id, .shuttingDown) }
        guard self.callsUnderWay < self.limits.callsInFlight else {
            return self.refuse(id, .overloaded)
        }
        let isEager = !head.body.waitsForCredit
        let eager = isEager ? head.body.sizeBytes : 0
        guard self.eagerBytes + eager <= self.limits.eagerWindowBytes else {
            throw .unexpected(frame.kind)
        }
        let incoming = Incoming(
            kind: frame.tag, head: Array(head.head), deadline: now + head.timeLeft,
            missingBytes: head.body.sizeBytes, eagerBytes: eager,
            ticket: isEager ? nil : budget.newTicket(), mayArrive: isEager)
        self.eagerBytes += eager
        if let ticket = incoming.ticket {
            effects.claims.append((ticket, head.body.sizeBytes, id))
        }
        self.incoming[id] = incoming
        if frame.isLast { self.start(id, now: now, into: &effects) }
    }

    private mutating func receivePart(
        _ frame: Frame, now: Instant, into effects: inout AnsweringEffects
    ) throws(LinkFault) {
        // Of a call that was refused or cancelled: its last parts were already under way.
        guard let missing = self.incoming[frame.call]?.missingBytes else { return }
        guard self.incoming[frame.call]?.mayArrive == true, frame.payload.count <= missing,
            frame.isLast == (frame.payload.count == missing)
        else { throw .unexpected(frame.kind) }
        self.incoming[frame.call]?.missingBytes -= frame.payload.count
        self.incoming[frame.call]?.body.append(frame.payload)
        if frame.isLast { self.start(frame.call, now: now, into: &effects) }
    }

    private mutating func start(_ id: UInt64, now: Instant, into effects: inout AnsweringEffects) {
        guard let whole = self.incoming.removeValue(forKey: id) else { return }
        guard now < whole.deadline else {
            // Late work: the caller has given up by now, and no answer would be heard.
            self.eagerBytes -= whole.eagerBytes
            if let ticket = whole.ticket { effects.releases.append(ticket) }
            return
        }
        self.running[id] = Running(
            task: nil, eagerBytes: whole.eagerBytes, ticket: whole.ticket)
        effects.starts.append(
            (id, PeerRequest(kind: whole.kind, head: whole.head, body: whole.body)))
    }

    private mutating func receiveMessage(
        _ frame: Frame, into effects: inout AnsweringEffects
    ) throws(LinkFault) {
        guard frame.call == Outbox.messageInParts else {
            guard frame.call == Outbox.wholeMessage, frame.isLast else {
                throw .unexpected(frame.kind)
            }
            effects.messages.append((frame.tag, frame.payload))
            return
        }
        guard let begun = self.message else {
            guard !frame.isLast else { throw .unexpected(frame.kind) }
            self.message = (frame.tag, frame.payload)
            return
        }
        guard begun.kind == frame.tag else { throw .unexpected(frame.kind) }
        let size = begun.bytes.count + frame.payload.count
        guard size <= PeerLimits.messageLimitBytes else {
            throw .format(
                .tooLarge(field: "message", size: size, limit: PeerLimits.messageLimitBytes))
        }
        self.message?.bytes.append(contentsOf: frame.payload)
        if frame.isLast, let whole = self.message.take() { effects.messages.append(whole) }
    }

    private mutating func cancel(_ id: UInt64, into effects: inout AnsweringEffects) {
        if let incoming = self.incoming.removeValue(forKey: id) {
            self.eagerBytes -= incoming.eagerBytes
            if let ticket = incoming.ticket { effects.releases.append(ticket) }
        } else if let running = self.running.removeValue(forKey: id) {
            self.eagerBytes -= running.eagerBytes
            if let ticket = running.ticket { effects.releases.append(ticket) }
            if let task = running.task { effects.cancels.append(task) }
        }
        self.parked[id] = nil
        self.outbox.removeBody(of: id)
    }

    /// The budget has room for the body of this call.
    ///
    /// - Returns: false when the call is over, so that the claim must be released.
    mutating func granted(
        _ ticket: ByteBudget.Ticket, to id: UInt64, into effects: inout AnsweringEffects
    ) -> Bool {
        guard self.incoming[id]?.ticket == ticket else { return false }
        self.incoming[id]?.mayArrive = true
        self.outbox.stage(.credit, call: id)
        self.wakeWriterIfNeeded(into: &effects)
        return true
    }

    // MARK: Answers

    /// The answer's task runs.
    ///
    /// - Returns: false when the call was cancelled meanwhile, so that the task must be too.
    mutating func started(_ id: UInt64, _ task: SpawnedTask) -> Bool {
        guard self.running[id] != nil else { return false }
        self.running[id]?.task = task
        return true
    }

    mutating func answered(
        _ id: UInt64, _ answer: PeerAnswer, into effects: inout AnsweringEffects
    ) {
        guard self.isOpen, let running = self.running.removeValue(forKey: id) else { return }
        self.eagerBytes -= running.eagerBytes
        if let ticket = running.ticket { effects.releases.append(ticket) }
        switch answer {
        case .response(let response): self.stage(response, to: id)
        case .refused(let code, let message): self.refuse(id, .answer, code: code, message)
        }
        self.wakeWriterIfNeeded(into: &effects)
    }

    private mutating func stage(_ response: PeerResponse, to id: UInt64) {
        let size = response.body.reduce(0) { $0 + $1.count }
        invariant(
            response.head.count <= PeerLimits.headLimitBytes && size <= PeerLimits.bodyLimitBytes,
            "a service answers within the bounds of a response")
        let waits = size > PeerLimits.eagerBodyBytes
        let body = BodyAnnouncement(sizeBytes: size, waitsForCredit: waits)
        self.outbox.stage(.responseHead, isLast: size == 0, call: id) {
            ResponseHead.append(body: body, head: response.head, to: &$0)
        }
        guard size > 0 else { return }
        let stream = OutgoingStream(
            kind: .responsePart, call: id, pieces: response.body, sizeBytes: size)
        if waits { self.parked[id] = stream } else { self.outbox.append(body: stream) }
    }

    private mutating func refuse(
        _ id: UInt64, _ cause: RefusalCause, code: UInt16 = 0, _ message: String = ""
    ) {
        self.outbox.stage(.refusal, tag: code, call: id) {
            $0.append(cause.rawValue)
            $0.append(contentsOf: message.utf8.prefix(RefusalCause.messageLimitBytes))
        }
    }

    // MARK: The connection

    mutating func drain() { self.isDraining = true }

    /// The connection is no more: nobody waits for these answers.
    mutating func close(into effects: inout AnsweringEffects) {
        guard self.isOpen else { return }
        self.isOpen = false
        for id in Set(self.incoming.keys).union(self.running.keys).sorted() {
            self.cancel(id, into: &effects)
        }
        self.parked = [:]
        self.outbox = Outbox()
        effects.wakeWriter = self.writer.take()
    }

    mutating func writerStep(spare: inout [UInt8], checksParts: Bool) -> WriterStep {
        guard self.isOpen else { return .stop }
        guard let batch = self.outbox.takeBatch(spare: &spare, checksParts: checksParts) else {
            return .wait
        }
        return .write(batch)
    }

    /// Keeps the writer until there is something to do, or resumes it at once.
    mutating func park(
        writer: UnsafeContinuation<Void, Never>, into effects: inout AnsweringEffects
    ) {
        if self.outbox.isEmpty, self.isOpen {
            self.writer = writer
        } else {
            effects.wakeWriter = writer
        }
    }

    mutating func ping(into effects: inout AnsweringEffects) {
        self.outbox.stage(.ping)
        self.wakeWriterIfNeeded(into: &effects)
    }

    var batchesTaken: UInt64 { self.outbox.batchesTaken }

    private mutating func wakeWriterIfNeeded(into effects: inout AnsweringEffects) {
        if !self.outbox.isEmpty, let writer = self.writer.take() { effects.wakeWriter = writer }
    }
}
