import Catalog
import ChunkProtocol
import ChunkStore
import ClusterClient
import IORuntime
import Placement
import Primitives
import Synchronization
import Telemetry

/// Rids a store of chunks that nobody needs, in two loops that run as long as the node.
///
/// *The pull* asks every data group what this node has been told to delete, deletes that durably, and
/// says so. A store that was away for a week finds its rows when it is back. If it dies between the
/// two, it is told again, and deleting what is gone is done at once.
///
/// *The walk* goes over the store's own chunks, at a bounded rate, and asks the groups about them.
/// What has no row and is old is proposed; whether it is condemned is the group's to say, and then
/// it comes back through the pull.
///
/// Nothing here makes a chunk go that no group has named: no message of an edge, a peer or an
/// operator does, and a store that lost its mind can harm nothing but what it holds itself.
package final class Janitor: Sendable {
    private let store: ChunkStore
    private let cluster: ClusterClient
    private let environment: any Environment
    private let loop: any EventLoop
    private let settings: JanitorSettings
    package let counters: JanitorCounters
    private let logger: Logger
    private let loops = Mutex<[SpawnedTask]>([])

    private var node: NodeID { self.cluster.node }

    package init(
        _ store: ChunkStore, _ cluster: ClusterClient, _ settings: JanitorSettings,
        in environment: any Environment, loop: any EventLoop, registry: MetricsRegistry,
        logger: Logger
    ) {
        self.store = store
        self.cluster = cluster
        self.environment = environment
        self.loop = loop
        self.settings = settings
        self.counters = JanitorCounters(registry)
        self.logger = logger
    }

    /// Begins both loops. They wait until the node has joined its cluster.
    package func start() {
        var jitter = SeededGenerator(
            seed: self.environment.randomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        let pullSeed = jitter.next()
        let walkSeed = jitter.next()
        let pull = self.loop.spawn { await self.pull(SeededGenerator(seed: pullSeed)) }
        let walk = self.loop.spawn { await self.walk(SeededGenerator(seed: walkSeed)) }
        self.loops.withLock { $0 = [pull, walk] }
    }

    /// Ends both loops; when it returns nothing more is asked of the store.
    package func stop() async {
        let loops = self.loops.withLock { $0 }
        for loop in loops { loop.cancel() }
        for loop in loops { await loop.finished() }
    }

    /// So that the stores of a cluster do not come all at once.
    private static func spread(_ period: Duration, _ jitter: inout SeededGenerator) -> Duration {
        period * 3 / 4 + period / 1024 * Int.random(in: 0...512, using: &jitter)
    }

    private var deadline: Instant { self.environment.now + self.settings.callTimeout }

    private func failed(_ what: String, _ reason: String) {
        self.counters.faults.add()
        self.logger.debug(what, ["reason": reason])
    }

    // MARK: The pull

    private func pull(_ jitter: SeededGenerator) async {
        var jitter = jitter
        var wasQuiet = false
        while true {
            let period = wasQuiet ? self.settings.quietPullPeriod : self.settings.pullPeriod
            do { try await self.loop.sleep(for: Self.spread(period, &jitter)) } catch { return }
            guard self.cluster.incarnation != nil else { continue }
            wasQuiet = true
            for group in self.cluster.dataGroups {
                do throws(JanitorFault) {
                    if try await self.deleteWhatIsDue(in: group) > 0 { wasQuiet = false }
                } catch {
                    wasQuiet = false
                    self.failed("deletions have to wait", "\(error)")
                }
            }
        }
    }

    /// Everything that one group has for this node now; says how many chunks that were.
    private func deleteWhatIsDue(in group: GroupID) async throws(JanitorFault) -> Int {
        var after: ChunkKey?
        var count = 0
        repeat {
            let page = try await self.deletions(in: group, after: after)
            after = page.next
            guard !page.chunks.isEmpty else { continue }
            // The order is the promise: a confirmation says that the chunks are durably gone.
            try await self.delete(page.chunks)
            self.counters.deleted.add(UInt64(page.chunks.count))
            count += page.chunks.count
            let confirm = ConfirmDeletions(node: self.node, chunks: page.chunks)
            _ = try await self.propose(.confirmDeletions(confirm), in: group)
        } while after != nil
        return count
    }

    private func deletions(
        in group: GroupID, after: ChunkKey?
    ) async throws(JanitorFault) -> DeletionPage {
        let list = ListDeletions(
            node: self.node, after: after, limit: self.settings.chunksPerDeletion,
            isDiskFull: await self.store.status().freeBytes < self.settings.lowSpaceBytes)
        // What was authorised once stays so: an old state names chunks that are deleted already, or
        // lacks some, and neither does harm. So no majority is asked whether the leader still leads.
        let answer = try await self.query(.deletions(list), in: group, .led)
        guard case .deletions(let page) = answer else {
            throw .answer("no page of deletions")
        }
        return page
    }

    private func delete(_ chunks: [ChunkKey]) async throws(JanitorFault) {
        do throws(ChunkStoreFault) {
            try await self.store.delete(chunks.map(\.name))
        } catch { throw .store(error) }
    }

    // MARK: The walk

    private func walk(_ jitter: SeededGenerator) async {
        var jitter = jitter
        while true {
            let pause = Self.spread(self.settings.walkPeriod, &jitter)
            do { try await self.loop.sleep(for: pause) } catch { return }
            guard self.cluster.incarnation != nil else { continue }
            guard await self.walkOnce() else { return }
        }
    }

    /// One walk from the first name to the last; false when the process ends.
    private func walkOnce() async -> Bool {
        var after: ChunkName?
        var surplus = 0
        while true {
            do throws(JanitorFault) {
                let rows = try await self.inventory(after: after)
                guard let last = rows.last else { break }
                surplus += try await self.examine(rows)
                after = last.name
            } catch {
                // The same step again: what cannot be asked about now is not passed over.
                self.failed("a step of the walk has to wait", "\(error)")
            }
            do { try await self.loop.sleep(for: self.settings.stepPause) } catch { return false }
        }
        self.counters.walks.add()
        self.counters.surplus.set(Int64(surplus))
        return true
    }

    private func inventory(after: ChunkName?) async throws(JanitorFault) -> [InventoryRow] {
        do throws(ChunkStoreFault) {
            return try await self.store.inventory(
                after: after, limit: self.settings.chunksPerStep)
        } catch { throw .store(error) }
    }

    /// Asks about chunks and proposes those that nobody needs; says how many are surplus.
    private func examine(_ rows: [InventoryRow]) async throws(JanitorFault) -> Int {
        guard let layout = self.cluster.layout else { return 0 }
        // By a clock that may be wrong nothing is old.
        guard let now = self.cluster.clock.verdict.boundedTime else { return 0 }
        var byGroup: [GroupID: [InventoryRow]] = [:]
        for row in rows {
            guard let group = self.cluster.group(owning: row.slot) else { continue }
            byGroup[group, default: []].append(row)
        }
        var surplus = 0
        for group in byGroup.keys.sorted() {
            let held = byGroup[group] ?? []
            let keys = held.map { ChunkKey(slot: $0.slot, name: $0.name) }
            let answer = try await self.query(.chunkStates(keys), in: group)
            guard case .chunkStates(let states) = answer, states.count == keys.count else {
                throw .answer("no states of chunks")
            }
            var needless: [ChunkKey] = []
            for (place, state) in states.enumerated() {
                switch JanitorPlan.finding(
                    state, on: self.node, homes: layout.homes(of: keys[place].name),
                    age: now - held[place].storedAt, orphanGrace: self.settings.orphanGrace)
                {
                case .inOrder, .elsewhere: break
                case .surplus: surplus += 1
                case .needless: needless.append(keys[place])
                }
            }
            try await self.condemn(needless, in: group)
        }
        return surplus
    }

    private func condemn(_ chunks: [ChunkKey], in group: GroupID) async throws(JanitorFault) {
        guard !chunks.isEmpty else { return }
        let condemn = CondemnChunks(holder: self.node, chunks: chunks)
        let result = try await self.propose(.condemnChunks(condemn), in: group)
        guard case .chunks(let verdicts) = result else { throw .answer("\(result)") }
        self.counters.condemned.add(UInt64(verdicts.count { $0 == .done }))
    }

    // MARK: The groups

    private enum JanitorFault: Error {
        case cluster(ClusterFault)
        case answer(String)
        case store(ChunkStoreFault)
    }

    private func query(
        _ query: CatalogQuery, in group: GroupID, _ freshness: Freshness = .linearizable
    ) async throws(JanitorFault) -> CatalogAnswer {
        do throws(ClusterFault) {
            return try await self.cluster.query(
                query, in: group, freshness: freshness, deadline: self.deadline)
        } catch { throw .cluster(error) }
    }

    private func propose(
        _ operation: CatalogOperation, in group: GroupID
    ) async throws(JanitorFault) -> CommandResult {
        do throws(ClusterFault) {
            return try await self.cluster.propose(operation, in: group, deadline: self.deadline)
        } catch { throw .cluster(error) }
    }
}
