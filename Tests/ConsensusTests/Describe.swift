import Consensus
import Primitives

/// How effects read in a trace.
enum Describe {
    static func message(_ message: RaftMessage) -> String {
        switch message.body {
        case .preVoteRequest(let request):
            "would-vote? term=\(message.term) last=\(request.last)"
        case .preVoteAnswer(let answer):
            "would-vote  term=\(message.term) \(answer.granted ? "yes" : "no")"
        case .voteRequest(let request):
            "vote? term=\(message.term) last=\(request.last)"
                + (request.isHandover ? " handover" : "")
        case .voteAnswer(let answer):
            "vote  term=\(message.term) \(answer.granted ? "granted" : "refused")"
        case .append(let append):
            "append term=\(message.term) after=\(append.previous) commit=\(append.commit)"
                + append.entries.map { " " + Self.entry($0) }.joined()
        case .appendAccepted(let answer):
            "accepted term=\(message.term) match=\(answer.match)"
        case .appendRefused(let answer):
            "refused term=\(message.term) after=\(answer.previous) hint=\(answer.hint)"
                + (answer.hasLostEntries ? " lost" : "")
        case .heartbeat(let heartbeat):
            "heartbeat term=\(message.term) commit=\(heartbeat.commit)"
                + (heartbeat.readPosition > 0 ? " read=\(heartbeat.readPosition)" : "")
        case .heartbeatAnswer(let answer):
            "alive term=\(message.term)"
                + (answer.readPosition > 0 ? " read=\(answer.readPosition)" : "")
                + (answer.mayTakeOver ? "" : " stays")
        case .timeoutNow: "timeout-now term=\(message.term)"
        case .newerTerm: "newer-term term=\(message.term)"
        case .snapshotOffer(let offer): "offer term=\(message.term) state=\(offer.anchor)"
        }
    }

    static func entry(_ entry: Entry) -> String {
        switch entry.kind {
        case .noop: "\(entry.position)"
        case .configuration:
            "\(entry.position)[\(entry.configuration.map { "\($0)" } ?? "unreadable")]"
        case .command: "\(entry.position)\"\(String(decoding: entry.payload, as: UTF8.self))\""
        }
    }

    static func write(_ write: LogWrite) -> [String] {
        var words: [String] = []
        if let state = write.hardState {
            words.append("term=\(state.term)")
            if let vote = state.vote { words.append("vote=\(vote)") }
            words.append("commit=\(state.commit)")
            if let end = state.remembered { words.append("remembered=\(end)") }
        }
        words += write.entries.map { Self.entry($0) }
        return words.isEmpty ? [] : ["persist \(words.joined(separator: " "))"]
    }

    static func roleChange(_ change: RoleChange) -> String {
        let leader = change.leader.map { " leader=\($0)" } ?? ""
        return "\(change.role) term=\(change.term)\(change.role == .leader ? "" : leader)"
    }

    static func proposal(_ answer: ProposalAnswer) -> String {
        switch answer.outcome {
        case .appended(_, let first): "proposal #\(answer.ticket) at \(first)"
        case .refused(let refusal): "proposal #\(answer.ticket) refused: \(Self.refusal(refusal))"
        }
    }

    static func read(_ answer: ReadAnswer) -> String {
        switch answer.outcome {
        case .ready(let index): "read #\(answer.ticket) at \(index)"
        case .refused(let refusal): "read #\(answer.ticket) refused: \(Self.refusal(refusal))"
        }
    }

    private static func refusal(_ refusal: Refusal) -> String {
        switch refusal {
        case .notLeader(let hint): "not leader, \(hint.map { "perhaps \($0)" } ?? "no hint")"
        case .handingOver(let to): "handing over to \(to)"
        case .overloaded: "overloaded"
        case .changing: "changing"
        case .malformedConfiguration: "no group can be so"
        case .tooLarge(let limit): "larger than \(limit) bytes"
        }
    }
}
