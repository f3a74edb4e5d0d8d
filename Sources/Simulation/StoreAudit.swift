import Catalog
import ChunkStore
import ClusterClient
import IORuntime
import MetaNode
import Node
import OrderedStorage
import Placement
import Primitives
import SimulatedRuntime
import Wire

/// Holds what stores have against what objects name. When nothing is under way any more, every chunk
/// that an object names rests where metadata says, its references are counted right, and nothing
/// else rests anywhere.
struct StoreAudit: Sendable {
    /// What was found at one moment.
    struct Findings: Sendable {
        /// What no moment may show: chunks without a row, wrong counts, copies that are not there.
        var broken: [String] = []
        /// What only a moment may show: bytes that nothing names, on their way to deletion.
        var leftover: [String] = []
    }

    let cluster: SimulatedCluster
    let bucket: BucketName

    /// What one view of the group's state knows of chunks.
    private struct Knowledge: Sendable {
        /// The chunks that manifests name, and how often.
        var named: [ChunkKey: UInt64] = [:]
        var states: [ChunkKey: ChunkState] = [:]
    }

    /// Looks again and again until nothing is found, and says what is there at the end.
    func settle(_ sound: [SimulatedNode], within limit: Duration) async throws -> Findings {
        let loop = self.cluster.simulator.loop
        let end = loop.now + limit
        while true {
            let findings = await self.findings(sound)
            let isClean = findings.broken.isEmpty && findings.leftover.isEmpty
            if isClean || loop.now >= end { return findings }
            try await loop.sleep(for: Self.pause)
        }
    }

    private static let pause: Duration = .milliseconds(250)

    /// - Parameter sound: the machines whose disks hold what they should. The first one's replica
    ///   speaks for the group, so the replicas must have come together.
    func findings(_ sound: [SimulatedNode]) async -> Findings {
        var findings = Findings()
        var held: [NodeID: Set<ChunkKey>] = [:]
        for machine in sound {
            guard let node = self.cluster.node(on: machine),
                let chunks = await self.inventory(of: machine)
            else {
                findings.broken.append("\(machine.name) does not say what it holds")
                return findings
            }
            held[node.identity.configuration.node] = Set(chunks)
        }
        let all = held.values.reduce(into: Set<ChunkKey>()) { $0.formUnion($1) }
        guard let reference = sound.first,
            let layout = self.cluster.node(on: reference)?.cluster.layout,
            let known = await self.knowledge(of: reference, about: all.sorted())
        else {
            findings.broken.append("no machine says what it knows of chunks")
            return findings
        }
        for (key, state) in known.states.sorted(by: { $0.key < $1.key }) {
            self.examine(key, state, known.named[key], held, layout, &findings)
        }
        return findings
    }

    private func examine(
        _ key: ChunkKey, _ state: ChunkState, _ references: UInt64?,
        _ held: [NodeID: Set<ChunkKey>], _ layout: Layout, _ findings: inout Findings
    ) {
        let holders = held.keys.sorted().filter { held[$0]?.contains(key) == true }
        guard let references else {
            if !holders.isEmpty {
                findings.leftover.append("\(key) rests on \(holders), unnamed: \(state)")
            }
            return
        }
        guard case .present(let row) = state, row.references == references else {
            findings.broken.append("\(key) is named \(references) times: \(state)")
            return
        }
        // A home that was not there when the chunk was written has a stand-in in its place.
        let isMissing = { (node: NodeID) in held[node]?.contains(key) == false }
        let homes = layout.homes(of: key.name).filter(isMissing)
        let standIns = row.exceptions.filter(isMissing)
        if homes.count > row.exceptions.count || !standIns.isEmpty {
            findings.broken.append("\(key) is missing on \(homes + standIns): \(state)")
        }
    }

    /// Every chunk that a machine's store has in its index, in order.
    private func inventory(of machine: SimulatedNode) async -> [ChunkKey]? {
        guard let store = self.cluster.node(on: machine)?.store else { return nil }
        let found: [ChunkKey]?? = await self.cluster.ask(machine) {
            var chunks: [ChunkKey] = []
            do throws(ChunkStoreFault) {
                while true {
                    let page = try await store.inventory(
                        after: chunks.last?.name, limit: CatalogLimits.chunksPerSweep)
                    if page.isEmpty { return chunks }
                    chunks += page.map { ChunkKey(slot: $0.slot, name: $0.name) }
                }
            } catch { return nil }
        }
        return found ?? nil
    }

    /// What a machine's replica of the bucket's group has applied: all chunks that manifests name,
    /// and the states of those and of `held`.
    private func knowledge(
        of machine: SimulatedNode, about held: [ChunkKey]
    ) async -> Knowledge? {
        guard let node = self.cluster.node(on: machine),
            let group = node.cluster.group(owning: self.bucket.slot),
            let state = node.meta?.states[group]
        else { return nil }
        let environment = machine.environment
        let found: Knowledge?? = await self.cluster.ask(machine) {
            await environment.blocking(.disk) { () -> Knowledge? in
                do { return try Self.read(state.store.snapshot(), about: held) } catch {
                    return nil
                }
            }
        }
        return found ?? nil
    }

    private static func read(
        _ snapshot: any OrderedSnapshot, about held: [ChunkKey]
    ) throws -> Knowledge? {
        var known = Knowledge()
        let view = CatalogView(snapshot)
        let cursor = snapshot.scan(CatalogFamilies.manifests, .all)
        while let pair = try cursor.next() {
            var key = KeyReader(pair.key)
            let slot = Slot(rawValue: try key.read())
            // Rows of slots that are coming here, or have gone, name nothing.
            guard case .owned = try view.ownership(of: slot) else { continue }
            for chunk in try ManifestRow(decoding: pair.value[...]).chunks {
                known.named[ChunkKey(slot: slot, name: chunk.name), default: 0] += 1
            }
        }
        var rest = Set(known.named.keys).union(held).sorted()[...]
        while !rest.isEmpty {
            let page = Array(rest.prefix(CatalogLimits.chunksPerSweep))
            rest = rest.dropFirst(page.count)
            guard case .chunkStates(let states) = try view.answer(.chunkStates(page)) else {
                return nil
            }
            for (key, state) in zip(page, states) { known.states[key] = state }
        }
        return known
    }
}
