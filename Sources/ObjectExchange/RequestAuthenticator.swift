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
    package let acceptance: SigV4Acceptance
    /// What the chunks of a signed `aws-chunked` body are checked by.
    package let key: SigV4SigningKey
}

/// Where the keys come from that check one day's signatures.
package protocol SigningKeySource: Sendable {
    /// Nil when there is no such access key, or it is disabled.
    func signingKey(
        of accessKey: AccessKeyID, scope: SigV4Scope, deadline: Instant
    ) async throws(ClusterFault) -> (owner: OwnerID, key: SigV4SigningKey)?
}

extension ClusterClient: SigningKeySource {}

/// Finds out who signed a request with Signature Version 4. Keys are those of a day and a region,
/// fetched from metadata and believed for a second; the secrets themselves never come here.
package final class RequestAuthenticator: Sendable {
    private let environment: any Environment
    private let source: any SigningKeySource
    private let clock: ClockView
    private let rules = SigV4Rules()
    private let known = FactCache<KeyName, KnownKey, ClusterFault>(
        lifetime: RequestAuthenticator.keyLifetime, mostFacts: RequestAuthenticator.mostKeys,
        mostAbsences: RequestAuthenticator.mostAbsences)

    /// How long a disabled key may still open something, and a new one be refused where it was tried
    /// before it was made.
    private static let keyLifetime: Duration = .seconds(1)
    /// Keys remembered together.
    private static let mostKeys = 10_000
    /// Unknown keys remembered together, so that whoever repeats one costs metadata nothing.
    private static let mostAbsences = 1_000
    /// What meta nodes take of a region's name.
    private static let regionLimitBytes = 64

    private struct KeyName: Hashable {
        let accessKey: String
        let scope: SigV4Scope
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

    /// Throws when the request carries no signature, or one that does not hold.
    package func authenticate(_ exchange: DoorExchange) async throws(S3Refusal) -> Requester {
        let request = SignableRequest(exchange.head)
        let read: SigV4Claim?
        do throws(SigV4Refusal) {
            read = try SigV4Claim.read(request, rules: self.rules)
        } catch { throw S3Refusal(of: error) }
        guard let claim = read else { throw S3Refusal(.accessDenied) }
        try self.clock.mustBeFitForEdges()
        let (owner, key) = try await self.key(for: claim, exchange)
        let verdict = claim.verdict(
            on: request, key: key, now: self.environment.wallClock, rules: self.rules,
            using: OpenSSLPrimitives())
        switch verdict {
        case .accepted(let acceptance):
            return Requester(owner: owner, acceptance: acceptance, key: key)
        case .refused(let refusal): throw S3Refusal(of: refusal)
        }
    }

    private func key(
        for claim: SigV4Claim, _ exchange: DoorExchange
    ) async throws(S3Refusal) -> (OwnerID, SigV4SigningKey) {
        let unknown = SigV4Refusal.unknownAccessKey(claim.accessKey)
        guard let accessKey = AccessKeyID(claim.accessKey),
            claim.scope.region.utf8.count <= Self.regionLimitBytes
        else { throw S3Refusal(of: unknown) }
        let found: KnownKey?
        do throws(ClusterFault) {
            found = try await self.known.fact(
                KeyName(accessKey: claim.accessKey, scope: claim.scope), in: self.environment
            ) { () async throws(ClusterFault) -> KnownKey? in
                let found = try await self.source.signingKey(
                    of: accessKey, scope: claim.scope, deadline: exchange.deadline)
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
