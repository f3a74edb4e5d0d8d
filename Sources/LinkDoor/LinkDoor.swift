import Catalog
import ClusterClient
import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import ObjectAccess
import ObjectExchange
import Primitives
import Signing
import Telemetry

/// Serves signed links: whoever holds one may do what it says, and needs no account. An edge checks
/// links by public keys alone; to make one it asks a meta node.
package struct LinkDoor: Sendable {
    /// The paths of this door begin so.
    package static let pathPrefix = Array("/f/".utf8)

    let environment: any Environment
    let access: ObjectAccess
    let cluster: ClusterClient
    let authenticator: RequestAuthenticator
    let keys: LinkKeyRing
    let proven = ProvenLinks()
    let scopes: LinkScopes
    private let metrics: LinkMetrics

    package init(
        environment: any Environment, access: ObjectAccess, cluster: ClusterClient,
        authenticator: RequestAuthenticator, registry: MetricsRegistry
    ) {
        self.environment = environment
        self.access = access
        self.cluster = cluster
        self.authenticator = authenticator
        self.keys = LinkKeyRing(environment: environment, source: cluster)
        self.scopes = LinkScopes(environment: environment, source: access)
        self.metrics = LinkMetrics(registry)
    }

    package func respond(to exchange: DoorExchange) async {
        do throws(S3Refusal) {
            let rawPath = exchange.head.path.dropFirst(Self.pathPrefix.count)
            if exchange.head.method == .post {
                switch try LinkCall(rawQuery: exchange.head.query) {
                case .make: try await self.makeLink(rawPath, exchange)
                case .revokeLink: try await self.revokeLink(exchange)
                case .revokeAll: try await self.revokeAllLinks(rawPath, exchange)
                }
            } else {
                try await self.follow(rawPath, exchange)
            }
        } catch {
            await exchange.refuse(error)
        }
    }

    /// Does what the request's link allows.
    private func follow(
        _ rawPath: ArraySlice<UInt8>, _ exchange: DoorExchange
    ) async throws(S3Refusal) {
        let link = try await self.authenticLink(exchange)
        try self.cluster.clock.mustBeFitForEdges()
        let now = self.environment.wallClock
        let request = LinkRequest(
            method: exchange.head.method.description, rawPath: rawPath,
            client: IPAddress(exchange.request.remoteAddress.host), now: now)
        if let refusal = link.refusal(of: request) { throw self.refused(refusal) }
        // The bucket is asked for only once all else holds.
        let (bucket, key) = try Self.target(rawPath)
        let scope: LinkScope
        do throws(AccessFault) {
            scope = try await self.scopes.scope(of: bucket, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        let isRevoked = scope.revoked.contains(link.policy.id.rawValue)
        if let refusal = link.withdrawal(epochs: scope.epochs, isRevoked: isRevoked) {
            throw self.refused(refusal)
        }
        self.metrics.allowed()
        switch exchange.head.method {
        case .get, .head:
            var answer = ObjectAnswer()
            answer.overrides = [("cache-control", Self.freshness(of: link.policy, now))]
            answer.onlyVersion = link.policy.version
            answer.age = .bounded
            answer.ranges = .several
            try await answer.give(key, in: bucket, of: self.access, to: exchange)
        case .put: try await self.put(key, in: bucket, link.policy, exchange)
        case .delete: try await self.delete(key, in: bucket, exchange)
        case .post, .options, .patch, .other: throw S3Refusal(.methodNotAllowed)
        }
    }

    /// What a link to a bucket is bound to: that very bucket. One that is made by the same name later
    /// may be another person's, and opens to none of the earlier links.
    package static func epochs(of links: BucketLinks) -> LinkEpochs {
        LinkEpochs(bucket: Epoch(links.epoch.rawValue), maker: Epoch(0))
    }

    private func refused(_ refusal: LinkRefusal) -> S3Refusal {
        self.metrics.refused(refusal)
        return S3Refusal(of: refusal)
    }

    /// The link in the query, if a key of this cluster made it.
    func authenticLink(_ exchange: DoorExchange) async throws(S3Refusal) -> Link {
        let read: Link?
        do throws(LinkRefusal) {
            read = try Link.read(rawQuery: Array(exchange.head.query ?? []))
        } catch { throw self.refused(error) }
        guard let link = read else { throw S3Refusal(.accessDenied) }
        let keys = try await self.keys.current(exchange)
        guard let key = keys[link.policy.keyID] else {
            throw self.refused(.unknownKey(link.policy.keyID))
        }
        if self.proven.contains(link, by: key) { return link }
        guard link.isAuthentic({ key.isValid(signature: $0, of: $1) }) else {
            throw self.refused(.badSignature)
        }
        self.proven.insert(link, by: key)
        return link
    }

    /// A copy may be kept by whoever fetched it, for as long as a withdrawn link may go on working
    /// anyway, and never past the link's end.
    package static let longestFreshnessSeconds: Int64 = 60

    package static func freshness(of policy: LinkPolicy, _ now: Timestamp) -> String {
        let rest = max(0, policy.expirySeconds - now.seconds)
        return "private, max-age=\(min(rest, Self.longestFreshnessSeconds))"
    }

    package static func target(
        _ rawPath: ArraySlice<UInt8>
    ) throws(S3Refusal) -> (BucketName, ObjectKey) {
        guard let bytes = PercentCoding.decode(rawPath) else {
            throw S3Refusal(.invalidURI)
        }
        let slash = bytes.firstIndex(of: UInt8(ascii: "/")) ?? bytes.endIndex
        guard let name = String(validating: bytes[..<slash], as: UTF8.self),
            let bucket = BucketName(name)
        else { throw S3Refusal(.invalidBucketName) }
        guard let key = ObjectKey(utf8: Array(bytes[slash...].dropFirst())) else {
            throw S3Refusal(.invalidURI)
        }
        return (bucket, key)
    }

    // MARK: Writing

    private func put(
        _ key: ObjectKey, in bucket: BucketName, _ policy: LinkPolicy, _ exchange: DoorExchange
    ) async throws(S3Refusal) {
        let head = exchange.head
        if head.framing == .none, !head.fields.contains("content-length") {
            throw S3Refusal(.missingContentLength)
        }
        let limitBytes = policy.bodyLimitBytes ?? .max
        if let length = head.contentLength, length > limitBytes {
            throw S3Refusal(.entityTooLarge)
        }
        let body = ExchangeBody(exchange, limitBytes: limitBytes)
        let options = try PutOptions(head)
        let stored: StoredObject
        do throws(AccessFault) {
            stored = try await self.access.put(
                key, in: bucket, body, options, on: exchange.loop, deadline: exchange.deadline)
        } catch { throw body.refusal ?? S3Refusal(of: error) }
        var fields = exchange.makeFields()
        if let tag = HTTPSyntax.EntityTag(stored.entityTag.text) { fields.add(etag: tag) }
        fields.addChecked("x-holdfast-sha256", Hex.encode(stored.sha256))
        await exchange.respond(.ok, fields)
    }

    private func delete(
        _ key: ObjectKey, in bucket: BucketName, _ exchange: DoorExchange
    ) async throws(S3Refusal) {
        let precondition = try ObjectPrecondition(exchange.head.fields)
        do throws(AccessFault) {
            try await self.access.delete(
                key, in: bucket, precondition: precondition, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        await exchange.respond(.noContent, exchange.makeFields())
    }
}

extension S3Refusal {
    /// 403 for every refused link; the message says why, for whoever was sent it.
    package init(of refusal: LinkRefusal) {
        let reason =
            switch refusal {
            case .malformed: "This is no link"
            case .unknownKey(let id): "The link's key \(id) is not known"
            case .badSignature: "The link's signature does not hold"
            case .notYetValid: "The link is not valid yet"
            case .expired: "The link has expired"
            case .wrongMethod: "The link does not allow this method"
            case .wrongPath: "The link is for another name"
            case .wrongNetwork: "The link is not valid from here"
            case .staleEpoch, .revoked: "The link was withdrawn"
            }
        self.init(.accessDenied, reason)
        if case .expired(let seconds) = refusal {
            self.details = [
                Detail(
                    "Expires", ISOTime.textInSeconds(Timestamp(milliseconds: seconds * 1_000)))
            ]
        }
    }
}
