import Catalog
import Cryptography
import IORuntime
import Primitives
import Wire

/// Who a node is and what proves it: what `holdfast init` writes into the node's identity directory,
/// which lies outside its data, so that data that has gone is noticed.
///
/// | file          | content                                                                    |
/// |---------------|----------------------------------------------------------------------------|
/// | `node.conf`   | `name = value` lines: see `NodeConfiguration`                               |
/// | `ca.pem`      | the certificate of the cluster's authority                                 |
/// | `node.pem`, `node.key` | by which peers know this node                                     |
/// | `door.pem`, `door.key` | by which clients know its edge                                    |
/// | `master.keys` | the master keys, see `MasterKeyRing`; on meta nodes only                   |
/// | `bootstrap`   | the cluster's first facts, for the first leaders of its groups; not with   |
/// |               | nodes that joined later                                                    |
/// | `begun`       | made at the first start: from then on there is data that belongs to us     |
/// | `damaged`     | made when the node's disk failed it, see `DiskFailureNote`                 |
/// | `nodes`       | the other nodes as they were last heard of, see `KnownNodes`               |
package struct NodeIdentity: Sendable {
    package let configuration: NodeConfiguration
    package let authority: String
    package let node: CertifiedKey
    package let door: CertifiedKey
    package let masterKeys: MasterKeyRing?
    package let bootstrap: Bootstrap?

    package init(
        configuration: NodeConfiguration, authority: String, node: CertifiedKey,
        door: CertifiedKey, masterKeys: MasterKeyRing?, bootstrap: Bootstrap?
    ) {
        self.configuration = configuration
        self.authority = authority
        self.node = node
        self.door = door
        self.masterKeys = masterKeys
        self.bootstrap = bootstrap
    }
}

/// Why a node does not start. Each says what to do.
package enum NodeFault: Error, Equatable, Sendable, CustomStringConvertible {
    case file(String)
    /// A file of the identity cannot be read.
    case identity(path: String, reason: String)
    /// The data directory holds data of another cluster or node.
    case foreignData(directory: String, found: String, expected: String)
    /// The node has run before, and its data is gone while its vote still counts.
    case dataGone(directory: String)
    /// The node may have forgotten a vote; what shows it.
    case damaged(directory: String, reason: String)
    /// The disk failed this node again, soon after it had gone on from a failure; the last reason.
    case diskFailing(directory: String, reason: String, note: String)
    case cannotListen(SocketAddress, String)
    case store(String)
    case stopped(String)

    package var description: String {
        switch self {
        case .file(let reason): reason
        case .identity(let path, let reason):
            "\(path): \(reason); make the node's identity again with `holdfast init`"
        case .foreignData(let directory, let found, let expected):
            "\(directory) holds data of \(found), not of \(expected): "
                + "point --data at this node's own directory"
        case .dataGone(let directory):
            "\(directory) is empty, but this node has run before and votes in its groups: a voter "
                + "that forgot its vote can lose acknowledged writes. Bring the directory back, or "
                + "give this identity up for good: `holdfast node remove --lost`, then "
                + "`holdfast node add` makes another"
        case .damaged(let directory, let reason):
            "\(directory) is damaged (\(reason)): this node may have forgotten a vote, so it must "
                + "not come back under its id. Keep the other nodes running; where the cluster was "
                + "made, run `holdfast node remove ID --lost`, then `holdfast node add`"
        case .diskFailing(let directory, let reason, let note):
            "the disk under \(directory) has failed again within an hour (\(reason)). Check the "
                + "disk; to start once more, remove \(note); to give this node up, run "
                + "`holdfast node remove ID --lost` where the cluster was made, then `holdfast node "
                + "add`"
        case .cannotListen(let address, let reason):
            "cannot listen on \(address): \(reason); free the port or choose another"
        case .store(let reason): "the node's store cannot be opened: \(reason)"
        case .stopped(let reason): reason
        }
    }
}

extension NodeIdentity {
    /// Writes the identity directory. Blocking.
    package func write(
        into directory: String, _ files: any FileSystem
    ) throws(FileFault) {
        try files.makeDirectoryDurably(directory)
        var contents: [(String, [UInt8])] = [
            (File.authority, Array(self.authority.utf8)),
            (File.nodeCertificate, Array(self.node.certificatePEM.utf8)),
            (File.nodeKey, Array(self.node.keyPEM.utf8)),
            (File.doorCertificate, Array(self.door.certificatePEM.utf8)),
            (File.doorKey, Array(self.door.keyPEM.utf8)),
        ]
        if let masterKeys = self.masterKeys {
            contents.append((File.masterKeys, Array(masterKeys.text.utf8)))
        }
        if let bootstrap = self.bootstrap {
            contents.append((File.bootstrap, bootstrap.encoded))
        }
        // Last, so that a half-written identity has no configuration and is refused.
        contents.append((File.configuration, Array(self.configuration.text.utf8)))
        for (name, bytes) in contents {
            try files.replace(directory + "/" + name, with: bytes)
        }
    }

    package enum File {
        package static let configuration = "node.conf"
        package static let authority = "ca.pem"
        package static let nodeCertificate = "node.pem"
        package static let nodeKey = "node.key"
        package static let doorCertificate = "door.pem"
        package static let doorKey = "door.key"
        package static let masterKeys = "master.keys"
        package static let bootstrap = "bootstrap"
        package static let begun = "begun"
        package static let damaged = "damaged"
        package static let nodes = "nodes"
    }

    /// Reads an identity directory. Blocking.
    package static func read(
        _ directory: String, _ files: any FileSystem
    ) throws(NodeFault) -> NodeIdentity {
        func text(_ name: String) throws(NodeFault) -> String {
            let path = directory + "/" + name
            let bytes: [UInt8]
            do throws(FileFault) { bytes = try files.contents(of: path) } catch {
                throw .identity(path: path, reason: "\(error)")
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw .identity(path: path, reason: "not text")
            }
            return text
        }
        let written = try text(File.configuration)
        let configuration: NodeConfiguration
        do throws(NodeConfiguration.Fault) {
            configuration = try NodeConfiguration(text: written)
        } catch {
            let path = directory + "/" + File.configuration
            throw .identity(path: path, reason: "\(error)")
        }
        var masterKeys: MasterKeyRing?
        var bootstrap: Bootstrap?
        if configuration.roles.contains(.meta) {
            masterKeys = try Self.masterKeys(try text(File.masterKeys), directory)
            if configuration.voters.contains(configuration.node) {
                bootstrap = try Self.bootstrap(directory, files)
            }
        }
        return NodeIdentity(
            configuration: configuration, authority: try text(File.authority),
            node: CertifiedKey(
                certificatePEM: try text(File.nodeCertificate), keyPEM: try text(File.nodeKey)),
            door: CertifiedKey(
                certificatePEM: try text(File.doorCertificate), keyPEM: try text(File.doorKey)),
            masterKeys: masterKeys, bootstrap: bootstrap)
    }

    private static func masterKeys(
        _ text: String, _ directory: String
    ) throws(NodeFault) -> MasterKeyRing {
        do throws(MasterKeyRing.Fault) { return try MasterKeyRing(text: text) } catch {
            throw .identity(path: directory + "/" + File.masterKeys, reason: "\(error)")
        }
    }

    private static func bootstrap(
        _ directory: String, _ files: any FileSystem
    ) throws(NodeFault) -> Bootstrap {
        let path = directory + "/" + File.bootstrap
        let bytes: [UInt8]
        do throws(FileFault) { bytes = try files.contents(of: path) } catch {
            throw .identity(path: path, reason: "\(error)")
        }
        do throws(FormatFault) { return try Bootstrap(decoding: bytes) } catch {
            throw .identity(path: path, reason: "\(error)")
        }
    }
}
