import Catalog
import ClusterClient
import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Telemetry
import Wire

/// One group on this node: its replica, its state, and who waits for what. Confined to the actor
/// that made it.
final class GroupDriver {
    let group: GroupID
    /// The state that is applied to; replaced when a snapshot is installed, while the group stands
    /// still.
    var state: GroupState
    var replica: RaftReplica
    /// What the log's rows say, as of the last write that was queued.
    var standing: RaftLogTables.Standing

    /// Proposals handed to the replica and not yet answered, by ticket.
    var proposing: [UInt64: ProposedBatch] = [:]
    /// Proposals that stand in the log, by index; decided when that index is applied.
    var inLog: [LogIndex: (term: Term, batch: ProposedBatch)] = [:]
    /// Reads that wait for their index to be given, by ticket.
    var reading: [UInt64: ReadWaiter] = [:]
    /// Reads that wait until this index is applied.
    var readsAwaitingApply: [(index: LogIndex, waiter: ReadWaiter)] = []

    /// Committed entries not yet handed to the pool.
    var toApply: [Entry] = []
    var isApplying = false
    var applied: LogIndex
    /// Bytes of batches written to the state since it was last made durable.
    var unflushedBytes = 0
    /// When an entry was last applied.
    var lastApplied: Instant
    var isMaintaining = false
    /// A copy of the state is to be made as soon as nothing is being applied.
    var wantsCheckpoint = false
    /// A copy is being made: nothing is applied meanwhile.
    var isCheckpointing = false
    /// A copy is being made, or what it consists of is being read; no other is begun meanwhile.
    var isMakingSnapshot = false
    /// Entries behind this one stay in the log: a snapshot that is held ready ends with it.
    var snapshotPin: LogIndex?
    /// Before which no snapshot is fetched: the last fetch has failed.
    var snapshotResumes: Instant?
    /// How much the log's entries take.
    var logSizes = LogSizes()
    /// Requests to the log's storage that are not answered yet.
    var loadsUnderWay = 0
    /// The group stands still: it takes in nothing but the ends of what it had begun, so that its
    /// state, or the group itself, can be exchanged. Set and cleared by `MetaNode.halt` and
    /// `resume`.
    var isHalted = false
    /// Waits until nothing is under way any more; hears false when the node stops.
    var waitsForQuiet: UnsafeContinuation<Bool, Never>?
    /// Before which the state is not made durable again: the disk had no room for it.
    var maintenanceResumes: Instant?
    /// The last index that the state holds durably.
    var durablyApplied: LogIndex
    /// Who took part when this was last looked at.
    var knownMembers: Configuration?
    /// Before which this leader, which is to leave the group, asks nobody again to take over.
    var memberStepResumes: Instant?
    /// Since when this node has been no member and should not be one.
    var strangerSince: Instant?
    /// The group's voters are being asked whether this replica may go.
    var isLeaving = false
    /// Since when the preferred leader, another node, could take over from this one.
    var preferredLeaderFitSince: Instant?
    /// Whether the replica's log lacked entries that it had, when last looked at.
    var wasRecovering: Bool
    /// How this replica stands to the others.
    var audit = ReplicaAudit()
    /// A majority contradicts this replica's state: it neither leads nor answers.
    var isFenced = false
    /// A majority contradicts this replica's log: it says nothing, and begins anew.
    var isLogWrong = false
    /// The time of the last entry that this node proposed.
    var lastEntryTime = Timestamp(milliseconds: 0)
    /// What the leader says every voter's log holds.
    var heldByAll = LogIndex.zero

    init(
        group: GroupID, state: GroupState, replica: RaftReplica,
        standing: RaftLogTables.Standing, applied: LogIndex, now: Instant
    ) {
        self.group = group
        self.state = state
        self.replica = replica
        self.standing = standing
        self.applied = applied
        self.durablyApplied = applied
        self.wasRecovering = replica.isRecovering
        self.lastApplied = now
        state.feed.begin(at: applied)
    }

    /// A group as its rows and its state remember it.
    convenience init(
        _ opened: OpenedMeta.Group, _ settings: MetaSettings, _ environment: any Environment
    ) {
        self.init(
            group: opened.state.group, state: opened.state,
            replica: Self.makeReplica(
                of: opened.state, opened.standing.hardState, opened.log, opened.applied,
                opened.members, settings, environment),
            standing: opened.standing, applied: opened.applied, now: environment.now)
        self.logSizes = opened.logSizes
        if opened.standing.isStateRefused { self.replica.loseState() }
        self.beginAudit(digest: opened.digest)
    }

    /// The state was restored, or came with a snapshot.
    func beginAudit(digest: UInt64) {
        let chain = self.replica.chain(at: self.applied)
        self.audit.begin(
            at: self.applied, chain.map { StateMark(digest: digest, chain: $0) })
    }

    /// A replica that goes on from what its rows and its state remember.
    static func makeReplica(
        of state: GroupState, _ hardState: HardState, _ log: RestoredLog, _ applied: LogIndex,
        _ members: Configuration, _ settings: MetaSettings, _ environment: any Environment
    ) -> RaftReplica {
        let configuration = settings.raftConfiguration(
            of: state.group, members: members, randomness: environment.randomBytes(8))
        return RaftReplica(
            configuration: configuration, hardState: hardState, log: log, applied: applied)
    }

    /// What all voters are known to hold, as far as this leader knows.
    var heldByAllVoters: LogIndex {
        let status = self.replica.status
        guard status.role == .leader else { return .zero }
        return status.peers.map(\.match).min() ?? status.persisted
    }
}

/// Commands that share one entry, and who waits for which of them.
struct ProposedBatch {
    struct Waiter {
        let ticket: UInt64
        let commandCount: Int
        /// Nil once nobody wants to know.
        var answer: UnsafeContinuation<ProposeAnswer?, Never>?
    }
    var waiters: [Waiter]

    /// Tells all who wait the same; nil: nobody can say what will become of their commands.
    mutating func tellAll(_ answer: ProposeAnswer?) {
        for position in self.waiters.indices {
            self.waiters[position].answer.take()?.resume(returning: answer)
        }
    }

    /// Ends one wait.
    mutating func giveUp(_ ticket: UInt64) {
        guard let position = self.waiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        self.waiters[position].answer.take()?.resume(returning: nil)
    }
}

struct ReadWaiter {
    let ticket: UInt64
    /// Whether it is told only once this replica has applied its index.
    let isAppliedFirst: Bool
    let answer: UnsafeContinuation<Result<LogIndex, GroupRefusal>, Never>
}

extension GroupRefusal: Error {}

/// The outcome of applying a run of entries, from the pool.
struct AppliedRun: Sendable {
    struct Outcome: Sendable {
        let index: LogIndex
        let term: Term
        let results: [CommandResult]
        let mark: StateMark
    }
    var outcomes: [Outcome] = []
    var through: LogIndex
    var batchBytes = 0
    var sessionHits = 0
    var fault: StoreFault?
}

extension GroupState {
    /// Applies committed entries in order, each with its effects and its index in one batch, to a
    /// store without a log of its own: after a crash the Raft log is replayed from the last index
    /// that survived. Blocking.
    func apply(_ entries: [Entry], after applied: LogIndex) -> AppliedRun {
        var run = AppliedRun(through: applied)
        var invalidated: [(index: LogIndex, invalidations: [Invalidation])] = []
        invalidated.reserveCapacity(entries.count)
        self.feed.begin(at: applied)
        defer { self.feed.take(invalidated) }
        for entry in entries {
            invariant(entry.index == run.through.next, "entries are applied without a gap")
            do throws(StoreFault) {
                let result =
                    switch entry.kind {
                    case .noop, .command:
                        try self.catalog.apply(
                            payload: entry.payload, at: entry.index, term: entry.term,
                            reading: self.store)
                    case .configuration:
                        try self.catalog.applyConfiguration(
                            entry.payload, at: entry.index, term: entry.term,
                            reading: self.store)
                    }
                try self.store.write(result.batch, .unlogged)
                self.watch.note(result.batch)
                run.batchBytes += result.batch.sizeBytes
                run.sessionHits += result.sessionHits
                run.outcomes.append(
                    .init(
                        index: entry.index, term: entry.term, results: result.results,
                        mark: StateMark(digest: result.position.digest, chain: entry.chain)))
                invalidated.append((entry.index, result.invalidations))
            } catch {
                run.fault = error
                return run
            }
            run.through = entry.index
        }
        return run
    }
}
