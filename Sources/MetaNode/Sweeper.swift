import Catalog
import ClusterClient
import Consensus
import IORuntime
import OrderedStorage
import Placement
import Primitives
import Synchronization
import Telemetry
import Wire

/// Deletes what nobody needs any more from one data group, for as long as this node leads it in one
/// term: looks at the queues, proposes what `SweepPlan` says, waits.
///
/// It keeps nothing that a next leader would need. Two that sweep one group, because the older has
/// not heard that it was deposed, do no harm: what the second proposes is done already.
struct Sweeper {
    let meta: MetaNode
    let group: GroupID
    let term: Term
    private var periods: SpreadPeriods

    init(_ meta: MetaNode, _ group: GroupID, in term: Term) {
        self.meta = meta
        self.group = group
        self.term = term
        self.periods = SpreadPeriods(meta.environment)
    }

    private var settings: SweepSettings { self.meta.settings.sweep }

    /// Returns when the leadership has gone, or the node stops.
    mutating func run() async {
        var pause = self.periods.next(of: self.settings.period)
        while true {
            do { try await self.meta.loop.sleep(for: pause) } catch { return }
            guard await self.meta.leads(self.group, in: self.term) else { return }
            pause =
                await self.sweep()
                ? self.settings.busyPause : self.periods.next(of: self.settings.period)
        }
    }

    /// One look and what it comes to; whether more waits.
    private func sweep() async -> Bool {
        guard let layout = self.meta.layout(), let time = self.meta.clock.verdict.boundedTime
        else { return false }
        let question = SweepQuestion(
            clock: time, grace: self.meta.deletionGrace(),
            uploadPatience: self.settings.uploadPatience,
            limit: self.settings.chunksPerCommand,
            manifestLimit: self.settings.manifestsPerLook,
            removed: layout.nodes.filter { $0.state == .removed }.map(\.id))
        guard let state = self.meta.states[self.group] else { return false }
        let page: SweepPage
        do throws(StoreFault) {
            page = try await self.meta.environment.blocking(.metadata) {
                () throws(StoreFault) in
                try SweepPage(of: CatalogView(state.store.snapshot()), question)
            }
        } catch {
            self.meta.logger.warning(
                "the queues of deletions cannot be read",
                ["group": "\(self.group)", "reason": "\(error)"])
            return false
        }
        let steps = SweepPlan.steps(
            for: page, grace: question.grace, homes: { layout.homes(of: $0) })
        guard !steps.isEmpty else { return false }
        let hasProgressed = await self.carryOut(steps)
        return hasProgressed && page.isFull(question)
    }

    /// Whether anything was done; what was refused waits for the next period.
    private func carryOut(_ steps: [SweepStep]) async -> Bool {
        let commands = steps.map { CatalogCommand(operation: $0.operation).encoded }
        let answer = await self.meta.propose(
            ProposeRequest(group: self.group, commands: commands))
        guard case .applied(_, let results) = answer else { return false }
        var hasProgressed = false
        for (step, result) in zip(steps, results) {
            let (done, refused) = Self.outcome(result)
            hasProgressed = hasProgressed || done > 0
            self.count(step.kind, done: done, refused: refused)
        }
        return hasProgressed
    }

    /// How much of a command was done, and how much was decided otherwise.
    private static func outcome(_ result: CommandResult) -> (done: Int, refused: Int) {
        if case .chunks(let verdicts) = result {
            let done = verdicts.count { $0 == .done }
            return (done, verdicts.count - done)
        }
        if case .manifestSwept = result { return (1, 0) }
        // Refused: it came to life again, was completed, or its slot has moved.
        return result == .uploadAborted ? (1, 0) : (0, 1)
    }

    private func count(_ kind: SweepStep.Kind, done: Int, refused: Int) {
        let counters = self.meta.sweepCounters
        counters.refused.add(UInt64(refused))
        let counter: Counter? =
            switch kind {
            case .abortUpload: counters.uploadsAborted
            case .releaseManifest: counters.manifestPieces
            case .condemn: counters.condemned
            case .authorise: counters.authorised
            case .confirm: nil
            case .forget: counters.forgotten
            }
        counter?.add(UInt64(done))
    }
}

extension SweepPage {
    /// Whether of some kind more may wait than is here.
    fileprivate func isFull(_ question: SweepQuestion) -> Bool {
        // A manifest of many parts takes many pieces.
        !self.doomed.isEmpty || self.abandoned.count >= question.manifestLimit
            || max(self.condemnable.count, self.deletable.count, self.forgettable.count)
                >= question.limit
            || self.stranded.contains { $0.chunks.count >= question.limit }
    }
}

extension MetaNode {
    /// Whether this node leads the group, and has since it was elected for `term`.
    func leads(_ group: GroupID, in term: Term) -> Bool {
        guard !self.isStopped, let replica = self.groups[group]?.replica else { return false }
        return replica.role == .leader && replica.term == term
    }

    /// Takes up the sweep of a group that this node leads from now on.
    func sweepWhileLeading(_ group: GroupID, in term: Term) async {
        guard group != .system else { return }
        var sweeper = Sweeper(self, group, in: term)
        await sweeper.run()
    }

    /// How long chunks wait for their deletion now.
    nonisolated func deletionGrace() -> Duration {
        let settings = self.settings.sweep
        let since = self.environment.now - settings.fullnessLifetime
        let isFull = self.fullStores.withLock { stores in
            stores.values.contains { $0 > since }
        }
        return isFull ? min(settings.grace, settings.graceWhenFull) : settings.grace
    }

    /// A store asked what to delete, and said whether it has room.
    nonisolated func storeAsked(_ list: ListDeletions) {
        let now = self.environment.now
        self.fullStores.withLock { $0[list.node] = list.isDiskFull ? now : nil }
    }
}
