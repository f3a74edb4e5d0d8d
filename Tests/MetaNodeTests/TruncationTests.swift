import Consensus
import MetaNode
import Primitives
import Testing

/// How much of a log is kept.
struct TruncationTests {
    private func last(
        durable: UInt64, heldByAll: UInt64, sizeBound: UInt64 = 0, pin: UInt64? = nil
    ) -> UInt64 {
        let bounds = TruncationBounds(
            heldByAll: LogIndex(heldByAll), entriesKept: 10, entriesKeptForSlow: 1_000,
            sizeBound: LogIndex(sizeBound), pin: pin.map { LogIndex($0) })
        return bounds.lastNeedless(durable: LogIndex(durable)).rawValue
    }

    @Test func `what every voter holds may end, but for a few entries`() {
        #expect(self.last(durable: 500, heldByAll: 400) == 390)
        #expect(self.last(durable: 300, heldByAll: 400) == 290)
        #expect(self.last(durable: 500, heldByAll: 8) == 0)
        #expect(self.last(durable: 5, heldByAll: 5) == 0)
    }

    @Test func `for a voter that is away no more is kept than the bounds allow`() {
        #expect(self.last(durable: 1_000, heldByAll: 0) == 0)
        #expect(self.last(durable: 1_500, heldByAll: 0) == 500)
        #expect(self.last(durable: 800, heldByAll: 0, sizeBound: 700) == 700)
        #expect(self.last(durable: 600, heldByAll: 0, sizeBound: 700) == 600)
        #expect(self.last(durable: 1_500, heldByAll: 1_500) == 1_490)
    }

    @Test func `behind a snapshot that somebody fetches everything stays`() {
        #expect(self.last(durable: 5_000, heldByAll: 0, sizeBound: 4_900, pin: 2_000) == 2_000)
        #expect(self.last(durable: 5_000, heldByAll: 5_000, pin: 2_000) == 2_000)
        #expect(self.last(durable: 1_500, heldByAll: 0, pin: 1_200) == 500)
    }

    @Test func `sizes are right, whatever is appended, replaced and ended`() {
        var generator = SeededGenerator(seed: 3)
        var sizes = LogSizes()
        var entries: [Entry] = []
        var ended = LogIndex.zero
        for _ in 0..<500 {
            if generator.next() % 4 == 0, let last = entries.last,
                last.index.rawValue > ended.rawValue + 3
            {
                entries.removeLast(3)
            }
            let previous = entries.last?.anchor ?? .zero
            let entry = Entry(
                after: previous, term: Term(1), kind: .command,
                payload: [UInt8](repeating: 0, count: Int(generator.next() % 1_000)))
            entries.append(entry)
            sizes.append([entry])
            if generator.next() % 16 == 0 {
                ended = max(ended, LogIndex(UInt64(entries.count / 2)))
                sizes.truncate(through: ended)
            }
            let kept = generator.next() % 20_000
            let last = sizes.index(keeping: kept)
            func bytes(behind index: LogIndex) -> Int {
                entries.reduce(0) { $0 + ($1.index > index ? $1.sizeBytes : 0) }
            }
            guard last != .zero else {
                #expect(bytes(behind: ended.next) < kept || bytes(behind: ended) <= kept)
                continue
            }
            #expect(last > ended && bytes(behind: last) >= kept)
            #expect(bytes(behind: last.next) < kept, "and no more than that")
        }
    }
}
