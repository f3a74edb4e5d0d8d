package import Primitives
internal import Wire

/// Which group owns which slots, and which nodes vote in it: a hint that group 0 keeps. A group's
/// own rows decide; a request that came to the wrong one is refused.
package struct GroupTable: Equatable, Sendable {
    package var version: UInt64
    /// By ascending identity.
    package let groups: [GroupDescriptor]
    /// By ascending slot, without overlap.
    package private(set) var slots: [SlotAssignment]
    /// The greatest epoch of slots that was given out.
    package var epoch: Epoch
    /// Slots on their way, in the order they were asked for.
    package var moves: [SlotMove]

    package init(
        version: UInt64, groups: [GroupDescriptor], slots: [SlotAssignment],
        epoch: Epoch = .firstOfSlots, moves: [SlotMove] = []
    ) {
        self.version = version
        self.epoch = epoch
        self.moves = moves
        self.groups = groups.sorted { $0.id < $1.id }
        self.slots = slots.sorted { $0.slots.first < $1.slots.first }
    }

    /// Deals all slots in equal runs to the data groups among `groups`.
    package init(version: UInt64, dealingSlotsTo groups: [GroupDescriptor]) {
        let owners = groups.filter { $0.id != .system }.sorted { $0.id < $1.id }
        let bounds = (0...owners.count).map { Slot.count * $0 / max(1, owners.count) }
        self.init(
            version: version, groups: groups,
            slots: owners.enumerated().map { position, owner in
                SlotAssignment(
                    slots: SlotRange(
                        first: Slot(rawValue: UInt16(bounds[position])),
                        last: Slot(rawValue: UInt16(bounds[position + 1] - 1))),
                    group: owner.id)
            })
    }

    /// The group that owns `slot`; nil where no group does.
    package func group(owning slot: Slot) -> GroupID? {
        var low = 0
        var high = self.slots.count
        while low < high {
            let middle = (low + high) / 2
            if self.slots[middle].slots.last < slot { low = middle + 1 } else { high = middle }
        }
        guard low < self.slots.count, self.slots[low].slots.contains(slot) else { return nil }
        return self.slots[low].group
    }

    /// Gives slots to another group: no more runs than it takes.
    mutating func assign(_ slots: SlotRange, to group: GroupID) {
        var runs: [SlotAssignment] = []
        for run in self.slots {
            guard run.slots.overlaps(slots) else {
                runs.append(run)
                continue
            }
            if run.slots.first < slots.first {
                let last = Slot(rawValue: slots.first.rawValue - 1)
                runs.append(
                    SlotAssignment(
                        slots: SlotRange(first: run.slots.first, last: last), group: run.group))
            }
            if slots.last < run.slots.last {
                let first = Slot(rawValue: slots.last.rawValue + 1)
                runs.append(
                    SlotAssignment(
                        slots: SlotRange(first: first, last: run.slots.last), group: run.group))
            }
        }
        runs.append(SlotAssignment(slots: slots, group: group))
        runs.sort { $0.slots.first < $1.slots.first }
        self.slots = runs.reduce(into: []) { joined, run in
            guard let last = joined.last, last.group == run.group,
                UInt32(last.slots.last.rawValue) + 1 == UInt32(run.slots.first.rawValue)
            else { return joined.append(run) }
            joined[joined.count - 1] = SlotAssignment(
                slots: SlotRange(first: last.slots.first, last: run.slots.last), group: run.group)
        }
    }

    /// All slots that have an owner.
    package var tally: SlotTally {
        self.slots.reduce(SlotTally()) { $0 + SlotTally($1.slots) }
    }

    package func descriptor(of group: GroupID) -> GroupDescriptor? {
        self.groups.first { $0.id == group }
    }
}

package struct GroupDescriptor: Equatable, Sendable {
    package let id: GroupID
    package let voters: [NodeID]
    /// Where the leader should be, so that leaders spread over the nodes.
    package let preferredLeader: NodeID?

    package init(id: GroupID, voters: [NodeID], preferredLeader: NodeID? = nil) {
        self.id = id
        self.voters = voters
        self.preferredLeader = preferredLeader
    }
}

/// Slots from `first` to `last`, both included.
package struct SlotRange: Equatable, Sendable {
    package let first: Slot
    package let last: Slot

    package init(first: Slot, last: Slot) {
        self.first = first
        self.last = last
    }

    package static let all = SlotRange(first: Slot(rawValue: 0), last: Slot(rawValue: .max))
    package func contains(_ slot: Slot) -> Bool { self.first <= slot && slot <= self.last }
}

package struct SlotAssignment: Equatable, Sendable {
    package let slots: SlotRange
    package let group: GroupID
    package init(slots: SlotRange, group: GroupID) {
        self.slots = slots
        self.group = group
    }
}

extension GroupTable: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.version)
        writer.writeMessages(self.groups)
        writer.writeMessages(self.slots)
        writer.write(self.epoch.rawValue)
        writer.writeMessages(self.moves)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let version = try reader.read(UInt64.self)
        let at = reader.offset
        let groups = try reader.readMessages(
            GroupDescriptor.self, field: "groups", limit: CatalogLimits.groups)
        let slots = try reader.readMessages(
            SlotAssignment.self, field: "slots", limit: Slot.count)
        guard zip(groups, groups.dropFirst()).allSatisfy({ $0.id < $1.id }),
            zip(slots, slots.dropFirst()).allSatisfy({ $0.slots.last < $1.slots.first })
        else { throw .invalid(field: "group table", offset: at) }
        self.init(
            version: version, groups: groups, slots: slots, epoch: Epoch(try reader.read()),
            moves: try reader.readMessages(field: "moves", limit: CatalogLimits.slotMoves))
    }
}

extension GroupDescriptor: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.id.rawValue)
        writer.writeArray(self.voters) { $0.write($1.rawValue) }
        writer.writeOptional(self.preferredLeader) { $0.write($1.rawValue) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let id = GroupID(try reader.read(UInt32.self))
        let voters = try reader.readArray(
            field: "voters", limit: CatalogLimits.votersPerGroup
        ) { (reader) throws(FormatFault) in NodeID(try reader.read(UInt32.self)) }
        let leader = try reader.readOptional { (reader) throws(FormatFault) in
            NodeID(try reader.read(UInt32.self))
        }
        self.init(id: id, voters: voters, preferredLeader: leader)
    }
}

extension SlotRange: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.first.rawValue)
        writer.write(self.last.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let first = Slot(rawValue: try reader.read())
        let last = Slot(rawValue: try reader.read())
        guard first <= last else { throw .invalid(field: "slots", offset: at) }
        self.init(first: first, last: last)
    }
}

extension SlotAssignment: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.group.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            slots: try SlotRange(from: &reader), group: GroupID(try reader.read(UInt32.self)))
    }
}
