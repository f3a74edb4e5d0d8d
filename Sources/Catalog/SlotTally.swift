package import Primitives
internal import Wire

/// A sum over a set of slots that no other set has, but with a probability of 2^-64: whoever asks every
/// group for what it has of an owner adds up the sums, and knows whether each slot was answered for
/// just once, though slots move between the answers.
package struct SlotTally: Equatable, Sendable {
    package private(set) var count: UInt32 = 0
    private var sum: UInt64 = 0

    package init() {}

    package init(_ slots: SlotRange) {
        for number in slots.first.rawValue...slots.last.rawValue {
            self.insert(Slot(rawValue: number))
        }
    }

    mutating func insert(_ slot: Slot) {
        self.count += 1
        self.sum &+= StableHash.mix(UInt64(slot.rawValue) + 1)
    }

    mutating func remove(_ slot: Slot) {
        self.count -= 1
        self.sum &-= StableHash.mix(UInt64(slot.rawValue) + 1)
    }

    package static func + (a: Self, b: Self) -> Self {
        var both = a
        both.count += b.count
        both.sum &+= b.sum
        return both
    }
}

extension SlotTally: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.count)
        writer.write(self.sum)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let at = reader.offset
        self.count = try reader.read()
        guard self.count <= Slot.count else { throw .invalid(field: "slots", offset: at) }
        self.sum = try reader.read()
    }
}
