import CachePolicy
import Catalog
import ClusterClient
import IORuntime
import PeerTransport
import Primitives
import Synchronization
import Telemetry
import Wire

/// What any replica tells edges, so that they can answer from what they remember (DESIGN §6).
extension MetaNode {
    /// How long a follower is held when there is no news.
    private static let followHold: Duration = .seconds(1)

    nonisolated func answer(_ request: FollowRequest) async -> FollowAnswer {
        guard let feed = self.states[request.group]?.feed else { return .refused(.noSuchGroup) }
        guard !self.isFenced(request.group) else { return .refused(.notLeader(hint: nil)) }
        if let news = feed.news(after: request.after) { return .news(news) }
        // No index is behind the last that there can be.
        guard request.after.rawValue < .max else { return .nothing }
        _ = await feed.wait(for: request.after.next, atMost: Self.followHold, on: self.loop)
        guard !self.isFenced(request.group) else { return .refused(.notLeader(hint: nil)) }
        return feed.news(after: request.after).map { .news($0) } ?? .nothing
    }

    /// Whether this node has a replica of the group, voting or not.
    package nonisolated func hasReplica(of group: GroupID) -> Bool { self.states[group] != nil }

    /// How far the group has committed. The asker waits for some state to get there, so nobody waits
    /// for this one's.
    nonisolated func answer(_ request: ReadIndexRequest) async -> ReadIndexAnswer {
        switch await self.readIndex(of: request.group, isAppliedFirst: false) {
        case .success(let index): .index(index)
        case .failure(let refusal): .refused(refusal)
        }
    }
}

extension MetaNode: OwnReplicas {
    package nonisolated func answerNow(
        _ query: CatalogQuery, in group: GroupID
    ) -> (answer: CatalogAnswer, applied: LogIndex)? {
        // The index first: the state may go on before it is read.
        guard !self.isFenced(group),
            let state = self.states[group], let through = state.feed.through,
            let answer = state.answerFromCache(query)
        else { return nil }
        self.counters.queries.add()
        self.counters.queriesFromCache.add()
        return (answer.withoutSecrets, through)
    }
}
