import IORuntime
import Primitives

/// Why a cluster of real processes is not as it was asked to be.
package enum ProcessClusterFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// No range of ports was free in so many tries.
    case noFreePorts(tries: Int)
    /// `holdfast init` failed, and what it said.
    case notMade(String)
    case process(ProcessFault)
    case file(FileFault)
    /// A node ended by itself; what stands last in its log.
    case ended(NodeID, ChildProcess.ExitStatus, log: String)
    /// A node that was told to end is still there.
    case doesNotEnd(NodeID)
    /// Nodes that did not take part in time, and what stands last in the first one's log.
    case notReady([NodeID], log: String)
    case alreadyRunning(NodeID)
    case notRunning(NodeID)
    /// The work was called off.
    case cancelled

    package var description: String {
        switch self {
        case .noFreePorts(let tries): "no range of free ports was found in \(tries) tries"
        case .notMade(let said): "holdfast init failed: \(said)"
        case .process(let fault): "\(fault)"
        case .file(let fault): "\(fault)"
        case .ended(let node, let status, let log):
            "node \(node) ended by itself (\(status)); its log ends with:\n\(log)"
        case .doesNotEnd(let node): "node \(node) does not end"
        case .notReady(let nodes, let log):
            "nodes \(nodes.map(\.description).joined(separator: ", ")) do not take part; the "
                + "first one's log ends with:\n\(log)"
        case .alreadyRunning(let node): "node \(node) runs already"
        case .notRunning(let node): "node \(node) does not run"
        case .cancelled: "called off"
        }
    }
}
