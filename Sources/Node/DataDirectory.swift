import IORuntime
import Primitives

/// The agreement between a node's identity and its data: each knows of the other, so that neither
/// is ever used with a stranger, and data that has gone is not taken for data that never was.
package struct DataDirectory: Sendable {
    let directory: String
    let identityDirectory: String
    let cluster: ClusterID
    let node: NodeID
    /// The directories below the data that hold what must not be forgotten, one for each role. Each
    /// may be a file system of its own, so each has a marker of its own.
    let parts: [String]

    package init(
        directory: String, identityDirectory: String, cluster: ClusterID, node: NodeID,
        parts: [String] = []
    ) {
        self.directory = directory
        self.identityDirectory = identityDirectory
        self.cluster = cluster
        self.node = node
        self.parts = parts
    }

    private var markerPath: String { self.directory + "/node" }
    private var begunPath: String { self.identityDirectory + "/" + NodeIdentity.File.begun }
    private var marker: String { "cluster \(self.cluster) node \(self.node)" }

    /// Checks the agreement, and makes it at the first start. Blocking.
    ///
    /// The markers in the data come before `begun` in the identity, which names the parts that have
    /// theirs: after a crash between the two the next start finds data that is ours and goes on.
    package func claim(_ files: any FileSystem) throws(NodeFault) {
        let found: String?
        let begun: String?
        do throws(FileFault) {
            try files.makeDirectoryDurably(self.directory)
            found = try self.text(of: self.markerPath, files)
            begun = try self.text(of: self.begunPath, files)
        } catch { throw .file("\(error)") }
        if let found, found != self.marker {
            throw .foreignData(
                directory: self.directory, found: found, expected: self.marker)
        }
        if found == nil, begun != nil { throw .dataGone(directory: self.directory) }
        let known = (begun ?? "").split(separator: "\n").map(String.init)
        do throws(FileFault) {
            if found == nil { try files.replace(self.markerPath, with: Array(self.marker.utf8)) }
        } catch { throw .file("\(error)") }
        for part in self.parts { try self.claim(part, isKnown: known.contains(part), files) }
        let named = known + self.parts.filter { !known.contains($0) }
        guard begun == nil || named != known else { return }
        do throws(FileFault) {
            try files.replace(self.begunPath, with: Array(named.joined(separator: "\n").utf8))
        } catch { throw .file("\(error)") }
    }

    /// The same for one part of the data.
    private func claim(
        _ part: String, isKnown: Bool, _ files: any FileSystem
    ) throws(NodeFault) {
        let directory = self.directory + "/" + part
        let found: String?
        do throws(FileFault) { found = try self.text(of: directory + "/node", files) } catch {
            throw .file("\(error)")
        }
        if let found, found != self.marker {
            throw .foreignData(directory: directory, found: found, expected: self.marker)
        }
        if found == nil, isKnown { throw .dataGone(directory: directory) }
        guard found == nil else { return }
        do throws(FileFault) {
            try files.makeDirectoryDurably(directory)
            try files.replace(directory + "/node", with: Array(self.marker.utf8))
        } catch { throw .file("\(error)") }
    }

    /// Nil when nothing is there.
    func text(
        of path: String, _ files: any FileSystem
    ) throws(FileFault) -> String? {
        guard try files.status(path) != nil else { return nil }
        return String(decoding: try files.contents(of: path), as: UTF8.self)
    }
}
