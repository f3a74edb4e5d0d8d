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
    /// Where something may be known here, or be asked of this node's own replica, the leader is only
    /// asked how far the group is, once for all who want to know; else it is asked for the object.
    private func current(
        _ name: ObjectHeads.Name, in group: GroupID, withContent: Bool, deadline: Instant
    ) async throws(AccessFault) -> CurrentObject? {
        let query = CatalogQuery.object(
            name.object.bucket, name.object.key, withManifest: withContent)
        if self.heads.mayAnswer(name, in: group) {
            let index = try await self.asking { () throws(ClusterFault) in
                try await self.heads.readIndex(of: group, deadline: deadline)
            }
            let known = await self.heads.find(
                name, in: group, through: index, withContent: withContent)
            if let known { return known }
            if self.heads.trustsOwnReplica(of: group) {
                let found = try await self.asking { () throws(ClusterFault) in
                    try await self.cluster.queryOwnReplica(
                        query, in: group, atLeast: index, deadline: deadline)
                }
                if let found {
                    return try await self.admit(found, as: name, in: group, deadline: deadline)
                }
            }
        }
        let found = try await self.asking { () throws(ClusterFault) in
            try await self.cluster.queryLeader(query, in: group, deadline: deadline)
        }
        return try await self.admit(found, as: name, in: group, deadline: deadline)
    }

    private func admit(
        _ found: (answer: CatalogAnswer, applied: LogIndex), as name: ObjectHeads.Name,
        in group: GroupID, deadline: Instant
    ) async throws(AccessFault) -> CurrentObject? {
        let current: CurrentObject
        switch found.answer {
        case .object(let head, let manifest):
            current = .present(
                head,
                try await self.content(
                    of: head, manifest, in: name.object.bucket, deadline: deadline))
        case .absent: current = .absent
        case .slotNotOwned: return nil
        case .noSuchBucket: throw .noSuchBucket(name.object.bucket)
        case let other: throw .broken("asking for an object gave \(other)")
        }
        self.heads.admit(current, of: name, in: group, readAt: found.applied)
        return current
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
