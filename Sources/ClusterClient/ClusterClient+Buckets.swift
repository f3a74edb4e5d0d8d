import Catalog
import IORuntime
import Primitives

/// What is spread over all data groups.
extension ClusterClient {
    /// Every bucket of an owner, in the order of their names: each data group is asked.
    ///
    /// A slot that moves between two answers would be missing in both, or in none. So each group says
    /// which slots it answered for, and the whole is asked again unless they are all slots, each once.
    package func buckets(
        of owner: OwnerID, deadline: Instant
    ) async throws(ClusterFault) -> [Bucket] {
        while true {
            if let all = try await self.bucketsOnce(of: owner, deadline: deadline) { return all }
            try await self.slotMoved(deadline: deadline)
        }
    }

    /// Nil where slots moved meanwhile.
    private func bucketsOnce(
        of owner: OwnerID, deadline: Instant
    ) async throws(ClusterFault) -> [Bucket]? {
        let asked = self.allSlots
        var found: [Bucket] = []
        var answered = SlotTally()
        for group in self.dataGroups {
            var after: BucketName?
            var owned: SlotTally?
            repeat {
                let list = ListBuckets(owner: owner, after: after)
                let answer = try await self.query(
                    .buckets(list), in: group, freshness: .linearizable, deadline: deadline)
                guard case .buckets(let page, let slots) = answer else {
                    throw .malformed("listing buckets gave \(answer)")
                }
                guard slots == owned ?? slots else { return nil }
                owned = slots
                found += page
                after = page.count == list.limit ? page.last?.name : nil
            } while after != nil
            answered = answered + (owned ?? SlotTally())
        }
        return answered == asked ? found.sorted { $0.name < $1.name } : nil
    }
}
