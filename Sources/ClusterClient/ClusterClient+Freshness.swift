import CachePolicy
import Catalog
import IORuntime
import PeerTransport
import Primitives
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

    /// Asks this node's own replica, which may lag: it answers once it has applied `index`. Nil when
    /// it does not come so far in time, or there is none.
    package func queryOwnReplica(
        _ query: CatalogQuery, in group: GroupID, atLeast index: LogIndex, deadline: Instant
    ) async throws(ClusterFault) -> (answer: CatalogAnswer, applied: LogIndex)? {
        guard self.hasMetaRole else { return nil }
        let request = QueryRequest(group: group, freshness: .atLeast(index), query: query)
        let response: PeerResponse
        do throws(CallFault) {
            response = try await self.peers.call(
                self.node, PeerRequest(kind: MetaCallKind.query, head: request.encoded),
                deadline: min(deadline, self.environment.now + self.settings.attemptTimeout))
        } catch { return nil }
        do throws(FormatFault) {
            switch try QueryAnswer(decoding: response.fittedMessage) {
            case .answer(let answer, let applied): return (answer, applied)
            case .refused: return nil
            }
        } catch { throw .malformed("this node answered what cannot be read: \(error)") }
    }

    /// Asks whoever leads the group, and says which index the state had applied, or more.
    package func queryLeader(
        _ query: CatalogQuery, in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> (answer: CatalogAnswer, applied: LogIndex) {
        try await self.answer(to: query, in: group, freshness: .linearizable, deadline: deadline)
    }

    /// Whether this node may hold replicas itself.
    package var hasMetaRole: Bool { self.settings.metaNodes.contains(self.node) }

    /// The replicas that can be followed: this node's own first, then the others, each node
    /// beginning elsewhere, so that no replica is followed by all.
    package var followable: [NodeID] {
        let nodes = self.settings.metaNodes.sorted()
        let others = nodes.filter { $0 != self.node }
        let first = others.firstIndex { $0 > self.node } ?? 0
        return nodes.filter { $0 == self.node } + others[first...] + others[..<first]
    }
}
