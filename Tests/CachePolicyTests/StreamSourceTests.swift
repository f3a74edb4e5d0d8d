import CachePolicy
import Primitives
import Testing

struct StreamSourceTests {
    private static func nodes(_ numbers: UInt32...) -> [NodeID] { numbers.map { NodeID($0) } }
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test func `who fails is left alone for a while, and then tried again`() {
        var source = StreamSource(Self.nodes(1, 2, 3))
        #expect(source.target(at: self.start) == NodeID(1))
        source.failed(at: self.start)
        #expect(source.target(at: self.start) == NodeID(2))
        let later = self.start + StreamSource.turnedAwayTime
        #expect(source.target(at: later) == NodeID(1))
    }

    @Test func `who is followed goes on being so while others come and go`() {
        var source = StreamSource(Self.nodes(1, 2, 3))
        source.failed(at: self.start)
        source.replicasChanged(to: Self.nodes(3, 2, 4), at: self.start)
        #expect(source.target(at: self.start) == NodeID(2))
        // The first choice of today is turned to, as it would have been.
        #expect(source.target(at: self.start + StreamSource.turnedAwayTime) == NodeID(3))
    }

    @Test func `a first choice that comes later is turned to as one that failed`() {
        var source = StreamSource(Self.nodes(2, 3))
        source.replicasChanged(to: Self.nodes(1, 2, 3), at: self.start)
        #expect(source.target(at: self.start) == NodeID(2))
        #expect(source.target(at: self.start + StreamSource.turnedAwayTime) == NodeID(1))
    }

    @Test func `who follows a replica that is gone turns to the first choice at once`() {
        var source = StreamSource(Self.nodes(1, 2, 3))
        source.failed(at: self.start)
        source.failed(at: self.start)
        source.replicasChanged(to: Self.nodes(4, 5), at: self.start)
        #expect(source.target(at: self.start) == NodeID(4))
        #expect(source.target(at: self.start + .seconds(60)) == NodeID(4))
    }
}
