import Catalog
import IORuntime
import PeerTransport
import Primitives
import Signing
import Wire

/// What meta nodes do with secrets for the rest of the cluster.
extension ClusterClient {
    /// The owner and the signing key of an access key for one day and region; nil when there is no
    /// such key, or it is disabled.
    package func signingKey(
        of accessKey: AccessKeyID, scope: SigV4Scope, deadline: Instant
    ) async throws(ClusterFault) -> (owner: OwnerID, key: SigV4SigningKey)? {
        let group = try await self.group(of: accessKey.slot, deadline: deadline)
        let request = SigningKeyRequest(group: group, accessKey: accessKey, scope: scope)
        return try await self.askLeader(
            of: group, PeerRequest(kind: MetaCallKind.signingKey, head: request.encoded),
            deadline: deadline
        ) { (answer: SigningKeyAnswer) -> LeaderReply<(owner: OwnerID, key: SigV4SigningKey)?> in
            switch answer {
            case .found(let owner, let key): .answer((owner, key))
            case .absent: .answer(nil)
            case .refused(let refusal): .refused(refusal)
            }
        }
    }

    /// A bucket with its key, for a request that was authorised; nil when there is no such bucket.
    package func bucketWithKey(
        _ name: BucketName, deadline: Instant
    ) async throws(ClusterFault) -> (bucket: Bucket, key: [UInt8])? {
        let group = try await self.group(of: name.slot, deadline: deadline)
        let request = BucketKeyRequest(group: group, bucket: name)
        return try await self.askLeader(
            of: group, PeerRequest(kind: MetaCallKind.bucketKey, head: request.encoded),
            deadline: deadline
        ) { (answer: BucketKeyAnswer) -> LeaderReply<(bucket: Bucket, key: [UInt8])?> in
            switch answer {
            case .found(let bucket, let key): .answer((bucket, key))
            case .noSuchBucket: .answer(nil)
            case .slotNotOwned: .refused(.notLeader(hint: nil))
            case .refused(let refusal): .refused(refusal)
            }
        }
    }

    /// A fresh key for a bucket, wrapped by the master key.
    package func makeBucketKey(
        for bucket: BucketName, deadline: Instant
    ) async throws(ClusterFault) -> WrappedKey {
        let head = MakeBucketKeyRequest(bucket: bucket).encoded
        return try await self.askLeader(
            of: .system, PeerRequest(kind: MetaCallKind.makeBucketKey, head: head),
            deadline: deadline
        ) { (answer: WrappedKey) in .answer(answer) }
    }

    /// The URL parameters of a link that allows what the policy says.
    package func signLink(
        _ policy: LinkPolicy, deadline: Instant
    ) async throws(ClusterFault) -> SignLinkAnswer {
        let head = SignLinkRequest(policy: policy).encoded
        return try await self.askLeader(
            of: .system, PeerRequest(kind: MetaCallKind.signLink, head: head), deadline: deadline
        ) { (answer: SignLinkAnswer) in .answer(answer) }
    }

    private func group(
        of slot: Slot, deadline: Instant
    ) async throws(ClusterFault) -> GroupID {
        while true {
            if let group = self.group(owning: slot) { return group }
            try await self.pause(before: deadline)
            try await self.refreshTables()
        }
    }
}
