import Consensus
import Primitives
import Testing

struct LeaderTests {
    @Test func `an entry of an earlier term is not committed by counting who holds it`() {
        // Raft paper §5.4.2 and figure 8.
        var bench = Bench(voters: 5, term: 3, entryTerms: [1, 2])
        bench.lead()
        bench.accept(2, from: 2)
        bench.accept(2, from: 3)
        bench.accept(2, from: 4)
        #expect(bench.replica.commit == .zero)
        bench.accept(3, from: 2)
        #expect(bench.replica.commit == .zero)
        bench.accept(3, from: 3)
        #expect(bench.replica.commit == LogIndex(3))
    }

    @Test func `a leader's appends travel while its own disk works, and it counts itself after`() {
        // Thesis §10.2.1.
        var bench = Bench()
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        bench.replica.step(.propose(payloads: [[1], [2]], ticket: 9))
        let effects = bench.replica.drain()

        #expect(
            effects.proposals.map(\.outcome) == [.appended(term: Term(1), first: LogIndex(2))])
        #expect(effects.appends(to: 2).map(\.last) == [LogIndex(3)])
        #expect(effects.write?.entries.map(\.index) == [LogIndex(2), LogIndex(3)])
        #expect(effects.write?.messages == [])

        bench.accept(3, from: 2)
        #expect(bench.replica.commit == LogIndex(1), "one of three, as long as our disk works")
        bench.settle()
        bench.replica.step(.persisted(WriteToken(number: .max)))
        #expect(bench.replica.commit == LogIndex(3))
    }

    @Test func `two other disks commit what ours does not have yet, and it is not applied here`() {
        var bench = Bench()
        bench.lead()
        bench.replica.step(.propose(payloads: [[1]], ticket: 1))
        let write = bench.replica.drain().write
        bench.accept(2, from: 2)
        bench.accept(2, from: 3)
        #expect(bench.replica.commit == LogIndex(2))
        #expect(bench.replica.drain().apply.map(\.index) == [LogIndex(1)])
        bench.replica.step(.persisted(WriteToken(number: write?.token.number ?? 0)))
        #expect(bench.replica.drain().apply.map(\.index) == [LogIndex(2)])
    }

    @Test func `a proposal is refused with the reason`() {
        var bench = Bench { $0.maximumUnappliedBytes = 2000 }
        bench.replica.step(.propose(payloads: [[1]], ticket: 1))
        bench.receive(
            .heartbeat(Heartbeat(commit: .zero, readPosition: 0)), from: 3, term: 1)
        bench.replica.step(.propose(payloads: [[1]], ticket: 2))
        #expect(
            bench.settle().proposals.map(\.outcome) == [
                .refused(.notLeader(hint: nil)), .refused(.notLeader(hint: NodeID(3))),
            ])

        bench.lead()
        let large = [UInt8](repeating: 0, count: 1000)
        bench.replica.step(.propose(payloads: [large + [0]], ticket: 3))
        bench.replica.step(.propose(payloads: [large], ticket: 4))
        bench.replica.step(.propose(payloads: [large], ticket: 5))
        bench.replica.step(.transferLeadership(to: NodeID(2)))
        bench.answer(from: 2)
        bench.replica.step(.propose(payloads: [[1]], ticket: 6))
        #expect(
            bench.settle().proposals.map(\.outcome) == [
                .refused(.tooLarge(limitBytes: 1000)),
                .appended(term: Term(2), first: LogIndex(2)),
                .refused(.overloaded),
                .refused(.handingOver(to: NodeID(2))),
            ])
    }

    @Test func `a leader goes on proposing until its successor says that it would take over`() {
        var bench = Bench()
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        bench.answer(from: 2)
        bench.replica.step(.transferLeadership(to: NodeID(2)))
        bench.replica.step(.propose(payloads: [[1]], ticket: 1))
        let asked = bench.settle()
        #expect(
            asked.heartbeats.map(\.message.body) == [
                .heartbeat(
                    Heartbeat(
                        commit: LogIndex(1), chain: bench.replica.chain(at: LogIndex(1)),
                        readPosition: 0, isUrgent: true))
            ])
        #expect(!asked.allMessages.contains(.timeoutNow), "its word of before is not enough")
        #expect(asked.proposals.map(\.outcome) == [.appended(term: Term(1), first: LogIndex(2))])

        bench.accept(2, from: 2)
        bench.answer(from: 2)
        bench.replica.step(.propose(payloads: [[1]], ticket: 2))
        let handingOver = bench.settle()
        #expect(handingOver.allMessages.contains(.timeoutNow))
        #expect(handingOver.proposals.map(\.outcome) == [.refused(.handingOver(to: NodeID(2)))])
    }

    @Test(arguments: [false, true])
    func `a successor that would not take over is waited for no longer`(hasBegun: Bool) {
        var bench = Bench()
        bench.lead()
        bench.accept(1, from: 2)
        bench.replica.step(.transferLeadership(to: NodeID(2)))
        if hasBegun { bench.answer(from: 2) }
        bench.answer(mayTakeOver: false, from: 2)
        // Another's word does not bring it back.
        bench.answer(from: 3)
        bench.answer(from: 2)
        bench.replica.step(.propose(payloads: [[1]], ticket: 1))
        #expect(
            bench.settle().proposals.map(\.outcome) == [
                .appended(term: Term(1), first: LogIndex(2))
            ])
        #expect(bench.replica.status.peers.map(\.mayTakeOver) == [true, true])
    }

    @Test func `a follower says whether it would take over, and says no when it is told to`() {
        var bench = Bench(node: 2)
        for (candidacy, mayTakeOver) in [
            (Candidacy.eager, true), (.reluctant, false), (.barred, false),
        ] {
            let says = RaftMessage.Body.heartbeatAnswer(
                HeartbeatAnswer(readPosition: 0, mayTakeOver: mayTakeOver))
            bench.replica.step(.candidacy(candidacy))
            bench.receive(
                .heartbeat(Heartbeat(commit: .zero, readPosition: 0)), from: 1, term: 1)
            #expect(bench.settle().allMessages == [says])
            guard !mayTakeOver else { continue }
            bench.receive(.timeoutNow, from: 1, term: 1)
            #expect(bench.settle().allMessages == [says])
        }
        bench.replica.step(.candidacy(.eager))
        bench.replica.loseState()
        bench.receive(.timeoutNow, from: 1, term: 1)
        #expect(
            bench.settle().allMessages == [
                .heartbeatAnswer(HeartbeatAnswer(readPosition: 0, mayTakeOver: false))
            ])
    }

    /// However often it is asked to hand over, and with the quorum checked all the while.
    @Test func `a handover that does not succeed is given up after an election timeout`() {
        var bench = Bench()
        bench.lead()
        bench.accept(1, from: 3)
        bench.settle()
        func transfer() {
            bench.replica.step(.transferLeadership(to: NodeID(2)))
            bench.answer(from: 2)
        }
        transfer()
        for _ in 0..<9 {
            bench.tick(1)
            transfer()
        }
        bench.replica.step(.propose(payloads: [[1]], ticket: 1))
        #expect(bench.replica.ticksUntilDue == 1)
        bench.tick(1)
        bench.replica.step(.propose(payloads: [[1]], ticket: 2))
        #expect(
            bench.replica.drain().proposals.map(\.outcome) == [
                .refused(.handingOver(to: NodeID(2))),
                .appended(term: Term(1), first: LogIndex(2)),
            ])
    }

    @Test func `a leader that only waits to hand over still sees that nobody answers`() {
        var bench = Bench()
        bench.lead()
        for _ in 0..<20 {
            bench.replica.step(.transferLeadership(to: NodeID(2)))
            bench.tick(1)
        }
        #expect(bench.replica.role == .follower)
    }

    @Test func `a probed follower gets one append, a followed one as many as its window holds`() {
        var bench = Bench {
            $0.maximumInflightAppends = 3
            $0.maximumAppendBytes = 50
        }
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        bench.replica.step(.propose(payloads: Array(repeating: [7], count: 10), ticket: 1))
        let effects = bench.replica.drain()
        #expect(effects.appends(to: 2).map(\.last) == [2, 3, 4].map { LogIndex($0) })
        #expect(effects.appends(to: 3).isEmpty, "its probe is still under way")
        bench.accept(3, from: 2)
        #expect(
            bench.replica.drain().appends(to: 2).map(\.last) == [5, 6].map { LogIndex($0) })
    }

    @Test func `a refusal that comes twice is heard once`() {
        var bench = Bench(term: 1, entryTerms: [1, 1, 1, 1])
        bench.lead()
        let refusal = RaftMessage.Body.appendRefused(
            AppendRefused(
                previous: LogIndex(4), hint: LogPosition(term: Term(1), index: LogIndex(2))))
        bench.receive(refusal, from: 2, term: 2)
        #expect(bench.replica.drain().appends(to: 2).map(\.previous.index) == [LogIndex(2)])
        bench.receive(refusal, from: 2, term: 2)
        #expect(bench.replica.drain().appends(to: 2).isEmpty)
    }

    @Test func `the window counts bytes as well`() {
        var bench = Bench {
            $0.maximumInflightBytes = 1500
            $0.maximumAppendBytes = 100
        }
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        let payload = [UInt8](repeating: 1, count: 800)
        bench.replica.step(.propose(payloads: Array(repeating: payload, count: 5), ticket: 1))
        #expect(bench.replica.drain().appends(to: 2).map(\.last) == [2, 3].map { LogIndex($0) })
    }

    @Test func `a load that fails is asked again after a heartbeat, not before`() {
        var bench = Bench { $0.maximumCachedBytes = 1 }
        bench.lead()
        bench.accept(1, from: 2)
        for index in 2...4 {
            bench.replica.step(.propose(payloads: [[UInt8(index)]], ticket: 1))
            bench.settle()
            bench.accept(UInt64(index), from: 2)
            bench.settle()
            bench.replica.step(.applied(through: bench.replica.commit))
        }
        let refusal = RaftMessage.Body.appendRefused(
            AppendRefused(previous: .zero, hint: .zero))
        bench.receive(refusal, from: 3, term: 1)
        let load = LoadRequest(
            peer: NodeID(3), from: LogIndex(1), through: LogIndex(4), limitBytes: 1 << 20)
        #expect(bench.replica.drain().loads == [load])
        #expect(bench.replica.drain().loads == [], "one at a time")

        bench.replica.step(
            .loaded(LoadedEntries(peer: NodeID(3), from: LogIndex(1), outcome: .failed)))
        #expect(bench.replica.drain().loads == [])
        bench.tick(2)
        bench.receive(
            .heartbeatAnswer(HeartbeatAnswer(readPosition: 0, mayTakeOver: true)), from: 3, term: 1)
        #expect(bench.replica.drain().loads == [load])
    }

    @Test func `entries that our storage gives back changed go to nobody`() {
        var bench = Bench { $0.maximumCachedBytes = 1 }
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        bench.replica.step(.applied(through: LogIndex(1)))
        bench.receive(
            .appendRefused(AppendRefused(previous: .zero, hint: .zero)), from: 3, term: 1)
        #expect(bench.replica.drain().loads.count == 1)
        let forged = Bench.entries([1]).map {
            Entry(term: $0.term, index: $0.index, kind: .noop, payload: [], chain: $0.chain)
        }
        bench.replica.step(
            .loaded(
                LoadedEntries(
                    peer: NodeID(3), from: LogIndex(1),
                    outcome: .entries(previous: .zero, forged))))
        let effects = bench.replica.drain()
        #expect(effects.faults == [.damagedStorage(after: .zero)])
        #expect(effects.appends(to: 3).isEmpty)
    }

    @Test func `reads over the bound are refused, the others share a round`() {
        var bench = Bench { $0.maximumWaitingReads = 2 }
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        for ticket in 1...3 { bench.replica.step(.readIndex(ticket: UInt64(ticket))) }
        let effects = bench.replica.drain()
        #expect(effects.reads.map(\.ticket) == [3])
        #expect(effects.reads.map(\.outcome) == [.refused(.overloaded)])
        #expect(effects.heartbeats.map(\.to) == [NodeID(2), NodeID(3)])

        bench.receive(
            .heartbeatAnswer(HeartbeatAnswer(readPosition: 1, mayTakeOver: true)), from: 2, term: 1)
        let answers = bench.replica.drain().reads
        #expect(answers.map(\.ticket) == [1, 2])
        #expect(answers.allSatisfy { $0.outcome == .ready(LogIndex(1)) })
    }

    @Test func `a leader that steps down answers every read it still has`() {
        var bench = Bench()
        bench.lead()
        bench.replica.step(.readIndex(ticket: 1))
        bench.settle()
        bench.accept(1, from: 2)
        bench.settle()
        bench.replica.step(.readIndex(ticket: 2))
        bench.receive(
            .heartbeat(Heartbeat(commit: .zero, readPosition: 0)), from: 3, term: 2)
        let answers = bench.replica.drain().reads
        #expect(answers.map(\.ticket) == [1, 2])
        #expect(answers.allSatisfy { $0.outcome == .refused(.notLeader(hint: NodeID(3))) })
    }

    @Test func `confirmations of another term's reads do not count`() {
        var bench = Bench()
        bench.lead()
        bench.accept(1, from: 2)
        bench.settle()
        bench.replica.step(.readIndex(ticket: 1))
        bench.settle()
        bench.receive(
            .heartbeatAnswer(HeartbeatAnswer(readPosition: 1, mayTakeOver: true)), from: 2, term: 0)
        #expect(bench.replica.drain().reads.isEmpty)
    }
}
