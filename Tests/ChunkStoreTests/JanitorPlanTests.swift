import Catalog
import Placement
import Primitives
import StoreNode
import Testing

struct JanitorPlanTests {
    private static let homes = [NodeID(1), NodeID(2), NodeID(3)]
    private static let since = ChunkLife.Unreferenced(
        index: LogIndex(1), time: Timestamp(milliseconds: 1))

    private func finding(
        _ state: ChunkState, on node: UInt32, age: Duration = .seconds(1_000)
    ) -> JanitorPlan.Finding {
        JanitorPlan.finding(
            state, on: NodeID(node), homes: Self.homes, age: age, orphanGrace: .seconds(100))
    }

    private func present(_ life: ChunkLife, exceptions: [NodeID] = []) -> ChunkState {
        .present(
            ChunkRow(
                life: life, sealedLength: 116, placedBy: LayoutVersion(1), exceptions: exceptions))
    }

    /// The chunk's life, and what is made of a copy at home and elsewhere.
    private typealias Case = (ChunkLife, JanitorPlan.Finding, JanitorPlan.Finding)

    private static let cases: [Case] = [
        (.referenced(1), .inOrder, .surplus),
        (.unreferenced(since), .inOrder, .surplus),
        (.condemned(since), .inOrder, .surplus),
        (.authorised([NodeID(1)]), .inOrder, .needless),
        (.authorised([NodeID(2)]), .needless, .needless),
        (.deleted(at: Timestamp(milliseconds: 1)), .needless, .needless),
    ]

    @Test(arguments: Self.cases)
    func `what a store makes of its copy depends on the chunk's life and on who should hold it`(
        life: ChunkLife, atHome: JanitorPlan.Finding, elsewhere: JanitorPlan.Finding
    ) {
        #expect(self.finding(self.present(life), on: 1) == atHome)
        #expect(self.finding(self.present(life), on: 9) == elsewhere)
    }

    @Test func `an exception is as good as a home`() {
        let row = self.present(.referenced(1), exceptions: [NodeID(9)])
        #expect(self.finding(row, on: 9) == .inOrder)
    }

    @Test func `a chunk without a row is needless only when it is too old for an upload`() {
        #expect(self.finding(.absent, on: 1, age: .seconds(99)) == .inOrder)
        #expect(self.finding(.absent, on: 1, age: .seconds(100)) == .needless)
        // A clock that was set back since the chunk was stored.
        #expect(self.finding(.absent, on: 1, age: .seconds(-5)) == .inOrder)
    }

    @Test func `of a chunk that another group decides on, nothing is made`() {
        #expect(self.finding(.slotNotOwned, on: 1) == .elsewhere)
    }
}
