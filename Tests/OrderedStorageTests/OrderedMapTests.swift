import OrderedStorage
import Primitives
import Testing

@Suite struct OrderedMapTests {
    /// The naive oracle: a sorted array.
    private struct Oracle {
        var pairs: [(key: [UInt8], value: Int)] = []

        mutating func set(_ key: [UInt8], to value: Int) {
            self.remove(in: KeyRange(start: key, end: key + [0]))
            let slot = self.pairs.firstIndex { key.lexicographicallyPrecedes($0.key) }
            self.pairs.insert((key, value), at: slot ?? self.pairs.count)
        }

        mutating func remove(in range: KeyRange) {
            self.pairs.removeAll { range.contains($0.key) }
        }
    }

    private static func key(_ random: inout SeededGenerator) -> [UInt8] {
        let number = UInt16.random(in: 0..<700, using: &random)
        let key = [UInt8(number >> 8), UInt8(number & 255)]
        return number % 3 == 0 ? key : key + Array(repeating: 7, count: Int(number % 11))
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `the map does what a sorted array does`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var map = OrderedMap<Int>()
        var oracle = Oracle()
        for step in 0..<3_000 {
            let key = Self.key(&random)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<70:
                map.set(key, to: step)
                oracle.set(key, to: step)
            case 70..<98:
                map.remove(key)
                oracle.remove(in: KeyRange(start: key, end: key + [0]))
            default:
                let range = KeyRange(start: key, end: step % 5 == 0 ? nil : Self.key(&random))
                map.remove(in: range)
                oracle.remove(in: range)
            }
            let probe = Self.key(&random)
            #expect(map.count == oracle.pairs.count)
            #expect(map[probe] == oracle.pairs.first { $0.key == probe }?.value)
            let notAbove = oracle.pairs.last { !probe.lexicographicallyPrecedes($0.key) }
            #expect(map.last(notAbove: probe)?.key == notAbove?.key)
            let notBelow = oracle.pairs.first { !$0.key.lexicographicallyPrecedes(probe) }
            #expect(map.first(notBelow: probe)?.key == notBelow?.key)
        }
        var walk = OrderedMap.Walk(over: map, in: .all)
        for pair in oracle.pairs {
            let next = walk.next()
            #expect(next?.key == pair.key)
            #expect(next?.value == pair.value)
        }
        #expect(walk.next() == nil)
    }

    @Test func `a copy does not see what happens to the original`() {
        var map = OrderedMap<Int>()
        for number in 0..<200 as Range<UInt8> { map.set([number], to: Int(number)) }
        let copy = map
        for number in 0..<200 as Range<UInt8> { map.set([number], to: -1) }
        map.remove(in: KeyRange(start: [50], end: nil))
        #expect(copy.count == 200)
        #expect(copy[[199]] == 199)
        #expect(copy[[10]] == 10)
        #expect(map.count == 50)
    }

    @Test func `a walk stays inside its range`() {
        var map = OrderedMap<Int>()
        for number in 0..<200 as Range<UInt8> { map.set([number], to: Int(number)) }
        var walk = OrderedMap.Walk(over: map, in: KeyRange(start: [10], end: [12]))
        #expect(walk.next()?.value == 10)
        walk.seek([3])
        #expect(walk.next()?.value == 10)
        #expect(walk.next()?.value == 11)
        #expect(walk.next() == nil)
        walk.seek([100])
        #expect(walk.next() == nil)
    }
}
