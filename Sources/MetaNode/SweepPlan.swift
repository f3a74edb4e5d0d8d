import Catalog
import OrderedStorage
import Placement
import Primitives

/// What waits in a group's queues, as one view of its state shows it: at most a command's worth of
/// each kind.
struct SweepPage: Equatable, Sendable {
    /// Chunks to condemn.
    var condemnable: [ChunkKey] = []
    /// Condemned chunks whose grace is over.
    var deletable: [ChunkKey] = []
    /// Deleted chunks that were remembered long enough.
    var forgettable: [ChunkKey] = []
    /// What nodes that are gone for good will never confirm.
    var stranded: [ConfirmDeletions] = []
}

/// What the leader proposes about a page: a pure function, and only a proposal. Whatever it says is
/// decided again when it is applied.
enum SweepPlan {
    /// - Parameter homes: the homes of a chunk, by the latest layout.
    static func steps(
        for page: SweepPage, grace: Duration, homes: (ChunkName) -> [NodeID]
    ) -> [SweepStep] {
        var steps: [SweepStep] = []
        if !page.condemnable.isEmpty {
            let condemn = CondemnChunks(chunks: page.condemnable)
            steps.append(SweepStep(kind: .condemn, operation: .condemnChunks(condemn)))
        }
        if !page.deletable.isEmpty {
            let authorise = AuthoriseDeletions(
                grace: grace,
                chunks: page.deletable.map { .init(key: $0, homes: homes($0.name)) })
            steps.append(SweepStep(kind: .authorise, operation: .authoriseDeletions(authorise)))
        }
        for stranded in page.stranded {
            steps.append(SweepStep(kind: .confirm, operation: .confirmDeletions(stranded)))
        }
        if !page.forgettable.isEmpty {
            steps.append(SweepStep(kind: .forget, operation: .forgetChunks(page.forgettable)))
        }
        return steps
    }
}

/// One command of the sweep.
struct SweepStep: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case condemn
        case authorise
        /// For a node that is gone for good.
        case confirm
        case forget
    }

    let kind: Kind
    let operation: CatalogOperation
}

/// What a look at the queues is after.
struct SweepQuestion: Sendable {
    /// The leader's clock; log time stands still in a group that nobody writes to, and moves on with
    /// the entry that carries the proposal.
    let clock: Timestamp
    let grace: Duration
    /// Of each kind.
    let limit: Int
    /// The nodes that are gone for good.
    let removed: [NodeID]
}

extension GroupState {
    /// Looks at the queues. Blocking.
    func sweepPage(_ question: SweepQuestion) throws(StoreFault) -> SweepPage {
        let view = CatalogView(self.store.snapshot())
        let now = max(question.clock, try view.applied()?.time ?? question.clock)
        var page = SweepPage()
        page.condemnable = try view.oldest(
            in: .unreferenced, through: now + question.grace / -2, limit: question.limit)
        page.deletable = try view.oldest(
            in: .condemned, through: now + question.grace * -1, limit: question.limit)
        page.forgettable = try view.oldest(
            in: .deleted, through: now + CatalogLimits.tombstoneLifetime * -1,
            limit: question.limit)
        for node in question.removed {
            let list = ListDeletions(
                node: node, after: nil, limit: question.limit, isDiskFull: false)
            guard case .deletions(let found) = try view.answer(.deletions(list)),
                !found.chunks.isEmpty
            else { continue }
            page.stranded.append(ConfirmDeletions(node: node, chunks: found.chunks))
        }
        return page
    }
}
