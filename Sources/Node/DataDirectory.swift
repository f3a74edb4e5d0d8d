import IORuntime
import MetaNode
import Primitives

/// The agreement between a node's identity and its data: each knows of the other, so that neither
/// is ever used with a stranger, and data that has gone is not taken for data that never was.
package struct DataDirectory: Sendable {
    let directory: String
    let identityDirectory: String
    let cluster: ClusterID
    let node: NodeID

    package init(
        directory: String, identityDirectory: String, cluster: ClusterID, node: NodeID
    ) {
        self.directory = directory
        self.identityDirectory = identityDirectory
        self.cluster = cluster
        self.node = node
    }

    private var markerPath: String { self.directory + "/node" }
    private var begunPath: String { self.identityDirectory + "/" + NodeIdentity.File.begun }
    private var damagedPath: String { self.identityDirectory + "/" + NodeIdentity.File.damaged }
    private var marker: String { "cluster \(self.cluster) node \(self.node)" }

    /// Checks the agreement, and makes it at the first start. Blocking.
    ///
    /// The marker in the data comes before `begun` in the identity: after a crash between the two
    /// the next start finds data that is ours and goes on.
    package func claim(_ files: any FileSystem) throws(NodeFault) {
        let damage: String?
        let found: String?
        let hasBegun: Bool
        do throws(FileFault) { damage = try self.text(of: self.damagedPath, files) } catch {
            throw .file("\(error)")
        }
        if let damage { throw .damaged(directory: self.directory, reason: damage) }
        do throws(FileFault) {
            try files.makeDirectoryDurably(self.directory)
            found = try self.text(of: self.markerPath, files)
            hasBegun = try files.status(self.begunPath) != nil
        } catch { throw .file("\(error)") }
        if let found, found != self.marker {
            throw .foreignData(
                directory: self.directory, found: found, expected: self.marker)
        }
        if found == nil, hasBegun { throw .dataGone(directory: self.directory) }
        do throws(FileFault) {
            if found == nil { try files.replace(self.markerPath, with: Array(self.marker.utf8)) }
            if !hasBegun { try files.replace(self.begunPath, with: []) }
        } catch { throw .file("\(error)") }
    }

    /// Nil when nothing is there.
    private func text(
        of path: String, _ files: any FileSystem
    ) throws(FileFault) -> String? {
        guard try files.status(path) != nil else { return nil }
        return String(decoding: try files.contents(of: path), as: UTF8.self)
    }

    /// Notes why the process ends, where it must not simply be started again. A disk that was full
    /// has damaged nothing.
    package func noteEnd(_ status: Int32, _ reason: String, _ files: any FileSystem) {
        guard status != MetaSettings.diskFullStatus else { return }
        self.markDamaged(reason, files)
    }

    /// Notes that the disk has failed this node, where the next start sees it: best effort, because
    /// the process ends whether or not it can be written.
    package func markDamaged(_ reason: String, _ files: any FileSystem) {
        do throws(FileFault) {
            try files.replace(self.damagedPath, with: Array(reason.utf8))
        } catch {
            return
        }
    }
}
