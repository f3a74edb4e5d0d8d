import Consensus
import OrderedStorage
import Primitives
import Wire

/// Replicas that come, begin anew behind a snapshot, and go.
extension RaftLogTables {
    /// What each group's row says, those of removed replicas included. Blocking.
    package func standings() throws(Fault) -> [GroupID: Standing] {
        let cursor = self.store.scan(Self.hard, .all)
        var standings: [GroupID: Standing] = [:]
        while true {
            let pair: KeyValue?
            do throws(StoreFault) { pair = try cursor.next() } catch { throw .store(error) }
            guard let pair else { return standings }
            let group: GroupID
            do throws(FormatFault) {
                var key = ByteReader(pair.key)
                group = GroupID(try key.readBigEndian())
                try key.finish()
            } catch { throw .damaged(group: .system, "a group's row has no name: \(error)") }
            do throws(FormatFault) { standings[group] = try Self.standing(from: pair.value) } catch
            {
                throw .damaged(group: group, "term and vote cannot be read: \(error)")
            }
        }
    }

    /// Adds to a batch that the group's log is empty and begins behind `anchor`, and that its state
    /// is that of the next generation. This write is the whole exchange of a replica's state: before
    /// it the old log and the old state hold, behind it the new ones.
    package static func addReset(
        _ reset: Reset, of group: GroupID, _ standing: inout Standing, to batch: inout WriteBatch
    ) {
        batch.delete(Self.log, in: KeyRange(prefix: Self.key(group)))
        standing = Standing(
            hardState: reset.hardState, truncated: reset.anchor, last: reset.anchor,
            stateGeneration: standing.stateGeneration + 1, isRemoved: reset.isRemoval)
        Self.put(standing, of: group, to: &batch)
    }

    /// Adds to a batch that the group's state is not to be believed, until another takes its place.
    static func addRefusalOfState(
        of group: GroupID, _ standing: inout Standing, to batch: inout WriteBatch
    ) {
        standing.isStateRefused = true
        Self.put(standing, of: group, to: &batch)
    }

    /// Adds to a batch that the group's state is that of the next generation, while the log stays.
    static func addNextState(
        of group: GroupID, _ standing: inout Standing, to batch: inout WriteBatch
    ) {
        standing.stateGeneration += 1
        standing.isStateRefused = false
        Self.put(standing, of: group, to: &batch)
    }

    /// How a group's rows begin anew.
    package struct Reset: Sendable {
        package let hardState: HardState
        package let anchor: LogAnchor
        package let isRemoval: Bool

        /// Behind a snapshot.
        package init(_ restart: SnapshotRestart) {
            self.hardState = restart.hardState
            self.anchor = restart.log.truncated
            self.isRemoval = false
        }

        /// With nothing, and from a log that had reached as far as `end`.
        package init(beginningAnew hardState: HardState, from end: LogPosition) {
            self.init(removing: hardState, endingAt: end, isRemoval: false)
        }

        /// The replica leaves this node. What it voted for stays, and how far its log reached: should
        /// it come back, it recovers before its votes count for more than it holds.
        package init(removing hardState: HardState, endingAt last: LogPosition) {
            self.init(removing: hardState, endingAt: last, isRemoval: true)
        }

        private init(removing hardState: HardState, endingAt last: LogPosition, isRemoval: Bool) {
            self.hardState = HardState(
                term: hardState.term, vote: hardState.vote, commit: .zero,
                remembered: max(last, hardState.remembered ?? .zero))
            self.anchor = .zero
            self.isRemoval = isRemoval
        }
    }
}
