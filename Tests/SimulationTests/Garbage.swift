import Catalog
import ChunkStore
import ClusterClient
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import StoreNode
import Testing

/// A stage on which chunks that nobody needs live for seconds instead of hours, and what holds of the
/// stores once they are gone.
extension Stage {
    static func withShortGraces(seed: UInt64, orphanGrace: Duration = .seconds(8)) throws -> Stage {
        var settings = SimulatedClusterSettings()
        settings.sweep.grace = .seconds(4)
        settings.sweep.period = .milliseconds(500)
        settings.sweep.auditPeriod = .seconds(3)
        settings.sweep.uploadPatience = .seconds(20)
        settings.janitor.pullPeriod = .milliseconds(500)
        settings.janitor.orphanGrace = orphanGrace
        settings.janitor.walkPeriod = .seconds(2)
        settings.janitor.stepPause = .milliseconds(50)
        settings.janitor.chunksPerStep = 7
        settings.access.uploadLifetime = .seconds(30)
        return try Stage(seed: seed, settings)
    }

    /// The chunks of the objects that are there, as a reader finds them.
    func liveChunks(of keys: [ObjectKey]) async throws -> Set<ChunkName> {
        var names: Set<ChunkName> = []
        for key in keys {
            for chunk in try await self.manifest(of: key) { names.insert(chunk.name) }
        }
        return names
    }

    private func manifest(of key: ObjectKey) async throws -> [ChunkReference] {
        let machine = try #require(self.cluster.running.first)
        let node = try #require(self.cluster.node(on: machine))
        let bucket = self.client.bucket
        let answer = await self.cluster.ask(machine) { () -> CatalogAnswer? in
            do throws(ClusterFault) {
                return try await node.cluster.query(
                    .object(bucket, key, withManifest: true),
                    deadline: machine.environment.now + .seconds(10))
            } catch { return nil }
        }
        switch answer ?? nil {
        case .object(_, .chunks(let chunks)): return chunks
        case .object, .absent: return []
        case let other:
            throw Tired(reason: "no manifest of \(key) but \(String(describing: other))")
        }
    }

    /// What every store holds, by its machine's place.
    func inventories() async throws -> [Set<ChunkName>] {
        var all: [Set<ChunkName>] = []
        for machine in self.cluster.machines {
            let store = try #require(self.cluster.node(on: machine)?.store)
            let rows = await self.cluster.ask(machine) { () -> [InventoryRow] in
                do throws(ChunkStoreFault) {
                    return try await store.inventory(after: nil, limit: 100_000)
                } catch { return [] }
            }
            all.append(Set(try #require(rows).map(\.name)))
        }
        return all
    }

    /// Waits until the stores hold the chunks of these objects, each at least three times, and not
    /// one other.
    func expectOnlyLiveChunks(of keys: [ObjectKey]) async throws {
        let end = self.simulator.now + .seconds(120)
        while true {
            let live = try await self.liveChunks(of: keys)
            let held = try await self.inventories()
            let surplus = held.reduce(into: Set()) { $0.formUnion($1) }.subtracting(live)
            let scarce = live.filter { name in held.count { $0.contains(name) } < 3 }
            if surplus.isEmpty, scarce.isEmpty { return }
            guard scarce.isEmpty else { throw Tired(reason: "lost copies of \(scarce)") }
            guard self.simulator.now < end else {
                throw Tired(
                    reason: "still there: \(surplus.sorted().prefix(5)) of \(surplus.count)")
            }
            try await self.simulator.loop.sleep(for: .milliseconds(500))
        }
    }

    /// The sum of a counter over the nodes that run.
    func total(_ counter: (Node) -> UInt64) -> UInt64 {
        self.cluster.running.reduce(0) { sum, machine in
            sum + (self.cluster.node(on: machine).map(counter) ?? 0)
        }
    }
}

/// A body that gives some bytes and then, for a while, none.
final class HaltingSource: BodySource {
    private let first: [UInt8]
    private let rest: [UInt8]
    private let pause: Duration
    private let loop: any EventLoop
    private var given = 0

    init(_ first: [UInt8], pause: Duration, then rest: [UInt8], on loop: any EventLoop) {
        self.first = first
        self.rest = rest
        self.pause = pause
        self.loop = loop
    }

    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        if self.given == self.first.count {
            do { try await self.loop.sleep(for: self.pause) } catch { return [] }
        }
        let all = self.first + self.rest
        let end = self.given < self.first.count ? self.first.count : all.count
        let part = all[self.given..<min(end, self.given + limit)]
        self.given += part.count
        return Array(part)
    }
}
