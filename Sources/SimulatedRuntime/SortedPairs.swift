import OrderedStorage

/// The pairs of one family, and how many bytes they take.
struct SortedPairs: Sendable {
    /// What a pair takes beside its key and value.
    private static let overheadBytes = 16

    private(set) var map = OrderedMap<[UInt8]>()
    private(set) var sizeBytes = 0

    mutating func put(_ key: [UInt8], _ value: [UInt8]) {
        self.forget(key)
        self.map.set(key, to: value)
        self.sizeBytes += Self.sizeBytes(key, value)
    }

    mutating func delete(_ key: [UInt8]) {
        self.forget(key)
        self.map.remove(key)
    }

    mutating func delete(in range: KeyRange) {
        var walk = OrderedMap.Walk(over: self.map, in: range)
        while let (key, value) = walk.next() { self.sizeBytes -= Self.sizeBytes(key, value) }
        self.map.remove(in: range)
    }

    private mutating func forget(_ key: [UInt8]) {
        if let old = self.map[key] { self.sizeBytes -= Self.sizeBytes(key, old) }
    }

    private static func sizeBytes(_ key: [UInt8], _ value: [UInt8]) -> Int {
        key.count + value.count + Self.overheadBytes
    }
}
