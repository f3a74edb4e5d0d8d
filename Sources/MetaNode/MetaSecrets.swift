import Catalog
import ClusterClient
import Cryptography
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Signing
import Telemetry
import Wire

/// What only meta nodes may do, because only they hold the master key: unwrap the secrets that rest
/// in the groups, and use them for one thing at a time.
package struct MetaSecrets: Sendable {
    /// The contexts that secrets are wrapped for; text that is in envelopes for ever.
    package enum Context {
        package static func accessKey(_ id: AccessKeyID) -> String { "secret of access key \(id)" }
        package static func bucket(_ name: BucketName) -> String { "key of bucket \(name)" }
        package static func linkKey(_ id: String) -> String { "private key of link key \(id)" }
    }

    let masterKey: MasterKey

    package init(masterKey: MasterKey) { self.masterKey = masterKey }

    func signingKey(of key: AccessKey, scope: SigV4Scope) -> SigV4SigningKey? {
        guard
            let secret = self.masterKey.unwrap(
                key.wrappedSecret, context: Context.accessKey(key.id))
        else { return nil }
        return SigV4SigningKey(
            secret: String(decoding: secret, as: UTF8.self), scope: scope,
            using: OpenSSLPrimitives())
    }

    func key(of bucket: Bucket) -> [UInt8]? {
        self.masterKey.unwrap(bucket.wrappedKey, context: Context.bucket(bucket.name))
    }

    func makeBucketKey(for name: BucketName, randomness: (Int) -> [UInt8]) -> WrappedKey {
        WrappedKey(
            bytes: self.masterKey.wrap(
                randomness(SymmetricKey.sizeBytes), context: Context.bucket(name),
                nonce: randomness(MasterKey.nonceSizeBytes)))
    }

    func sign(_ policy: LinkPolicy, with key: LinkKey) -> SignLinkAnswer {
        guard
            let number = UInt32(key.id),
            let seed = self.masterKey.unwrap(
                key.wrappedPrivateKey, context: Context.linkKey(key.id)),
            let privateKey = Ed25519PrivateKey(seed: seed)
        else { return .noKey }
        var policy = policy
        policy.keyID = LinkKeyID(number)
        let signer = LinkSigner { privateKey.sign($0) }
        return signer.link(for: policy).map { .signed(query: $0.query) } ?? .unsound
    }
}

extension MetaNode {
    /// Answers the calls that need the master key.
    nonisolated func answerSecret(
        _ request: PeerRequest
    ) async throws(FormatFault) -> PeerAnswer {
        let outcome: Result<any WireMessage, StoreFault>
        switch request.kind {
        case MetaCallKind.signingKey:
            outcome = await self.signingKey(try SigningKeyRequest(decoding: request.head))
        case MetaCallKind.bucketKey:
            outcome = await self.bucketKey(try BucketKeyRequest(decoding: request.head))
        case MetaCallKind.makeBucketKey:
            let bucket = try MakeBucketKeyRequest(decoding: request.head).bucket
            outcome = .success(
                self.secrets.makeBucketKey(for: bucket, randomness: self.environment.randomBytes))
        case MetaCallKind.signLink:
            outcome = await self.signLink(try SignLinkRequest(decoding: request.head))
        default:
            return .refused(
                code: MetaCallRefusal.unknownKind,
                message: "a meta node does not answer calls of kind \(request.kind)")
        }
        switch outcome {
        case .success(let message):
            return .response(PeerResponse(head: message.encoded))
        case .failure(let fault):
            return .refused(
                code: MetaCallRefusal.state, message: "the state cannot be read: \(fault)")
        }
    }

    private nonisolated func signingKey(
        _ request: SigningKeyRequest
    ) async -> Result<any WireMessage, StoreFault> {
        await self.read(request.group, .accessKey(request.accessKey)) { outcome in
            switch outcome {
            case .answer(.accessKey(let key), _) where key.state == .active:
                guard let signingKey = self.secrets.signingKey(of: key, scope: request.scope)
                else { return SigningKeyAnswer.absent }
                return SigningKeyAnswer.found(owner: key.owner, signingKey)
            case .answer(.slotNotOwned, _):
                return SigningKeyAnswer.slotNotOwned
            case .answer: return SigningKeyAnswer.absent
            case .refused(let refusal): return SigningKeyAnswer.refused(refusal)
            }
        }
    }

    private nonisolated func bucketKey(
        _ request: BucketKeyRequest
    ) async -> Result<any WireMessage, StoreFault> {
        await self.read(request.group, .bucket(request.bucket)) { outcome in
            switch outcome {
            case .answer(.bucket(let bucket), _):
                guard let key = self.secrets.key(of: bucket) else {
                    return BucketKeyAnswer.noSuchBucket
                }
                return BucketKeyAnswer.found(bucket.withoutKey, key: key)
            case .answer(.slotNotOwned, _): return BucketKeyAnswer.slotNotOwned
            case .answer: return BucketKeyAnswer.noSuchBucket
            case .refused(let refusal): return BucketKeyAnswer.refused(refusal)
            }
        }
    }

    /// By the newest link key this replica knows; any meta node can do it.
    private nonisolated func signLink(
        _ request: SignLinkRequest
    ) async -> Result<any WireMessage, StoreFault> {
        let query = QueryRequest(group: .system, freshness: .local, query: .linkKeys)
        return await self.query(query).map { outcome in
            guard case .answer(.linkKeys(let keys), _) = outcome,
                let newest = keys.filter({ $0.algorithm == .ed25519 })
                    .max(by: { (UInt32($0.id) ?? 0) < (UInt32($1.id) ?? 0) })
            else { return SignLinkAnswer.noKey }
            return self.secrets.sign(request.policy, with: newest)
        }
    }

    private nonisolated func read(
        _ group: GroupID, _ query: CatalogQuery,
        _ answer: (QueryAnswer) -> any WireMessage
    ) async -> Result<any WireMessage, StoreFault> {
        let request = QueryRequest(group: group, freshness: .linearizable, query: query)
        return await self.query(request).map(answer)
    }
}
