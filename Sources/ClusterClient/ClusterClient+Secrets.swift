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
        try await self.askOwner(of: accessKey.slot, MetaCallKind.signingKey, deadline: deadline) {
            SigningKeyRequest(group: $0, accessKey: accessKey, scope: scope)
        } _: { (answer: SigningKeyAnswer) -> OwnerReply<(owner: OwnerID, key: SigV4SigningKey)?> in
            switch answer {
            case .found(let owner, let key): .leader(.answer((owner, key)))
            case .absent: .leader(.answer(nil))
            case .slotNotOwned: .slotNotOwned
            case .refused(let refusal): .leader(.refused(refusal))
            }
        }
    }

    /// Whether `signature` is an access key's over `text`, by HMAC with SHA-1.
    package func sigV2Proof(
        of accessKey: AccessKeyID, over text: [UInt8], signature: [UInt8], deadline: Instant
    ) async throws(ClusterFault) -> SigV2Proof {
        try await self.askOwner(of: accessKey.slot, MetaCallKind.sigV2Proof, deadline: deadline) {
            SigV2ProofRequest(group: $0, accessKey: accessKey, text: text, signature: signature)
        } _: { (answer: SigV2ProofAnswer) -> OwnerReply<SigV2Proof> in
            switch answer {
            case .holds(let owner): .leader(.answer(.holds(owner: owner)))
            case .differs: .leader(.answer(.differs))
            case .absent: .leader(.answer(.unknownKey))
            case .slotNotOwned: .slotNotOwned
            case .refused(let refusal): .leader(.refused(refusal))
            }
        }
    }

    /// A bucket with its key, for a request that was authorised; nil when there is no such bucket.
    package func bucketWithKey(
        _ name: BucketName, deadline: Instant
    ) async throws(ClusterFault) -> (bucket: Bucket, key: [UInt8])? {
        try await self.askOwner(of: name.slot, MetaCallKind.bucketKey, deadline: deadline) {
            BucketKeyRequest(group: $0, bucket: name)
        } _: { (answer: BucketKeyAnswer) -> OwnerReply<(bucket: Bucket, key: [UInt8])?> in
            switch answer {
            case .found(let bucket, let key): .leader(.answer((bucket, key)))
            case .noSuchBucket: .leader(.answer(nil))
            case .slotNotOwned: .slotNotOwned
            case .refused(let refusal): .leader(.refused(refusal))
            }
        }
    }

    /// A fresh key for a bucket, wrapped by the master key in force.
    package func makeBucketKey(
        for bucket: BucketName, deadline: Instant
    ) async throws(ClusterFault) -> WrappedKey {
        let head = MakeBucketKeyRequest(bucket: bucket).encoded
        return try await self.askLeader(
            of: .system, PeerRequest(kind: MetaCallKind.makeBucketKey, head: head),
            deadline: deadline
        ) { (answer: MakeBucketKeyAnswer) in
            switch answer {
            case .made(let key): .answer(key)
            case .refused(let refusal): .refused(refusal)
            }
        }
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

    private enum OwnerReply<Value> {
        case leader(LeaderReply<Value>)
        /// The table here is older than the group's own rows.
        case slotNotOwned
    }

    /// Asks the group that owns a slot, and its next owner where the slot has moved.
    private func askOwner<Answer: WireMessage, Value>(
        of slot: Slot, _ kind: UInt16, deadline: Instant,
        _ request: (GroupID) -> any WireMessage, _ read: (Answer) -> OwnerReply<Value>
    ) async throws(ClusterFault) -> Value {
        while true {
            let group = try await self.owner(of: slot, deadline: deadline)
            let answer = try await self.askLeader(
                of: group, PeerRequest(kind: kind, head: request(group).encoded),
                deadline: deadline
            ) { (answer: Answer) -> LeaderReply<Value?> in
                switch read(answer) {
                case .leader(.answer(let value)): .answer(value)
                case .leader(.refused(let refusal)): .refused(refusal)
                case .leader(.malformed(let reason)): .malformed(reason)
                case .slotNotOwned: .answer(nil)
                }
            }
            if let answer { return answer }
            try await self.slotMoved(deadline: deadline)
        }
    }
}
