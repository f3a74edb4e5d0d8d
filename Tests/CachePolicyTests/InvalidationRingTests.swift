import CachePolicy
import Primitives
import Testing
import Wire

struct InvalidationRingTests {
    private func mark(_ number: UInt64) -> NameMark { NameMark(rawValue: number) }

    private func told(_ index: UInt64, _ name: UInt64) -> InvalidationMark {
        InvalidationMark(index: LogIndex(index), name: self.mark(name))
    }

    @Test func `a follower hears every name once, and the watermark of entries without any`() {
        var ring = InvalidationRing(at: LogIndex(10))
        #expect(ring.news(after: LogIndex(10)) == nil)
        ring.append([self.mark(1), self.mark(2)], at: LogIndex(11))
        ring.append([], at: LogIndex(12))
        #expect(
            ring.news(after: LogIndex(10))
                == .marks(
                    [self.told(11, 1), self.told(11, 2)], after: LogIndex(10),
                    through: LogIndex(12)))
        #expect(
            ring.news(after: LogIndex(11))
                == .marks([], after: LogIndex(11), through: LogIndex(12)))
        #expect(ring.news(after: LogIndex(12)) == nil)
        // It follows another replica that is ahead of this one.
        #expect(ring.news(after: LogIndex(40)) == nil)
    }

    @Test func `who is below what a restarted replica remembers starts over`() {
        var ring = InvalidationRing(at: LogIndex(10))
        ring.append([self.mark(1)], at: LogIndex(11))
        #expect(ring.news(after: LogIndex(9)) == .reset(LogIndex(11)))
        ring.restart(at: LogIndex(8))
        ring.append([self.mark(3)], at: LogIndex(9))
        #expect(ring.news(after: LogIndex(7)) == .reset(LogIndex(9)))
        #expect(ring.news(after: LogIndex(11)) == nil)
    }

    @Test func `a full ring forgets whole entries, the oldest first`() {
        let capacity = InvalidationNews.mostMarks
        var ring = InvalidationRing(at: .zero, capacity: capacity)
        let half = (0..<UInt64(capacity / 2)).map { self.mark($0 + 1) }
        for index in 1...3 { ring.append(half, at: LogIndex(UInt64(index))) }
        #expect(ring.floor == LogIndex(1))
        #expect(ring.count == capacity)
        #expect(ring.news(after: .zero) == .reset(LogIndex(3)))
        guard case .marks(let marks, _, let through) = ring.news(after: LogIndex(1)) else {
            Issue.record("the ring reaches back to entry 1")
            return
        }
        #expect(marks.count == capacity)
        #expect(through == LogIndex(3))
        for index in 4...200 { ring.append([self.mark(7)], at: LogIndex(UInt64(index))) }
        #expect(ring.count <= capacity)
        #expect(
            ring.news(after: LogIndex(199))
                == .marks([self.told(200, 7)], after: LogIndex(199), through: LogIndex(200)))
    }

    @Test func `a long run of entries is told in messages of whole entries`() {
        var ring = InvalidationRing(at: .zero)
        let many = (0..<UInt64(3_000)).map { self.mark($0 + 1) }
        for index in 1...3 { ring.append(many, at: LogIndex(UInt64(index))) }
        var after = LogIndex.zero
        var heard: [InvalidationMark] = []
        while let news = ring.news(after: after) {
            guard case .marks(let marks, _, let through) = news else { return }
            #expect(marks.count <= InvalidationNews.mostMarks)
            heard += marks
            after = through
        }
        #expect(after == LogIndex(3))
        #expect(heard.count == 9_000)
    }

    @Test func `an entry with more names than a message holds invalidates everything`() {
        var ring = InvalidationRing(at: .zero)
        ring.append(
            (0...UInt64(InvalidationNews.mostMarks)).map { self.mark($0 + 1) }, at: LogIndex(1))
        #expect(
            ring.news(after: .zero)
                == .marks(
                    [InvalidationMark(index: LogIndex(1), name: .everything)], after: .zero,
                    through: LogIndex(1)))
    }

    @Test func `news rest in bytes that never change`() throws {
        let news = InvalidationNews.marks(
            [self.told(0x0102, 0x0a0b)], after: LogIndex(0x0101), through: LogIndex(0x0103))
        #expect(
            news.encoded
                == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
                + [2, 1, 0, 0, 0, 0, 0, 0, 0x0b, 0x0a, 0, 0, 0, 0, 0, 0])
        #expect(try InvalidationNews(decoding: news.encoded) == news)
        let reset = InvalidationNews.reset(LogIndex(5))
        #expect(reset.encoded == [1, 2, 5, 0, 0, 0, 0, 0, 0, 0])
        #expect(try InvalidationNews(decoding: reset.encoded) == reset)
    }

    @Test func `marks of a name are the same on every node`() {
        let bucket = NameMark(bucket: "photos".utf8)
        #expect(bucket.description == "d8a0e789d98371b1")
        #expect(NameMark(key: "a.jpg".utf8, in: bucket).description == "d6cb852ef6941b18")
        #expect(NameMark(key: "photos".utf8, in: NameMark(bucket: "a.jpg".utf8)) != bucket)
    }

    @Test func `bytes that are no news are refused`() {
        var random = SeededGenerator(seed: 71)
        let good = InvalidationNews.marks(
            (1...20).map { self.told($0, $0 * 3) }, after: .zero, through: LogIndex(20)
        ).encoded
        for _ in 0..<5_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(
                    in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0...8, using: &random))
            guard let news = try? InvalidationNews(decoding: bytes) else { continue }
            if case .marks(let marks, let after, let through) = news {
                #expect(marks.allSatisfy { after < $0.index && $0.index <= through })
            }
        }
        let mark = self.told(9, 1)
        let outside = InvalidationNews.marks([mark], after: LogIndex(9), through: LogIndex(12))
        #expect(throws: FormatFault.self) { try InvalidationNews(decoding: outside.encoded) }
        let last = InvalidationNews.marks([], after: LogIndex(.max), through: LogIndex(.max))
        #expect(throws: Never.self) { try InvalidationNews(decoding: last.encoded) }
    }
}
