import Consensus
import Primitives
import Testing
import Wire

struct EntryTests {
    @Test func `the chain is the one it always was`() {
        let first = Entry(after: .zero, term: Term(1), kind: .noop, payload: [])
        let second = Entry(
            after: first.anchor, term: Term(2), kind: .command, payload: Array("twelve bytes".utf8))
        #expect([first.chain, second.chain] == [0x8e6f_ebd8_4c86_b88c, 0xe11d_67b6_73bf_1da2])
    }

    @Test func `an entry follows only what it was made for`() {
        let first = Entry(after: .zero, term: Term(2), kind: .noop, payload: [])
        let second = Entry(after: first.anchor, term: Term(2), kind: .command, payload: [1, 2, 3])
        #expect(first.follows(.zero))
        #expect(second.follows(first.anchor))
        #expect(!second.follows(.zero))
        let otherHistory = LogAnchor(position: first.position, chain: first.chain ^ 1)
        #expect(!second.follows(otherHistory))
        let laterTerm = LogAnchor(
            position: LogPosition(term: Term(3), index: first.index), chain: first.chain)
        #expect(!second.follows(laterTerm))
    }

    @Test func `every bit of an entry counts in its chain`() {
        let payload = (0..<21).map { UInt8($0 * 11) }
        let entry = Entry(after: .zero, term: Term(1), kind: .command, payload: payload)
        for bit in 0..<payload.count * 8 {
            var changed = payload
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            let other = Entry(
                term: entry.term, index: entry.index, kind: entry.kind, payload: changed,
                chain: entry.chain)
            #expect(!other.follows(.zero))
        }
        let noop = Entry(
            term: entry.term, index: entry.index, kind: .noop, payload: payload,
            chain: entry.chain)
        #expect(!noop.follows(.zero))
        let longer = Entry(
            term: entry.term, index: entry.index, kind: .command, payload: payload + [0],
            chain: entry.chain)
        #expect(!longer.follows(.zero))
    }

    @Test func `an entry in a row of the log reads back as it was`() throws {
        let entry = Entry(after: .zero, term: Term(4), kind: .command, payload: [9, 8, 7])
        var writer = ByteWriter()
        entry.encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try Entry(at: LogIndex(1), from: &reader) == entry)
        try reader.finish()
    }
}
