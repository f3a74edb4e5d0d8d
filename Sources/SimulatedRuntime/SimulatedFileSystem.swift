import IORuntime
import Primitives

/// The files of a machine's disk, as one process sees them.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedFileSystem: FileSystem, @unchecked Sendable {
    unowned let simulator: Simulator
    let disk: SimulatedDisk
    /// Which of the disk's processes this is the view of.
    let generation: Int

    private unowned let node: SimulatedNode

    init(_ simulator: Simulator, _ node: SimulatedNode) {
        self.simulator = simulator
        self.node = node
        self.disk = node.disk
        self.generation = node.disk.processGeneration
    }

    private var now: Timestamp { self.node.clock.wall(at: self.simulator.now) }

    /// What every call begins with; nothing may happen when the process is dead.
    func begin(
        _ operation: SimulatedDisk.Operation, _ call: String, _ path: String
    ) throws(FileFault) {
        self.simulator.noteBlockingCall()
        guard self.disk.begin(operation, by: self.generation) else {
            throw Self.deviceFault(call, path)
        }
    }

    /// Whether the process that this is the view of lives.
    var isAlive: Bool { self.generation == self.disk.processGeneration }

    static func deviceFault(_ call: String, _ path: String) -> FileFault {
        .system(call: call, path: path, errno: 5)  // EIO
    }

    package func open(_ path: String, _ mode: FileMode) throws(FileFault) -> any File {
        let entry = self.disk.tree.entry(path)
        let makes = entry == nil && (mode == .create || mode == .openOrCreate)
        try self.begin(makes ? .nameChange : .metadata, "open", path)
        let file: DiskFile
        switch (entry, mode) {
        case (.directory, _): throw .system(call: "open", path: path, errno: 21)  // EISDIR
        case (.file, .create): throw .exists(path: path)
        case (.file(let existing), .read), (.file(let existing), .update),
            (.file(let existing), .openOrCreate):
            file = existing
        case (nil, .read), (nil, .update): throw .notFound(path: path)
        case (nil, .openOrCreate), (nil, .create): file = try self.make(path)
        }
        self.disk.tree.holding(file) { $0.openCount += 1 }
        return SimulatedFile(self, self.disk, file, path: path, isReadOnly: mode == .read)
    }

    private func make(_ path: String) throws(FileFault) -> DiskFile {
        guard let (directory, name) = self.disk.tree.parent(of: path) else {
            throw .notFound(path: path)
        }
        if self.disk.freeBytes == 0 { throw .full(path: path) }
        let file = DiskFile(modified: self.now)
        directory.modified = self.now
        self.disk.tree.setName(name, in: directory, to: .file(file))
        return file
    }

    package func list(_ directory: String) throws(FileFault) -> [String] {
        try self.begin(.metadata, "list", directory)
        guard let found = self.disk.tree.directory(directory) else {
            throw .notFound(path: directory)
        }
        return found.names.keys.sorted()
    }

    package func status(_ path: String) throws(FileFault) -> FileStatus? {
        try self.begin(.metadata, "stat", path)
        switch self.disk.tree.entry(path) {
        case nil: return nil
        case .directory(let directory):
            return FileStatus(
                isDirectory: true, sizeBytes: 4096, modified: directory.modified,
                permissions: 0o755)
        case .file(let file):
            return FileStatus(
                isDirectory: false, sizeBytes: file.content.sizeBytes, modified: file.modified)
        }
    }

    /// The simulated disk knows files and directories only.
    package func kind(_ path: String) throws(FileFault) -> FileKind? {
        try self.status(path).map { $0.isDirectory ? .directory : .file }
    }

    package func makeDirectory(_ path: String) throws(FileFault) {
        try self.begin(.nameChange, "mkdir", path)
        var directory = self.disk.tree.root
        for name in DiskTree.components(path) {
            switch directory.names[name] {
            case .directory(let next): directory = next
            case .file: throw .exists(path: path)
            case nil:
                let made = DiskDirectory(modified: self.now)
                self.disk.tree.setName(name, in: directory, to: .directory(made))
                directory = made
            }
        }
    }

    package func rename(_ from: String, to: String) throws(FileFault) {
        try self.begin(.nameChange, "rename", from)
        guard let source = self.disk.tree.parent(of: from),
            let entry = source.directory.names[source.name]
        else { throw .notFound(path: from) }
        guard let target = self.disk.tree.parent(of: to) else { throw .notFound(path: to) }
        switch (entry, target.directory.names[target.name]) {
        case (_, nil), (.file, .file): break
        case (.directory, .directory(let replaced)):
            // ENOTEMPTY
            guard replaced.names.isEmpty else {
                throw .system(call: "rename", path: to, errno: 39)
            }
        case (.file, .directory): throw .system(call: "rename", path: to, errno: 21)  // EISDIR
        case (.directory, .file): throw .system(call: "rename", path: to, errno: 20)  // ENOTDIR
        }
        self.disk.tree.rename(
            source.name, in: source.directory, to: target.name, in: target.directory)
    }

    package func remove(_ path: String) throws(FileFault) {
        try self.begin(.nameChange, "unlink", path)
        guard let (directory, name) = self.disk.tree.parent(of: path),
            let entry = directory.names[name]
        else { throw .notFound(path: path) }
        guard case .file = entry else {
            throw .system(call: "unlink", path: path, errno: 21)  // EISDIR
        }
        self.disk.tree.setName(name, in: directory, to: nil)
    }

    package func removeTree(_ path: String) throws(FileFault) {
        try self.begin(.nameChange, "removeTree", path)
        guard let (directory, name) = self.disk.tree.parent(of: path) else { return }
        self.disk.tree.removeTree(name, in: directory)
    }

    package func syncDirectory(_ path: String) throws(FileFault) {
        try self.begin(.sync(sizeBytes: 0), "fsync", path)
        guard let directory = self.disk.tree.directory(path) else { throw .notFound(path: path) }
        if self.disk.drawSyncFailure() { throw Self.deviceFault("fsync", path) }
        self.disk.tree.sync(directory)
    }

    package func space(
        _ path: String
    ) throws(FileFault) -> (totalBytes: UInt64, freeBytes: UInt64) {
        try self.begin(.metadata, "statvfs", path)
        return (self.disk.capacityBytes, self.disk.freeBytes)
    }

    /// Touches the file's time of change.
    func changed(_ file: DiskFile) { file.modified = self.now }
}
