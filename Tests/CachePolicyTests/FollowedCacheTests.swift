import CachePolicy
import Primitives
import Testing

/// A cache that a test can ask in the middle of an expectation.
private final class Edge {
    private var cache = FollowedCache<String, Int>(capacityBytes: 10_000)

    func through(_ group: GroupID) -> LogIndex { self.cache.through(group) }
    func knowsAll(of group: GroupID) -> Instant? { self.cache.knowsAll(of: group) }

    @discardableResult
    func heard(_ news: InvalidationNews, of group: GroupID) -> Bool {
        self.cache.heard(news, of: group)
    }

    func confirmed(_ index: LogIndex, askedAt asked: Instant, of group: GroupID) {
        self.cache.confirmed(index, askedAt: asked, of: group)
    }

    func find(_ name: String, _ marks: MarkedName, in group: GroupID) -> (Int, LogIndex)? {
        self.cache.find(name, marks, in: group).map { ($0.value, $0.through) }
    }

    func admit(
        _ value: Int, of name: String, _ marks: MarkedName, in group: GroupID, readAt: UInt64
    ) -> Bool {
        self.cache.admit(
            value, of: name, marks, in: group, readAt: LogIndex(readAt), sizeBytes: 100)
    }
}

/// Rounds that a test can ask in the middle of an expectation.
private final class Rounds {
    private var rounds = SharedRounds<Int>()
    func join(_ waiter: Int) -> Bool { self.rounds.join(waiter) }
    func begin() -> Bool { self.rounds.begin() }
    func end() -> [Int] { self.rounds.end() }
}

struct FollowedCacheTests {
    private let group = GroupID(1)

    private func marks(_ name: String, in bucket: String = "photos") -> MarkedName {
        let bucket = NameMark(bucket: bucket.utf8)
        return MarkedName(name: NameMark(key: name.utf8, in: bucket), bucket: bucket)
    }

    private func news(
        _ names: [(UInt64, NameMark)], after: UInt64, through: UInt64
    ) -> InvalidationNews {
        .marks(
            names.map { InvalidationMark(index: LogIndex($0.0), name: $0.1) },
            after: LogIndex(after), through: LogIndex(through))
    }

    private func admit(_ edge: Edge, _ value: Int, _ name: String, readAt: UInt64) -> Bool {
        edge.admit(value, of: name, self.marks(name), in: self.group, readAt: readAt)
    }

    private func find(_ edge: Edge, _ name: String) -> (Int, LogIndex)? {
        edge.find(name, self.marks(name), in: self.group)
    }

    @Test func `a name is true from its reading through what was heard since`() throws {
        let edge = Edge()
        #expect(self.admit(edge, 7, "a", readAt: 5))
        var found = try #require(self.find(edge, "a"))
        #expect(found == (7, LogIndex(5)))
        edge.heard(self.news([(6, self.marks("b").name)], after: 0, through: 9), of: self.group)
        found = try #require(self.find(edge, "a"))
        #expect(found == (7, LogIndex(9)))
    }

    @Test func `an invalidated name is gone, and one read behind the entry stays`() throws {
        let edge = Edge()
        #expect(self.admit(edge, 1, "a", readAt: 5))
        #expect(self.admit(edge, 2, "b", readAt: 8))
        edge.heard(
            self.news(
                [(7, self.marks("a").name), (8, self.marks("b").name)], after: 0, through: 9),
            of: self.group)
        #expect(self.find(edge, "a") == nil)
        #expect(try #require(self.find(edge, "b")).0 == 2)
    }

    @Test func `a fill from before an invalidation is refused, and so is one from before memory`() {
        let edge = Edge()
        edge.heard(.reset(LogIndex(4)), of: self.group)
        edge.heard(self.news([(7, self.marks("a").name)], after: 4, through: 9), of: self.group)
        #expect(!self.admit(edge, 1, "a", readAt: 6))
        #expect(self.admit(edge, 1, "a", readAt: 7))
        #expect(!self.admit(edge, 2, "b", readAt: 3))
        #expect(self.admit(edge, 2, "b", readAt: 4))
    }

    @Test func `a reset drops what was read before it, and only that`() {
        let edge = Edge()
        #expect(self.admit(edge, 1, "a", readAt: 5))
        #expect(self.admit(edge, 2, "b", readAt: 30))
        #expect(!edge.heard(.reset(LogIndex(20)), of: self.group), "the stream only begins")
        #expect(self.find(edge, "a") == nil)
        #expect(self.find(edge, "b") != nil)
        #expect(edge.heard(.reset(LogIndex(50)), of: self.group))
        #expect(self.find(edge, "b") == nil)
    }

    @Test func `a bucket that comes or goes takes all names in it along`() {
        let edge = Edge()
        #expect(self.admit(edge, 1, "a", readAt: 5))
        edge.heard(self.news([(6, self.marks("a").bucket)], after: 0, through: 6), of: self.group)
        #expect(self.find(edge, "a") == nil)
        #expect(!self.admit(edge, 1, "a", readAt: 5))
        #expect(self.admit(edge, 1, "a", readAt: 6))
        #expect(self.find(edge, "a") != nil)
    }

    @Test func `slots that change hands take all names of their group along`() {
        let edge = Edge()
        let other = GroupID(2)
        #expect(self.admit(edge, 1, "a", readAt: 5))
        #expect(
            edge.admit(1, of: "a", self.marks("a"), in: other, readAt: 5))
        edge.heard(self.news([(6, .everything)], after: 0, through: 8), of: self.group)
        #expect(self.find(edge, "a") == nil)
        #expect(!self.admit(edge, 1, "a", readAt: 5))
        #expect(edge.find("a", self.marks("a"), in: other) != nil)
    }

    @Test func `answers that overtake each other teach what is new and nothing twice`() {
        let edge = Edge()
        let name = self.marks("a").name
        edge.heard(self.news([(3, name)], after: 0, through: 6), of: self.group)
        #expect(self.admit(edge, 1, "a", readAt: 6))
        edge.heard(self.news([(3, name)], after: 0, through: 5), of: self.group)
        edge.heard(self.news([(9, name)], after: 8, through: 9), of: self.group)
        #expect(edge.through(self.group) == LogIndex(6), "what cannot be joined is no news")
        #expect(self.find(edge, "a") != nil)
        edge.heard(self.news([(3, name), (7, name)], after: 2, through: 7), of: self.group)
        #expect(self.find(edge, "a") == nil)
    }

    @Test func `all is known of the time of the latest read index that was reached`() {
        let edge = Edge()
        func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
        #expect(edge.knowsAll(of: self.group) == nil)
        edge.confirmed(LogIndex(4), askedAt: at(1), of: self.group)
        #expect(edge.knowsAll(of: self.group) == nil)
        edge.heard(self.news([], after: 0, through: 4), of: self.group)
        #expect(edge.knowsAll(of: self.group) == at(1))
        for second in 2...40 as ClosedRange<UInt64> {
            edge.confirmed(LogIndex(5), askedAt: at(second), of: self.group)
        }
        #expect(edge.knowsAll(of: self.group) == at(1))
        edge.heard(self.news([], after: 4, through: 5), of: self.group)
        #expect(edge.knowsAll(of: self.group) == at(40))
    }

    @Test func `two names with one mark do not answer for each other`() {
        let edge = Edge()
        #expect(self.admit(edge, 1, "a", readAt: 5))
        #expect(edge.find("b", self.marks("a"), in: self.group) == nil)
    }

    @Test func `a memory that is full refuses what lies behind it`() {
        var memory = InvalidationMemory(capacity: 2)
        let names = ["a", "b", "c"].map { self.marks($0) }
        for (place, name) in names.enumerated() {
            let index = UInt64(place) + 1
            _ = memory.learn(self.news([(index, name.name)], after: index - 1, through: index))
        }
        #expect(memory.floor == LogIndex(1))
        #expect(!memory.admits(self.marks("d"), readAt: .zero))
        #expect(memory.admits(self.marks("d"), readAt: LogIndex(1)))
        #expect(!memory.admits(names[2], readAt: LogIndex(2)))
        #expect(memory.admits(names[2], readAt: LogIndex(3)))
    }

    @Test func `one question serves all who came before it was asked`() {
        let rounds = Rounds()
        #expect(rounds.join(1), "the first who comes asks")
        #expect(!rounds.join(2))
        #expect(rounds.begin())
        #expect(!rounds.join(3))
        #expect(!rounds.join(4))
        #expect(rounds.end() == [1, 2])
        #expect(rounds.begin())
        #expect(rounds.end() == [3, 4])
        #expect(!rounds.begin())
        #expect(rounds.join(5))
    }
}
