import Catalog
import IORuntime
import Node
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

/// Plans of nodes in these zones, numbered from 1.
func plans(_ zones: [String]) -> [NewCluster.NodePlan] {
    zones.enumerated().map { position, zone in
        func at(_ port: Int) -> SocketAddress {
            SocketAddress(host: "127.0.0.1", port: UInt16(port + position + 1))
        }
        return NewCluster.NodePlan(
            node: NodeID(UInt32(position + 1)), zone: zone, peer: at(9200), edge: at(9000),
            https: at(9400), admin: at(9100))
    }
}

/// Clusters made before: one takes half a second, most of it for its layout.
private let made = Mutex<[[String]: NewCluster]>([:])

func newCluster(_ zones: [String]) throws -> NewCluster {
    if let cluster = made.withLock({ $0[zones] }) { return cluster }
    var generator = SeededGenerator(seed: 7)
    let cluster = try NewCluster(
        nodes: plans(zones), now: Timestamp(milliseconds: 1_767_225_600_000)
    ) { count in (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) } }
    made.withLock { $0[zones] = cluster }
    return cluster
}

/// The disk of a simulated machine.
final class TestDisk {
    private let simulator = Simulator(seed: 1)
    private let node: SimulatedNode

    init() { self.node = self.simulator.makeNode("node", host: "10.0.0.1") }
    deinit { self.simulator.discard() }

    var files: any FileSystem { self.node.environment.files }

    /// What a power cut leaves.
    func powerCut() {
        self.node.powerCut()
        self.node.restart()
    }
}
