import Catalog
import MetaNode
import Node
import OrderedStorage
import Primitives
import SimulatedRuntime

/// Replicas of a group that have applied the same entries have the same state, byte for byte.
///
/// Observed between the steps of a run, when nothing is half done.
package struct StateAgreement {
    private struct Place: Hashable {
        let group: GroupID
        let applied: LogIndex
    }

    private var digests: [Place: (digest: UInt64, machine: String)] = [:]
    package private(set) var comparisons = 0

    /// How long replicas may differ in what they have applied when nobody writes.
    private static let settlingLimit: Duration = .seconds(30)

    package init() {}

    /// Compares all running replicas with each other and with what was seen before at the same
    /// index; says what differs.
    package mutating func observe(_ cluster: SimulatedCluster) throws(StoreFault) -> [String] {
        var differences: [String] = []
        for machine in cluster.machines {
            guard let meta = cluster.node(on: machine)?.meta else { continue }
            for state in meta.states.all {
                let group = state.group
                let (applied, digest): (LogIndex, UInt64)
                do throws(StoreFault) { (applied, digest) = try Self.digest(of: state) } catch {
                    // A machine that is about to die may do so under this very read.
                    if cluster.node(on: machine) == nil { break }
                    throw error
                }
                let place = Place(group: group, applied: applied)
                if let known = self.digests[place] {
                    self.comparisons += 1
                    if known.digest != digest {
                        differences.append(
                            "group \(group) at index \(applied): \(machine.name) differs from "
                                + known.machine)
                    }
                } else {
                    self.digests[place] = (digest, machine.name)
                }
            }
        }
        return differences
    }

    /// Lets the world go on until every replica has applied what its group has committed, and
    /// compares them all.
    package mutating func settle(_ cluster: SimulatedCluster) throws(StoreFault) -> [String] {
        let simulator = cluster.simulator
        let end = simulator.now + Self.settlingLimit
        for group in NewCluster.groups() {
            while Set(try Self.applied(group, in: cluster)).count > 1 {
                guard simulator.now < end else {
                    return ["the replicas of group \(group) do not come together"]
                }
                _ = simulator.run(for: .milliseconds(100), until: { false })
            }
        }
        return try self.observe(cluster)
    }

    /// What each running replica of a group has applied.
    package static func applied(
        _ group: GroupID, in cluster: SimulatedCluster
    ) throws(StoreFault) -> [LogIndex] {
        var indices: [LogIndex] = []
        for machine in cluster.machines {
            guard let state = cluster.node(on: machine)?.meta?.states[group] else { continue }
            indices.append(try Self.digest(of: state).applied)
        }
        return indices
    }

    /// A hash over every pair of a state, in order.
    package static func digest(
        of state: GroupState
    ) throws(StoreFault) -> (applied: LogIndex, digest: UInt64) {
        let snapshot = state.store.snapshot()
        let applied = try CatalogView(snapshot).applied()?.index ?? .zero
        var digest: UInt64 = 0
        for family in CatalogFamilies.all {
            let cursor = snapshot.scan(family, .all)
            while let pair = try cursor.next() {
                digest = StableHash.mix(digest ^ StableHash.of(pair.key))
                digest = StableHash.mix(digest &+ StableHash.of(pair.value))
            }
        }
        return (applied, digest)
    }
}
