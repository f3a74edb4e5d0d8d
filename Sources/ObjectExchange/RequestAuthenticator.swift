import Catalog
import ClusterClient
import Cryptography
import HTTPSyntax
import IORuntime
import ObjectAccess
import Primitives
import Signing

/// Who sent a request, and what its body has yet to prove.
package struct Requester: Sendable {
    package let owner: OwnerID
    package let payload: SigV4Payload
    /// What the chunks of a signed `aws-chunked` body are held against; nil where the request's
    /// signature can have none behind it.
    package let chain: SigV4ChunkChain?
}

/// Where the keys come from that check one day's signatures.
package protocol SigningKeySource: Sendable {
    /// Nil when there is no such access key, or it is disabled.
    func signingKey(
        of accessKey: AccessKeyID, scope: SigV4Scope, deadline: Instant
    ) async throws(ClusterFault) -> (owner: OwnerID, key: SigV4SigningKey)?

    /// Whether a signature of version 2 over `text` is the key's.
    func sigV2Proof(
        of accessKey: AccessKeyID, over text: [UInt8], signature: [UInt8], deadline: Instant
    ) async throws(ClusterFault) -> SigV2Proof
}

extension ClusterClient: SigningKeySource {}

/// Finds out who signed a request. For Signature Version 4 the keys are those of a day and a region,
/// fetched from metadata and believed for a second; a signature of version 2 is judged by metadata,
/// and its verdict believed for as long. The secrets themselves never come here.
package final class RequestAuthenticator: Sendable {
    private let environment: any Environment
    private let source: any SigningKeySource
    private let clock: ClockView
    private let rules = SigV4Rules()
    private let known = FactCache<KeyName, KnownKey, ClusterFault>(
        lifetime: RequestAuthenticator.keyLifetime, mostFacts: RequestAuthenticator.mostKeys,
        mostAbsences: RequestAuthenticator.mostAbsences)

    private let proofs = FactCache<ProofName, SigV2Proof, ClusterFault>(
        lifetime: RequestAuthenticator.keyLifetime, mostFacts: RequestAuthenticator.mostProofs,
        mostAbsences: 0)

    /// How long a disabled key may still open something, and a new one be refused where it was tried
    /// before it was made.
    private static let keyLifetime: Duration = .seconds(1)
    /// Keys remembered together.
    private static let mostKeys = 10_000
    /// Unknown keys remembered together, so that whoever repeats one costs metadata nothing.
    private static let mostAbsences = 1_000
    /// Verdicts on signatures of version 2 remembered together, refusals among them.
    private static let mostProofs = 1_000
    /// What meta nodes take of a region's name.
    private static let regionLimitBytes = 64

    private struct KeyName: Hashable {
        let accessKey: String
        let scope: SigV4Scope
    }

    private struct ProofName: Hashable {
        let accessKey: String
        /// Of the text, which may be long, and of the signature behind it.
        let sha256: [UInt8]
    }

    private struct KnownKey {
        let owner: OwnerID
        let key: SigV4SigningKey
    }

    package init(
        environment: any Environment, source: any SigningKeySource, clock: ClockView
    ) {
        self.environment = environment
        self.source = source
        self.clock = clock
    }

    /// What signatures and policies are judged by.
    package var wallClock: Timestamp { self.environment.wallClock }

    /// Throws when the request carries no signature, or one that does not hold.
    package func authenticate(_ exchange: DoorExchange) async throws(S3Refusal) -> Requester {
        let request = SignableRequest(exchange.head)
        let old: SigV2Claim?
        let new: SigV4Claim?
        do throws(SigV4Refusal) {
            old = try SigV2Claim.read(request)
            new = old == nil ? try SigV4Claim.read(request, rules: self.rules) : nil
        } catch { throw S3Refusal(of: error) }
        if let old { return try await self.authenticate(old, exchange) }
        guard let claim = new else { throw S3Refusal(.accessDenied) }
        try self.clock.mustBeFitForEdges()
        let (owner, key) = try await self.key(
            of: claim.accessKey, claim.scope, deadline: exchange.deadline)
        let verdict = claim.verdict(
            on: request, key: key, now: self.environment.wallClock, rules: self.rules,
            using: OpenSSLPrimitives())
        switch verdict {
        case .accepted(let acceptance):
            return Requester(
                owner: owner, payload: acceptance.payload,
                chain: SigV4ChunkChain(acceptance, key: key))
        case .refused(let refusal): throw S3Refusal(of: refusal)
        }
    }

    private func authenticate(
        _ claim: SigV2Claim, _ exchange: DoorExchange
    ) async throws(S3Refusal) -> Requester {
        try self.clock.mustBeFitForEdges()
        if let refusal = claim.refusalOfTime(now: self.environment.wallClock) {
            throw S3Refusal(of: refusal)
        }
        let owner = try await self.owner(
            of: claim.accessKey, proving: claim.stringToSign, claim.signature,
            deadline: exchange.deadline)
        guard let owner else {
            var refusal = S3Refusal(.signatureDoesNotMatch)
            refusal.details = [.init("StringToSign", claim.stringToSign)]
            throw refusal
        }
        return Requester(owner: owner, payload: .unsigned, chain: nil)
    }

    // MARK: Forms

    /// Who signed the policy of a browser's form. Whether the policy allows the form is not judged.
    ///
    /// - Parameters:
    ///   - policy: in the Base64 that it was sent in.
    ///   - field: the value of a form's field, by its name in lower case.
    package func signer(
        ofPolicy policy: String, _ field: (String) -> String?, deadline: Instant
    ) async throws(S3Refusal) -> OwnerID {
        try self.clock.mustBeFitForEdges()
        if let accessKey = field("awsaccesskeyid") {
            guard let signature = field("signature").flatMap({ Base64.decode($0) }),
                signature.count == SigV2Claim.signatureBytes
            else { throw S3Refusal(.signatureDoesNotMatch) }
            let owner = try await self.owner(
                of: accessKey, proving: policy, signature, deadline: deadline)
            guard let owner else { throw S3Refusal(.signatureDoesNotMatch) }
            return owner
        }
        let claim: SigV4FormClaim
        do throws(SigV4Refusal) { claim = try SigV4FormClaim.read(field) } catch {
            throw S3Refusal(of: error)
        }
        let (owner, key) = try await self.key(
            of: claim.accessKey, claim.scope, deadline: deadline)
        guard claim.holds(for: policy, key: key, using: OpenSSLPrimitives()) else {
            throw S3Refusal(.signatureDoesNotMatch)
        }
        return owner
    }

    /// Nil when the signature is not the key's.
    private func owner(
        of accessKey: String, proving text: String, _ signature: [UInt8], deadline: Instant
    ) async throws(S3Refusal) -> OwnerID? {
        let unknown = SigV4Refusal.unknownAccessKey(accessKey)
        guard let id = AccessKeyID(accessKey) else { throw S3Refusal(of: unknown) }
        let text = Array(text.utf8)
        guard text.count <= SigV2ProofRequest.textLimitBytes else {
            throw S3Refusal(.invalidArgument, "What was signed is too long")
        }
        let name = ProofName(accessKey: accessKey, sha256: SHA256.hash(text + signature))
        let proof: SigV2Proof?
        do throws(ClusterFault) {
            proof = try await self.proofs.fact(name, in: self.environment) {
                () async throws(ClusterFault) -> SigV2Proof? in
                try await self.source.sigV2Proof(
                    of: id, over: text, signature: signature, deadline: deadline)
            }
        } catch { throw S3Refusal(of: error) }
        switch proof {
        case .holds(let owner): return owner
        case .differs: return nil
        case .unknownKey, nil: throw S3Refusal(of: unknown)
        }
    }

    // MARK: Keys

    private func key(
        of name: String, _ scope: SigV4Scope, deadline: Instant
    ) async throws(S3Refusal) -> (OwnerID, SigV4SigningKey) {
        let unknown = SigV4Refusal.unknownAccessKey(name)
        guard let accessKey = AccessKeyID(name),
            scope.region.utf8.count <= Self.regionLimitBytes
        else { throw S3Refusal(of: unknown) }
        let found: KnownKey?
        do throws(ClusterFault) {
            found = try await self.known.fact(
                KeyName(accessKey: name, scope: scope), in: self.environment
            ) { () async throws(ClusterFault) -> KnownKey? in
                let found = try await self.source.signingKey(
                    of: accessKey, scope: scope, deadline: deadline)
                return found.map { KnownKey(owner: $0.owner, key: $0.key) }
            }
        } catch { throw S3Refusal(of: error) }
        guard let found else { throw S3Refusal(of: unknown) }
        return (found.owner, found.key)
    }
}

extension ClockView {
    /// Throws where this edge's clock is not known to be right: a signature's or a link's time would
    /// be judged by it, and another edge judges better.
    package func mustBeFitForEdges() throws(S3Refusal) {
        guard !self.isFitForEdges else { return }
        let offset = self.verdict.offset
        throw S3Refusal(
            .serviceUnavailable,
            cause: offset.map { "the clock is off by \($0)" } ?? "the time is not known yet")
    }
}

extension SignableRequest {
    /// The request as it stood on the wire.
    package init(_ head: RequestHead) {
        let headers = (0..<head.fields.count).map { index in
            Header(
                String(decoding: head.fields.name(at: index), as: UTF8.self),
                Array(head.fields.value(at: index)))
        }
        self.init(
            method: head.method.description, rawPath: Array(head.path),
            rawQuery: Array(head.query ?? []), headers: headers)
    }
}
