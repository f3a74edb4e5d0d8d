import Catalog
import ClusterClient
import Primitives
import Testing

struct BadCopyFilingsTests {
    private static func complaint(_ counter: UInt64, on node: UInt32 = 1) -> FileBadCopy {
        FileBadCopy(
            chunk: ChunkKey(
                slot: Slot(rawValue: 3), name: ChunkName(incarnation: 1, counter: counter)),
            node: NodeID(node))
    }

    private static let start = Instant(nanoseconds: 1_000_000_000)

    @Test func `a complaint is made once, and one of another node's copy beside it`() {
        var filings = BadCopyFilings()
        let first = filings.admits(Self.complaint(1), at: Self.start)
        #expect(first)
        let again = filings.admits(Self.complaint(1), at: Self.start + .seconds(60))
        #expect(!again)
        let other = filings.admits(Self.complaint(1, on: 2), at: Self.start)
        #expect(other)
    }

    @Test func `a complaint that was not heard may be made again`() {
        var filings = BadCopyFilings()
        let first = filings.admits(Self.complaint(1), at: Self.start)
        #expect(first)
        filings.failed(Self.complaint(1))
        let again = filings.admits(Self.complaint(1), at: Self.start)
        #expect(again)
    }

    @Test func `a broken disk's readers complain in a burst, and then at a bounded rate`() {
        var filings = BadCopyFilings()
        var admitted = 0
        for counter in 0..<1_000 as Range<UInt64>
        where filings.admits(Self.complaint(counter), at: Self.start) { admitted += 1 }
        #expect(admitted == BadCopyFilings.burst)
        for counter in 1_000..<2_000 as Range<UInt64>
        where filings.admits(Self.complaint(counter), at: Self.start + .seconds(2)) {
            admitted += 1
        }
        #expect(admitted == BadCopyFilings.burst + 10)
    }

    @Test func `what was complained of long ago is forgotten`() {
        var filings = BadCopyFilings()
        var now = Self.start
        for counter in 0...UInt64(BadCopyFilings.memory) {
            let isNew = filings.admits(Self.complaint(counter), at: now)
            #expect(isNew)
            now = now + BadCopyFilings.interval
        }
        let forgotten = filings.admits(Self.complaint(0), at: now)
        #expect(forgotten)
        let remembered = filings.admits(Self.complaint(2), at: now + BadCopyFilings.interval)
        #expect(!remembered)
    }
}
