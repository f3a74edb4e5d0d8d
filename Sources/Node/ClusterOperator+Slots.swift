import Catalog
import ClusterClient
import IORuntime
import Primitives

/// Where the slots are, and how they come to another group.
extension ClusterOperator {
    /// A line for each run of slots, and one for each move that is under way.
    package func slots() async throws(OperatorFault) -> [String] {
        let table = try await self.groupTable()
        let runs = table.slots.map { run in
            "\(run.slots.first)-\(run.slots.last)  group \(run.group)"
        }
        return runs + table.moves.map(Self.line)
    }

    /// Has slots moved to a group, and waits until all of them are there and nothing of them is left
    /// where they were; false when the time is over before.
    ///
    /// - Parameter progress: told of every move as it changes.
    package func moveSlots(
        from first: Slot, through last: Slot, to group: GroupID, by end: Instant,
        progress: (String) -> Void
    ) async throws(OperatorFault) -> Bool {
        let slots = SlotRange(first: first, last: last)
        let result = try await self.ask { () async throws(ClusterFault) in
            try await self.cluster.propose(
                .moveSlots(MoveSlots(slots: slots, to: group)), in: .system,
                deadline: self.deadline)
        }
        guard case .slotMoves(let asked) = result else {
            throw .refused(Self.refusal(result, group))
        }
        var told: [String] = []
        while true {
            let moves = try await self.groupTable().moves.filter { move in
                asked.contains { $0.id == move.id }
            }
            let lines = moves.map(Self.line)
            for line in lines where !told.contains(line) { progress(line) }
            told = lines
            if moves.isEmpty { return true }
            guard self.environment.now < end else { return false }
            do { try await self.environment.loops[0].sleep(for: Self.pollPause) } catch {
                return false
            }
        }
    }

    private func groupTable() async throws(OperatorFault) -> GroupTable {
        let answer = try await self.ask { () async throws(ClusterFault) in
            try await self.cluster.query(
                .groupTable, in: .system, freshness: .linearizable, deadline: self.deadline)
        }
        guard case .groupTable(let table) = answer else {
            throw .cluster("group 0 has no table yet: \(answer)")
        }
        return table
    }

    private static func line(_ move: SlotMove) -> String {
        let stage =
            switch move.stage {
            case .moving: "moving"
            case .dropping: "moved; the rows left behind are being dropped"
            }
        return "\(move.slots.first)-\(move.slots.last)  group \(move.from) -> \(move.to), \(stage)"
    }

    private static func refusal(_ result: CommandResult, _ group: GroupID) -> String {
        switch result {
        case .noSuchGroup: "there is no data group \(group); see `holdfast slots show`"
        case .slotsInMotion: "some of the slots are in another move; wait for its end"
        case .limitReached: "too many moves are under way; wait for their end"
        case let other: "the cluster refused: \(other)"
        }
    }
}
