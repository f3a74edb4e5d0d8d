import Catalog
import ClusterClient
import Cryptography
import IORuntime
import ObjectExchange
import Primitives
import Signing
import Synchronization

/// Where the public halves of link keys come from.
package protocol LinkKeySource: Sendable {
    func linkKeys(deadline: Instant) async throws(ClusterFault) -> [LinkKey]
}

extension ClusterClient: LinkKeySource {
    package func linkKeys(deadline: Instant) async throws(ClusterFault) -> [LinkKey] {
        let answer = try await self.query(
            .linkKeys, in: .system, freshness: .linearizable, deadline: deadline)
        guard case .linkKeys(let keys) = answer else {
            throw .malformed("asking for link keys gave \(answer)")
        }
        return keys
    }
}

/// The public keys that links are checked by, never older than metadata's silence allows.
final class LinkKeyRing: Sendable {
    typealias Keys = [LinkKeyID: Ed25519PublicKey]

    /// Keys older than this are asked for again, in the background.
    private static let refreshAge: Duration = .seconds(1)
    /// Without word of metadata for so long no link opens anything: it may have been withdrawn.
    private static let lifetime: Duration = .seconds(5)
    /// For a refresh that nobody waits for; as long as the keys it renews may be believed.
    private static let refreshTimeout: Duration = .seconds(4)

    private struct Known {
        let keys: Keys
        let seen: Instant
        var isBeingRefreshed = false
    }

    private let environment: any Environment
    private let source: any LinkKeySource
    private let known = Mutex<Known?>(nil)

    init(environment: any Environment, source: any LinkKeySource) {
        self.environment = environment
        self.source = source
    }

    func current(_ exchange: DoorExchange) async throws(S3Refusal) -> Keys {
        let now = self.environment.now
        let (keys, isDue) = self.known.withLock { known -> (Keys?, Bool) in
            guard let found = known, now - found.seen < Self.lifetime else { return (nil, false) }
            let isDue = !found.isBeingRefreshed && now - found.seen >= Self.refreshAge
            if isDue { known?.isBeingRefreshed = true }
            return (found.keys, isDue)
        }
        if let keys {
            if isDue {
                let deadline = now + Self.refreshTimeout
                exchange.loop.spawn { await self.refresh(deadline: deadline) }
            }
            return keys
        }
        do throws(ClusterFault) {
            return try await self.fetch(deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
    }

    private func refresh(deadline: Instant) async {
        do throws(ClusterFault) {
            _ = try await self.fetch(deadline: deadline)
        } catch {
            self.known.withLock { $0?.isBeingRefreshed = false }
        }
    }

    private func fetch(deadline: Instant) async throws(ClusterFault) -> Keys {
        let asked = self.environment.now
        var keys: Keys = [:]
        for key in try await self.source.linkKeys(deadline: deadline) {
            guard key.algorithm == .ed25519, let id = UInt32(key.id),
                let publicKey = Ed25519PublicKey(bytes: key.publicKey)
            else { continue }
            keys[LinkKeyID(id)] = publicKey
        }
        let found = keys
        self.known.withLock { $0 = Known(keys: found, seen: asked) }
        return found
    }
}

/// Links whose signatures were found to hold. That never changes, so it is remembered; when they
/// end, and what they allow, is asked each time.
final class ProvenLinks: Sendable {
    /// Remembered together; when there are more, all are forgotten. About 1 KB each.
    private static let most = 8_192

    private struct Name: Hashable {
        let policy: LinkPolicy
        let signature: [UInt8]
        let publicKey: [UInt8]
    }

    private let names = Mutex<Set<Name>>([])

    func contains(_ link: Link, by key: Ed25519PublicKey) -> Bool {
        let name = Name(policy: link.policy, signature: link.signature, publicKey: key.bytes)
        return self.names.withLock { $0.contains(name) }
    }

    func insert(_ link: Link, by key: Ed25519PublicKey) {
        let name = Name(policy: link.policy, signature: link.signature, publicKey: key.bytes)
        self.names.withLock { names in
            if names.count >= Self.most { names.removeAll() }
            names.insert(name)
        }
    }
}
