import Catalog
import ClusterClient
import IORuntime
import OrderedStorage
import Primitives
import Synchronization
import Telemetry
import Wire

/// Proves, in the background and again and again, that the chunks of a data group count the
/// references that its manifests hold, for as long as this node leads it in one term.
///
/// An audit goes over one frozen view, at a bounded rate and in constant memory. Where sums differ
/// that part is counted one by one, and the differences are proposed as additions, which commute
/// with what happened since the view was taken. A count that is found too high falls, and may fall
/// to zero: the chunk then takes the ordinary way to its deletion, grace and all. One that is found
/// too low rises, and takes back a chunk that was condemned for it.
struct Auditor {
    let meta: MetaNode
    let group: GroupID
    let term: Term
    private var periods: SpreadPeriods

    /// Rows of one trip to the disk, and the pause between two: with manifests that hold 4 KiB, some
    /// 40 MB a second.
    private static let rowsPerStep = 1_024
    private static let stepPause: Duration = .milliseconds(100)
    /// Chunks that are counted one by one at a time: some megabytes.
    private static let chunksPerTally = 65_536
    /// Corrections of one audit; the next one finds the rest.
    private static let correctionsPerAudit = CatalogLimits.chunksPerSweep
    /// An audit that would lower more counts than this does not correct but complain: so many
    /// references have not gone astray one by one, so it is more likely the audit that is wrong.
    private static let mostLowered = 256

    init(_ meta: MetaNode, _ group: GroupID, in term: Term) {
        self.meta = meta
        self.group = group
        self.term = term
        self.periods = SpreadPeriods(meta.environment)
    }

    /// Why an audit ended before its end.
    private enum AuditFault: Error {
        /// The leadership has gone, or the node stops.
        case over
        case store(StoreFault)
    }

    /// Returns when the leadership has gone, or the node stops.
    mutating func run() async {
        while true {
            let pause = self.periods.next(of: self.meta.settings.sweep.auditPeriod)
            do { try await self.meta.loop.sleep(for: pause) } catch { return }
            guard await self.meta.leads(self.group, in: self.term),
                let state = self.meta.states[self.group]
            else { return }
            do throws(AuditFault) {
                let figures = try await self.audit(state)
                self.meta.audited(self.group, figures)
            } catch {
                guard case .store(let fault) = error else { return }
                self.meta.logger.warning(
                    "references cannot be audited",
                    ["group": "\(self.group)", "reason": "\(fault)"])
            }
        }
    }

    private func audit(_ state: GroupState) async throws(AuditFault) -> AuditFigures {
        let view = CatalogView(state.store.snapshot())
        let asOf: LogIndex
        do throws(StoreFault) {
            asOf = try await self.meta.environment.blocking(.metadata) {
                () throws(StoreFault) in try view.applied()?.index ?? .zero
            }
        } catch { throw .store(error) }
        let sums = try await self.walk(view, ReferenceSums())
        var figures = AuditFigures(
            asOf: asOf, chunks: sums.chunks, references: sums.references)
        var corrections: [CorrectReferences.Correction] = []
        for part in sums.differing where corrections.count < Self.correctionsPerAudit {
            corrections += try await self.differences(in: part, of: view)
        }
        corrections = Array(corrections.prefix(Self.correctionsPerAudit))
        guard !corrections.isEmpty else { return figures }
        let verdicts = await self.correct(corrections, asOf: asOf)
        figures.corrected = verdicts.count { $0 == .done }
        figures.lost = verdicts.count { $0 == .lost }
        return figures
    }

    /// Counts a part one by one, or as much of it as can be counted at once.
    private func differences(
        in part: ReferencePart, of view: CatalogView
    ) async throws(AuditFault) -> [CorrectReferences.Correction] {
        var part = part
        while true {
            let tally = try await self.walk(
                view, ReferenceTally(part, limit: Self.chunksPerTally))
            guard tally.isOverfull, let narrowed = part.narrowed else { return tally.corrections }
            part = narrowed
        }
    }

    private func walk<Count: ReferenceCounting & Sendable>(
        _ view: CatalogView, _ count: Count
    ) async throws(AuditFault) -> Count {
        var walk = ReferenceWalk()
        var count = count
        while !walk.isFinished {
            let (place, before) = (walk, count)
            do throws(StoreFault) {
                (walk, count) = try await self.meta.environment.blocking(.metadata) {
                    () throws(StoreFault) -> (ReferenceWalk, Count) in
                    var (walk, count) = (place, before)
                    try walk.step(over: view, limit: Self.rowsPerStep, into: &count)
                    return (walk, count)
                }
            } catch { throw .store(error) }
            guard await self.meta.leads(self.group, in: self.term) else { throw .over }
            guard !walk.isFinished else { break }
            do { try await self.meta.loop.sleep(for: Self.stepPause) } catch { throw .over }
        }
        return count
    }

    /// Proposes corrections; says what became of those that were believed.
    private func correct(
        _ corrections: [CorrectReferences.Correction], asOf: LogIndex
    ) async -> [ChunkVerdict] {
        let lowered = corrections.count { $0.delta < 0 }
        self.meta.logger.error(
            "references were miscounted",
            [
                "group": "\(self.group)", "chunks": "\(corrections.count)",
                "lowered": "\(lowered)", "first": "\(corrections[0].key)",
            ])
        let isBelievable = lowered <= Self.mostLowered
        let accepted = isBelievable ? corrections : corrections.filter { $0.delta > 0 }
        self.meta.auditCounters.disbelieved.add(UInt64(corrections.count - accepted.count))
        guard !accepted.isEmpty else { return [] }
        let operation = CatalogOperation.correctReferences(
            CorrectReferences(asOf: asOf, chunks: accepted))
        let answer = await self.meta.propose(
            ProposeRequest(
                group: self.group, commands: [CatalogCommand(operation: operation).encoded]))
        guard case .applied(_, let results) = answer, case .chunks(let verdicts) = results.first
        else { return [] }
        if let place = verdicts.firstIndex(of: .lost) {
            self.meta.logger.error(
                "objects name chunks that are deleted",
                [
                    "group": "\(self.group)", "chunks": "\(verdicts.count { $0 == .lost })",
                    "first": "\(accepted[place].key)",
                ])
        }
        return verdicts
    }
}

/// What the last whole audit of a group found.
package struct AuditFigures: Equatable, Sendable {
    /// What the audited state had applied.
    package let asOf: LogIndex
    package let chunks: UInt64
    package let references: UInt64
    /// Chunks whose counts were off and are right now.
    package var corrected = 0
    /// Chunks that a manifest names and whose deletion was authorised: there must be none.
    package var lost = 0

    package init(asOf: LogIndex, chunks: UInt64, references: UInt64) {
        self.asOf = asOf
        self.chunks = chunks
        self.references = references
    }
}

package struct AuditCounters: Sendable {
    package let audits: Counter
    package let corrected: Counter
    package let disbelieved: Counter
    package let lost: Counter

    package init(_ registry: MetricsRegistry) {
        self.audits = registry.counter(
            "holdfast_audits_total",
            help: "Whole audits of the references of a group that this node led.")
        self.corrected = registry.counter(
            "holdfast_audit_chunks_corrected_total",
            help: "Chunks whose count of references was off and was corrected.")
        self.disbelieved = registry.counter(
            "holdfast_audit_chunks_disbelieved_total",
            help: "Chunks whose count was left alone because an audit found too many too high.")
        self.lost = registry.counter(
            "holdfast_audit_chunks_lost_total",
            help: "Chunks that a manifest names and whose deletion was authorised: must be 0.")
    }
}

extension MetaNode {
    /// Takes up the audits of a group that this node leads from now on.
    func auditWhileLeading(_ group: GroupID, in term: Term) async {
        guard group != .system else { return }
        var auditor = Auditor(self, group, in: term)
        await auditor.run()
    }

    nonisolated func audited(_ group: GroupID, _ figures: AuditFigures) {
        self.auditCounters.audits.add()
        self.auditCounters.corrected.add(UInt64(figures.corrected))
        self.auditCounters.lost.add(UInt64(figures.lost))
        self.audits.withLock { $0[group] = figures }
    }

    /// What the last audits by this node found, in the order of the groups.
    package nonisolated var auditFigures: [(group: GroupID, figures: AuditFigures)] {
        self.audits.withLock { $0 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
