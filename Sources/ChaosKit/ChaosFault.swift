import FileClient

/// Why a scenario could not be carried to its end.
package enum ChaosFault: Error, Equatable, Sendable, CustomStringConvertible {
    case cluster(ProcessClusterFault)
    case client(FileClientFault)

    package var description: String {
        switch self {
        case .cluster(let fault): fault.description
        case .client(let fault): fault.description
        }
    }
}
