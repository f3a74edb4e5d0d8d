import Catalog
import IORuntime
import ObjectAccess
import Primitives
import Signing
import Synchronization

/// What decides whether the links into a bucket still hold.
package struct LinkScope: Sendable {
    package let bucket: Bucket
    /// Of the moment of the list: it may be later than the bucket.
    package let links: BucketLinks
    /// The numbers of the links that were withdrawn one by one.
    package let revoked: Set<UInt64>

    init(_ bucket: Bucket, links: BucketLinks? = nil, revoked: Set<UInt64> = []) {
        self.bucket = bucket
        self.links = links ?? bucket.links
        self.revoked = revoked
    }

    /// What links into the bucket must carry.
    package var epochs: LinkEpochs { LinkDoor.epochs(of: self.links) }
}

/// Where an edge learns of it.
package protocol LinkScopeSource: Sendable {
    /// As it was known a second ago at most.
    func knownBucket(_ name: BucketName, deadline: Instant) async throws(AccessFault) -> Bucket
    /// As it is now; nil where there is no such bucket.
    func revokedLinks(
        of bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> RevokedLinks?
}

extension ObjectAccess: LinkScopeSource {}

/// The scopes of links, as an edge may believe them: a second old at most where metadata answers,
/// and five seconds where it is silent. Later no link opens anything, since it may be withdrawn.
///
/// A bucket says itself which list of revoked links stands beside it, so the list is asked for when
/// it has changed and never else.
package final class LinkScopes: Sendable {
    /// How long metadata is waited for before what it said last counts.
    package static let patience: Duration = .milliseconds(500)
    /// From the answer on; what the answer came from may have been known for a second by then.
    package static let lifetime: Duration = .seconds(4)
    /// Buckets remembered together; when there are more, all are forgotten.
    private static let mostBuckets = 10_000
    /// Lists remembered together, 64 KiB each at most.
    private static let mostLists = 256
    /// A list never changes under its name; so long it may take up room.
    private static let listLifetime: Duration = .seconds(600)

    private struct ListName: Hashable {
        let bucket: BucketName
        let revision: VersionID
    }

    private struct Known: Sendable {
        let scope: LinkScope
        let seen: Instant
    }

    private let environment: any Environment
    private let source: any LinkScopeSource
    private let lists = FactCache<ListName, LinkScope, AccessFault>(
        lifetime: LinkScopes.listLifetime, mostFacts: LinkScopes.mostLists, mostAbsences: 0)
    private let known = Mutex<[BucketName: Known]>([:])

    package init(environment: any Environment, source: any LinkScopeSource) {
        self.environment = environment
        self.source = source
    }

    package func scope(
        of name: BucketName, deadline: Instant
    ) async throws(AccessFault) -> LinkScope {
        let patience = self.environment.now + Self.patience
        do throws(AccessFault) {
            let scope = try await self.ask(name, deadline: min(deadline, patience))
            self.remember(scope)
            return scope
        } catch {
            guard case .unavailable = error, let scope = self.remembered(name) else { throw error }
            return scope
        }
    }

    /// What was just changed here is asked for anew.
    func forget(_ name: BucketName) {
        self.known.withLock { $0[name] = nil }
    }

    private func ask(_ name: BucketName, deadline: Instant) async throws(AccessFault) -> LinkScope {
        let bucket = try await self.source.knownBucket(name, deadline: deadline)
        guard bucket.links.revokedCount > 0 else { return LinkScope(bucket) }
        let list = ListName(bucket: name, revision: bucket.links.revision)
        let scope = try await self.lists.fact(list, in: self.environment) {
            () async throws(AccessFault) -> LinkScope? in
            let found = try await self.source.revokedLinks(of: name, deadline: deadline)
            return found.map { found in
                LinkScope(
                    bucket, links: found.links, revoked: Set(found.revoked.map(\.number)))
            }
        }
        guard let scope else { throw .noSuchBucket(name) }
        return scope
    }

    private func remember(_ scope: LinkScope) {
        let now = self.environment.now
        self.known.withLock { known in
            if known.count >= Self.mostBuckets { known.removeAll() }
            known[scope.bucket.name] = Known(scope: scope, seen: now)
        }
    }

    private func remembered(_ name: BucketName) -> LinkScope? {
        let now = self.environment.now
        return self.known.withLock { known in
            guard let found = known[name], now - found.seen < Self.lifetime else { return nil }
            return found.scope
        }
    }
}
