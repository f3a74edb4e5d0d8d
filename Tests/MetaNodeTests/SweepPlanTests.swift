import Catalog
import MetaNode
import OrderedStorage
import Primitives
import Testing
import Wire

/// What a leader makes of its group's queues.
@Suite struct SweepPlanTests {
    private static let slot = Slot(rawValue: 5)
    private static let start = Timestamp(milliseconds: 1_000_000)
    private static let homes = [NodeID(1), NodeID(2), NodeID(3)]

    private static func key(_ counter: UInt64) -> ChunkKey {
        ChunkKey(slot: Self.slot, name: ChunkName(incarnation: 1, counter: counter))
    }

    /// A group that has applied these operations, an entry each, a second apart.
    private static func view(_ operations: [CatalogOperation]) throws -> CatalogView {
        let catalog = Catalog(group: GroupID(1))
        let store = MemoryStore(families: CatalogFamilies.all)
        let adopt = CatalogOperation.adoptSlots(
            AdoptSlots(slots: SlotRange(first: Self.slot, last: Self.slot), epoch: Epoch(1)))
        for (place, operation) in ([adopt] + operations).enumerated() {
            let entry = CatalogEntry(
                timestamp: Self.start + .seconds(Int64(place)),
                commands: [CatalogCommand(operation: operation)])
            let applied = try catalog.apply(
                payload: entry.encoded, at: LogIndex(UInt64(place) + 1), term: Term(1),
                reading: store)
            try store.write(applied.batch, .unlogged)
        }
        return CatalogView(store)
    }

    private func steps(
        _ view: CatalogView, at clock: Duration, removed: [NodeID] = []
    ) throws -> [SweepStep] {
        let question = SweepQuestion(
            clock: Self.start + clock, grace: .seconds(100), uploadPatience: .seconds(100),
            limit: 10, manifestLimit: 10, removed: removed)
        return SweepPlan.steps(
            for: try SweepPage(of: view, question), grace: question.grace,
            homes: { _ in Self.homes })
    }

    private static let orphan = CatalogOperation.condemnChunks(
        CondemnChunks(holder: NodeID(4), chunks: [Self.key(1)]))
    private static let authorise = CatalogOperation.authoriseDeletions(
        AuthoriseDeletions(
            grace: .seconds(100), chunks: [.init(key: Self.key(1), homes: Self.homes)]))

    /// Log time stands where the last entry put it; what waits is seen by the leader's clock.
    @Test func `in a group that nobody writes to, a grace ends all the same`() throws {
        let view = try Self.view([Self.orphan])
        #expect(try self.steps(view, at: .seconds(100)) == [])
        let steps = try self.steps(view, at: .seconds(101))
        #expect(steps.map(\.kind) == [.authorise])
        #expect(steps.map(\.operation) == [Self.authorise])
    }

    @Test func `what a node that is gone for good will never confirm is confirmed for it`() throws {
        let soon = CatalogOperation.authoriseDeletions(
            AuthoriseDeletions(grace: .zero, chunks: [.init(key: Self.key(1), homes: Self.homes)]))
        let view = try Self.view([Self.orphan, soon])
        #expect(try self.steps(view, at: .seconds(300)) == [])
        let steps = try self.steps(view, at: .seconds(300), removed: [NodeID(2), NodeID(9)])
        #expect(
            steps.map(\.operation) == [
                .confirmDeletions(ConfirmDeletions(node: NodeID(2), chunks: [Self.key(1)]))
            ])
    }

    @Test func `tombstones are forgotten after a day`() throws {
        let soon = CatalogOperation.authoriseDeletions(
            AuthoriseDeletions(grace: .zero, chunks: [.init(key: Self.key(1), homes: [NodeID(4)])]))
        let confirm = CatalogOperation.confirmDeletions(
            ConfirmDeletions(node: NodeID(4), chunks: [Self.key(1)]))
        let view = try Self.view([Self.orphan, soon, confirm])
        #expect(try self.steps(view, at: .seconds(86_402)) == [])
        let steps = try self.steps(view, at: .seconds(86_403))
        #expect(steps.map(\.kind) == [.forget])
        #expect(steps.map(\.operation) == [.forgetChunks([Self.key(1)])])
    }
}
