import IORuntime
import Primitives

/// The agreement between a node's identity and its data: each knows of the other, so that neither
/// is ever used with a stranger, and data that has gone is not taken for data that never was.
struct DataDirectory: Sendable {
    let directory: String
    let identityDirectory: String
    let cluster: ClusterID
    let node: NodeID

    private var markerPath: String { self.directory + "/node" }
    private var begunPath: String { self.identityDirectory + "/" + NodeIdentity.File.begun }
    private var damagedPath: String { self.identityDirectory + "/" + NodeIdentity.File.damaged }
    private var marker: String { "cluster \(self.cluster) node \(self.node)" }

    /// Checks the agreement, and makes it at the first start. Blocking.
    ///
    /// The marker in the data comes before `begun` in the identity: after a crash between the two
    /// the next start finds data that is ours and goes on.
    func claim(_ files: any FileSystem) throws(NodeFault) {
        do throws(FileFault) {
            if try files.status(self.damagedPath) != nil {
                let reason = String(
                    decoding: try files.contents(of: self.damagedPath), as: UTF8.self)
                throw FileFault.exists(path: reason)
            }
        } catch {
            if case .exists(let reason) = error {
                throw .damaged(directory: self.directory, reason: reason)
            }
            throw .file("\(error)")
        }
        let found: String?
        let hasBegun: Bool
        do throws(FileFault) {
            try files.makeDirectoryDurably(self.directory)
            found =
                try files.status(self.markerPath) == nil
                ? nil : String(decoding: try files.contents(of: self.markerPath), as: UTF8.self)
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

    /// Notes that the disk has failed this node, where the next start sees it: best effort, because
    /// the process ends whether or not it can be written.
    func markDamaged(_ reason: String, _ files: any FileSystem) {
        do throws(FileFault) {
            try files.replace(self.damagedPath, with: Array(reason.utf8))
        } catch {
            return
        }
    }
}
