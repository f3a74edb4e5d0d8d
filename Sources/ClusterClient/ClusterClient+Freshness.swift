import CachePolicy
import Catalog
import IORuntime
import PeerTransport
import Primitives
import Synchronization
import Telemetry
import Wire

/// What lets an edge answer from what it remembers: how far a group has come, what its entries
/// invalidated, and the states of replicas that are not leaders.
extension ClusterClient {
    /// How far a group had committed, confirmed after this call began.
    package func readIndex(
        of group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> LogIndex {
        self.counters.readIndexes.add()
        let head = ReadIndexRequest(group: group).encoded
        return try await self.askLeader(
            of: group, PeerRequest(kind: MetaCallKind.readIndex, head: head), deadline: deadline
        ) { (answer: ReadIndexAnswer) in
            switch answer {
            case .index(let index): .answer(index)
            case .refused(let refusal): .refused(refusal)
            }
        }
    }

    /// What a replica says of the entries behind `after`.
    package func follow(
        _ group: GroupID, after: LogIndex, at node: NodeID, deadline: Instant
    ) async throws(CallFault) -> FollowAnswer {
        let head = FollowRequest(group: group, after: after).encoded
        let response = try await self.peers.call(
            node, PeerRequest(kind: MetaCallKind.follow, head: head), deadline: deadline)
        do throws(FormatFault) { return try FollowAnswer(decoding: response.fittedMessage) } catch {
            throw .malformed(error)
        }
    }

    /// What this node's own replica has in memory, and the index that its state had applied, or
    /// more. It may lag. Nil when it would have to ask its disk, or there is none.
    package func ownReplicaNow(
        _ query: CatalogQuery, in group: GroupID
    ) -> (answer: CatalogAnswer, applied: LogIndex)? {
        self.state.withLock { $0.ownReplicas }?.answerNow(query, in: group)
    }

    /// Lets this node's own replicas be read without a call.
    package func use(_ replicas: any OwnReplicas) {
        self.state.withLock { $0.ownReplicas = replicas }
    }

    /// Asks whoever leads the group, and says which index the state had applied, or more.
    package func queryLeader(
        _ query: CatalogQuery, in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> (answer: CatalogAnswer, applied: LogIndex) {
        try await self.answer(to: query, in: group, freshness: .linearizable, deadline: deadline)
    }

    /// The replicas of a group that can be followed, by the latest group table: this node's own
    /// first, then the others, each node beginning elsewhere, so that no replica is followed by
    /// all. Before there is a table, those that this process was told of at its start.
    package func followable(in group: GroupID) -> [NodeID] {
        let voters = self.groupTable?.descriptor(of: group)?.voters ?? []
        let nodes = (voters.isEmpty ? self.settings.metaNodes : voters).sorted()
        let others = nodes.filter { $0 != self.node }
        let first = others.firstIndex { $0 > self.node } ?? 0
        return nodes.filter { $0 == self.node } + others[first...] + others[..<first]
    }
}

/// The replicas of the same process.
///
/// A look at rows that are in memory takes less time than a call to oneself, so it is the one thing
/// that an edge has of its own node's meta role without one. What is told is no more than any edge
/// hears by a query.
package protocol OwnReplicas: Sendable {
    /// What the group's replica has in memory, and the index that its state had applied, or more;
    /// never blocks.
    func answerNow(
        _ query: CatalogQuery, in group: GroupID
    ) -> (answer: CatalogAnswer, applied: LogIndex)?
}
