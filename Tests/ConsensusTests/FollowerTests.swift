import Consensus
import Primitives
import Testing
import Wire

struct FollowerTests {
    @Test func `a late write does not speak for the entry that replaced its own`() {
        // The append ABA race: index 2 holds an entry of term 1, then one of term 2, then the first
        // one again, and only the first write is durable.
        var bench = Bench(term: 1, entryTerms: [1])
        let first = Bench.entries([1])
        let old = Bench.entries([1], after: first[0].anchor, text: "old")
        let new = Bench.entries([2], after: first[0].anchor, text: "new")

        var writes: [LogWrite] = []
        for (term, entries) in [(1, old), (2, new), (3, old)] as [(UInt64, [Entry])] {
            bench.append(entries, after: first[0].anchor, term: term)
            if let write = bench.replica.drain().write { writes.append(write) }
        }
        #expect(writes.count == 3)

        bench.replica.step(.persisted(writes[0].token))
        #expect(bench.replica.status.persisted == LogIndex(1))
        bench.replica.step(.persisted(writes[1].token))
        #expect(bench.replica.status.persisted == LogIndex(1))
        bench.replica.step(.persisted(writes[2].token))
        #expect(bench.replica.status.persisted == LogIndex(2))
    }

    @Test func `one token speaks for all writes before it, an old one for nothing new`() {
        var bench = Bench(term: 1)
        let entries = Bench.entries([1, 1])
        bench.append([entries[0]], term: 1)
        let first = bench.replica.drain().write
        bench.append([entries[1]], after: entries[0].anchor, term: 1)
        let second = bench.replica.drain().write
        bench.replica.step(.persisted(WriteToken(number: second?.token.number ?? 0)))
        #expect(bench.replica.status.persisted == LogIndex(2))
        bench.replica.step(.persisted(WriteToken(number: first?.token.number ?? 0)))
        #expect(bench.replica.status.persisted == LogIndex(2))
    }

    @Test func `a late append does not cut off what came after it`() {
        var bench = Bench(term: 1)
        let entries = Bench.entries([1, 1, 1])
        bench.append(entries, term: 1)
        bench.settle()
        bench.append([entries[0]], term: 1)
        let effects = bench.replica.drain()
        #expect(bench.replica.status.last.index == LogIndex(3))
        #expect(effects.write == nil)
        #expect(effects.allMessages == [.appendAccepted(AppendAccepted(match: LogIndex(1)))])
    }

    @Test func `an acknowledgement waits for its entries, and a repeated one for the same disk`() {
        var bench = Bench(term: 1)
        let entries = Bench.entries([1])
        let accepted = RaftMessage.Body.appendAccepted(AppendAccepted(match: LogIndex(1)))
        bench.append(entries, term: 1)
        let write = bench.replica.drain().write
        #expect(write?.entries == entries)
        #expect(write?.messages.map(\.message.body) == [accepted])

        bench.append(entries, term: 1)
        let again = bench.replica.drain()
        #expect(again.messages.isEmpty)
        #expect(again.write?.isEmpty == true)
        #expect(again.write?.messages.map(\.message.body) == [accepted])
    }

    @Test func `the commit index goes no further than what the append vouches for`() {
        // The log may hold entries beyond the append that the leader does not have (thesis §3.5).
        var bench = Bench(term: 1, entryTerms: [1, 1, 1])
        bench.append([], after: Bench.entries([1])[0].anchor, commit: 3, term: 2)
        #expect(bench.replica.commit == LogIndex(1))
    }

    @Test func `a refusal names the last position that the logs may share`() {
        var bench = Bench(term: 6, entryTerms: [1, 1, 4, 4, 5, 5])
        let previous = LogAnchor(
            position: LogPosition(term: Term(4), index: LogIndex(6)), chain: 0)
        bench.append([], after: previous, term: 6)
        #expect(
            bench.replica.drain().allMessages == [
                .appendRefused(
                    AppendRefused(
                        previous: LogIndex(6),
                        hint: LogPosition(term: Term(4), index: LogIndex(4))))
            ])
    }

    @Test func `a vote survives a restart, and is not given twice`() {
        let request = VoteRequest(
            last: LogPosition(term: Term(9), index: LogIndex(9)), isHandover: false)
        var bench = Bench(term: 4, vote: 2)
        bench.receive(.voteRequest(request), from: 3, term: 4)
        #expect(bench.settle().allMessages == [.voteAnswer(VoteAnswer(granted: false))])
        bench.receive(.voteRequest(request), from: 2, term: 4)
        #expect(bench.settle().allMessages == [.voteAnswer(VoteAnswer(granted: true))])
        bench.receive(.voteRequest(request), from: 3, term: 5)
        let effects = bench.replica.drain()
        #expect(
            effects.write?.hardState
                == HardState(term: Term(5), vote: NodeID(3), commit: .zero))
        #expect(effects.messages.isEmpty)
        #expect(
            effects.write?.messages.map(\.message.body)
                == [.voteAnswer(VoteAnswer(granted: true))])
    }

    @Test(arguments: [
        (LogPosition(term: Term(2), index: LogIndex(3)), true),
        (LogPosition(term: Term(2), index: LogIndex(2)), false),
        (LogPosition(term: Term(1), index: LogIndex(9)), false),
        (LogPosition(term: Term(3), index: LogIndex(1)), true),
    ])
    func `only a log that is at least as up to date gets the vote`(
        last: LogPosition, granted: Bool
    ) {
        var bench = Bench(term: 3, entryTerms: [1, 1, 2])
        bench.receive(
            .voteRequest(VoteRequest(last: last, isHandover: false)), from: 2, term: 4)
        #expect(bench.replica.drain().allMessages == [.voteAnswer(VoteAnswer(granted: granted))])
    }

    @Test func `a question about a vote changes nothing`() {
        var bench = Bench(term: 3)
        let request = VoteRequest(last: .zero, isHandover: false)
        bench.receive(.preVoteRequest(request), from: 2, term: 8)
        let effects = bench.replica.drain()
        #expect(bench.replica.term == Term(3))
        #expect(effects.write == nil)
        #expect(
            effects.allMessages
                == [.preVoteAnswer(PreVoteAnswer(campaignTerm: Term(9), granted: true))])
    }

    @Test func `who hears a leader answers no candidate but the leader's own`() {
        var bench = Bench(term: 3)
        bench.receive(.heartbeat(Heartbeat(commit: .zero, readPosition: 0)), from: 2, term: 3)
        bench.settle()
        let request = VoteRequest(last: .zero, isHandover: false)
        bench.receive(.preVoteRequest(request), from: 3, term: 3)
        bench.receive(.voteRequest(request), from: 3, term: 9)
        #expect(bench.replica.drain().isEmpty)
        #expect(bench.replica.term == Term(3))
        bench.receive(
            .voteRequest(VoteRequest(last: .zero, isHandover: true)), from: 3, term: 9)
        #expect(bench.replica.drain().allMessages == [.voteAnswer(VoteAnswer(granted: true))])
    }

    @Test func `forgetting anybody but the leader changes nothing`() {
        var bench = Bench(term: 3)
        bench.receive(.heartbeat(Heartbeat(commit: .zero, readPosition: 0)), from: 2, term: 3)
        bench.settle()
        bench.replica.step(.forgetLeader(NodeID(3)))
        #expect(bench.replica.leader == NodeID(2))
        bench.replica.step(.forgetLeader(NodeID(2)))
        bench.tick(3)
        #expect(bench.replica.role == .preCandidate)
    }

    @Test func `a restarted replica hands out what is committed and not applied, in bounded parts`()
    {
        var bench = Bench(term: 1, commit: 5, entryTerms: [1, 1, 1, 1, 1, 1], applied: 1) {
            $0.maximumApplyingBytes = 66
        }
        #expect(bench.replica.drain().apply.map(\.index) == [2, 3].map { LogIndex($0) })
        #expect(bench.replica.drain().apply.isEmpty)
        bench.replica.step(.applied(through: LogIndex(2)))
        #expect(bench.replica.drain().apply.map(\.index) == [LogIndex(4)])
        bench.replica.step(.applied(through: LogIndex(4)))
        #expect(bench.replica.drain().apply.map(\.index) == [LogIndex(5)])
    }

    @Test func `a follower that cannot keep up with applying takes no more`() {
        var bench = Bench(term: 1) { $0.maximumUnappliedBytes = 2000 }
        let large = String(repeating: "x", count: 900)
        let entries = Bench.entries([1, 1, 1, 1], text: large)
        bench.append(Array(entries[..<3]), commit: 3, term: 1)
        bench.settle()
        bench.append([entries[3]], after: entries[2].anchor, commit: 4, term: 1)
        #expect(bench.replica.status.last.index == LogIndex(3))
        bench.settle()
        bench.replica.step(.applied(through: LogIndex(2)))
        bench.append([entries[3]], after: entries[2].anchor, commit: 4, term: 1)
        #expect(bench.replica.status.last.index == LogIndex(4))
    }

    @Test func `a history that is not ours at the same position is a fault`() {
        var bench = Bench(term: 1, entryTerms: [1])
        let other = Bench.entries([1], text: "other")[0]
        bench.append([], after: other.anchor, term: 1)
        let ours = Bench.entries([1])[0]
        let fault = ReplicaFault.diverged(
            at: ours.position, peer: NodeID(2), ours: ours.chain, theirs: other.chain)
        let effects = bench.replica.drain()
        #expect(effects.faults == [fault])
        #expect(effects.allMessages.isEmpty)

        bench.append([other], term: 1)
        #expect(bench.replica.drain().faults == [fault])
    }

    @Test func `entries that do not follow one another are not taken`() {
        var bench = Bench(term: 1)
        let entry = Bench.entries([1])[0]
        let forged = Entry(
            term: entry.term, index: entry.index, kind: entry.kind, payload: [0xFF],
            chain: entry.chain)
        bench.append([forged], term: 1)
        #expect(
            bench.replica.drain().faults
                == [.malformedEntries(from: NodeID(2), after: .zero)])
        #expect(bench.replica.status.last == .zero)
    }

    @Test func `what is committed is not replaced, whoever asks`() {
        var bench = Bench(term: 2, commit: 1, entryTerms: [1, 1])
        let other = Bench.entries([2], text: "other")[0]
        bench.append([other], term: 2)
        #expect(bench.replica.drain().faults.isEmpty, "behind the commit: an old message")
        #expect(bench.replica.status.last.index == LogIndex(2))
    }

    @Test func `a leader that counts on entries we lost is told by a fault`() {
        var bench = Bench(term: 2, entryTerms: [1])
        bench.receive(
            .heartbeat(Heartbeat(commit: LogIndex(5), readPosition: 0)), from: 2, term: 2)
        #expect(
            bench.replica.drain().faults == [
                .entriesLost(
                    leader: NodeID(2), commit: LogIndex(5),
                    last: LogPosition(term: Term(1), index: LogIndex(1)))
            ])
    }

    @Test func `a snapshot is installed only where the log does not lead by itself`() {
        let entries = Bench.entries([1, 1, 2])
        let bench = Bench(term: 2, vote: 2, commit: 1, entryTerms: [1, 1, 2], applied: 1)
        #expect(bench.replica.restart(installing: entries[0].anchor) == nil, "committed here")
        #expect(bench.replica.restart(installing: entries[2].anchor) == nil, "in the log")

        let later = Bench.entries([1, 1, 2, 2])[3].anchor
        let same = bench.replica.restart(installing: later)
        #expect(
            same?.hardState == HardState(term: Term(2), vote: NodeID(2), commit: LogIndex(4)))
        #expect(same?.log.entries == [])
        #expect(same?.log.truncated == later)

        let newer = Bench.entries([1, 3])[1].anchor
        let other = bench.replica.restart(installing: newer)
        #expect(other?.hardState == HardState(term: Term(3), vote: nil, commit: LogIndex(2)))
        #expect(other?.applied == LogIndex(2))
    }

    @Test func `an echo is not heard`() {
        var bench = Bench(term: 2)
        bench.receive(.newerTerm, from: 1, term: 50)
        #expect(bench.replica.term == Term(2))
        #expect(bench.replica.drain().isEmpty)
    }

    @Test func `a leader from a configuration that we have not applied is followed`() {
        var bench = Bench(term: 2)
        bench.append(Bench.entries([3]), from: 9, term: 3)
        #expect(bench.replica.leader == NodeID(9))
        let effects = bench.settle()
        #expect(
            effects.allMessages == [.appendAccepted(AppendAccepted(match: LogIndex(1)))])
    }

    @Test func `answers of who has no vote decide nothing`() {
        var bench = Bench(term: 2)
        bench.replica.step(.campaign)
        for stranger: UInt32 in 7...9 {
            bench.receive(
                .preVoteAnswer(PreVoteAnswer(campaignTerm: Term(3), granted: true)),
                from: stranger, term: 2)
        }
        #expect(bench.replica.role == .preCandidate)
    }

    @Test func `no message makes a replica stop`() {
        var generator = SeededGenerator(seed: 5)
        var bench = Bench(term: 2, entryTerms: [1, 1, 2])
        var believed = 0
        for round in 0..<20_000 {
            if round % 500 == 0 {
                bench = Bench(term: 2, entryTerms: [1, 1, 2])
                if round % 1000 == 0 { bench.lead() }
            }
            let body = Self.anyBody(&generator)
            bench.receive(
                body, from: UInt32(generator.next() % 5),
                term: bench.replica.term.rawValue &+ generator.next() % 3 &- 1)
            bench.tick(Int(generator.next() % 2))
            if !bench.settle().isEmpty { believed += 1 }
        }
        #expect(believed > 2000)
    }

    private static func anyBody(_ generator: inout SeededGenerator) -> RaftMessage.Body {
        func small() -> UInt64 { generator.next() % 6 }
        func index() -> LogIndex { LogIndex(small() == 0 ? 1 << 61 : small()) }
        func position() -> LogPosition { LogPosition(term: Term(small()), index: index()) }
        let flag = small() < 3
        switch generator.next() % 12 {
        case 0: return .preVoteRequest(VoteRequest(last: position(), isHandover: flag))
        case 1: return .preVoteAnswer(PreVoteAnswer(campaignTerm: Term(small()), granted: flag))
        case 2: return .voteRequest(VoteRequest(last: position(), isHandover: flag))
        case 3: return .voteAnswer(VoteAnswer(granted: flag))
        case 4, 5:
            let known = Bench.entries([1, 1, 2])
            let previous = flag ? known[Int(small() % 3)].anchor : .zero
            let terms = (0..<small()).map { _ in small() + 1 }.sorted()
            let entries = Bench.entries(terms, after: previous)
            return .append(Append(previous: previous, entries: entries, commit: index()))
        case 6: return .appendAccepted(AppendAccepted(match: index()))
        case 7: return .appendRefused(AppendRefused(previous: index(), hint: position()))
        case 8: return .heartbeat(Heartbeat(commit: index(), readPosition: small()))
        case 9: return .heartbeatAnswer(HeartbeatAnswer(readPosition: small(), mayTakeOver: flag))
        case 10:
            let anchor = LogAnchor(position: position(), chain: small())
            return .snapshotOffer(SnapshotOffer(snapshot: SnapshotID(small()), anchor: anchor))
        default: return flag ? .timeoutNow : .newerTerm
        }
    }
}
