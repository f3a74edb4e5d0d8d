import CachePolicy
import Catalog
import ClusterClient
import IORuntime
import PeerTransport
import Primitives
import Synchronization
import Telemetry

/// What this edge remembers of the current versions of objects, and the streams that keep it true.
///
/// A group is followed from the first time that somebody wants a name of it, at this node's own
/// replica where that keeps up, and until nobody has wanted one for a while. `FollowedCache` decides
/// what may be believed; here is asked, waited and told.
final class ObjectHeads: Sendable {
    /// How long a reader waits for the stream to reach its read index, before the stream counts as
    /// lagging and the leader is asked instead.
    private static let patience: Duration = .milliseconds(100)
    /// While a stream lags readers wait for it no longer.
    private static let lagTime: Duration = .milliseconds(250)
    /// A question that is held open, and the way there and back.
    private static let followTimeout: Duration = .seconds(2)
    private static let pauseAfterFault: Duration = .milliseconds(50)
    /// A group that nobody has asked about for so long is followed no longer.
    private static let idleTime: Duration = .seconds(60)
    /// One read index, from whoever leads.
    private static let roundTimeout: Duration = .seconds(2)
    /// Names that may be a little old are confirmed so often while they are asked for.
    private static let renewalAge: Duration = .seconds(1)

    private typealias RoundWaiter = UnsafeContinuation<Result<LogIndex, ClusterFault>, Never>

    private struct Group: Sendable {
        var rounds = SharedRounds<RoundWaiter>()
        var source: StreamSource
        let waiters = IndexWaiters()
        /// Who follows; one that was replaced ends. 0: nobody does.
        var follower: UInt64 = 0
        var lastUsed: Instant
        var lagsUntil: Instant?
        var isBeingRenewed = false
    }

    private struct State: Sendable {
        var cache: FollowedCache<ObjectName, CurrentObject>
        var groups: [GroupID: Group] = [:]
        var lastFollower: UInt64 = 0
    }

    private let environment: any Environment
    private let cluster: ClusterClient
    private let counters: ObjectAccessCounters
    private let boundedAge: Duration
    private let state: Mutex<State>

    init(
        _ settings: ObjectAccessSettings, environment: any Environment, cluster: ClusterClient,
        counters: ObjectAccessCounters
    ) {
        self.environment = environment
        self.cluster = cluster
        self.counters = counters
        self.boundedAge = settings.boundedAge
        self.state = Mutex(
            State(cache: FollowedCache(capacityBytes: settings.headCacheBytes)))
    }

    // MARK: Names

    /// A name with its marks.
    struct Name: Sendable {
        let object: ObjectName
        let marks: MarkedName

        init(_ key: ObjectKey, in bucket: BucketName) {
            self.object = ObjectName(bucket: bucket, key: key)
            self.marks = MarkedName(key, in: bucket)
        }
    }

    /// What is known of a name, if that shows all that was acknowledged until a few seconds ago.
    func foundLately(
        _ name: Name, in group: GroupID, withContent: Bool
    ) -> CurrentObject? {
        let now = self.environment.now
        let (found, isDue) = self.state.withLock { state -> (CurrentObject?, Bool) in
            guard let confirmed = state.cache.knowsAll(of: group),
                now - confirmed < self.boundedAge,
                let found = state.cache.find(name.object, name.marks, in: group)?.value,
                found.tellsContent || !withContent
            else { return (nil, false) }
            let isDue =
                now - confirmed >= Self.renewalAge
                && state.groups[group].map { !$0.isBeingRenewed } ?? false
            if isDue { state.groups[group]?.isBeingRenewed = true }
            return (found, isDue)
        }
        if isDue { self.cluster.loop.spawn { await self.renew(group) } }
        return self.counted(found)
    }

    /// What the group says of a name at an index or behind it, if that is known: waits a little for
    /// the stream to reach it.
    func find(
        _ name: Name, in group: GroupID, through index: LogIndex, withContent: Bool
    ) async -> CurrentObject? {
        let now = self.environment.now
        for mayWait in [true, false] {
            let (found, lags, waiters) = self.state.withLock {
                state -> (FollowedCache<ObjectName, CurrentObject>.Found?, Bool, IndexWaiters?) in
                let followed = state.groups[group]
                return (
                    state.cache.find(name.object, name.marks, in: group),
                    followed?.lagsUntil.map { $0 > now } ?? false, followed?.waiters
                )
            }
            guard let found, found.value.tellsContent || !withContent else { break }
            if found.through >= index { return self.counted(found.value) }
            guard mayWait, !lags, let waiters else { break }
            guard await waiters.wait(for: index, atMost: Self.patience, on: self.cluster.loop)
            else {
                self.streamLags(group)
                break
            }
        }
        return nil
    }

    private func counted(_ found: CurrentObject?) -> CurrentObject? {
        switch found {
        case .present: self.counters.headHits.add()
        case .absent: self.counters.absenceHits.add()
        case nil: break
        }
        return found
    }

    /// Remembers what was read of a name, if nothing says that it is over.
    ///
    /// - Returns: whether nothing did.
    @discardableResult
    func admit(
        _ current: CurrentObject, of name: Name, in group: GroupID, readAt: LogIndex
    ) -> Bool {
        let isAdmitted = self.state.withLock { state in
            // Whoever asked for a head alone must not take the bytes from those who want them.
            if !current.tellsContent,
                let known = state.cache.find(name.object, name.marks, in: group)?.value,
                known.tellsContent
            {
                return true
            }
            return state.cache.admit(
                current, of: name.object, name.marks, in: group, readAt: readAt,
                sizeBytes: current.sizeBytes + name.object.key.utf8.count)
        }
        if !isAdmitted { self.counters.fillsRefused.add() }
        return isAdmitted
    }

    /// Whether something is known of a name that may be true still. Begins to follow the group.
    func knows(_ name: Name, in group: GroupID, withContent: Bool) -> Bool {
        let now = self.environment.now
        return self.state.withLock { state in
            self.use(group, at: now, &state)
            let found = state.cache.find(name.object, name.marks, in: group)?.value
            return found.map { $0.tellsContent || !withContent } ?? false
        }
    }

    // MARK: How far the group is

    /// How far the group had committed after this call began. One question at a time, for all who
    /// wait.
    func readIndex(
        of group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> LogIndex {
        while true {
            let answer = await withUnsafeContinuation { (waiter: RoundWaiter) in
                let now = self.environment.now
                let mustAsk = self.state.withLock { state in
                    self.use(group, at: now, &state)
                    return state.groups[group]?.rounds.join(waiter) ?? false
                }
                if mustAsk { self.cluster.loop.spawn { await self.askForAll(of: group) } }
            }
            switch answer {
            case .success(let index): return index
            case .failure(let fault):
                guard case .unavailable = fault, self.environment.now < deadline,
                    !Task.isCancelled
                else { throw fault }
            }
        }
    }

    private func askForAll(of group: GroupID) async {
        while self.state.withLock({ $0.groups[group]?.rounds.begin() ?? false }) {
            let asked = self.environment.now
            let answer: Result<LogIndex, ClusterFault>
            do throws(ClusterFault) {
                answer = .success(
                    try await self.cluster.readIndex(
                        of: group, deadline: asked + Self.roundTimeout))
            } catch { answer = .failure(error) }
            let served = self.state.withLock { state -> [RoundWaiter] in
                if case .success(let index) = answer {
                    state.cache.confirmed(index, askedAt: asked, of: group)
                }
                return state.groups[group]?.rounds.end() ?? []
            }
            for waiter in served { waiter.resume(returning: answer) }
        }
    }

    /// Finds out anew how far the group is, and whether the stream keeps up, for names that may be a
    /// little old.
    private func renew(_ group: GroupID) async {
        defer { self.state.withLock { $0.groups[group]?.isBeingRenewed = false } }
        let index: LogIndex
        do throws(ClusterFault) {
            index = try await self.readIndex(
                of: group, deadline: self.environment.now + Self.roundTimeout)
        } catch { return }
        guard let waiters = self.state.withLock({ $0.groups[group]?.waiters }) else { return }
        if await !waiters.wait(for: index, atMost: Self.patience, on: self.cluster.loop) {
            self.streamLags(group)
        }
    }

    // MARK: Streams

    /// Notes that somebody wants names of the group, and follows it.
    private func use(_ id: GroupID, at now: Instant, _ state: inout State) {
        if state.groups[id] == nil {
            state.groups[id] = Group(
                source: StreamSource(self.cluster.followable(in: id)), lastUsed: now)
        }
        state.groups[id]?.lastUsed = now
        if state.groups[id]?.follower == 0 { self.beginToFollow(id, &state) }
    }

    private func beginToFollow(_ id: GroupID, _ state: inout State) {
        state.lastFollower += 1
        let follower = state.lastFollower
        state.groups[id]?.follower = follower
        self.cluster.loop.spawn { await self.follow(id, as: follower) }
    }

    /// The stream is behind what a reader has to be shown: another replica is followed.
    private func streamLags(_ group: GroupID) {
        let now = self.environment.now
        let isNew = self.state.withLock { state in
            guard let known = state.groups[group], known.lagsUntil.map({ $0 <= now }) ?? true
            else { return false }
            state.groups[group]?.lagsUntil = now + Self.lagTime
            state.groups[group]?.source.failed(at: now)
            self.beginToFollow(group, &state)
            return true
        }
        if isNew { self.counters.streamsLagging.add() }
    }

    /// Asks one replica after the other's answer, for as long as the group is wanted.
    private func follow(_ group: GroupID, as follower: UInt64) async {
        while let (node, after) = self.nextQuestion(about: group, follower) {
            var isAnswered = false
            do throws(CallFault) {
                let answer = try await self.cluster.follow(
                    group, after: after, at: node,
                    deadline: self.environment.now + Self.followTimeout)
                switch answer {
                case .news(let news):
                    self.heard(news, of: group)
                    isAnswered = true
                case .nothing: isAnswered = true
                case .refused: break
                }
            } catch {
                if case .shuttingDown = error { return self.stopFollowing(group, follower) }
            }
            if isAnswered { continue }
            let now = self.environment.now
            self.state.withLock { state in
                guard state.groups[group]?.follower == follower else { return }
                state.groups[group]?.source.failed(at: now)
            }
            do { try await self.cluster.loop.sleep(for: Self.pauseAfterFault) } catch {
                return self.stopFollowing(group, follower)
            }
        }
    }

    /// Nil: another follows, or nobody has to.
    private func nextQuestion(
        about group: GroupID, _ follower: UInt64
    ) -> (node: NodeID, after: LogIndex)? {
        let now = self.environment.now
        let replicas = self.cluster.followable(in: group)
        return self.state.withLock { state in
            guard var known = state.groups[group], known.follower == follower else { return nil }
            guard now - known.lastUsed < Self.idleTime else {
                state.groups[group]?.follower = 0
                return nil
            }
            // Who votes changes while the cluster runs.
            known.source.replicasChanged(to: replicas, at: now)
            let node = known.source.target(at: now)
            state.groups[group] = known
            return (node, state.cache.through(group))
        }
    }

    private func stopFollowing(_ group: GroupID, _ follower: UInt64) {
        self.state.withLock { state in
            if state.groups[group]?.follower == follower { state.groups[group]?.follower = 0 }
        }
    }

    private func heard(_ news: InvalidationNews, of group: GroupID) {
        let (wasReset, through, waiters) = self.state.withLock { state in
            let wasReset = state.cache.heard(news, of: group)
            return (wasReset, state.cache.through(group), state.groups[group]?.waiters)
        }
        if wasReset { self.counters.streamResets.add() }
        waiters?.reached(through)
    }
}
