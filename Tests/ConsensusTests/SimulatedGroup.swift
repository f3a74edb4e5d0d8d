import Consensus
import Primitives
import Testing

/// A group under a seed: messages are lost, repeated and reordered, links cut, disks and state
/// machines late, replicas crash and lose what was not synced. After every step the promises of
/// Raft (thesis figure 3.2) are checked against what the whole group ever did.
struct SimulatedGroup {
    private(set) var marks = Marks()
    var generator: SeededGenerator
    var nodes: [TestNode] = []
    var network: [(from: NodeID, outgoing: Outgoing)] = []
    var loads: [(at: Int, answer: LoadedEntries)] = []
    /// The state that each replica was offered last and has not installed yet.
    private var offered: [SnapshotOffer?]
    var cut: Set<[NodeID]> = []
    private var ticket: UInt64 = 0

    // What the whole group has seen.
    private var leaders: [Term: NodeID] = [:]
    private var committed: [UInt64] = [0]
    private var readFloors: [UInt64: LogIndex] = [:]
    private var lastPersistedTerm: [Term] = []
    private var commits: [LogIndex] = []
    /// Who led at the last look.
    private var wasLeading: [Bool] = []
    private let changesMembers: Bool
    /// The configurations that were applied anywhere, by their indices.
    private var configurations: [LogIndex: Configuration]
    /// One in so many messages is lost; a property of the run.
    private let lossRate: UInt64
    /// How often each happening comes, in the order of its cases; each run has its own temper (slow
    /// disks, many readers, little peace), which finds more than one average of them all.
    private let weights: [Int]

    private static let maximumMessages = 600

    private let damage: Damage

    /// - Parameter spares: nodes that belong to no configuration at first; with any, the group's
    ///   members change.
    init(seed: UInt64, nodes count: Int, spares: Int = 0, damage: Damage = .none) {
        self.damage = damage
        self.generator = SeededGenerator(seed: seed)
        self.changesMembers = spares > 0
        self.lossRate = 3 + self.generator.next() % 40
        let ranges = [30...60, 8...25, 4...20, 3...10, 2...8, 2...8, 3...4, 1...7]
        var generator = self.generator
        self.weights = ranges.map { range in
            range.lowerBound + Int(generator.next() % UInt64(range.count))
        }
        self.generator = generator

        self.offered = [SnapshotOffer?](repeating: nil, count: count + spares)
        let voters = (1...UInt32(count)).map { NodeID($0) }
        self.configurations = [.zero: Configuration(voters: voters)]
        for number in 1...UInt32(count + spares) {
            var configuration = RaftConfiguration(
                node: NodeID(number),
                members: number <= count ? Configuration(voters: voters) : .unknown,
                seed: seed << 8 | UInt64(number))
            Self.setBounds(of: &configuration)
            self.nodes.append(TestNode(configuration))
            self.lastPersistedTerm.append(.zero)
            self.commits.append(.zero)
            self.wasLeading.append(false)
        }
    }

    private mutating func draw(_ count: Int) -> Int {
        Int(self.generator.next() % UInt64(count))
    }

    // MARK: One step of the world

    private enum Happening: CaseIterable {
        case delivery, tick, sync, apply, proposal, read, load, disturbance
    }

    mutating func step() throws(Broken) {
        let at = self.draw(self.nodes.count)
        switch self.drawHappening() {
        case .delivery: try self.deliverOne()
        case .tick: try self.input(.tick, at)
        case .sync: try self.syncSome(at)
        case .apply: try self.applySome(at)
        case .proposal: try self.propose(at)
        case .read: try self.read(at)
        case .load: try self.answerLoad()
        case .disturbance: try self.disturb(at)
        }
    }

    private mutating func drawHappening() -> Happening {
        var left = self.draw(self.weights.reduce(0, +))
        for (happening, weight) in zip(Happening.allCases, self.weights) {
            if left < weight { return happening }
            left -= weight
        }
        return .tick
    }

    private mutating func disturb(_ at: Int) throws(Broken) {
        let other = self.nodes[self.draw(self.nodes.count)].id
        let leader = self.nodes.firstIndex { $0.isUp && $0.replica.role == .leader } ?? at
        switch self.draw(64) {
        case 0..<2: self.crash(at)
        case 2..<4: self.crash(leader)
        case 4..<13: self.restart(at)
        case 13..<17: self.partition()
        case 17..<20: self.isolate(leader)
        case 20..<28: self.cut.removeAll()
        case 28..<32: try self.input(.forgetLeader(other), at)
        case 32..<35:
            self.marks.handovers += self.nodes[at].replica.role == .leader ? 1 : 0
            try self.input(.transferLeadership(to: other), at)
        case 35..<38: try self.input(.unreachable(other), at)
        case 38..<43: try self.truncate(at)
        case 43..<45: try self.input(.campaign, at)
        case 45..<51: try self.installWhatWasOffered(at)
        case 51..<60 where self.changesMembers: try self.changeMembers(leader)
        default: self.loseOrRepeat()
        }
    }

    private mutating func deliverOne() throws(Broken) {
        guard !self.network.isEmpty else { return }
        // Mostly near the front: order is disturbed, not destroyed.
        let span = self.draw(4) == 0 ? self.network.count : min(3, self.network.count)
        let (from, outgoing) = self.network.remove(at: self.draw(span))
        guard !self.cut.contains([from, outgoing.to]), self.draw(Int(self.lossRate)) != 0,
            let to = self.nodes.firstIndex(where: { $0.id == outgoing.to })
        else { return }
        try self.input(.message(outgoing.message), to)
    }

    private mutating func loseOrRepeat() {
        guard !self.network.isEmpty else { return }
        let at = self.draw(self.network.count)
        if self.draw(2) == 0 {
            self.network.remove(at: at)
        } else {
            self.network.append(self.network[at])
        }
    }

    private mutating func partition() {
        self.cut.removeAll()
        let sides = self.nodes.map { _ in self.draw(2) }
        let isOneWay = self.draw(4) == 0
        for (a, from) in self.nodes.enumerated() {
            for (b, to) in self.nodes.enumerated() where sides[a] != sides[b] {
                if !isOneWay || sides[a] == 0 { self.cut.insert([from.id, to.id]) }
            }
        }
    }

    private mutating func isolate(_ at: Int) {
        let id = self.nodes[at].id
        for other in self.nodes.map(\.id) where other != id {
            self.cut.formUnion([[id, other], [other, id]])
        }
    }

    private mutating func crash(_ at: Int) {
        guard self.nodes[at].isUp else { return }
        self.marks.crashes += 1
        self.nodes[at].crash()
        self.loads.removeAll { $0.at == at }
        self.offered[at] = nil
    }

    mutating func restart(_ at: Int) {
        guard !self.nodes[at].isUp else { return }
        if self.damage != .none { self.damage(at) }
        self.nodes[at].restart()
        self.commits[at] = .zero
    }

    /// Every third restart finds that the log has lost its end, or an entry and so all behind it.
    private mutating func damage(_ at: Int) {
        let disk = self.nodes[at].disk
        let count = disk.last.index.rawValue - disk.applied.rawValue
        guard count > 0, self.draw(3) == 0 else { return }
        let others = self.nodes.indices.count {
            $0 != at && self.nodes[$0].disk.hardState.remembered != nil
        }
        guard self.damage == .anywhere || others + 1 <= (self.nodes.count - 1) / 2 else { return }
        self.marks.damages += 1
        let first = LogIndex(disk.applied.rawValue + 1 + UInt64(self.draw(Int(count))))
        self.nodes[at].disk.loseEntries(from: first, isRemembered: self.damage != .forgotten)
    }

    mutating func propose(_ at: Int) throws(Broken) {
        self.ticket += 1
        let payloads = (0...self.draw(3)).map { _ in
            [UInt8](repeating: UInt8(truncatingIfNeeded: self.ticket), count: self.draw(60))
        }
        try self.input(.propose(payloads: payloads, ticket: self.ticket), at)
    }

    /// One voter comes or goes, or any nodes come to vote, the leader among them or not; some others
    /// learn.
    private mutating func changeMembers(_ leader: Int) throws(Broken) {
        let all = self.nodes.map(\.id)
        let one = all[self.draw(all.count)]
        let now = self.nodes[leader].replica.members.voters
        var voters =
            self.draw(3) == 0
            ? all.filter { _ in self.draw(2) == 0 }
            : all.filter { now.contains($0) != ($0 == one) }
        if voters.isEmpty { voters = [one] }
        let learners = self.nodes.map(\.id).filter { !voters.contains($0) && self.draw(3) == 0 }
        self.ticket += 1
        try self.input(
            .changeConfiguration(voters: voters, learners: learners, ticket: self.ticket), leader)
    }

    private mutating func read(_ at: Int) throws(Broken) {
        self.ticket += 1
        self.readFloors[self.ticket] = LogIndex(UInt64(self.committed.count - 1))
        try self.input(.readIndex(ticket: self.ticket), at)
    }

    private mutating func truncate(_ at: Int) throws(Broken) {
        let durable = self.nodes[at].disk.applied
        let truncated = self.nodes[at].disk.truncated.index
        guard self.nodes[at].isUp, durable.rawValue > truncated.rawValue + 3,
            let anchor = self.nodes[at].disk.anchor(at: LogIndex(durable.rawValue - 2))
        else { return }
        self.nodes[at].disk.truncate(through: anchor.index)
        try self.input(.truncated(through: anchor), at)
    }

    mutating func answerLoad() throws(Broken) {
        guard !self.loads.isEmpty else { return }
        let (at, answer) = self.loads.remove(at: self.draw(self.loads.count))
        self.marks.loads += 1
        try self.input(.loaded(answer), at)
    }

    /// The state as it is durable now is held ready for a follower.
    private mutating func offerSnapshot(from leader: Int, to peer: NodeID) throws(Broken) {
        let source = self.nodes[leader].disk
        guard let anchor = source.anchor(at: source.applied) else { return }
        self.ticket += 1
        let offer = SnapshotOffer(snapshot: SnapshotID(self.ticket), anchor: anchor)
        try self.input(.offerSnapshot(offer, to: peer), leader)
    }

    /// The state was fetched, and by now the log may have come as far by itself.
    mutating func installWhatWasOffered(_ at: Int) throws(Broken) {
        guard self.nodes[at].isUp, let offer = self.offered[at].take() else { return }
        while !self.nodes[at].writes.isEmpty || !self.nodes[at].applying.isEmpty {
            try self.syncSome(at)
            try self.applySome(at)
            try self.drain(at)
        }
        let crashesInBetween = self.draw(3) == 0
        guard self.nodes[at].isUp, self.nodes[at].replica.isQuiet,
            self.nodes[at].install(offer.anchor, self.members(at: offer.anchor.index))
        else { return }
        self.marks.snapshots += 1
        self.lastPersistedTerm[at] = self.nodes[at].disk.hardState.term
        self.loads.removeAll { $0.at == at }
        if crashesInBetween {
            self.crash(at)
            self.restart(at)
        }
    }

    /// The group's configuration once the entry at `index` is applied.
    private func members(at index: LogIndex) -> Configuration {
        let behind = self.configurations.keys.filter { $0 <= index }.max()
        return behind.flatMap { self.configurations[$0] } ?? .unknown
    }

    // MARK: Replicas and their disks

    mutating func input(_ input: RaftInput, _ at: Int) throws(Broken) {
        guard self.nodes[at].isUp else { return }
        self.nodes[at].replica.step(input)
        try self.lookAtLeader(at)
        // Some drains serve many inputs.
        if self.draw(4) != 0 { try self.drain(at) }
    }

    mutating func drain(_ at: Int) throws(Broken) {
        let id = self.nodes[at].id
        let effects = self.nodes[at].replica.drain()
        if let fault = effects.faults.first, self.damage != .forgotten {
            throw .fault(id, "\(fault)")
        }
        for outgoing in effects.heartbeats + effects.messages { try self.send(outgoing, at) }
        if let write = effects.write {
            if let first = write.entries.first,
                first.index <= self.nodes[at].expectedDisk.last.index
            {
                self.marks.replacedSuffixes += 1
            }
            self.nodes[at].writes.append(write)
        }
        for request in effects.loads {
            let answer =
                self.draw(10) == 0
                ? LoadedEntries(peer: request.peer, from: request.from, outcome: .failed)
                : self.nodes[at].disk.load(request)
            self.loads.append((at, answer))
        }
        try self.check(effects.apply, at)
        self.nodes[at].applying += effects.apply
        try self.checkAnswers(effects)
        try self.checkLeadership(at)
        try self.checkCommit(at)
        if self.draw(20) == 0, self.nodes[at].replica.status.unappliedBytes > 10_000 {
            throw .boundPassed(id, "unapplied bytes")
        }
        if let offered = effects.snapshotOffered { self.offered[at] = offered.offer }
        for peer in effects.snapshotsNeeded { try self.offerSnapshot(from: at, to: peer) }
    }

    mutating func syncSome(_ at: Int) throws(Broken) {
        guard self.nodes[at].isUp, !self.nodes[at].writes.isEmpty else { return }
        let count = 1 + self.draw(self.nodes[at].writes.count)
        let done = self.nodes[at].writes.prefix(count)
        self.nodes[at].writes.removeFirst(count)
        for write in done {
            let wasRecovering = self.nodes[at].disk.hardState.remembered != nil
            self.nodes[at].disk.perform(write)
            let (term, remembered) = (
                self.nodes[at].disk.hardState.term, self.nodes[at].disk.hardState.remembered
            )
            if wasRecovering, remembered == nil { self.marks.recoveries += 1 }
            if term < self.lastPersistedTerm[at] { throw .termWentBack(self.nodes[at].id) }
            self.lastPersistedTerm[at] = term
        }
        for write in done {
            for outgoing in write.messages { try self.send(outgoing, at) }
        }
        guard let token = done.last?.token else { return }
        try self.input(.persisted(token), at)
    }

    mutating func applySome(_ at: Int) throws(Broken) {
        guard self.nodes[at].isUp, !self.nodes[at].applying.isEmpty else { return }
        let count = 1 + self.draw(self.nodes[at].applying.count)
        let last = self.nodes[at].applying[count - 1].index
        for entry in self.nodes[at].applying.prefix(count) {
            if let configuration = entry.configuration {
                self.configurations[entry.index] = configuration
            }
        }
        if self.nodes[at].replica.role == .leader {
            self.marks.changes += self.nodes[at].applying.prefix(count).count {
                $0.configuration?.isJoint == false
            }
        }
        self.nodes[at].applying.removeFirst(count)
        // Now and then the state machine flushes.
        if self.draw(3) == 0 { self.nodes[at].disk.flush(through: last) }
        try self.input(.applied(through: last), at)
    }

    // MARK: The promises

    /// What a message claims must be on the sender's disk when it leaves (thesis §3.8).
    private mutating func send(_ outgoing: Outgoing, _ at: Int) throws(Broken) {
        let disk = self.nodes[at].disk
        let message = outgoing.message
        let isLater = disk.hardState.term > message.term
        let isNow = disk.hardState.term == message.term
        let holds =
            switch message.body {
            case .voteAnswer(let answer):
                !answer.granted || isLater || (isNow && disk.hardState.vote == outgoing.to)
            case .voteRequest:
                isLater || (isNow && disk.hardState.vote == self.nodes[at].id)
            case .appendAccepted(let answer):
                isLater || (isNow && disk.last.index >= answer.match)
            case .append, .heartbeat:
                isLater || isNow
            case .preVoteRequest, .preVoteAnswer, .appendRefused, .heartbeatAnswer, .timeoutNow,
                .newerTerm, .snapshotOffer:
                true
            }
        if !holds { throw .sentBeforePersisted(self.nodes[at].id, "\(message)") }
        if self.network.count < Self.maximumMessages {
            self.network.append((self.nodes[at].id, outgoing))
        }
    }

    /// Election safety and leader completeness (thesis figure 3.2).
    private mutating func checkLeadership(_ at: Int) throws(Broken) {
        let replica = self.nodes[at].replica
        guard replica.role == .leader else { return }
        if let other = self.leaders[replica.term] {
            if other != replica.node { throw .twoLeaders(replica.term) }
            return
        }
        self.leaders[replica.term] = replica.node
        self.marks.leaders += 1
        if replica.members.isJoint { self.marks.leadersInJoint += 1 }
        let log = self.nodes[at].expectedDisk
        // Chains make one comparison enough: equal here is equal up to here.
        let last = LogIndex(UInt64(self.committed.count - 1))
        guard last <= log.truncated.index || log.anchor(at: last)?.chain == self.committed.last
        else { throw .leaderLacksCommitted(last, leader: replica.node) }
    }

    /// A leader's commits are looked at before anything else can happen to its configuration.
    private mutating func lookAtLeader(_ at: Int) throws(Broken) {
        let replica = self.nodes[at].replica
        let isLeading = replica.role == .leader
        if isLeading { try self.checkCommit(at) }
        if self.wasLeading[at], !isLeading, !replica.members.quorum.contains(replica.node) {
            self.marks.leadersRemoved += 1
        }
        self.wasLeading[at] = isLeading
    }

    /// Whatever a replica believes committed is so for ever, and was durable on a majority when a
    /// leader first said so.
    private mutating func checkCommit(_ at: Int) throws(Broken) {
        let commit = self.nodes[at].replica.commit
        guard commit > self.commits[at] else { return }
        self.commits[at] = commit
        let log = self.nodes[at].expectedDisk
        guard commit > log.truncated.index else { return }
        if commit.rawValue < UInt64(self.committed.count) {
            if log.anchor(at: commit)?.chain != self.committed[Int(commit.rawValue)] {
                throw .committedDiffers(commit)
            }
            return
        }
        for index in UInt64(self.committed.count)...commit.rawValue {
            guard let anchor = log.anchor(at: LogIndex(index)) else {
                throw .committedDiffers(LogIndex(index))
            }
            self.committed.append(anchor.chain)
            self.marks.commits += 1
        }
        let holders = Set(
            self.nodes.filter { $0.disk.held(commit, self.committed.last) }.map(\.id))
        let members = self.nodes[at].replica.members
        for voters in [members.voters, members.outgoingVoters] where !voters.isEmpty {
            if voters.count(where: holders.contains) <= voters.count / 2 {
                throw .committedWithoutMajority(commit)
            }
        }
    }

    private func check(_ apply: [Entry], _ at: Int) throws(Broken) {
        guard let first = apply.first else { return }
        let previous = self.nodes[at].applying.last?.index ?? self.nodes[at].replica.applied
        guard first.index == previous.next else { throw .appliedOutOfOrder(self.nodes[at].id) }
        for entry in apply where entry.index.rawValue < UInt64(self.committed.count) {
            guard self.committed[Int(entry.index.rawValue)] == entry.chain else {
                throw .committedDiffers(entry.index)
            }
        }
    }

    private mutating func checkAnswers(_ effects: Effects) throws(Broken) {
        for answer in effects.reads {
            let floor = self.readFloors.removeValue(forKey: answer.ticket) ?? .zero
            switch answer.outcome {
            case .ready(let index):
                self.marks.readsAnswered += 1
                if index < floor { throw .staleRead(index, after: floor) }
            case .refused:
                self.marks.readsRefused += 1
            }
        }
        for answer in effects.proposals where answer.outcome == .refused(.overloaded) {
            self.marks.overloads += 1
        }
    }
}
