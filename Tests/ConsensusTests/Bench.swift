import Consensus
import Primitives

/// One replica on the bench, with the test in the place of its peers, its disk and its clients.
struct Bench {
    var replica: RaftReplica

    /// A voter of a group of nodes 1 to `voters`, with entries of these terms in its log.
    init(
        node: UInt32 = 1, voters: UInt32 = 3, term: UInt64 = 0, vote: UInt32? = nil,
        commit: UInt64 = 0, entryTerms: [UInt64] = [], applied: UInt64 = 0,
        adjust: (inout RaftConfiguration) -> Void = { _ in }
    ) {
        var configuration = RaftConfiguration(
            node: NodeID(node), voters: (1...voters).map { NodeID($0) }, seed: UInt64(node))
        configuration.heartbeatTicks = 2
        configuration.electionTicks = 10
        configuration.maximumEntryBytes = 1000
        adjust(&configuration)
        self.replica = RaftReplica(
            configuration: configuration,
            hardState: HardState(
                term: Term(term), vote: vote.map { NodeID($0) }, commit: LogIndex(commit)),
            log: RestoredLog(
                truncated: .zero, before: .zero, entries: Self.entries(entryTerms)),
            applied: LogIndex(applied))
    }

    /// Consecutive entries of these terms behind `anchor`.
    static func entries(
        _ terms: [UInt64], after anchor: LogAnchor = .zero, text: String = "x"
    ) -> [Entry] {
        var anchor = anchor
        return terms.map { term in
            let entry = Entry(
                after: anchor, term: Term(term), kind: .command, payload: Array(text.utf8))
            anchor = entry.anchor
            return entry
        }
    }

    mutating func receive(_ body: RaftMessage.Body, from: UInt32, term: UInt64) {
        self.replica.step(
            .message(RaftMessage(term: Term(term), from: NodeID(from), body: body)))
    }

    mutating func accept(_ match: UInt64, from: UInt32) {
        self.receive(
            .appendAccepted(AppendAccepted(match: LogIndex(match))), from: from,
            term: self.replica.term.rawValue)
    }

    /// Answers a heartbeat.
    mutating func answer(mayTakeOver: Bool = true, from: UInt32) {
        self.receive(
            .heartbeatAnswer(HeartbeatAnswer(readPosition: 0, mayTakeOver: mayTakeOver)),
            from: from, term: self.replica.term.rawValue)
    }

    mutating func append(
        _ entries: [Entry], after previous: LogAnchor = .zero, commit: UInt64 = 0,
        from: UInt32 = 2, term: UInt64
    ) {
        self.receive(
            .append(Append(previous: previous, entries: entries, commit: LogIndex(commit))),
            from: from, term: term)
    }

    /// Drains, and reports the write as durable.
    @discardableResult
    mutating func settle() -> Effects {
        let effects = self.replica.drain()
        if let write = effects.write { self.replica.step(.persisted(write.token)) }
        return effects
    }

    /// Makes the replica the leader of its next term, with the votes of 2 and (of five) 3. Its
    /// no-op is durable here and nowhere else.
    mutating func lead() {
        let voters: [UInt32] = self.replica.configuredVoters > 3 ? [2, 3] : [2]
        self.replica.step(.campaign)
        let campaign = self.replica.term.next
        for voter in voters {
            self.receive(
                .preVoteAnswer(PreVoteAnswer(campaignTerm: campaign, granted: true)),
                from: voter, term: self.replica.term.rawValue)
        }
        self.settle()
        for voter in voters {
            self.receive(
                .voteAnswer(VoteAnswer(granted: true)), from: voter, term: campaign.rawValue)
        }
        self.settle()
    }

    mutating func tick(_ count: Int) {
        for _ in 0..<count { self.replica.step(.tick) }
    }
}

extension RaftReplica {
    fileprivate var configuredVoters: Int { self.status.voters.count }
}

extension Effects {
    /// All messages, with whatever is held for the disk.
    var allMessages: [RaftMessage.Body] {
        (self.heartbeats + self.messages + (self.write?.messages ?? [])).map(\.message.body)
    }

    func appends(to node: UInt32) -> [Append] {
        self.messages.compactMap { outgoing in
            guard outgoing.to == NodeID(node), case .append(let append) = outgoing.message.body
            else { return nil }
            return append
        }
    }
}
