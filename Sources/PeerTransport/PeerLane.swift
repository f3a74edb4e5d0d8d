import Cryptography
import IORuntime
import Primitives
import Synchronization
import Telemetry
import Wire

/// The asking side of one lane to one peer: carries out what its `AskingEnd` decides, and keeps the
/// connection up once it was needed.
///
/// Callers come from any loop, so the end stands behind a lock that is held for a decision and
/// never across a wait; the connection itself lives on the transport's loop.
final class PeerLane: Sendable {
    let node: NodeID
    let lane: Lane
    private let context: PeerContext
    private let budget: ByteBudget
    private let timer: DeadlineTimer
    private let events: @Sendable (PeerEvent) -> Void
    private let lastCall = Atomic<UInt64>(0)
    private let end: Mutex<AskingEnd>
    private let dialing: Mutex<Dialing>

    private struct Dialing {
        var address: SocketAddress
        var task: SpawnedTask?
        var pause: SpawnedTask?
        var channel: (any SecureChannel)?
        var isClosed = false
    }

    init(
        node: NodeID, lane: Lane, address: SocketAddress, context: PeerContext, budget: ByteBudget,
        events: @escaping @Sendable (PeerEvent) -> Void
    ) {
        self.node = node
        self.lane = lane
        self.context = context
        self.budget = budget
        self.timer = DeadlineTimer(loop: context.loop)
        self.events = events
        self.end = Mutex(AskingEnd(node: node, limits: context.limits))
        self.dialing = Mutex(Dialing(address: address))
    }

    var callsInFlight: Int { self.end.withLock { $0.callsInFlight } }

    func call(_ request: PeerRequest, deadline: Instant) async -> CallResult {
        let id = self.lastCall.wrappingAdd(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { (caller: CallContinuation) in
                let now = self.context.loop.now
                self.change {
                    $0.begin(
                        id, request, deadline: deadline, now: now, caller: caller, into: &$1)
                }
                // A cancellation before `begin` has found no call to cancel.
                if Task.isCancelled { self.cancel(id) }
            }
        } onCancel: {
            self.cancel(id)
        }
    }

    private func cancel(_ id: UInt64) {
        let now = self.context.loop.now
        self.change { $0.cancel(id, now: now, into: &$1) }
    }

    func send(_ message: [UInt8], kind: UInt16, isUrgent: Bool) {
        let isQueued = self.change {
            $0.send(message, kind: kind, isUrgent: isUrgent, into: &$1)
        }
        self.context.metrics.messages.add()
        if !isQueued { self.context.metrics.droppedMessages.add() }
    }

    /// The peer is known to be there: the next dial need not wait.
    func nudge() { self.dialing.withLock { $0.pause }?.cancel() }

    func move(to address: SocketAddress) {
        let isNew = self.dialing.withLock { dialing in
            defer { dialing.address = address }
            return dialing.address != address
        }
        if isNew { self.nudge() }
    }

    /// Gives the lane up for ever; its calls fail.
    func close() {
        self.change { $0.close(into: &$1) }
        let (task, channel) = self.dialing.withLock { dialing in
            dialing.isClosed = true
            return (dialing.task, dialing.channel)
        }
        task?.cancel()
        self.nudge()
        self.timer.disarm()
        // A channel is used on its loop only.
        if let channel { self.context.loop.spawn { channel.close() } }
    }

    // MARK: Effects

    private func change<Value>(_ decide: (inout AskingEnd, inout AskingEffects) -> Value) -> Value {
        var effects = AskingEffects()
        let value = self.end.withLock { decide(&$0, &effects) }
        self.carryOut(effects)
        return value
    }

    private func carryOut(_ effects: AskingEffects) {
        effects.wakeWriter?.resume()
        if effects.dial { self.startDialing() }
        if let deadline = effects.armDeadline {
            self.timer.arm(deadline) { [weak self] in self?.deadlinePassed() }
        }
        for claim in effects.claims {
            self.budget.claim(claim.sizeBytes, as: claim.ticket) { [weak self] in
                self?.granted(claim.ticket, to: claim.call)
            }
        }
        for ticket in effects.releases { self.budget.release(ticket) }
        for (caller, result) in effects.finished { caller.resume(returning: result) }
    }

    private func deadlinePassed() {
        let now = self.context.loop.now
        self.change { $0.deadlinePassed(now: now, into: &$1) }
    }

    private func granted(_ ticket: ByteBudget.Ticket, to call: UInt64) {
        let isWanted = self.change { $0.granted(ticket, to: call, into: &$1) }
        if !isWanted { self.budget.release(ticket) }
    }

    // MARK: The connection

    private func startDialing() {
        let task = self.context.loop.spawn { await self.stayConnected() }
        let isClosed = self.dialing.withLock { dialing in
            dialing.task = task
            return dialing.isClosed
        }
        if isClosed { task.cancel() }
    }

    /// Dials, serves, and dials again: at once after a loss, else after a pause that grows.
    private func stayConnected() async {
        var failures = 0
        var isKnownGone = false
        while !self.dialing.withLock({ $0.isClosed }) {
            var decoder = FrameDecoder()
            do throws(LinkFault) {
                let channel = try await self.dial(&decoder)
                isKnownGone = false
                let start = self.context.loop.now
                await self.serve(channel, decoder)
                // One loss is followed at once, because the outcome of that dial tells whether the
                // peer has ended. Connections that keep breaking are a failure like any other.
                let lasted = self.context.loop.now - start
                failures = lasted >= self.context.limits.silenceLimit ? 0 : failures + 1
                if failures <= 1 { continue }
            } catch {
                failures += 1
                self.dialFailed(error, isKnownGone: &isKnownGone)
            }
            await self.pause(
                for: self.context.limits.backoff(
                    failures: failures - 1, random: self.context.randomNumber()))
        }
    }

    private func dialFailed(_ fault: LinkFault, isKnownGone: inout Bool) {
        self.context.log.info(
            "cannot reach peer", ["peer": self.node, "lane": self.lane, "fault": "\(fault)"])
        self.change { $0.dialFailed(into: &$1) }
        if case .stream(.refused) = fault, !isKnownGone, self.lane == .control {
            isKnownGone = true
            self.events(.gone(self.node))
        }
    }

    /// Serves one connection to its end.
    private func serve(_ channel: any SecureChannel, _ decoder: FrameDecoder) async {
        let isClosed = self.dialing.withLock { dialing in
            dialing.channel = channel
            return dialing.isClosed
        }
        guard !isClosed else { return channel.close() }
        self.context.metrics.connections.add()
        let now = self.context.loop.now
        self.change { $0.connected(now: now, into: &$1) }
        if self.lane == .control { self.events(.up(self.node)) }
        let link = FrameLink(channel: channel, end: self, limits: self.context.limits)
        let fault = await link.run(decoder)
        self.dialing.withLock { $0.channel = nil }
        self.context.metrics.lostConnections.add()
        self.context.log.info(
            "connection ended", ["peer": self.node, "lane": self.lane, "fault": "\(fault)"])
        if self.lane == .control { self.events(.lost(self.node)) }
    }

    private func dial(_ decoder: inout FrameDecoder) async throws(LinkFault) -> any SecureChannel {
        let context = self.context
        let address = self.dialing.withLock { $0.address }
        let deadline = context.loop.now + context.limits.handshakeLimit
        let channel: any SecureChannel
        do throws(StreamFault) {
            let stream = try await context.environment.connect(
                to: address, on: context.loop, deadline: deadline)
            channel = try await context.security.secure(
                stream, as: .client(of: self.node), deadline: deadline)
        } catch { throw .stream(error) }
        do throws(LinkFault) {
            guard channel.peer == .node(self.node, cluster: context.cluster) else {
                context.metrics.refusedIdentities.add()
                throw .wrongPeer(claimed: self.node)
            }
            let hello = Hello(
                lane: self.lane, sender: context.node, addressee: self.node,
                cluster: context.cluster)
            try await hello.write(to: channel, deadline: deadline)
            let answer = try await Hello.read(from: channel, &decoder, deadline: deadline)
            guard answer == hello.answer else { throw .wrongPeer(claimed: answer.sender) }
            return channel
        } catch {
            channel.close()
            throw error
        }
    }

    private func pause(for span: Duration) async {
        let loop = self.context.loop
        let pause = loop.spawn {
            // Cut short by a nudge.
            do { try await loop.sleep(for: span) } catch { return }
        }
        let isClosed = self.dialing.withLock { dialing in
            dialing.pause = pause
            return dialing.isClosed
        }
        if isClosed { pause.cancel() }
        await pause.finished()
        self.dialing.withLock { $0.pause = nil }
    }
}

extension PeerLane: LinkEnd {
    func writerStep(spare: inout [UInt8], checksParts: Bool) -> WriterStep {
        let now = self.context.loop.now
        return self.change {
            $0.writerStep(spare: &spare, checksParts: checksParts, now: now, into: &$1)
        }
    }

    func park(writer: UnsafeContinuation<Void, Never>) {
        self.change { $0.park(writer: writer, into: &$1) }
    }

    func receive(_ frame: Frame) throws(LinkFault) {
        let now = self.context.loop.now
        let result = self.change { end, effects -> Result<Void, LinkFault> in
            do throws(LinkFault) {
                return .success(
                    try end.receive(frame, now: now, budget: self.budget, into: &effects))
            } catch { return .failure(error) }
        }
        try result.get()
    }

    func ping() { self.change { $0.ping(into: &$1) } }

    var batchesTaken: UInt64 { self.end.withLock { $0.outbox.batchesTaken } }

    func disconnected() { self.change { $0.disconnected(into: &$1) } }
}
