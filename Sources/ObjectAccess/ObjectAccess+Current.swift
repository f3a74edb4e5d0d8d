import Catalog
import ClusterClient
import Cryptography
import IORuntime
import Primitives
import Telemetry

/// What a bucket has under a key now, from what this edge remembers where that is certain.
extension ObjectAccess {
    /// The current version of a key.
    ///
    /// - Parameter withContent: whether the caller will read its bytes.
    func current(
        _ key: ObjectKey, in bucket: BucketName, withContent: Bool, age: ReadAge,
        deadline: Instant
    ) async throws(AccessFault) -> CurrentObject {
        let name = ObjectHeads.Name(key, in: bucket)
        while true {
            let group = try await self.asking { () throws(ClusterFault) in
                try await self.cluster.owner(of: bucket.slot, deadline: deadline)
            }
            switch age {
            case .bounded:
                if let known = self.heads.foundLately(name, in: group, withContent: withContent) {
                    return known
                }
            case .current: break
            }
            let current = try await self.current(
                name, in: group, withContent: withContent, deadline: deadline)
            if let current { return current }
            try await self.asking { () throws(ClusterFault) in
                try await self.cluster.slotMoved(deadline: deadline)
            }
        }
    }

    /// Nil when the group does not own the bucket's slot.
    ///
    /// Where something is known here, or is in the memory of this node's own replica, the leader is
    /// only asked how far the group is, once for all who want to know; else it is asked for the
    /// object.
    private func current(
        _ name: ObjectHeads.Name, in group: GroupID, withContent: Bool, deadline: Instant
    ) async throws(AccessFault) -> CurrentObject? {
        let query = CatalogQuery.object(
            name.object.bucket, name.object.key, withManifest: withContent)
        if await self.hasCandidate(
            name, in: group, query, withContent: withContent, deadline: deadline)
        {
            let index = try await self.asking { () throws(ClusterFault) in
                try await self.heads.readIndex(of: group, deadline: deadline)
            }
            let known = await self.heads.find(
                name, in: group, through: index, withContent: withContent)
            if let known { return known }
        }
        let (answer, applied) = try await self.asking { () throws(ClusterFault) in
            try await self.cluster.queryLeader(query, in: group, deadline: deadline)
        }
        if case .slotNotOwned = answer { return nil }
        if case .noSuchBucket = answer { throw .noSuchBucket(name.object.bucket) }
        guard
            let current = try await self.current(
                answer, in: name.object.bucket, deadline: deadline)
        else { throw .broken("asking for an object gave \(answer)") }
        self.heads.admit(current, of: name, in: group, readAt: applied)
        return current
    }

    /// Whether something is known of the name that a read index may prove true. What the own replica
    /// says of slots and buckets proves nothing: it may lag.
    private func hasCandidate(
        _ name: ObjectHeads.Name, in group: GroupID, _ query: CatalogQuery, withContent: Bool,
        deadline: Instant
    ) async -> Bool {
        if self.heads.knows(name, in: group, withContent: withContent) { return true }
        self.counters.headMisses.add()
        guard let (answer, applied) = self.cluster.ownReplicaNow(query, in: group) else {
            return false
        }
        do throws(AccessFault) {
            guard
                let current = try await self.current(
                    answer, in: name.object.bucket, deadline: deadline)
            else { return false }
            self.counters.headsFromOwnReplica.add()
            return self.heads.admit(current, of: name, in: group, readAt: applied)
        } catch {
            // It may be of a bucket that is gone; the leader knows.
            return false
        }
    }

    /// Nil when the answer is of no object.
    private func current(
        _ answer: CatalogAnswer, in bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> CurrentObject? {
        if case .object(let head, let manifest) = answer {
            let content = try await self.content(
                of: head, manifest, in: bucket, deadline: deadline)
            return .present(head, content)
        }
        if case .absent = answer { return .absent }
        return nil
    }

    /// Small bytes are opened once, for all who will read them.
    private func content(
        of head: ObjectHead, _ manifest: Manifest?, in bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> CurrentObject.Content {
        switch manifest {
        case nil: return .unknown
        case .inline(let name, let sealed):
            let open = try await self.open(bucket, deadline: deadline, sealing: head.sealedFor)
            let codec = FrameCodec(chunk: name, bucketKey: open.key)
            guard let plainBytes = Int(exactly: head.size),
                let plain = codec.openWhole(sealed, plainBytes: plainBytes)
            else {
                self.counters.framesRefused.add()
                throw .unreadable("the inline bytes of version \(head.version) do not open")
            }
            return .plain(plain)
        case .chunks, .parts: return manifest.map { .manifest($0) } ?? .unknown
        }
    }
}
