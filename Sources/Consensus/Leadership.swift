import Primitives

/// What a replica knows only while it leads.
struct Leadership: Sendable {
    var progress: [NodeID: Progress] = [:]
    var reads = WaitingReads()
    var heartbeatElapsed = 0
    /// The first entry of the term. Before it is applied nothing is known to be committed, and the
    /// configuration does not change (Ongaro, raft-dev, July 2015).
    var firstIndex = LogIndex.zero
    /// Whom leadership is to go to. Ended by a new leader, by the voter's word that it would not
    /// take over, or by the time of an election timeout.
    var handover: Handover?

    /// To whom leadership is being handed over. No proposal is taken meanwhile, so that the
    /// follower can catch up.
    var successor: NodeID? { self.handover.flatMap { $0.hasBegun ? $0.node : nil } }

    struct Handover: Sendable {
        let node: NodeID
        /// Since the voter was asked, an answer of it has come that says that it would take over.
        private(set) var hasBegun = false
        /// Ticks since the voter was asked, or since it has begun.
        var elapsed = 0

        init(to node: NodeID) { self.node = node }

        mutating func begin() {
            self.hasBegun = true
            self.elapsed = 0
        }
    }
}

/// Reads on their way to an index (thesis §6.4).
struct WaitingReads: Sendable {
    /// Reads that share one round of heartbeats.
    struct Round: Sendable {
        let position: UInt64
        let index: LogIndex
        let tickets: [UInt64]
    }

    /// Asked for since the last round began, or before the first entry of the term was committed.
    var newcomers: [UInt64] = []
    /// Waiting for a quorum to confirm, oldest first.
    var rounds: [Round] = []
    /// The last position given out in this term. A round is confirmed by heartbeats that left after
    /// it was given out, and by nothing else; a read that is asked again is a new read.
    var position: UInt64 = 0

    var waiting: Int {
        self.rounds.reduce(self.newcomers.count) { $0 + $1.tickets.count }
    }
}
