import Consensus
import Primitives

/// A group of replicas that a script leads through a story, and the trace of what they do.
///
/// After each command the cluster settles: messages are delivered in order, disks and state
/// machines do their work, until nothing is left to do. What a script holds back stays where it is.
final class ScriptedCluster {
    struct Misunderstood: Error { let line: String }

    private var nodes: [TestNode] = []
    private var network: [(from: NodeID, outgoing: Outgoing)] = []
    private var cutLinks: Set<[NodeID]> = []
    private var heldLinks: Set<[NodeID]> = []
    private var heldDisks: Set<NodeID> = []
    private var heldStates: Set<NodeID> = []
    private var heldLoads: [(node: NodeID, request: LoadRequest)] = []
    private var nextTicket: UInt64 = 1
    private(set) var trace: [String] = []
    private var isQuiet = false

    // MARK: Commands

    func run(_ line: String) throws(Misunderstood) {
        var words = line.split(separator: " ").map(String.init)
        self.isQuiet = words.first == "given"
        if self.isQuiet { words.removeFirst() }
        let verb = words.isEmpty ? "" : words.removeFirst()
        let numbers = words.compactMap { UInt32($0) }.map { NodeID($0) }
        if verb == "nodes" {
            try self.makeNodes(words, line: line)
            return
        }
        guard try self.runOnLinks(verb, numbers, line: line) == false else { return self.settle() }
        guard let id = numbers.first, self.index(of: id) != nil else {
            throw Misunderstood(line: line)
        }
        try self.run(verb, on: id, words: Array(words.dropFirst()), numbers, line: line)
        self.settle()
    }

    /// `nodes 3 spares=1 append-bytes=100 cache-bytes=64 inflight=2 unapplied-bytes=4000`
    private func makeNodes(_ words: [String], line: String) throws(Misunderstood) {
        guard let count = words.first.flatMap({ UInt32($0) }), count > 0 else {
            throw Misunderstood(line: line)
        }
        let voters = (1...count).map { NodeID($0) }
        let spares = words.compactMap { $0.hasPrefix("spares=") ? UInt32($0.dropFirst(7)) : nil }
        for node in 1...count + (spares.first ?? 0) {
            var configuration = RaftConfiguration(
                node: NodeID(node),
                members: node <= count ? Configuration(voters: voters) : .unknown,
                seed: UInt64(node))
            configuration.heartbeatTicks = 2
            configuration.electionTicks = 10
            configuration.maximumEntryBytes = 1000
            for option in words.dropFirst() {
                let parts = option.split(separator: "=")
                guard parts.count == 2, let value = Int(parts[1]) else {
                    throw Misunderstood(line: line)
                }
                switch parts[0] {
                case "spares": break
                case "append-bytes": configuration.maximumAppendBytes = value
                case "cache-bytes": configuration.maximumCachedBytes = value
                case "inflight": configuration.maximumInflightAppends = value
                case "unapplied-bytes": configuration.maximumUnappliedBytes = value
                default: throw Misunderstood(line: line)
                }
            }
            self.nodes.append(TestNode(configuration))
        }
    }

    /// `isolate 1`, `heal`, `cut 1 2` (one way), `hold 1 2`, `pass 1 2` (one message that is
    /// held), `release`, `lose` (all that is held).
    private func runOnLinks(
        _ verb: String, _ numbers: [NodeID], line: String
    ) throws(Misunderstood) -> Bool {
        switch verb {
        case "heal":
            self.cutLinks.removeAll()
        case "release":
            self.heldLinks.removeAll()
        case "lose":
            self.network.removeAll()
            self.heldLinks.removeAll()
        case "isolate":
            guard let id = numbers.first else { throw Misunderstood(line: line) }
            for other in self.nodes.map(\.id) where other != id {
                self.cutLinks.formUnion([[id, other], [other, id]])
            }
        case "cut", "hold", "pass":
            guard numbers.count == 2 else { throw Misunderstood(line: line) }
            switch verb {
            case "cut": self.cutLinks.insert(numbers)
            case "hold": self.heldLinks.insert(numbers)
            default: self.passOne(along: numbers)
            }
        default:
            return false
        }
        return true
    }

    private func run(
        _ verb: String, on id: NodeID, words: [String], _ numbers: [NodeID], line: String
    ) throws(Misunderstood) {
        switch verb {
        case "elect":
            self.forgetByTime(except: id)
            self.timeOut(id)
        case "timeout": self.timeOut(id)
        case "tick":
            for _ in 0..<(words.first.flatMap { Int($0) } ?? 1) {
                self.step(id, .tick)
                self.settle()
            }
        case "beat": self.step(id, .beat)
        case "candidacy":
            let kinds: [String: Candidacy] = [
                "eager": .eager, "reluctant": .reluctant, "barred": .barred,
            ]
            guard let candidacy = words.first.flatMap({ kinds[$0] }) else {
                throw Misunderstood(line: line)
            }
            self.step(id, .candidacy(candidacy))
        case "tamper":
            guard let index = words.first.flatMap({ UInt64($0) }) else {
                throw Misunderstood(line: line)
            }
            self.update(id) { $0.disk.tamper(with: LogIndex(index)) }
        case "propose":
            let payloads = Self.quoted(line).map { Array($0.utf8) }
            self.step(id, .propose(payloads: payloads, ticket: self.takeTicket()))
        case "read": self.step(id, .readIndex(ticket: self.takeTicket()))
        case "forget":
            guard numbers.count == 2 else { throw Misunderstood(line: line) }
            self.step(id, .forgetLeader(numbers[1]))
        case "transfer":
            guard numbers.count == 2 else { throw Misunderstood(line: line) }
            self.step(id, .transferLeadership(to: numbers[1]))
        case "change":
            let (voters, learners) = Self.members(words)
            self.step(
                id,
                .changeConfiguration(
                    voters: voters, learners: learners, ticket: self.takeTicket()))
        case "hold-apply": self.heldStates.insert(id)
        case "release-apply": self.heldStates.remove(id)
        case "hold-disk": self.heldDisks.insert(id)
        case "release-disk": self.heldDisks.remove(id)
        case "sync": self.syncOne(of: id)
        case "damage":
            let first = LogIndex(words.first.flatMap { UInt64($0) } ?? 0)
            self.update(id) { $0.disk.loseEntries(from: first) }
        case "crash": self.update(id) { $0.crash() }
        case "restart": self.update(id) { $0.restart() }
        case "truncate": self.truncate(id, through: words.first.flatMap { UInt64($0) } ?? 0)
        case "load": self.answerLoads(of: id)
        case "offer":
            guard numbers.count == 3 else { throw Misunderstood(line: line) }
            self.offer(from: id, to: numbers[1], at: LogIndex(UInt64(numbers[2].rawValue)))
        case "install": self.install(on: id, LogIndex(words.first.flatMap { UInt64($0) } ?? 0))
        case "log": self.printLog(id)
        case "status": self.printStatus(id)
        case "members":
            if let at = self.index(of: id) {
                self.note(id, "members \(self.nodes[at].replica.members)")
            }
        default: throw Misunderstood(line: line)
        }
    }

    /// `1,2,4 learn=5,6`
    private static func members(_ words: [String]) -> (voters: [NodeID], learners: [NodeID]) {
        func nodes(_ list: some StringProtocol) -> [NodeID] {
            list.split(separator: ",").compactMap { UInt32($0).map { NodeID($0) } }
        }
        let learners = words.first { $0.hasPrefix("learn=") }?.dropFirst(6) ?? ""
        return (nodes(words.first { !$0.hasPrefix("learn=") } ?? ""), nodes(learners))
    }

    private static func quoted(_ line: String) -> [String] {
        line.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    private func takeTicket() -> UInt64 {
        defer { self.nextTicket += 1 }
        return self.nextTicket
    }

    /// Lets time pass for all followers but one, just so long that they no longer protect a leader
    /// that they do not hear.
    private func forgetByTime(except candidate: NodeID) {
        for node in self.nodes where node.id != candidate && node.replica.role == .follower {
            for _ in 0..<node.configuration.electionTicks { self.step(node.id, .tick) }
        }
    }

    /// Lets time pass for one replica alone, until it asks for votes (again).
    private func timeOut(_ id: NodeID) {
        guard let at = self.index(of: id), self.nodes[at].isUp else { return }
        guard self.nodes[at].replica.role == .follower else {
            self.nodes[at].replica.step(.campaign)
            return
        }
        // One that is recovering goes on waiting.
        for _ in 0..<3 * self.nodes[at].configuration.electionTicks
        where self.nodes[at].replica.role == .follower { self.nodes[at].replica.step(.tick) }
        if self.nodes[at].replica.role == .follower { self.note(id, "does not stand") }
    }

    private func truncate(_ id: NodeID, through index: UInt64) {
        self.update(id) { node in
            guard let anchor = node.disk.anchor(at: LogIndex(index)) else { return }
            node.disk.flush(through: anchor.index)
            node.disk.truncate(through: anchor.index)
            node.replica.step(.truncated(through: anchor))
        }
    }

    /// `offer 1 3 5`: node 1 tells node 3 of a state as of index 5.
    private func offer(from id: NodeID, to peer: NodeID, at index: LogIndex) {
        guard let at = self.index(of: id), let anchor = self.nodes[at].disk.anchor(at: index) else {
            return
        }
        let offer = SnapshotOffer(snapshot: SnapshotID(index.rawValue), anchor: anchor)
        self.step(id, .offerSnapshot(offer, to: peer))
    }

    /// `install 3 5`: node 3 has fetched the state as of index 5 that it was offered.
    private func install(on id: NodeID, _ index: LogIndex) {
        guard let at = self.index(of: id),
            let offered = self.nodes[at].offered.first(where: { $0.anchor.index == index })
        else { return }
        let leader = self.nodes.first { $0.replica.role == .leader }
        let isInstalled = self.nodes[at].install(
            offered.anchor, leader?.replica.members ?? self.nodes[at].replica.members)
        self.note(id, isInstalled ? "goes on from \(offered.anchor)" : "drops \(offered.anchor)")
    }

    // MARK: Carrying out

    private func index(of id: NodeID) -> Int? { self.nodes.firstIndex { $0.id == id } }

    private func update(_ id: NodeID, _ change: (inout TestNode) -> Void) {
        guard let at = self.index(of: id) else { return }
        change(&self.nodes[at])
    }

    private func step(_ id: NodeID, _ input: RaftInput) {
        self.update(id) { if $0.isUp { $0.replica.step(input) } }
    }

    private func note(_ text: String) { if !self.isQuiet { self.trace.append(text) } }
    private func note(_ id: NodeID, _ text: String) { self.note("\(id)       \(text)") }

    private func settle() {
        for _ in 0..<10_000 {
            var isBusy = false
            for id in self.nodes.map(\.id) {
                if self.carryOutEffects(of: id) { isBusy = true }
                if self.writeAndApply(id) { isBusy = true }
            }
            if self.deliver() { isBusy = true }
            if !isBusy { return }
        }
        self.note("(the cluster does not come to rest)")
    }

    private func carryOutEffects(of id: NodeID) -> Bool {
        guard let at = self.index(of: id), self.nodes[at].isUp else { return false }
        let effects = self.nodes[at].replica.drain()
        guard !effects.isEmpty else { return false }
        for outgoing in effects.heartbeats + effects.messages {
            self.network.append((id, outgoing))
        }
        if let write = effects.write { self.nodes[at].writes.append(write) }
        self.nodes[at].applying += effects.apply
        for request in effects.loads {
            self.note(id, "load \(request.from) for \(request.peer)")
            self.heldLoads.append((id, request))
        }
        if !self.heldDisks.contains(id) { self.answerLoads(of: id) }
        for answer in effects.proposals { self.note(id, Describe.proposal(answer)) }
        for answer in effects.reads { self.note(id, Describe.read(answer)) }
        if let change = effects.roleChange { self.note(id, Describe.roleChange(change)) }
        for peer in effects.snapshotsNeeded { self.note(id, "needs a snapshot for \(peer)") }
        if let offered = effects.snapshotOffered {
            self.note(id, "is offered \(offered.offer.anchor) by \(offered.from)")
            self.nodes[at].offered.append(offered.offer)
        }
        for fault in effects.faults { self.note(id, "FAULT \(fault)") }
        return true
    }

    private func answerLoads(of id: NodeID) {
        for load in self.heldLoads where load.node == id {
            self.update(id) { $0.replica.step(.loaded($0.disk.load(load.request))) }
        }
        self.heldLoads.removeAll { $0.node == id }
    }

    /// The oldest write that a held disk holds back becomes durable.
    private func syncOne(of id: NodeID) {
        guard let at = self.index(of: id), !self.nodes[at].writes.isEmpty else { return }
        self.perform(self.nodes[at].writes.removeFirst(), at)
    }

    private func perform(_ write: LogWrite, _ at: Int) {
        let id = self.nodes[at].id
        self.nodes[at].disk.perform(write)
        for text in Describe.write(write) { self.note(id, text) }
        for outgoing in write.messages { self.network.append((id, outgoing)) }
        self.nodes[at].replica.step(.persisted(write.token))
    }

    private func writeAndApply(_ id: NodeID) -> Bool {
        guard let at = self.index(of: id), self.nodes[at].isUp else { return false }
        var isBusy = false
        if !self.heldDisks.contains(id) {
            for write in self.nodes[at].writes {
                isBusy = true
                self.perform(write, at)
            }
            self.nodes[at].writes.removeAll()
        }
        if let last = self.nodes[at].applying.last, !self.heldStates.contains(id) {
            isBusy = true
            let texts = self.nodes[at].applying.map { Describe.entry($0) }
            self.note(id, "apply \(texts.joined(separator: " "))")
            self.nodes[at].replica.step(.applied(through: last.index))
            self.nodes[at].applying.removeAll()
        }
        return isBusy
    }

    private func deliver() -> Bool {
        let waiting = self.network
        self.network.removeAll()
        var delivered = false
        for (from, outgoing) in waiting {
            let link = [from, outgoing.to]
            if self.heldLinks.contains(link) {
                self.network.append((from, outgoing))
                continue
            }
            delivered = true
            self.deliver(outgoing, from: from)
        }
        return delivered
    }

    private func deliver(_ outgoing: Outgoing, from: NodeID) {
        guard let to = self.index(of: outgoing.to) else { return }
        let isLost = self.cutLinks.contains([from, outgoing.to]) || !self.nodes[to].isUp
        let text = Describe.message(outgoing.message)
        self.note("\(from) -> \(outgoing.to)  \(text)\(isLost ? "  (lost)" : "")")
        if !isLost { self.nodes[to].replica.step(.message(outgoing.message)) }
    }

    private func passOne(along link: [NodeID]) {
        guard let at = self.network.firstIndex(where: { [$0.from, $0.outgoing.to] == link }) else {
            return
        }
        let (from, outgoing) = self.network.remove(at: at)
        self.deliver(outgoing, from: from)
    }

    // MARK: Looking

    private func printLog(_ id: NodeID) {
        guard let at = self.index(of: id) else { return }
        let entries = self.nodes[at].disk.entries.map { Describe.entry($0) }
        self.note(id, "log \(entries.isEmpty ? "empty" : entries.joined(separator: " "))")
    }

    private func printStatus(_ id: NodeID) {
        guard let at = self.index(of: id) else { return }
        let status = self.nodes[at].replica.status
        let leader = status.leader.map { "\($0)" } ?? "none"
        self.note(
            id,
            "\(status.role) term=\(status.term) leader=\(leader) commit=\(status.commit) "
                + "applied=\(status.applied) last=\(status.last)"
                + (status.remembered.map { " remembered=\($0)" } ?? ""))
        for peer in status.peers {
            self.note(
                id, "  \(peer.node): \(peer.state) match=\(peer.match) next=\(peer.next)")
        }
    }
}
