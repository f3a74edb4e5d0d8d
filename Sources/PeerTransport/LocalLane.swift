import IORuntime
import Primitives
import Synchronization
import Telemetry

/// A node's calls and messages to itself: the same bounds, deadlines and faults as over a
/// connection, without the connection.
final class LocalLane: Sendable {
    private struct Call {
        let caller: CallContinuation
        let deadline: Instant
        var task: SpawnedTask?
    }

    private struct State {
        var calls: [UInt64: Call] = [:]
        var lastCall: UInt64 = 0
        var armedDeadline: Instant?
        var messages = Fifo<(kind: UInt16, bytes: [UInt8])>()
        var messageBytes = 0
        var isDelivering = false
        var isClosed = false
    }

    private let context: PeerContext
    private let answerer: any PeerAnswerer
    private let timer: DeadlineTimer
    private let state = Mutex(State())

    init(context: PeerContext, answerer: any PeerAnswerer) {
        self.context = context
        self.answerer = answerer
        self.timer = DeadlineTimer(loop: context.loop)
    }

    var callsInFlight: Int { self.state.withLock { $0.calls.count } }

    func call(_ request: PeerRequest, deadline: Instant) async -> CallResult {
        if let tooLarge = request.tooLarge { return .failure(tooLarge) }
        let id = self.state.withLock { state in
            state.lastCall += 1
            return state.lastCall
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { (caller: CallContinuation) in
                self.begin(id, request, deadline: deadline, caller: caller)
                if Task.isCancelled { self.finish(id, .failure(.cancelled(mayHaveRun: true))) }
            }
        } onCancel: {
            self.finish(id, .failure(.cancelled(mayHaveRun: true)))
        }
    }

    private func begin(
        _ id: UInt64, _ request: PeerRequest, deadline: Instant, caller: CallContinuation
    ) {
        let now = self.context.loop.now
        let refusal = self.state.withLock { state -> CallFault? in
            if state.isClosed { return .shuttingDown }
            if deadline <= now { return .deadlineExceeded(mayHaveRun: false) }
            if state.calls.count >= self.context.limits.callsInFlight { return .overloaded }
            state.calls[id] = Call(caller: caller, deadline: deadline)
            return nil
        }
        if let refusal { return caller.resume(returning: .failure(refusal)) }
        self.arm(deadline)
        let task = self.context.loop.spawn {
            switch await self.answerer.answer(request, from: self.context.node) {
            case .response(let response): self.finish(id, .success(response))
            case .refused(let code, let message):
                self.finish(id, .failure(.refused(code: code, message: message)))
            }
        }
        let isWanted = self.state.withLock { state in
            guard state.calls[id] != nil else { return false }
            state.calls[id]?.task = task
            return true
        }
        if !isWanted { task.cancel() }
    }

    private func finish(_ id: UInt64, _ result: CallResult) {
        guard let call = self.state.withLock({ $0.calls.removeValue(forKey: id) }) else { return }
        if case .failure = result { call.task?.cancel() }
        call.caller.resume(returning: result)
    }

    private func arm(_ deadline: Instant) {
        let isEarlier = self.state.withLock { state in
            if let armed = state.armedDeadline, armed <= deadline { return false }
            state.armedDeadline = deadline
            return true
        }
        if isEarlier { self.timer.arm(deadline) { [weak self] in self?.deadlinePassed() } }
    }

    private func deadlinePassed() {
        let now = self.context.loop.now
        let late = self.state.withLock { state in
            state.armedDeadline = nil
            return state.calls.filter { $0.value.deadline <= now }.keys.sorted()
        }
        for id in late { self.finish(id, .failure(.deadlineExceeded(mayHaveRun: true))) }
        let next = self.state.withLock { $0.calls.values.map(\.deadline).min() }
        if let next { self.arm(next) }
    }

    // MARK: Messages

    /// Hands the message over from a task of its own: the sender may stand where the receiver must
    /// not be entered.
    func send(_ message: [UInt8], kind: UInt16) {
        let (isQueued, begins) = self.state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, message.count <= PeerLimits.messageLimitBytes,
                state.messageBytes + message.count <= self.context.limits.messageQueueBytes
            else { return (false, false) }
            state.messages.append((kind, message))
            state.messageBytes += message.count
            defer { state.isDelivering = true }
            return (true, !state.isDelivering)
        }
        self.context.metrics.messages.add()
        if !isQueued { self.context.metrics.droppedMessages.add() }
        if begins { self.context.loop.spawn { self.deliver() } }
    }

    private func deliver() {
        while let message = self.nextMessage() {
            self.answerer.receive(message.bytes, kind: message.kind, from: self.context.node)
        }
    }

    private func nextMessage() -> (kind: UInt16, bytes: [UInt8])? {
        self.state.withLock { state in
            guard let message = state.messages.popFirst() else {
                state.isDelivering = false
                return nil
            }
            state.messageBytes -= message.bytes.count
            return message
        }
    }

    func close() {
        let open = self.state.withLock { state in
            state.isClosed = true
            return state.calls.keys.sorted()
        }
        self.timer.disarm()
        for id in open { self.finish(id, .failure(.connectionLost(mayHaveRun: true))) }
    }
}
