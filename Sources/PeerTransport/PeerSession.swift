import Cryptography
import IORuntime
import Primitives
import Synchronization
import Telemetry
import Wire

/// The answering side of one connection that a peer has made: carries out what its `AnsweringEnd`
/// decides, and runs the answerer.
final class PeerSession: Sendable {
    let peer: NodeID
    private let context: PeerContext
    private let budget: ByteBudget
    private let answerer: any PeerAnswerer
    private let channel: any SecureChannel
    private let end: Mutex<AnsweringEnd>

    init(
        peer: NodeID, channel: any SecureChannel, context: PeerContext, budget: ByteBudget,
        answerer: any PeerAnswerer
    ) {
        self.peer = peer
        self.channel = channel
        self.context = context
        self.budget = budget
        self.answerer = answerer
        self.end = Mutex(AnsweringEnd(limits: context.limits))
    }

    /// Serves the connection to its end, and says why it ended.
    func run(_ decoder: FrameDecoder) async -> LinkFault {
        await FrameLink(channel: self.channel, end: self, limits: self.context.limits).run(decoder)
    }

    /// Takes no more calls.
    func drain() { self.end.withLock { $0.drain() } }

    /// Nothing is being answered and nothing waits to be written.
    var isIdle: Bool { self.end.withLock { $0.callsUnderWay == 0 && !$0.hasUnwritten } }

    /// Gives the connection up. To be called on its loop.
    func close() {
        self.channel.close()
        self.disconnected()
    }

    private func change<Value>(
        _ decide: (inout AnsweringEnd, inout AnsweringEffects) -> Value
    ) -> Value {
        var effects = AnsweringEffects()
        let value = self.end.withLock { decide(&$0, &effects) }
        self.carryOut(effects)
        return value
    }

    private func carryOut(_ effects: AnsweringEffects) {
        effects.wakeWriter?.resume()
        for claim in effects.claims {
            self.budget.claim(claim.sizeBytes, as: claim.ticket) { [weak self] in
                self?.granted(claim.ticket, to: claim.call)
            }
        }
        for ticket in effects.releases { self.budget.release(ticket) }
        for task in effects.cancels { task.cancel() }
        for message in effects.messages {
            self.answerer.receive(message.bytes, kind: message.kind, from: self.peer)
        }
        for (call, request) in effects.starts { self.start(call, request) }
    }

    private func start(_ call: UInt64, _ request: PeerRequest) {
        let task = self.channel.loop.spawn {
            let answer = await self.answerer.answer(request, from: self.peer)
            self.context.metrics.answers.add()
            self.change { $0.answered(call, answer, into: &$1) }
        }
        let isWanted = self.end.withLock { $0.started(call, task) }
        if !isWanted { task.cancel() }
    }

    private func granted(_ ticket: ByteBudget.Ticket, to call: UInt64) {
        let isWanted = self.change { $0.granted(ticket, to: call, into: &$1) }
        if !isWanted { self.budget.release(ticket) }
    }
}

extension PeerSession: LinkEnd {
    func writerStep(spare: inout [UInt8], checksParts: Bool) -> WriterStep {
        self.end.withLock { $0.writerStep(spare: &spare, checksParts: checksParts) }
    }

    func park(writer: UnsafeContinuation<Void, Never>) {
        self.change { $0.park(writer: writer, into: &$1) }
    }

    func receive(_ frame: Frame) throws(LinkFault) {
        let now = self.channel.loop.now
        let result = self.change { end, effects -> Result<Void, LinkFault> in
            do throws(LinkFault) {
                return .success(
                    try end.receive(frame, now: now, budget: self.budget, into: &effects))
            } catch { return .failure(error) }
        }
        try result.get()
    }

    func ping() { self.change { $0.ping(into: &$1) } }

    var batchesTaken: UInt64 { self.end.withLock { $0.batchesTaken } }

    func disconnected() { self.change { $0.close(into: &$1) } }
}
