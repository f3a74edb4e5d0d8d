import Catalog
import OrderedStorage
import Placement
import Primitives

/// What waits in a group's queues, as one view of its state shows it: at most a command's worth of
/// each kind.
package struct SweepPage: Equatable, Sendable {
    /// Uploads that no part came to for long, and the log time up to which that was seen.
    package private(set) var abandoned: [UploadName] = []
    package private(set) var abandonedSince = Timestamp(milliseconds: 0)
    /// Manifests of many parts that nothing refers to any more.
    package private(set) var doomed: [DoomedManifest] = []
    /// Chunks to condemn.
    package private(set) var condemnable: [ChunkKey] = []
    /// Condemned chunks whose grace is over.
    package private(set) var deletable: [ChunkKey] = []
    /// Deleted chunks that were remembered long enough.
    package private(set) var forgettable: [ChunkKey] = []
    /// What nodes that are gone for good will never confirm.
    package private(set) var stranded: [ConfirmDeletions] = []
}

/// What the leader proposes about a page, the beginnings first: a pure function, and only a proposal.
/// Whatever it says is decided again when it is applied.
package enum SweepPlan {
    /// - Parameter homes: the homes of a chunk, by the latest layout.
    package static func steps(
        for page: SweepPage, grace: Duration, homes: (ChunkName) -> [NodeID]
    ) -> [SweepStep] {
        var steps: [SweepStep] = []
        for upload in page.abandoned {
            let abort = AbortUpload(upload: upload, untouchedSince: page.abandonedSince)
            steps.append(SweepStep(kind: .abortUpload, operation: .abortUpload(abort)))
        }
        for doomed in page.doomed {
            steps.append(SweepStep(kind: .releaseManifest, operation: .sweepManifest(doomed)))
        }
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
package struct SweepStep: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        case abortUpload
        /// A bounded piece of it.
        case releaseManifest
        case condemn
        case authorise
        /// For a node that is gone for good.
        case confirm
        case forget
    }

    package let kind: Kind
    package let operation: CatalogOperation
}

/// What a look at the queues is after.
package struct SweepQuestion: Sendable {
    /// The leader's clock; log time stands still in a group that nobody writes to, and moves on with
    /// the entry that carries the proposal.
    package let clock: Timestamp
    package let grace: Duration
    /// How long an upload may wait for its next part.
    package let uploadPatience: Duration
    /// Of chunks of each kind.
    package let limit: Int
    /// Of uploads, and of manifests of many parts: each is a command of its own.
    package let manifestLimit: Int
    /// The nodes that are gone for good.
    package let removed: [NodeID]

    package init(
        clock: Timestamp, grace: Duration, uploadPatience: Duration, limit: Int,
        manifestLimit: Int, removed: [NodeID]
    ) {
        self.clock = clock
        self.grace = grace
        self.uploadPatience = uploadPatience
        self.limit = limit
        self.manifestLimit = manifestLimit
        self.removed = removed
    }
}

extension SweepPage {
    /// Looks at the queues. Blocking.
    package init(of view: CatalogView, _ question: SweepQuestion) throws(StoreFault) {
        let now = max(question.clock, try view.applied()?.time ?? question.clock)
        self.abandonedSince = now + question.uploadPatience * -1
        self.abandoned = try view.abandonedUploads(
            untouchedSince: self.abandonedSince, limit: question.manifestLimit)
        // A reader that had begun asks for the rows of later parts as it comes to them.
        self.doomed = try view.doomedManifests(
            before: now + question.grace / -2, limit: question.manifestLimit)
        self.condemnable = try view.oldest(
            in: .unreferenced, through: now + question.grace / -2, limit: question.limit)
        self.deletable = try view.oldest(
            in: .condemned, through: now + question.grace * -1, limit: question.limit)
        self.forgettable = try view.oldest(
            in: .deleted, through: now + CatalogLimits.tombstoneLifetime * -1,
            limit: question.limit)
        for node in question.removed {
            let list = ListDeletions(
                node: node, after: nil, limit: question.limit, isDiskFull: false)
            guard case .deletions(let found) = try view.answer(.deletions(list)),
                !found.chunks.isEmpty
            else { continue }
            self.stranded.append(ConfirmDeletions(node: node, chunks: found.chunks))
        }
    }
}
