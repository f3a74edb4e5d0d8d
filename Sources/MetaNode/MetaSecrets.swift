import Catalog
import ClusterClient
import Cryptography
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Signing
import Synchronization
import Telemetry
import Wire

/// What only meta nodes may do, because only they hold the master keys: unwrap the secrets that rest
/// in the groups, and use them for one thing at a time.
package final class MetaSecrets: Sendable {
    /// The contexts that secrets are wrapped for; text that is in envelopes for ever.
    package enum Context {
        package static func accessKey(_ id: AccessKeyID) -> String { "secret of access key \(id)" }
        package static func bucket(_ name: BucketName) -> String { "key of bucket \(name)" }
        package static func linkKey(_ id: String) -> String { "private key of link key \(id)" }

        static func of(_ place: SecretPlace) -> String {
            switch place {
            case .bucket(let name): Self.bucket(name)
            case .accessKey(let id), .firstAccessKey(let id): Self.accessKey(id)
            case .linkKey(let id): Self.linkKey(id)
            }
        }
    }

    private let ring: Mutex<MasterKeyRing>
    /// What was last told of each matter that is looked at again and again.
    private let told = Mutex<[Matter: [MasterKeyID]]>([:])

    package init(_ ring: MasterKeyRing) { self.ring = Mutex(ring) }

    /// What a node tells of master keys, once until it changes.
    enum Matter {
        case missing
        case goneFromFile
        case waitsForNodes
        case outdated
    }

    /// Whether keys are told of for the first time, or anew after something else was; never for none.
    func isNews(_ keys: [MasterKeyID], of matter: Matter) -> Bool {
        self.told.withLock { told in
            let before = told.updateValue(keys, forKey: matter)
            return !keys.isEmpty && before != keys
        }
    }

    /// The keys that this process works with.
    package var masterKeys: MasterKeyRing { self.ring.withLock { $0 } }

    func replace(_ ring: MasterKeyRing) { self.ring.withLock { $0 = ring } }

    func signingKey(of key: AccessKey, scope: SigV4Scope) throws(UnwrapFault) -> SigV4SigningKey {
        let secret = try self.masterKeys.unwrap(
            key.wrappedSecret, context: Context.accessKey(key.id))
        return SigV4SigningKey(
            secret: String(decoding: secret, as: UTF8.self), scope: scope,
            using: OpenSSLPrimitives())
    }

    /// Whether a signature of version 2 is that of the key's secret.
    func holds(
        _ signature: [UInt8], over text: [UInt8], by key: AccessKey
    ) throws(UnwrapFault) -> Bool {
        let secret = try self.masterKeys.unwrap(
            key.wrappedSecret, context: Context.accessKey(key.id))
        return ConstantTime.equal(HMACSHA1.authenticate(text, key: secret), signature)
    }

    func key(of bucket: Bucket) throws(UnwrapFault) -> [UInt8] {
        try self.masterKeys.unwrap(bucket.wrappedKey, context: Context.bucket(bucket.name))
    }

    /// - Parameter wrapping: the key in force; nil before the first was chosen: the oldest held.
    func makeBucketKey(
        for name: BucketName, under wrapping: MasterKeyID?, randomness: (Int) -> [UInt8]
    ) throws(UnwrapFault) -> WrappedKey {
        let ring = self.masterKeys
        let id = wrapping ?? ring.ids[0]
        guard let master = ring[id] else { throw .keyMissing(id) }
        return WrappedKey(
            bytes: master.wrap(
                randomness(SymmetricKey.sizeBytes), context: Context.bucket(name),
                nonce: randomness(MasterKey.nonceSizeBytes)))
    }

    func sign(_ policy: LinkPolicy, with key: LinkKey) throws(UnwrapFault) -> SignLinkAnswer {
        let seed = try self.masterKeys.unwrap(
            key.wrappedPrivateKey, context: Context.linkKey(key.id))
        guard let number = UInt32(key.id), let privateKey = Ed25519PrivateKey(seed: seed) else {
            return .noKey
        }
        var policy = policy
        policy.keyID = LinkKeyID(number)
        let signer = LinkSigner { privateKey.sign($0) }
        return signer.link(for: policy).map { .signed(query: $0.query) } ?? .unsound
    }

    /// The same secret under another key.
    func rewrap(
        _ secret: StoredSecret, under wrapping: MasterKeyID, randomness: (Int) -> [UInt8]
    ) throws(UnwrapFault) -> RewrappedSecret {
        let ring = self.masterKeys
        let context = Context.of(secret.place)
        let plain = try ring.unwrap(secret.envelope, context: context)
        guard let master = ring[wrapping] else { throw .keyMissing(wrapping) }
        let nonce = randomness(MasterKey.nonceSizeBytes)
        return RewrappedSecret(
            place: secret.place, old: secret.envelope,
            new: master.wrap(plain, context: context, nonce: nonce))
    }
}

/// Why a call that needs a secret is not answered here.
private enum SecretFault: Error {
    case state(StoreFault)
    case unwrap(UnwrapFault)

    /// Whoever asked turns to another node.
    var refusal: PeerAnswer {
        switch self {
        case .state(let fault):
            .refused(
                code: MetaCallRefusal.state, message: "the state cannot be read: \(fault)")
        case .unwrap(.keyMissing(let id)):
            .refused(
                code: MetaCallRefusal.masterKeyMissing,
                message: "master key \(id) is not held here")
        case .unwrap(.damaged):
            .refused(code: MetaCallRefusal.state, message: "a stored secret does not open")
        }
    }
}

extension MetaNode {
    /// Answers the calls that need the master keys.
    nonisolated func answerSecret(
        _ request: PeerRequest
    ) async throws(FormatFault) -> PeerAnswer {
        let outcome: Result<any WireMessage, SecretFault>
        switch request.kind {
        case MetaCallKind.signingKey:
            outcome = await self.signingKey(try SigningKeyRequest(decoding: request.head))
        case MetaCallKind.sigV2Proof:
            outcome = await self.sigV2Proof(try SigV2ProofRequest(decoding: request.head))
        case MetaCallKind.bucketKey:
            outcome = await self.bucketKey(try BucketKeyRequest(decoding: request.head))
        case MetaCallKind.makeBucketKey:
            outcome = await self.makeBucketKey(try MakeBucketKeyRequest(decoding: request.head))
        case MetaCallKind.signLink:
            outcome = await self.signLink(try SignLinkRequest(decoding: request.head))
        case MetaCallKind.heldMasterKeys:
            outcome = .success(HeldMasterKeys(ids: self.secrets.masterKeys.ids))
        default:
            return .refused(
                code: MetaCallRefusal.unknownKind,
                message: "a meta node does not answer calls of kind \(request.kind)")
        }
        switch outcome {
        case .success(let message): return .response(PeerResponse(head: message.encoded))
        case .failure(let fault): return fault.refusal
        }
    }

    private nonisolated func signingKey(
        _ request: SigningKeyRequest
    ) async -> Result<any WireMessage, SecretFault> {
        await self.read(request.group, .accessKey(request.accessKey)) {
            outcome throws(UnwrapFault) in
            switch outcome {
            case .answer(.accessKey(let key), _) where key.state == .active:
                SigningKeyAnswer.found(
                    owner: key.owner,
                    try self.secrets.signingKey(of: key, scope: request.scope))
            case .answer(.slotNotOwned, _): SigningKeyAnswer.slotNotOwned
            case .answer: SigningKeyAnswer.absent
            case .refused(let refusal): SigningKeyAnswer.refused(refusal)
            }
        }
    }

    private nonisolated func sigV2Proof(
        _ request: SigV2ProofRequest
    ) async -> Result<any WireMessage, SecretFault> {
        await self.read(request.group, .accessKey(request.accessKey)) {
            outcome throws(UnwrapFault) in
            switch outcome {
            case .answer(.accessKey(let key), _) where key.state == .active:
                try self.secrets.holds(request.signature, over: request.text, by: key)
                    ? SigV2ProofAnswer.holds(owner: key.owner) : SigV2ProofAnswer.differs
            case .answer(.slotNotOwned, _): SigV2ProofAnswer.slotNotOwned
            case .answer: SigV2ProofAnswer.absent
            case .refused(let refusal): SigV2ProofAnswer.refused(refusal)
            }
        }
    }

    private nonisolated func bucketKey(
        _ request: BucketKeyRequest
    ) async -> Result<any WireMessage, SecretFault> {
        await self.read(request.group, .bucket(request.bucket)) { outcome throws(UnwrapFault) in
            switch outcome {
            case .answer(.bucket(let bucket), _):
                BucketKeyAnswer.found(
                    bucket.withoutKey, key: try self.secrets.key(of: bucket))
            case .answer(.slotNotOwned, _): BucketKeyAnswer.slotNotOwned
            case .answer: BucketKeyAnswer.noSuchBucket
            case .refused(let refusal): BucketKeyAnswer.refused(refusal)
            }
        }
    }

    /// Under the key that group 0 has in force now: what a leader of yesterday makes, it cannot make
    /// under a key of yesterday.
    private nonisolated func makeBucketKey(
        _ request: MakeBucketKeyRequest
    ) async -> Result<any WireMessage, SecretFault> {
        await self.read(.system, .masterKeys) { outcome throws(UnwrapFault) in
            switch outcome {
            case .answer(let answer, _):
                var wrapping: MasterKeyID?
                if case .masterKeys(let keys) = answer { wrapping = keys.wrapping }
                return MakeBucketKeyAnswer.made(
                    try self.secrets.makeBucketKey(
                        for: request.bucket, under: wrapping,
                        randomness: self.environment.randomBytes))
            case .refused(let refusal): return MakeBucketKeyAnswer.refused(refusal)
            }
        }
    }

    /// By the newest link key this replica knows; any meta node can do it.
    private nonisolated func signLink(
        _ request: SignLinkRequest
    ) async -> Result<any WireMessage, SecretFault> {
        let query = QueryRequest(group: .system, freshness: .local, query: .linkKeys)
        return await self.read(query) { outcome throws(UnwrapFault) in
            guard case .answer(.linkKeys(let keys), _) = outcome,
                let newest = keys.filter({ $0.algorithm == .ed25519 })
                    .max(by: { (UInt32($0.id) ?? 0) < (UInt32($1.id) ?? 0) })
            else { return SignLinkAnswer.noKey }
            return try self.secrets.sign(request.policy, with: newest)
        }
    }

    private nonisolated func read(
        _ group: GroupID, _ query: CatalogQuery,
        _ answer: (QueryAnswer) throws(UnwrapFault) -> any WireMessage
    ) async -> Result<any WireMessage, SecretFault> {
        await self.read(
            QueryRequest(group: group, freshness: .linearizable, query: query), answer)
    }

    private nonisolated func read(
        _ request: QueryRequest,
        _ answer: (QueryAnswer) throws(UnwrapFault) -> any WireMessage
    ) async -> Result<any WireMessage, SecretFault> {
        switch await self.query(request) {
        case .success(let outcome):
            do throws(UnwrapFault) { return .success(try answer(outcome)) } catch {
                return .failure(.unwrap(error))
            }
        case .failure(let fault): return .failure(.state(fault))
        }
    }
}
