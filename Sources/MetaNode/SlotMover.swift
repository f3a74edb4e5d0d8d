import Catalog
import ClusterClient
import IORuntime
import OrderedStorage
import Primitives
import Telemetry
import Wire

/// Carries out the moves of slots that leave a data group, one after the other, for as long as this
/// node leads the group in one term. `SlotMove` states the order, and why it is safe to end anywhere.
struct SlotMover {
    let meta: MetaNode
    let group: GroupID
    let term: Term

    private var settings: SlotMoveSettings { self.meta.settings.slotMoves }
    private var cluster: ClusterClient { self.meta.cluster }

    /// Why an attempt ended before its end.
    private enum MoveFault: Error {
        /// The leadership has gone, or the node stops.
        case over
        case store(StoreFault)
        case cluster(ClusterFault)
        /// A group decided otherwise.
        case refused(CommandResult)
        /// A group gave no answer that says what became of a command.
        case unanswered
        /// More was written meanwhile than is kept, or than may go while nobody owns the slots.
        case overrun
    }

    init(_ meta: MetaNode, _ group: GroupID, in term: Term) {
        self.meta = meta
        self.group = group
        self.term = term
    }

    /// Returns when the leadership has gone, or the node stops.
    func run() async {
        var pause = self.settings.period
        while true {
            do { try await self.meta.loop.sleep(for: pause) } catch { return }
            guard await self.meta.leads(self.group, in: self.term) else { return }
            guard let move = await self.nextMove() else {
                pause = self.settings.period
                continue
            }
            do throws(MoveFault) {
                try await self.carryOut(move)
                pause = self.settings.period
            } catch {
                if case .over = error { return }
                // This node's table was older than what became of the move.
                if case .refused(.noSuchSlotMove) = error { continue }
                self.meta.slotMoveCounters.attemptsFailed.add()
                self.meta.logger.warning(
                    "an attempt to move slots has failed",
                    ["group": "\(self.group)", "move": "\(move.id)", "reason": "\(error)"])
                // Slots that were given up are taken back by the next attempt, so it comes soon.
                pause = self.settings.retryPause
            }
        }
    }

    /// The oldest move that leaves the group, as this node knows it. That may be old news: every step
    /// is decided where it is applied.
    private func nextMove() async -> SlotMove? {
        guard let table = await self.meta.knownGroupTable() else { return nil }
        return table.moves.first { $0.from == self.group }
    }

    private func carryOut(_ move: SlotMove) async throws(MoveFault) {
        var move = move
        if move.stage == .moving {
            if try await !self.hasAdopted(move) {
                move = try await self.begin(move)
                try await self.attempt(move)
            }
            move = try await self.advance(move, .assign)
        }
        try await self.dropRows(move)
        _ = try await self.advance(move, .end)
        self.meta.slotMoveCounters.moves.add()
        self.meta.logger.info(
            "slots moved",
            [
                "move": "\(move.id)", "first": "\(move.slots.first)",
                "last": "\(move.slots.last)", "from": "\(move.from)", "to": "\(move.to)",
            ])
    }

    // MARK: Group 0

    private func begin(_ move: SlotMove) async throws(MoveFault) -> SlotMove {
        let begun = try await self.advance(move, .begin(after: move.attempt))
        self.meta.logger.info(
            "moving slots",
            [
                "move": "\(move.id)", "first": "\(move.slots.first)",
                "last": "\(move.slots.last)", "from": "\(move.from)", "to": "\(move.to)",
                "epoch": "\(begun.attempt)",
            ])
        return begun
    }

    private func advance(
        _ move: SlotMove, _ step: AdvanceSlotMove.Step
    ) async throws(MoveFault) -> SlotMove {
        let result = try await self.ask(
            .advanceSlotMove(AdvanceSlotMove(id: move.id, step: step)), in: .system)
        guard case .slotMoves(let moves) = result, let advanced = moves.first else {
            throw .refused(result)
        }
        return advanced
    }

    // MARK: An attempt

    private func attempt(_ move: SlotMove) async throws(MoveFault) {
        // The new group first: from here on it adopts nothing that an earlier attempt brought.
        var isClear = try await self.clear(move)
        try await self.retain(move)
        while !isClear { isClear = try await self.clear(move) }
        guard let state = self.meta.states[self.group] else { throw .over }
        let ticket = state.watch.begin(move.slots)
        defer { state.watch.end(ticket) }
        var copy = SlotCopy(of: move.slots)
        var piece: UInt64 = 0
        var roundsBehind = 0
        while true {
            let rows = try await self.read(&copy, state, ticket)
            if !rows.isEmpty { try await self.copy(rows, of: move, &piece) }
            // The last rows go while nobody owns the slots, so they have to be few.
            if copy.hasPassedAll {
                roundsBehind += 1
                let areFew = rows.count <= self.settings.fewRows
                if areFew || roundsBehind >= self.settings.mostRoundsBehind { break }
            }
        }
        // Given up only with room at the new group: a piece without rows is refused like any other.
        try await self.importPiece(
            [], of: move, &piece, isBehindRelease: false, patience: self.settings.patience)
        let floor = try await self.release(move)
        let given = self.meta.environment.now
        var gapBytes = 0
        while true {
            let rows = try await self.read(&copy, state, ticket)
            if rows.isEmpty { break }
            guard gapBytes < self.settings.gapBytes else { throw .overrun }
            gapBytes += Self.sizeBytes(of: rows)
            try await self.importPiece(
                rows, of: move, &piece, isBehindRelease: true,
                patience: self.settings.gapPatience)
        }
        try await self.adopt(move, above: floor)
        self.meta.logger.info(
            "slots handed over",
            [
                "move": "\(move.id)", "pieces": "\(piece)",
                "gap": "\(self.meta.environment.now - given)",
            ])
    }

    /// Collects what was written, and then reads from a view that shows it.
    private func read(
        _ copy: inout SlotCopy, _ state: GroupState, _ ticket: SlotWatch.Ticket
    ) async throws(MoveFault) -> [ImportedRow] {
        guard await self.meta.leads(self.group, in: self.term) else { throw .over }
        guard let written = state.watch.take(ticket) else { throw .overrun }
        let before = copy
        let limit = self.settings.pieceBytes
        let pieceRows: [ImportedRow]
        do throws(StoreFault) {
            let (after, rows) = try await self.meta.environment.blocking(.metadata) {
                () throws(StoreFault) -> (SlotCopy, [ImportedRow]) in
                var copy = before
                let rows = try copy.piece(
                    over: state.store.snapshot(), written: written, limitBytes: limit)
                return (copy, rows)
            }
            copy = after
            pieceRows = rows
        } catch { throw .store(error) }
        guard !copy.isOverrun else { throw .overrun }
        return pieceRows
    }

    /// With a rest behind it, so that what users ask of both groups is not crowded out.
    private func copy(
        _ rows: [ImportedRow], of move: SlotMove, _ piece: inout UInt64
    ) async throws(MoveFault) {
        let began = self.meta.environment.now
        try await self.importPiece(
            rows, of: move, &piece, isBehindRelease: false, patience: self.settings.patience)
        let share = Duration.nanoseconds(
            Int64(Self.sizeBytes(of: rows)) * 1_000_000_000 / Int64(self.settings.bytesPerSecond))
        let rest = share - (self.meta.environment.now - began)
        guard rest > .zero else { return }
        do { try await self.meta.loop.sleep(for: rest) } catch { throw .over }
    }

    private static func sizeBytes(of rows: [ImportedRow]) -> Int {
        rows.reduce(0) { $0 + $1.sizeBytes }
    }

    // MARK: The new group

    private func hasAdopted(_ move: SlotMove) async throws(MoveFault) -> Bool {
        do throws(ClusterFault) {
            // All slots of a move are adopted by one command.
            let answer = try await self.cluster.query(
                .slot(move.slots.first), in: move.to, freshness: .linearizable,
                deadline: self.meta.environment.now + self.settings.patience)
            if case .slot(.owned) = answer { return true }
            return false
        } catch { throw .cluster(error) }
    }

    private func clear(_ move: SlotMove) async throws(MoveFault) -> Bool {
        let result = try await self.ask(
            .clearImport(ClearImport(slots: move.slots, epoch: move.adoption)), in: move.to)
        guard case .rowsErased(let isDone) = result else { throw .refused(result) }
        return isDone
    }

    private func importPiece(
        _ rows: [ImportedRow], of move: SlotMove, _ piece: inout UInt64, isBehindRelease: Bool,
        patience: Duration
    ) async throws(MoveFault) {
        let command = ImportRows(
            slots: move.slots, epoch: move.adoption, piece: piece,
            isBehindRelease: isBehindRelease, rows: rows)
        let result = try await self.ask(.importRows(command), in: move.to, patience: patience)
        guard result == .rowsImported(pieces: piece + 1) else { throw .refused(result) }
        piece += 1
        self.meta.slotMoveCounters.rows.add(UInt64(rows.count))
    }

    private func adopt(_ move: SlotMove, above floor: UInt64) async throws(MoveFault) {
        let result = try await self.ask(
            .adoptSlots(
                AdoptSlots(slots: move.slots, epoch: move.adoption, versionFloor: floor)),
            in: move.to, patience: self.settings.gapPatience)
        guard result == .slotsAdopted(move.adoption) else { throw .refused(result) }
    }

    // MARK: The old group

    private func retain(_ move: SlotMove) async throws(MoveFault) {
        let result = try await self.decide(
            .retainSlots(RetainSlots(slots: move.slots, epoch: move.attempt)))
        guard result == .slotsRetained(move.attempt) else { throw .refused(result) }
    }

    private func release(_ move: SlotMove) async throws(MoveFault) -> UInt64 {
        let result = try await self.decide(
            .releaseSlots(ReleaseSlots(slots: move.slots, epoch: move.adoption)))
        guard case .slotsReleased(_, let floor) = result else { throw .refused(result) }
        return floor
    }

    private func dropRows(_ move: SlotMove) async throws(MoveFault) {
        while true {
            let result = try await self.decide(
                .dropRows(DropRows(slots: move.slots, epoch: move.adoption)))
            guard case .rowsErased(let isDone) = result else { throw .refused(result) }
            if isDone { return }
            do { try await self.meta.loop.sleep(for: self.settings.dropPause) } catch {
                throw .over
            }
        }
    }

    // MARK: Commands

    /// In the group that this node leads: nobody else may propose it.
    private func decide(_ operation: CatalogOperation) async throws(MoveFault) -> CommandResult {
        guard await self.meta.leads(self.group, in: self.term) else { throw .over }
        let command = CatalogCommand(operation: operation).encoded
        let answer = await self.meta.propose(
            ProposeRequest(group: self.group, commands: [command]))
        guard case .applied(_, let results) = answer, let result = results.first else {
            throw .unanswered
        }
        return result
    }

    private func ask(
        _ operation: CatalogOperation, in group: GroupID, patience: Duration? = nil
    ) async throws(MoveFault) -> CommandResult {
        guard await self.meta.leads(self.group, in: self.term) else { throw .over }
        let deadline = self.meta.environment.now + (patience ?? self.settings.patience)
        do throws(ClusterFault) {
            return try await self.cluster.propose(operation, in: group, deadline: deadline)
        } catch { throw .cluster(error) }
    }
}

extension MetaNode {
    /// Takes up the moves that leave a group which this node leads from now on.
    func moveSlotsWhileLeading(_ group: GroupID, in term: Term) async {
        guard group != .system else { return }
        await SlotMover(self, group, in: term).run()
    }

    /// The group table as this node knows it: from its own replica of group 0, or, without one, as
    /// its process last heard it.
    package nonisolated func knownGroupTable() async -> GroupTable? {
        guard let state = self.states[.system] else { return self.cluster.groupTable }
        return await self.environment.blocking(.metadata) { () -> GroupTable? in
            do throws(StoreFault) {
                guard case .groupTable(let table) = try state.answer(.groupTable) else {
                    return nil
                }
                return table
            } catch { return nil }
        }
    }
}
