import Catalog
import ClusterClient
import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Placement
import Primitives
import Synchronization
import Telemetry
import Wire

/// The meta role of a node: its replicas of the Raft groups, driven together.
///
/// Everything that can happen is put into one inbox, and a *turn* takes all of it: the replicas are
/// stepped, and what they want done over all groups is carried out together in the order that
/// `Effects` states: heartbeats, messages, one synced write, and what the pool is to apply. A write
/// that is on its way gathers the next one behind it. Between deciding and doing nothing awaits.
package actor MetaNode {
    package nonisolated let loop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }

    package nonisolated let node: NodeID
    nonisolated let environment: any Environment
    nonisolated let peers: any Peers
    nonisolated let settings: MetaSettings
    nonisolated let tables: RaftLogTables
    nonisolated let secrets: MetaSecrets
    nonisolated let end: ProcessEnd
    package nonisolated let counters: MetaCounters
    package nonisolated let sweepCounters: SweepCounters
    /// The latest layout that this process knows; nil before there is one.
    nonisolated let layout: @Sendable () -> Layout?
    /// The latest table of groups that this process knows; nil before there is one.
    nonisolated let groupTable: @Sendable () -> GroupTable?
    /// How this node's clock stands to the others'.
    package nonisolated let clock: ClockView
    package nonisolated let slotMoveCounters: SlotMoveCounters
    /// How this process reaches other groups.
    nonisolated let cluster: ClusterClient
    /// When stores last said that they have no room left.
    nonisolated let fullStores = Mutex<[NodeID: Instant]>([:])
    package nonisolated let auditCounters: AuditCounters
    nonisolated let audits = Mutex<[GroupID: AuditFigures]>([:])
    /// Groups whose replica here is fenced, for who asks without waiting for a turn.
    nonisolated let fencedGroups = Mutex<Set<GroupID>>([])
    nonisolated let logger: Logger
    private nonisolated let inbox = Mutex(Inbox())
    /// The groups of this node for who asks without waiting for a turn.
    package nonisolated let states: GroupStates
    /// The copies of states that this node holds ready for replicas far behind.
    nonisolated let snapshotShelf = SnapshotShelf()
    nonisolated let stores: any StoreFactory

    var groups: [GroupID: GroupDriver]
    /// The groups in order; they come and go by `addGroup` and `removeGroup`.
    var groupOrder: [GroupID]
    /// Groups that are being opened.
    var groupsOpening: Set<GroupID> = []
    /// How many states of a group are being removed.
    var statesLeaving: [GroupID: Int] = [:]

    /// Writes that wait for the one on its way.
    var writes: [(group: GroupID, write: LogWrite)] = []
    var isWriting = false
    /// Rows of the log that end with the next synced write.
    var truncations: [(group: GroupID, through: LogAnchor)] = []
    /// Changes of the rows of groups that stand still; each is in the next synced write.
    var rowChanges: [RowChange] = []
    /// The state that this node is fetching.
    var snapshotUnderWay: SnapshotUnderWay?
    /// Bytes that were applied and whose entries have ended since space was last given back.
    var reclaimableBytes = 0
    var isReclaiming = false
    var nextHandBackCheck: Instant
    /// Group 0's table of voters is being looked at.
    var isPlanningVoters = false
    /// The disk below all this, and what the other voters last said of theirs.
    var disk: DiskSpaceRule
    var spaceOfPeers: [NodeID: DiskSpace] = [:]
    nonisolated let ballast: Ballast
    var isMeasuringDisk = false
    var nextDiskMeasurement: Instant
    /// Written to the log and the states since the disk was last measured.
    var bytesSinceMeasured: UInt64 = 0
    /// What this turn sends, by node.
    var heartbeats: [NodeID: [RaftEnvelope.Item]] = [:]
    var messages: [NodeID: [RaftEnvelope.Item]] = [:]
    /// Answers to heartbeats that leave with the next beat, or with what is said before.
    var answersThatCanWait: [NodeID: [RaftEnvelope.Item]] = [:]
    var ticks: TickClock
    /// When the node means to wake up next.
    var wakeUp: (tick: UInt64, task: SpawnedTask)?
    /// This turn is a beat.
    var isBeat = false
    /// What the others' monotonic clocks showed when they last sent a stamp, and when that came.
    var stampsHeard: [NodeID: (sent: Instant, received: Instant)] = [:]
    /// Whether this node's clock is too far from the median to lead by.
    var isClockOff = false
    private var nextTicket: UInt64 = 1
    private(set) var isStopped = false

    // MARK: The inbox

    enum Work: Sendable {
        case tick
        case envelope(RaftEnvelope, from: NodeID, at: Instant)
        case propose(GroupID, [[UInt8]], ticket: UInt64, UnsafeContinuation<ProposeAnswer?, Never>)
        case read(
            GroupID, ticket: UInt64, isAppliedFirst: Bool,
            UnsafeContinuation<Result<LogIndex, GroupRefusal>, Never>)
        case giveUp(GroupID, ticket: UInt64)
        case written([(group: GroupID, token: WriteToken, messages: [Outgoing])])
        case applied(GroupID, AppliedRun)
        case loaded(GroupID, LoadedEntries)
        case maintained(GroupID, durable: LogIndex, truncate: LogAnchor?)
        case lost(NodeID)
        case gone(NodeID)
        case input(GroupID, RaftInput)
        case transfer(GroupID, to: NodeID)
        case standForElection
    }

    private struct Inbox: Sendable {
        var work: [Work] = []
        var isTurnPlanned = false
        var nextTicket: UInt64 = 1
    }

    /// Puts work into the inbox, and plans a turn when none is planned.
    nonisolated func post(_ work: Work) {
        let mustPlan = self.inbox.withLock { inbox in
            inbox.work.append(work)
            defer { inbox.isTurnPlanned = true }
            return !inbox.isTurnPlanned
        }
        if mustPlan { self.loop.spawn { await self.turn() } }
    }

    nonisolated func makeTicket() -> UInt64 {
        self.inbox.withLock { inbox in
            defer { inbox.nextTicket += 1 }
            return inbox.nextTicket
        }
    }

    // MARK: Starting

    init(
        _ opened: OpenedMeta, _ settings: MetaSettings, _ environment: any Environment,
        _ loop: any EventLoop, _ stores: any StoreFactory, _ peers: any Peers,
        _ secrets: MetaSecrets,
        _ end: @escaping ProcessEnd, _ layout: @escaping @Sendable () -> Layout?,
        _ groupTable: @escaping @Sendable () -> GroupTable?, _ clock: ClockView,
        _ cluster: ClusterClient,
        _ registry: MetricsRegistry, _ logger: Logger
    ) {
        self.counters = MetaCounters(registry)
        self.sweepCounters = SweepCounters(registry)
        self.auditCounters = AuditCounters(registry)
        self.layout = layout
        self.groupTable = groupTable
        self.clock = clock
        self.cluster = cluster
        self.slotMoveCounters = SlotMoveCounters(registry)
        self.environment = environment
        self.loop = loop
        self.peers = peers
        self.settings = settings
        self.node = settings.node
        self.tables = opened.tables
        self.secrets = secrets
        self.end = end
        self.logger = logger
        self.groupOrder = opened.groups.map(\.state.group).sorted()
        self.stores = stores
        self.states = GroupStates(
            opened.groups.filter { !$0.standing.isStateRefused }.map(\.state))
        var groups: [GroupID: GroupDriver] = [:]
        for group in opened.groups {
            groups[group.state.group] = GroupDriver(group, settings, environment)
        }
        self.groups = groups
        self.ticks = TickClock(
            period: settings.tickPeriod, beatTicks: UInt64(settings.beatTicks),
            now: environment.now)
        self.nextHandBackCheck = environment.now
        self.disk = opened.disk
        self.ballast = opened.ballast
        self.nextDiskMeasurement = environment.now
    }

    /// Begins to tick. The replicas begin as followers; where this node is the preferred leader of a
    /// group that has none, it stands at once instead of after an election timeout.
    package nonisolated func start() {
        self.post(.tick)
        self.loop.spawn {
            do { try await self.loop.sleep(for: self.settings.firstElectionDelay) } catch { return }
            self.post(.standForElection)
        }
        self.loop.spawn { await self.followMasterKeys() }
        self.loop.spawn { await self.askForRefusedStates() }
    }

    var isRunning: Bool { !self.isStopped }

    /// Hands leaderships over to other voters, as far as they can be, and stops ticking.
    package func drain() {
        for group in self.groupOrder {
            guard let driver = self.groups[group], driver.replica.status.role == .leader else {
                continue
            }
            let best = driver.replica.status.peers.filter(\.mayTakeOver)
                .max { ($0.match, $1.node) < ($1.match, $0.node) }
            if let best { self.post(.transfer(group, to: best.node)) }
        }
    }

    /// Takes no further turn: nothing is sent, written or applied from now on. Whoever still waits is
    /// told so.
    package func stop() {
        self.isStopped = true
        for group in self.groupOrder { self.groups[group]?.giveUpAll() }
        for change in self.rowChanges { change.done.resume(returning: false) }
        self.rowChanges = []
    }

    // MARK: A turn

    private func turn() {
        let work = self.inbox.withLock { inbox in
            inbox.isTurnPlanned = false
            defer { inbox.work = [] }
            return inbox.work
        }
        guard !self.isStopped else {
            for item in work { Self.refuse(item) }
            return
        }
        self.countTicks()
        var proposals: [GroupID: [Proposal]] = [:]
        for item in work { self.take(item, &proposals) }
        for group in self.groupOrder {
            if let batch = proposals[group] { self.propose(batch, in: group) }
        }
        for group in self.groupOrder {
            guard !self.isStopped, let driver = self.groups[group] else { continue }
            self.carryOut(driver.replica.drain(), driver)
        }
        guard !self.isStopped else { return }
        self.sendAll()
        self.writeIfIdle()
        for group in self.groupOrder { self.applyIfIdle(group) }
        self.tellWhoWaitsForQuiet()
        self.measureDiskIfDue()
        self.planWakeUp()
    }

    struct Proposal {
        /// Each one a `CatalogCommand`, encoded.
        let commands: [[UInt8]]
        let ticket: UInt64
        let answer: UnsafeContinuation<ProposeAnswer?, Never>
        var sizeBytes: Int { self.commands.reduce(0) { $0 + $1.count } }
    }

    private func take(_ work: Work, _ proposals: inout [GroupID: [Proposal]]) {
        switch work {
        case .tick:
            // Counted already: it only woke the node up.
            break
        case .envelope(let envelope, let peer, let received):
            self.spaceOfPeers[peer] = envelope.space
            if let clock = envelope.clock { self.heard(clock, from: peer, at: received) }
            self.heard(envelope.claims, from: peer)
            if self.isStopped { return }
            for item in envelope.items {
                guard let driver = self.groups[item.group], !self.mustLeaveAside(item.message)
                else { continue }
                if item.heldByAll > driver.heldByAll { driver.heldByAll = item.heldByAll }
                self.step(item.group, .message(item.message))
            }
        case .propose(let group, let commands, let ticket, let answer):
            guard let driver = self.groups[group] else {
                answer.resume(returning: .refused(.noSuchGroup))
                return
            }
            guard !driver.isHalted, !driver.isFenced else {
                answer.resume(returning: .refused(.notLeader(hint: nil)))
                return
            }
            proposals[group, default: []].append(
                Proposal(commands: commands, ticket: ticket, answer: answer))
        case .read(let group, let ticket, let isAppliedFirst, let answer):
            guard let driver = self.groups[group] else {
                answer.resume(returning: .failure(.noSuchGroup))
                return
            }
            guard !driver.isHalted, !driver.isFenced else {
                answer.resume(returning: .failure(.notLeader(hint: nil)))
                return
            }
            driver.reading[ticket] = ReadWaiter(
                ticket: ticket, isAppliedFirst: isAppliedFirst, answer: answer)
            self.step(group, .readIndex(ticket: ticket))
        case .giveUp(let group, let ticket):
            if let place = proposals[group]?.firstIndex(where: { $0.ticket == ticket }) {
                proposals[group]?.remove(at: place).answer.resume(returning: nil)
            } else {
                self.groups[group]?.giveUp(ticket)
            }
        case .written(let done):
            self.isWriting = false
            for (group, token, messages) in done {
                self.queue(messages, in: group)
                self.step(group, .persisted(token))
            }
        case .applied(let group, let run):
            self.finishApplying(run, in: group)
        case .loaded(let group, let entries):
            self.groups[group]?.loadsUnderWay -= 1
            self.step(group, .loaded(entries))
        case .maintained(let group, let durable, let truncate):
            self.finishMaintaining(group, durable, truncate)
        case .lost(let node):
            for group in self.groupOrder { self.step(group, .unreachable(node)) }
        case .gone(let node):
            for group in self.groupOrder { self.step(group, .forgetLeader(node)) }
        case .input(let group, let input): self.step(group, input)
        case .transfer(let group, let node):
            self.step(group, .transferLeadership(to: node))
        case .standForElection:
            for group in self.groupOrder
            where self.preferredLeader(of: group) == self.node
                && self.groups[group]?.replica.leader == nil
            { self.step(group, .campaign) }
        }
    }

    /// Work that comes after the end: certainly not begun.
    private static func refuse(_ work: Work) {
        switch work {
        case .propose(_, _, _, let answer):
            answer.resume(returning: .refused(.notLeader(hint: nil)))
        case .read(_, _, _, let answer): answer.resume(returning: .failure(.notLeader(hint: nil)))
        case .tick, .envelope, .giveUp, .written, .applied, .loaded, .maintained, .lost, .gone,
            .input, .transfer, .standForElection:
            break
        }
    }

    /// A group that stands still takes in nothing but the ends of what it had begun.
    func step(_ group: GroupID, _ input: RaftInput) {
        guard let driver = self.groups[group], !driver.isHalted || input.endsSomething else {
            return
        }
        driver.replica.step(input)
    }

    /// In the order that `Effects` states; what is queued here leaves at the end of the turn in the
    /// same order.
    private func carryOut(_ effects: Effects, _ driver: GroupDriver) {
        let group = driver.group
        // A log that is proven damaged has no say any more, not even in what it said this turn.
        for fault in effects.faults {
            guard case .diverged(let position, let peer, _, _) = fault else {
                return self.stop(for: fault, in: group)
            }
            self.logDiffers(driver, at: position.index, from: peer)
            if self.isStopped { return }
        }
        self.queue(heartbeats: effects.heartbeats, of: driver)
        self.queue(effects.messages, in: group)
        if let write = effects.write { self.writes.append((group, write)) }
        for load in effects.loads { self.load(load, driver) }
        driver.toApply.append(contentsOf: effects.apply)
        for answer in effects.proposals { driver.take(answer) }
        for answer in effects.reads { driver.take(answer) }
        for peer in effects.snapshotsNeeded { self.offerSnapshot(to: peer, driver) }
        if let offered = effects.snapshotOffered { self.takeOffer(offered, driver) }
        if let change = effects.roleChange { self.roleChanged(change, driver) }
        self.noteRecovery(of: driver)
    }

    // MARK: Proposals and reads

    /// Hands the commands of a turn to the replica: as few entries as the bound allows.
    private func propose(_ proposals: [Proposal], in group: GroupID) {
        guard let driver = self.groups[group] else { return }
        var rest = self.admitted(proposals, in: driver)[...]
        guard let time = self.entryTime(of: driver) else {
            for proposal in rest { proposal.answer.resume(returning: .refused(.overloaded)) }
            return
        }
        while !rest.isEmpty {
            var commands: [[UInt8]] = []
            var batch = ProposedBatch(waiters: [])
            var sizeBytes = 0
            while let next = rest.first,
                batch.waiters.isEmpty
                    || (commands.count + next.commands.count <= self.settings.commandsPerEntry
                        && sizeBytes + next.sizeBytes <= self.settings.entryBytes)
            {
                commands.append(contentsOf: next.commands)
                sizeBytes += next.sizeBytes
                batch.waiters.append(
                    .init(
                        ticket: next.ticket, commandCount: next.commands.count,
                        answer: next.answer))
                rest = rest.dropFirst()
            }
            let payload = CatalogEntry.payload(
                timestamp: time, commands: commands)
            let ticket = self.nextTicket
            self.nextTicket += 1
            driver.proposing[ticket] = batch
            self.counters.commandsProposed.add(UInt64(commands.count))
            self.counters.entriesProposed.add()
            self.step(group, .propose(payloads: [payload], ticket: ticket))
        }
    }

    // MARK: What happened

    private func roleChanged(_ change: RoleChange, _ driver: GroupDriver) {
        let group = driver.group
        self.logger.info(
            "role changed",
            [
                "group": "\(group)", "role": "\(change.role)", "term": "\(change.term)",
                "leader": change.leader.map { "\($0)" } ?? "none",
            ])
        guard change.role == .leader else { return }
        self.counters.electionsWon.add()
        self.loop.spawn { await self.bootstrapIfNew(group) }
        let term = change.term
        self.loop.spawn { await self.sweepWhileLeading(group, in: term) }
        self.loop.spawn { await self.auditWhileLeading(group, in: term) }
        self.loop.spawn { await self.moveSlotsWhileLeading(group, in: term) }
    }

    func stopDamaged(_ reason: String) {
        self.stop()
        self.loop.spawn {
            await self.end(
                MetaSettings.damagedStatus,
                "\(reason); this node's copy of the metadata is damaged: the next start "
                    + "recovers it from the other nodes")
        }
    }

    /// How each group stands, in order, for `/status`.
    package func groupStatuses() -> [(group: GroupID, status: RaftStatus)] {
        self.groupOrder.compactMap { group in
            self.groups[group].map { (group, $0.replica.status) }
        }
    }
}
