import ClusterClient
import IORuntime
import Node

/// Why a workload could not be run.
enum BenchFault: Error, CustomStringConvertible {
    case cannotJoin(OperatorFault)
    case cluster(ClusterFault)
    case refused(String)

    var description: String {
        switch self {
        case .cannotJoin(let fault): "\(fault)"
        case .cluster(let fault): "the cluster cannot be used: \(fault)"
        case .refused(let reason): "the cluster refused: \(reason)"
        }
    }
}

extension ClusterOperator {
    /// An operator's process that may also change buckets: it has an incarnation of its own.
    ///
    /// - Parameter identityDirectory: of any node; only its `node.conf` is read.
    static func joined(
        identityDirectory: String, authorityDirectory: String, in environment: RealEnvironment
    ) async throws(BenchFault) -> ClusterClient {
        let cluster: ClusterClient
        do throws(OperatorFault) {
            let identity = try await environment.blocking(.disk) {
                () throws(OperatorFault) -> OperatorIdentity in
                try OperatorIdentity(
                    identityDirectory: identityDirectory, authorityDirectory: authorityDirectory,
                    now: environment.wallClock, environment.files)
            }
            cluster = try ClusterOperator(identity, in: environment).cluster
        } catch { throw .cannotJoin(error) }
        do throws(ClusterFault) { try await cluster.start() } catch { throw .cluster(error) }
        return cluster
    }
}
