import Catalog
import IORuntime
import LinkDoor
import ObjectAccess
import ObjectExchange
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

struct LinkScopesTests {
    /// Metadata with one bucket, that is silent now and then and counts the lists it gives.
    private final class Metadata: LinkScopeSource {
        struct State {
            var bucket: Bucket?
            var revoked: [RevokedLink] = []
            var isSilent = false
            var listsAsked = 0
        }
        let state: Mutex<State>
        let loop: any EventLoop

        init(_ bucket: Bucket?, _ loop: any EventLoop) {
            self.state = Mutex(State(bucket: bucket))
            self.loop = loop
        }

        func knownBucket(
            _ name: BucketName, deadline: Instant
        ) async throws(AccessFault) -> Bucket {
            try await self.answer(by: deadline)
            guard let bucket = self.state.withLock(\.bucket) else { throw .noSuchBucket(name) }
            return bucket
        }

        func revokedLinks(
            of bucket: BucketName, deadline: Instant
        ) async throws(AccessFault) -> RevokedLinks? {
            try await self.answer(by: deadline)
            return self.state.withLock { state in
                state.listsAsked += 1
                return state.bucket.map {
                    RevokedLinks(links: $0.links, revoked: state.revoked)
                }
            }
        }

        private func answer(by deadline: Instant) async throws(AccessFault) {
            guard self.state.withLock(\.isSilent) else { return }
            do { try await self.loop.sleep(for: deadline - self.loop.now) } catch {}
            throw .unavailable("no answer before the deadline")
        }

        /// Withdraws links as a command with this version would.
        func revoke(_ numbers: [UInt64], version: UInt64) {
            self.state.withLock { state in
                state.revoked = numbers.map { RevokedLink(expirySeconds: 9_999, number: $0) }
                state.bucket = state.bucket.map { bucket in
                    LinkScopesTests.bucket(
                        BucketLinks(
                            epoch: bucket.links.epoch, revision: VersionID(rawValue: version),
                            revokedCount: UInt32(numbers.count)))
                }
            }
        }
    }

    private static let name: BucketName = {
        guard let name = BucketName("photos") else { brokenInvariant("a name of a bucket") }
        return name
    }()

    fileprivate static func bucket(_ links: BucketLinks? = nil) -> Bucket {
        guard let owner = OwnerID("ann") else { brokenInvariant("a name of an owner") }
        return Bucket(
            name: Self.name, version: VersionID(rawValue: 1 << 16), owner: owner,
            created: Timestamp(milliseconds: 0), wrappedKey: [], links: links)
    }

    private func run(
        _ work: @escaping @Sendable (Metadata, LinkScopes, any EventLoop) async throws -> Void
    ) {
        let simulator = Simulator(seed: 1)
        let environment = simulator.makeNode("edge", host: "10.0.0.1").environment
        let loop = environment.simulatedLoops[0]
        let metadata = Metadata(Self.bucket(), loop)
        let scopes = LinkScopes(environment: environment, source: metadata)
        simulator.spawn("work", on: loop) {
            do { try await work(metadata, scopes, loop) } catch { Issue.record(error) }
        }
        #expect(simulator.run(for: .seconds(60)).ending == .finished)
        simulator.discard()
    }

    @Test func `the list is asked for when the bucket says that it is another, and never else`() {
        self.run { metadata, scopes, loop in
            func scope() async throws -> LinkScope {
                try await scopes.scope(of: Self.name, deadline: loop.now + .seconds(30))
            }
            var found = try await scope()
            #expect(found.revoked.isEmpty)
            #expect(metadata.state.withLock(\.listsAsked) == 0)
            metadata.revoke([7], version: 5 << 16)
            for _ in 0..<10 {
                found = try await scope()
                #expect(found.revoked == [7])
            }
            #expect(metadata.state.withLock(\.listsAsked) == 1)
            metadata.revoke([7, 8], version: 6 << 16)
            found = try await scope()
            #expect(found.revoked == [7, 8])
            #expect(metadata.state.withLock(\.listsAsked) == 2)
        }
    }

    @Test func `what was last heard counts while metadata is silent, and not for long`() {
        self.run { metadata, scopes, loop in
            _ = try await scopes.scope(of: Self.name, deadline: loop.now + .seconds(30))
            let heard = loop.now
            metadata.state.withLock { $0.isSilent = true }
            var lastAnswer = heard
            while loop.now - heard < .seconds(10) {
                do throws(AccessFault) {
                    let began = loop.now
                    _ = try await scopes.scope(of: Self.name, deadline: began + .seconds(30))
                    #expect(loop.now - began <= LinkScopes.patience)
                    lastAnswer = loop.now
                } catch { #expect(error == .unavailable("no answer before the deadline")) }
                try await loop.sleep(for: .milliseconds(100))
            }
            #expect(lastAnswer > heard)
            #expect(lastAnswer - heard <= LinkScopes.lifetime)
        }
    }

    @Test func `a bucket that is gone opens nothing, whatever was heard before`() {
        self.run { metadata, scopes, loop in
            _ = try await scopes.scope(of: Self.name, deadline: loop.now + .seconds(30))
            metadata.state.withLock { $0.bucket = nil }
            await #expect(throws: AccessFault.noSuchBucket(Self.name)) {
                try await scopes.scope(of: Self.name, deadline: loop.now + .seconds(30))
            }
        }
    }

    @Test(
        arguments: [
            ("", LinkCall.make), ("expires-in=60", .make), ("revoke=link", .revokeLink),
            ("hf-policy=AA&revoke=all", .revokeAll), ("%72evoke=link", .revokeLink),
            ("revoke=", nil), ("revoke", nil), ("revoke=link&revoke=all", nil), ("revoke=key", nil),
        ] as [(String, LinkCall?)])
    func `a post says whether it makes links or withdraws them`(
        query: String, expected: LinkCall?
    ) {
        let read: LinkCall?
        do throws(S3Refusal) {
            read = try LinkCall(rawQuery: Array(query.utf8)[...])
        } catch {
            #expect(error.code == "InvalidArgument")
            read = nil
        }
        #expect(read == expected)
    }
}
