import Primitives

/// Names of buckets, chosen by where their slots lie.
package enum BucketNames {
    /// The first names in order, of a prefix and a number, whose slots lie in a range.
    package static func first(
        _ count: Int, _ prefix: String, in slots: Range<Int>
    ) -> [String] {
        var names: [String] = []
        var number = 0
        while names.count < count {
            let name = "\(prefix)-\(number)"
            if slots.contains(Int(Slot(hashing: name.utf8).rawValue)) { names.append(name) }
            number += 1
        }
        return names
    }

    /// One name in each of so many equal ranges of the slots, so that every group has some.
    package static func spread(_ count: Int, _ prefix: String) -> [String] {
        (0..<count).flatMap { range in
            let slots = Slot.count * range / count..<Slot.count * (range + 1) / count
            return Self.first(1, prefix, in: slots)
        }
    }
}
