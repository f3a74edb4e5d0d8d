import Consensus
import Primitives
import Wire

/// What a replica says of itself at an applied index, in sixteen bytes: everything it applied up to
/// there, and everything its log held. Equal on every replica of a group, or one of them has gone
/// wrong: by a bad disk, bad memory, or code that does not do the same everywhere.
package struct StateMark: Hashable, Sendable {
    /// See `AppliedPosition.digest`.
    package let digest: UInt64
    /// See `Entry.chain`.
    package let chain: UInt64

    package init(digest: UInt64, chain: UInt64) {
        self.digest = digest
        self.chain = chain
    }
}

/// A replica's mark of the last entry it has applied, as it travels with heartbeats.
package struct StateClaim: WireMessage, Equatable {
    package let group: GroupID
    package let applied: LogIndex
    package let mark: StateMark

    package init(group: GroupID, applied: LogIndex, mark: StateMark) {
        self.group = group
        self.applied = applied
        self.mark = mark
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(self.group.rawValue)
        writer.write(self.applied.rawValue)
        writer.write(self.mark.digest)
        writer.write(self.mark.chain)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.group = GroupID(try reader.read())
        self.applied = LogIndex(try reader.read())
        self.mark = StateMark(digest: try reader.read(), chain: try reader.read())
    }
}

/// Holds the own replica of a group against the others, claim by claim: a pure decision.
///
/// Nobody is believed alone. Every node compares what the others claim with what it had itself at
/// that index, and only a majority of the voters that differs from the own replica proves that the
/// own one is wrong. A minority that differs is reported, and finds out itself by the same rule.
/// (Where no majority agrees, nobody's state can be trusted, and each of them finds that out.)
package struct ReplicaAudit: Sendable {
    /// Marks that are remembered, back from the last applied entry.
    package static let marksRemembered = 4_096

    package enum Finding: Hashable, Sendable {
        case same
        /// The logs were equal and what was made of them is not.
        case otherState(at: LogIndex)
        case otherLog(at: LogIndex)
    }

    package enum Standing: Hashable, Sendable {
        /// As far as is known this replica is what it should be.
        case inOrder
        /// A majority holds another state: this one answers nobody and is to be fetched anew.
        case wrongState(at: LogIndex)
        /// A majority holds another log: this replica's log is damaged.
        case wrongLog(at: LogIndex)
    }

    /// The mark of the entry at index n stands at n modulo the number remembered.
    private var marks: [StateMark?] = []
    private var first = LogIndex.zero
    private var last = LogIndex.zero
    /// Claims about entries that this replica has not applied yet; a later one does not push an
    /// earlier one out, or a replica that is always a little behind would never be compared.
    private var open: [NodeID: (applied: LogIndex, mark: StateMark)] = [:]
    private var findings: [NodeID: Finding] = [:]

    package init() {}

    /// A state that was restored, or came with a snapshot: nothing before it is known.
    package mutating func begin(at applied: LogIndex, _ mark: StateMark?) {
        self = ReplicaAudit()
        self.last = applied
        self.first = applied
        guard let mark, applied > .zero else { return }
        self.remember(mark, at: applied)
    }

    /// The own claim; nil while nothing is known to claim.
    package var mark: (applied: LogIndex, mark: StateMark)? {
        self.mark(at: self.last).map { (self.last, $0) }
    }

    /// This replica has applied its next entry. Says whose claims that decided.
    package mutating func applied(_ mark: StateMark, at index: LogIndex) -> [NodeID] {
        invariant(index == self.last.next, "marks come in the order of the log")
        self.last = index
        self.remember(mark, at: index)
        let due = self.open.filter { $0.value.applied == index }.keys.sorted()
        return due.filter { node in
            guard let claim = self.open.removeValue(forKey: node) else { return false }
            return self.compare(claim.mark, at: index, of: node)
        }
    }

    /// Another replica claims a mark; true when that changed what is known of it.
    package mutating func claimed(_ mark: StateMark, at index: LogIndex, by node: NodeID) -> Bool {
        guard index > self.last else { return self.compare(mark, at: index, of: node) }
        if self.open[node] == nil { self.open[node] = (index, mark) }
        return false
    }

    /// Proof of another kind that a replica holds another log.
    package mutating func differs(inLogAt index: LogIndex, _ node: NodeID) -> Bool {
        self.found(.otherLog(at: index), of: node)
    }

    package func finding(of node: NodeID) -> Finding? { self.findings[node] }

    /// Who was found to differ, in order.
    package var differing: [NodeID] {
        self.findings.filter { $0.value != .same }.keys.sorted()
    }

    /// How the own replica stands among `voters`.
    package func standing(among voters: [NodeID]) -> Standing {
        let majority = voters.count / 2 + 1
        var (states, logs): ([LogIndex], [LogIndex]) = ([], [])
        for voter in voters {
            switch self.findings[voter] {
            case .otherState(let index): states.append(index)
            case .otherLog(let index): logs.append(index)
            case .same, nil: break
            }
        }
        if logs.count >= majority, let index = logs.min() { return .wrongLog(at: index) }
        if states.count + logs.count >= majority, let index = (states + logs).min() {
            return .wrongState(at: index)
        }
        return .inOrder
    }

    private mutating func compare(
        _ mark: StateMark, at index: LogIndex, of node: NodeID
    ) -> Bool {
        guard let own = self.mark(at: index) else { return false }
        let finding: Finding =
            if own.chain != mark.chain {
                .otherLog(at: index)
            } else if own.digest != mark.digest {
                .otherState(at: index)
            } else {
                .same
            }
        return self.found(finding, of: node)
    }

    /// Of a difference the first index stays.
    private mutating func found(_ finding: Finding, of node: NodeID) -> Bool {
        switch (self.findings[node], finding) {
        case (.otherState, .otherState), (.otherLog, .otherLog), (.same, .same): return false
        case (_, _):
            let isNews = self.findings[node] != nil || finding != .same
            self.findings[node] = finding
            return isNews
        }
    }

    private mutating func remember(_ mark: StateMark, at index: LogIndex) {
        let place = Int(index.rawValue % UInt64(Self.marksRemembered))
        if self.marks.count <= place {
            // Grown as far as needed: an idle group needs little.
            self.marks.append(
                contentsOf: repeatElement(nil, count: place + 1 - self.marks.count))
        }
        self.marks[place] = mark
    }

    private func mark(at index: LogIndex) -> StateMark? {
        guard index >= self.first, index <= self.last, index > .zero,
            self.last.rawValue - index.rawValue < UInt64(Self.marksRemembered)
        else { return nil }
        let place = Int(index.rawValue % UInt64(Self.marksRemembered))
        return place < self.marks.count ? self.marks[place] : nil
    }
}
