import Cryptography
import IORuntime
import Primitives

/// Why a command of the cluster's operator could not be carried out, and what to do.
package enum OperatorFault: Error, Equatable, Sendable, CustomStringConvertible {
    case unreadable(path: String, String)
    case notACluster(directory: String)
    case certificate(CertificateFault)
    case cluster(String)
    case noSuchNode(NodeID)
    case refused(String)

    package var description: String {
        switch self {
        case .unreadable(let path, let reason): "\(path): \(reason)"
        case .notACluster(let directory):
            "\(directory) holds no cluster: it needs authority/ca.pem and ca.key, and the identity "
                + "of a node in node-*/identity, as `holdfast init` made them"
        case .certificate(let fault): "the authority cannot certify this process: \(fault)"
        case .cluster(let reason): "the cluster does not answer: \(reason)"
        case .noSuchNode(let node): "there is no node \(node); see `holdfast node list`"
        case .refused(let reason): reason
        }
    }
}

/// What lets an operator's process speak with the peers of a cluster: a certificate that the
/// authority issues for one run, so that none lies about.
package struct OperatorIdentity: Sendable {
    /// No node has this number: they are given out from below.
    package static let node = NodeID(UInt32.max)

    /// Of some node of the cluster.
    package let configuration: NodeConfiguration
    package let authority: CertifiedKey
    package let certificate: CertifiedKey

    /// Reads the authority and some node's configuration below a directory that `holdfast init` has
    /// made. Blocking.
    package init(
        clusterDirectory: String, now: Timestamp, _ files: any FileSystem
    ) throws(OperatorFault) {
        let configurations = try Self.configurations(in: clusterDirectory, files)
        guard var configuration = configurations.first else {
            throw .notACluster(directory: clusterDirectory)
        }
        // The first nodes may all be gone, and later ones be known to themselves alone.
        for other in configurations { configuration.peers[other.node] = other.peer }
        try self.init(
            configuration, authorityDirectory: clusterDirectory + "/authority", now: now, files)
    }

    /// - Parameter identityDirectory: of any node; only its `node.conf` is read. Blocking.
    package init(
        identityDirectory: String, authorityDirectory: String, now: Timestamp,
        _ files: any FileSystem
    ) throws(OperatorFault) {
        try self.init(
            try Self.configuration(in: identityDirectory, files),
            authorityDirectory: authorityDirectory, now: now, files)
    }

    private init(
        _ configuration: NodeConfiguration, authorityDirectory: String, now: Timestamp,
        _ files: any FileSystem
    ) throws(OperatorFault) {
        self.configuration = configuration
        self.authority = CertifiedKey(
            certificatePEM: try Self.text(authorityDirectory + "/ca.pem", files),
            keyPEM: try Self.text(authorityDirectory + "/ca.key", files))
        do throws(CertificateFault) {
            self.certificate = try CertificateAuthority(self.authority)
                .issue(node: Self.node, names: ["127.0.0.1"], now: now)
        } catch { throw .certificate(error) }
    }

    /// The identities below a cluster's directory, by their nodes' numbers. Blocking.
    static func identityDirectories(
        in directory: String, _ files: any FileSystem
    ) throws(OperatorFault) -> [String] {
        do throws(FileFault) {
            let prefix = "node-"
            let numbers = try files.list(directory).compactMap { name in
                name.hasPrefix(prefix) ? UInt32(name.dropFirst(prefix.count)) : nil
            }
            var found: [String] = []
            for number in numbers.sorted() {
                let identity = "\(directory)/\(prefix)\(number)/identity"
                let configuration = identity + "/" + NodeIdentity.File.configuration
                if try files.status(configuration) != nil { found.append(identity) }
            }
            return found
        } catch { throw .unreadable(path: directory, "\(error)") }
    }

    /// What the nodes below a cluster's directory are, by their numbers. Blocking.
    static func configurations(
        in directory: String, _ files: any FileSystem
    ) throws(OperatorFault) -> [NodeConfiguration] {
        var found: [NodeConfiguration] = []
        for identity in try Self.identityDirectories(in: directory, files) {
            found.append(try Self.configuration(in: identity, files))
        }
        return found
    }

    private static func configuration(
        in identityDirectory: String, _ files: any FileSystem
    ) throws(OperatorFault) -> NodeConfiguration {
        let path = identityDirectory + "/" + NodeIdentity.File.configuration
        let written = try Self.text(path, files)
        do throws(NodeConfiguration.Fault) { return try NodeConfiguration(text: written) } catch {
            throw .unreadable(path: path, "\(error)")
        }
    }

    static func text(_ path: String, _ files: any FileSystem) throws(OperatorFault) -> String {
        do throws(FileFault) {
            return String(decoding: try files.contents(of: path), as: UTF8.self)
        } catch { throw .unreadable(path: path, "\(error)") }
    }
}
