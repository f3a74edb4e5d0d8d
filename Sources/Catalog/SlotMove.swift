package import Primitives
internal import Wire

/// Slots on their way from one group to another, as group 0 keeps them beside its table.
///
/// **The order of a move**, which the leader of the old group drives, and which a crash may part
/// anywhere:
///
/// 1. Group 0 gives the *attempt* an epoch, and the one above it (`AdvanceSlotMove.begin`).
/// 2. The new group forgets whatever an earlier attempt brought, and from now on takes rows of this
///    attempt alone (`ClearImport`). The old group holds the slots in the attempt's epoch
///    (`RetainSlots`), so that nothing of an earlier attempt can release them any more.
/// 3. The rows are read piece by piece while requests go on, together with those that changed behind
///    (`SlotCopy`), and stand in the new group in the order they were read (`ImportRows`).
/// 4. Once few rows are left the old group gives the slots up, in the epoch above (`ReleaseSlots`);
///    what changed last follows; the new group takes them over (`AdoptSlots`). From the one to the
///    other nobody owns them: requests are refused as not decided here, and tried again.
/// 5. Group 0 writes the new owner into its table, and the old group drops its rows (`DropRows`).
///
/// **Why no two groups ever own a slot**: the new one adopts only what it imported in the epoch that
/// the old one's release names. A leader that takes the move over after a release cannot know which
/// rows changed last. It asks the new group first: where that has adopted, step 5 follows. Otherwise a new
/// attempt begins at step 1, and step 2 comes in this order: the new group first, which from then on
/// refuses to adopt in the older epoch; only then the old one takes the slots back, with all their rows.
///
/// **Why nothing is applied twice**: a command that was sent to the old group is asked for there until
/// its outcome is known. The session answers what was decided, whoever owns the slot now; a command
/// that finds no answer is decided to be refused, and that answer stands, so a copy of it that
/// the network kept cannot be applied later. Only then is it sent, as a new command, to the new owner. Where the
/// old group no longer knows the session, the outcome is told as unknown.
package struct SlotMove: Equatable, Sendable {
    /// The epoch in which the move was asked for: its name.
    package let id: Epoch
    package let slots: SlotRange
    package let from: GroupID
    package let to: GroupID
    /// The epoch in which the old group holds the slots during the attempt that is under way; the new
    /// group takes them over in the next one. `id` before the first attempt.
    package var attempt: Epoch
    package var stage: Stage

    /// Raw values are for ever.
    package enum Stage: UInt8, Sendable {
        /// The old group is in the table. Left when the new one has adopted.
        case moving = 1
        /// The new group is in the table. Left, with the move, when the old one has dropped its rows.
        case dropping = 2
    }

    package init(
        id: Epoch, slots: SlotRange, from: GroupID, to: GroupID, attempt: Epoch,
        stage: Stage = .moving
    ) {
        self.id = id
        self.slots = slots
        self.from = from
        self.to = to
        self.attempt = attempt
        self.stage = stage
    }

    /// In which the new group takes over what the attempt brings it.
    package var adoption: Epoch { Epoch(self.attempt.rawValue + 1) }
}

/// Asks for slots to be moved: those of the range that are another group's. A repeat finds the moves
/// that it asked for.
package struct MoveSlots: Equatable, Sendable {
    package let slots: SlotRange
    package let to: GroupID

    package init(slots: SlotRange, to: GroupID) {
        self.slots = slots
        self.to = to
    }
}

/// Writes down how far a move has come.
package struct AdvanceSlotMove: Equatable, Sendable {
    package enum Step: Equatable, Sendable {
        /// Begins another attempt, if `after` is still the last one.
        case begin(after: Epoch)
        /// The new group has adopted the slots.
        case assign
        /// The old group has dropped its rows.
        case end
    }

    package let id: Epoch
    package let step: Step

    package init(id: Epoch, step: Step) {
        self.id = id
        self.step = step
    }
}

/// Says that nothing in the cluster needs a master key any more. Whoever proposes it has asked every
/// other group, and read the group table before: while a move is under way, or where one came in
/// between, a secret may have gone from a group that was asked later to one that was asked earlier.
package struct RetireMasterKey: Equatable, Sendable {
    package let key: MasterKeyID
    /// The version of the group table that was read first; 0 where there was none.
    package let tableVersion: UInt64

    package init(key: MasterKeyID, tableVersion: UInt64) {
        self.key = key
        self.tableVersion = tableVersion
    }
}

extension SlotMove: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.id.rawValue)
        writer.write(self.slots)
        writer.write(self.from.rawValue)
        writer.write(self.to.rawValue)
        writer.write(self.attempt.rawValue)
        writer.write(self.stage.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let id = Epoch(try reader.read())
        let slots = try SlotRange(from: &reader)
        let source = GroupID(try reader.read(UInt32.self))
        let target = GroupID(try reader.read(UInt32.self))
        let attempt = Epoch(try reader.read())
        let at = reader.offset
        guard let stage = Stage(rawValue: try reader.read()), attempt >= id, source != target else {
            throw .invalid(field: "slot move", offset: at)
        }
        self.init(
            id: id, slots: slots, from: source, to: target, attempt: attempt, stage: stage)
    }
}

extension MoveSlots: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.to.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            slots: try SlotRange(from: &reader), to: GroupID(try reader.read(UInt32.self)))
    }
}

/// The move, a tag, and what belongs to it. Tags are for ever.
extension AdvanceSlotMove: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.id.rawValue)
        switch self.step {
        case .begin(let last): writer.write(tag: 1) { $0.write(last.rawValue) }
        case .assign: writer.write(UInt8(2))
        case .end: writer.write(UInt8(3))
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let id = Epoch(try reader.read())
        let at = reader.offset
        let step: Step =
            switch try reader.read(UInt8.self) {
            case 1: .begin(after: Epoch(try reader.read()))
            case 2: .assign
            case 3: .end
            default: throw .invalid(field: "step of a move", offset: at)
            }
        self.init(id: id, step: step)
    }
}

extension RetireMasterKey: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeRaw(self.key.bytes)
        writer.write(self.tableVersion)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(key: try reader.readMasterKeyID(), tableVersion: try reader.read())
    }
}
