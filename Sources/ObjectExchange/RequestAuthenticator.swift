import Catalog
import ClusterClient
import Cryptography
import HTTPSyntax
import IORuntime
import Primitives
import Signing
import Synchronization

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
    private let rules = SigV4Rules()
    private let known = Mutex<[KeyName: KnownKey]>([:])

    /// How long a disabled key may still open something.
    private static let keyLifetime: Duration = .seconds(1)
    /// From this age on the next request has the key fetched again, without waiting for it.
    private static let refreshAge: Duration = .milliseconds(500)
    /// Keys remembered together; when there are more, all are forgotten.
    private static let mostKeys = 10_000
    /// What meta nodes take of a region's name.
    private static let regionLimitBytes = 64

    private struct KeyName: Hashable {
        let accessKey: String
        let scope: SigV4Scope
    }

    private struct KnownKey {
        let owner: OwnerID
        let key: SigV4SigningKey
        let seen: Instant
        var isBeingRefreshed = false
    }

    package init(environment: any Environment, source: any SigningKeySource) {
        self.environment = environment
        self.source = source
    }

    /// Throws when the request carries no signature, or one that does not hold.
    package func authenticate(_ exchange: DoorExchange) async throws(S3Refusal) -> Requester {
        let request = SignableRequest(exchange.head)
        let read: SigV4Claim?
        do throws(SigV4Refusal) {
            read = try SigV4Claim.read(request, rules: self.rules)
        } catch { throw S3Refusal(of: error) }
        guard let claim = read else { throw S3Refusal(.accessDenied) }
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
        let name = KeyName(accessKey: claim.accessKey, scope: claim.scope)
        let now = self.environment.now
        let (known, isDue) = self.known.withLock { known -> (KnownKey?, Bool) in
            guard let found = known[name], now - found.seen < Self.keyLifetime else {
                return (nil, false)
            }
            let isDue = !found.isBeingRefreshed && now - found.seen >= Self.refreshAge
            if isDue { known[name]?.isBeingRefreshed = true }
            return (found, isDue)
        }
        if let known {
            if isDue {
                let deadline = exchange.deadline
                exchange.loop.spawn { await self.refresh(name, deadline: deadline) }
            }
            return (known.owner, known.key)
        }
        let found: (OwnerID, SigV4SigningKey)?
        do throws(ClusterFault) {
            found = try await self.fetch(name, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        guard let found else { throw S3Refusal(of: SigV4Refusal.unknownAccessKey(claim.accessKey)) }
        return found
    }

    private func refresh(_ name: KeyName, deadline: Instant) async {
        do throws(ClusterFault) {
            _ = try await self.fetch(name, deadline: deadline)
        } catch {
            // The key is believed to the end of its second, and then asked for again.
        }
    }

    private func fetch(
        _ name: KeyName, deadline: Instant
    ) async throws(ClusterFault) -> (OwnerID, SigV4SigningKey)? {
        guard let accessKey = AccessKeyID(name.accessKey),
            name.scope.region.utf8.count <= Self.regionLimitBytes
        else { return nil }
        // Its age counts from before the question, because the answer may be as old.
        let asked = self.environment.now
        let found = try await self.source.signingKey(
            of: accessKey, scope: name.scope, deadline: deadline)
        self.known.withLock { known in
            guard let found else {
                known[name] = nil
                return
            }
            if known.count >= Self.mostKeys { known.removeAll() }
            known[name] = KnownKey(owner: found.owner, key: found.key, seen: asked)
        }
        return found
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
