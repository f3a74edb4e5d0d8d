import CachePolicy
import Testing

struct FreshnessModelTests {
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `no edge ever answers with what was over before it was asked`(seed: UInt64) {
        var world = FreshnessWorld(seed: seed)
        for _ in 0..<8_000 { world.step() }
        #expect(world.contradictions == [])
        // A world in which nothing happens would prove nothing.
        #expect(world.counts.linearizable > 10)
        #expect(world.counts.bounded > 5)
        #expect(world.counts.absent > 0)
        #expect(world.counts.resets > 0)
        #expect(world.counts.refused > 0)
        #expect(world.counts.moves > 0)
    }
}
