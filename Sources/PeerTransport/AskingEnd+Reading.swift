import IORuntime
import Primitives
import Wire

extension AskingEnd {
    /// Takes one frame from the answering end. Frames of calls that were given up are passed over.
    mutating func receive(
        _ frame: Frame, now: Instant, budget: ByteBudget, into effects: inout AskingEffects
    ) throws(LinkFault) {
        switch frame.kind {
        case .responseHead: try self.receiveHead(frame, budget: budget, into: &effects)
        case .responsePart: try self.receivePart(frame, into: &effects)
        case .refusal:
            do throws(FormatFault) {
                let fault = try RefusalCause.fault(code: frame.tag, payload: frame.payload)
                self.stopSending(frame.call)
                self.finish(frame.call, .failure(fault), into: &effects)
            } catch { throw .format(error) }
        case .credit:
            guard case .parked(let stream)? = self.calls[frame.call]?.stage else { return }
            self.calls[frame.call]?.stage = .sending
            self.outbox.append(body: stream)
        case .ping: break
        case .hello, .requestHead, .requestPart, .message, .cancel:
            throw .unexpected(frame.kind)
        }
        if !self.waiting.isEmpty { self.admit(now: now, into: &effects) }
        self.wakeWriterIfNeeded(into: &effects)
    }

    private mutating func receiveHead(
        _ frame: Frame, budget: ByteBudget, into effects: inout AskingEffects
    ) throws(LinkFault) {
        guard let call = self.calls[frame.call] else { return }
        guard call.response == nil else { throw .unexpected(frame.kind) }
        let head: ResponseHead
        do throws(FormatFault) { head = try ResponseHead(reading: frame.payload) } catch {
            self.finish(frame.call, .failure(.malformed(error)), into: &effects)
            throw .format(error)
        }
        self.stopSending(frame.call)
        if frame.isLast {
            self.finish(frame.call, .success(PeerResponse(head: Array(head.head))), into: &effects)
            return
        }
        let size = head.body.sizeBytes
        var response = Response(
            head: Array(head.head), missingBytes: size, mayArrive: !head.body.waitsForCredit)
        if head.body.waitsForCredit {
            let ticket = budget.newTicket()
            response.ticket = ticket
            effects.claims.append((ticket, size, frame.call))
        }
        self.calls[frame.call]?.response = response
    }

    /// An answer ends the request: a service may answer before it has all of the body.
    private mutating func stopSending(_ id: UInt64) {
        switch self.calls[id]?.stage {
        case .sending: self.outbox.removeBody(of: id)
        case .parked, .waiting, .sent, nil: break
        }
    }

    private mutating func receivePart(
        _ frame: Frame, into effects: inout AskingEffects
    ) throws(LinkFault) {
        guard self.calls[frame.call] != nil else { return }
        guard self.calls[frame.call]?.response?.mayArrive == true,
            let missing = self.calls[frame.call]?.response?.missingBytes,
            frame.payload.count <= missing, frame.isLast == (frame.payload.count == missing)
        else { throw .unexpected(frame.kind) }
        self.calls[frame.call]?.response?.missingBytes -= frame.payload.count
        self.calls[frame.call]?.response?.body.append(frame.payload)
        guard frame.isLast, let whole = self.calls[frame.call]?.response else { return }
        let result = PeerResponse(head: whole.head, body: whole.body)
        self.finish(frame.call, .success(result), into: &effects)
    }

    /// The budget has room for the body of this call's response.
    ///
    /// - Returns: false when the call is over, so that the claim must be released.
    mutating func granted(
        _ ticket: ByteBudget.Ticket, to id: UInt64, into effects: inout AskingEffects
    ) -> Bool {
        guard self.calls[id]?.response?.ticket == ticket else { return false }
        self.calls[id]?.response?.mayArrive = true
        self.outbox.stage(.credit, call: id)
        self.wakeWriterIfNeeded(into: &effects)
        return true
    }
}
