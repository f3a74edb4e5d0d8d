import CachePolicy
import Primitives
import Testing

@Suite struct SieveCacheTests {
    private func cache(_ keys: String, capacity: Int) -> SieveCache<Character, Int> {
        var cache = SieveCache<Character, Int>(capacityBytes: capacity)
        for key in keys { cache.insert(0, for: key, sizeBytes: 1) }
        return cache
    }

    private func held(_ cache: SieveCache<Character, Int>, of keys: String) -> String {
        String(keys.filter { cache.contains($0) })
    }

    @Test func `without hits the oldest leaves first`() {
        #expect(self.held(self.cache("ABCDE", capacity: 3), of: "ABCDE") == "CDE")
    }

    /// The walk-through of the paper's figure 1, with its A...I.
    @Test func `the hand keeps visited entries in place and evicts the first unvisited one`() {
        var cache = self.cache("ABCDEFG", capacity: 7)
        for visited in "ABG" { _ = cache.value(for: visited) }
        cache.insert(0, for: "H", sizeBytes: 1)
        #expect(self.held(cache, of: "ABCDEFGH") == "ABDEFGH", "C is the first without a mark")
        _ = cache.value(for: "A")
        _ = cache.value(for: "D")
        cache.insert(0, for: "I", sizeBytes: 1)
        #expect(self.held(cache, of: "ABDEFGHI") == "ABDFGHI", "the hand passes D and takes E")
        _ = cache.value(for: "B")
        cache.insert(0, for: "J", sizeBytes: 1)
        #expect(self.held(cache, of: "ABDFGHIJ") == "ABDGHIJ", "the hand takes F where it stands")
    }

    @Test func `an entry larger than the cache is not taken and evicts nobody`() {
        var cache = self.cache("AB", capacity: 3)
        cache.insert(0, for: "X", sizeBytes: 4)
        #expect(self.held(cache, of: "ABX") == "AB")
    }

    @Test func `replacing an entry counts its new size only`() {
        var cache = self.cache("AB", capacity: 10)
        cache.insert(7, for: "A", sizeBytes: 5)
        #expect(cache.sizeBytes == 6)
        #expect(cache.value(for: "A") == 7)
        #expect(cache.count == 2)
    }

    @Test(arguments: 0..<20)
    func `sizes always add up and never pass the capacity`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var cache = SieveCache<Int, Int>(capacityBytes: 100)
        var sizes: [Int: Int] = [:]
        for step in 0..<3000 {
            let key = Int.random(in: 0..<40, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: cache.remove(key)
            case 1...4:
                if let value = cache.value(for: key) { #expect(sizes[key] == value % 1000) }
            default:
                let size = Int.random(in: 1...20, using: &random)
                sizes[key] = size
                cache.insert(step * 1000 + size, for: key, sizeBytes: size)
            }
            let held = (0..<40).filter { cache.contains($0) }
            #expect(held.count == cache.count)
            #expect(held.reduce(0) { $0 + (sizes[$1] ?? 0) } == cache.sizeBytes)
            #expect(cache.sizeBytes <= 100)
        }
    }
}
