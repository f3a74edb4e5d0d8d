internal import OrderedStorage
internal import Primitives

/// The moves of slots that group 0 keeps beside its table.
extension EntryApplication {
    mutating func move(_ move: MoveSlots) throws(StoreFault) -> CommandResult {
        guard var table = try self.view.groupTable(), move.to != .system,
            table.descriptor(of: move.to) != nil
        else { return .noSuchGroup }
        var asked: [SlotMove] = []
        var begun: [SlotMove] = []
        for run in table.slots where run.group != move.to && run.slots.overlaps(move.slots) {
            let slots = SlotRange(
                first: max(run.slots.first, move.slots.first),
                last: min(run.slots.last, move.slots.last))
            if let present = table.moves.first(where: { $0.slots.overlaps(slots) }) {
                guard present.slots == slots, present.to == move.to else {
                    return .slotsInMotion(present.id)
                }
                asked.append(present)
                continue
            }
            let id = Epoch(table.epoch.rawValue + UInt64(begun.count) + 1)
            begun.append(
                SlotMove(id: id, slots: slots, from: run.group, to: move.to, attempt: id))
        }
        // What is leaving the group cannot be asked to come to it at the same time.
        for present in table.moves where present.slots.overlaps(move.slots) {
            guard present.to == move.to else { return .slotsInMotion(present.id) }
        }
        guard table.moves.count + begun.count <= CatalogLimits.slotMoves else {
            return .limitReached
        }
        guard !begun.isEmpty else { return .slotMoves(asked) }
        table.epoch = begun.last?.id ?? table.epoch
        table.moves.append(contentsOf: begun)
        self.set(table)
        return .slotMoves((asked + begun).sorted { $0.slots.first < $1.slots.first })
    }

    mutating func advance(_ advance: AdvanceSlotMove) throws(StoreFault) -> CommandResult {
        guard var table = try self.view.groupTable(),
            let place = table.moves.firstIndex(where: { $0.id == advance.id })
        else { return .noSuchSlotMove }
        var move = table.moves[place]
        switch advance.step {
        case .begin(let last):
            // Whoever hears of another's attempt must not take it for its own.
            guard move.stage == .moving, move.attempt == last else {
                return .slotsInMotion(move.attempt)
            }
            move.attempt = Epoch(table.epoch.rawValue + 1)
            table.epoch = move.adoption
            table.moves[place] = move
        case .assign:
            guard move.stage == .moving else { return .slotMoves([move]) }
            move.stage = .dropping
            table.moves[place] = move
            table.assign(move.slots, to: move.to)
        case .end:
            guard move.stage == .dropping else { return .slotMoves([move]) }
            table.moves.remove(at: place)
        }
        self.set(table)
        return .slotMoves([move])
    }

    private func set(_ table: GroupTable) {
        var next = table
        next.version += 1
        self.put(CatalogFamilies.rows, CatalogKeys.groupTable, next.row)
    }
}
