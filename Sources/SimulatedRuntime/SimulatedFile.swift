import IORuntime
import Primitives

/// An open file of a simulated process.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedFile: File, @unchecked Sendable {
    private let fileSystem: SimulatedFileSystem
    private let disk: SimulatedDisk
    private let file: DiskFile
    private let path: String
    private let isReadOnly: Bool
    private var isClosed = false

    init(
        _ fileSystem: SimulatedFileSystem, _ disk: SimulatedDisk, _ file: DiskFile, path: String,
        isReadOnly: Bool
    ) {
        self.fileSystem = fileSystem
        self.disk = disk
        self.file = file
        self.path = path
        self.isReadOnly = isReadOnly
    }

    deinit { self.close() }

    private func begin(
        _ operation: SimulatedDisk.Operation, _ call: String, changes: Bool = false
    ) throws(FileFault) {
        invariant(!self.isClosed, "\(self.path) is used while open")
        // EBADF
        if changes && self.isReadOnly {
            throw .system(call: call, path: self.path, errno: 9)
        }
        try self.fileSystem.begin(operation, call, self.path)
    }

    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int {
        try self.read(into: buffer) { $0.read(into: buffer, at: Int(clamping: offset)) }
    }

    package func readBlocks(
        into blocks: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int {
        try self.read(into: blocks) { $0.readDevice(into: blocks, at: Int(clamping: offset)) }
    }

    private func read(
        into buffer: UnsafeMutableRawBufferPointer, _ body: (FileContent) -> Int
    ) throws(FileFault) -> Int {
        try self.begin(.read(sizeBytes: buffer.count), "pread")
        let conditions = self.disk.conditions
        if self.disk.generator.chance(conditions.readFailureProbability) {
            throw SimulatedFileSystem.deviceFault("pread", self.path)
        }
        let count = body(self.file.content)
        if count > 0, self.disk.generator.chance(conditions.bitFlipOnReadProbability) {
            let position = self.disk.generator.below(count)
            buffer[position] ^= 1 << UInt8(self.disk.generator.below(8))
        }
        return count
    }

    package func write(
        _ buffers: [UnsafeRawBufferPointer], at offset: UInt64
    ) throws(FileFault) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(buffers.reduce(0) { $0 + $1.count })
        for buffer in buffers { bytes.append(contentsOf: buffer) }
        try self.begin(.write(sizeBytes: bytes.count), "pwrite", changes: true)
        let conditions = self.disk.conditions
        if self.disk.generator.chance(conditions.writeFailureProbability) {
            throw SimulatedFileSystem.deviceFault("pwrite", self.path)
        }
        var start = Int(offset)
        if self.disk.generator.chance(conditions.misdirectedWriteProbability) {
            let pages = Int(self.file.content.sizeBytes) / FileContent.pageBytes
            start = start % FileContent.pageBytes
            start += self.disk.generator.below(pages + 1) * FileContent.pageBytes
        }
        try self.place(bytes, at: start)
    }

    /// Writes what there is room for, as a real disk does before it says that it is full.
    private func place(_ bytes: [UInt8], at start: Int) throws(FileFault) {
        let range = start..<start + bytes.count
        let freePages = Int(clamping: self.disk.freeBytes / UInt64(FileContent.pageBytes))
        var fitting = bytes.count
        if self.file.content.newPages(for: range) > freePages {
            while fitting > 0,
                self.file.content.newPages(for: start..<start + fitting) > freePages
            {
                fitting = max(0, fitting - FileContent.pageBytes)
            }
        }
        self.fileSystem.changed(self.file)
        self.disk.tree.holding(self.file) {
            $0.content.write(Array(bytes.prefix(fitting)), at: start)
        }
        if fitting < bytes.count { throw .full(path: self.path) }
    }

    package func sync() throws(FileFault) {
        try self.begin(.sync(sizeBytes: self.file.content.unsyncedBytes), "fdatasync")
        if self.disk.drawSyncFailure() {
            self.file.content.syncFailed(&self.disk.generator)
            throw SimulatedFileSystem.deviceFault("fdatasync", self.path)
        }
        self.file.content.synced()
    }

    package func startWriteback(_ range: Range<UInt64>) throws(FileFault) {
        try self.begin(.metadata, "sync_file_range")
    }

    package func truncate(to sizeBytes: UInt64) throws(FileFault) {
        try self.begin(.extentChange, "ftruncate", changes: true)
        self.fileSystem.changed(self.file)
        self.disk.tree.holding(self.file) { $0.content.resize(to: Int(sizeBytes)) }
    }

    package func preallocate(_ range: Range<UInt64>) throws(FileFault) {
        try self.begin(.extentChange, "fallocate", changes: true)
        let range = Int(range.lowerBound)..<Int(range.upperBound)
        let needed = UInt64(self.file.content.newPages(for: range) * FileContent.pageBytes)
        if needed > self.disk.freeBytes { throw .full(path: self.path) }
        self.disk.tree.holding(self.file) { $0.content.preallocate(range) }
    }

    package func punchHole(_ range: Range<UInt64>) throws(FileFault) {
        try self.begin(.extentChange, "fallocate", changes: true)
        let range = Int(range.lowerBound)..<Int(range.upperBound)
        self.disk.tree.holding(self.file) { $0.content.punch(range) }
    }

    package func sizeBytes() throws(FileFault) -> UInt64 {
        try self.begin(.metadata, "fstat")
        return self.file.content.sizeBytes
    }

    package func tryLock() throws(FileFault) -> Bool {
        try self.begin(.metadata, "flock")
        let own = ObjectIdentifier(self)
        if let holder = self.file.lockHolder { return holder == own }
        self.file.lockHolder = own
        return true
    }

    /// Closing lets the lock go. A close after the process died changes nothing.
    package func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        guard self.fileSystem.isAlive else { return }
        if self.file.lockHolder == ObjectIdentifier(self) { self.file.lockHolder = nil }
        self.disk.tree.holding(self.file) { $0.openCount -= 1 }
    }
}
