import Primitives

/// The files of a node. Every call may block. Nothing is durable before the `sync` that covers it:
/// bytes by `File.sync`, names by `syncDirectory`.
package protocol FileSystem: AnyObject, Sendable {
    func open(_ path: String, _ mode: FileMode) throws(FileFault) -> any File
    /// The names in a directory, sorted, without `.` and `..`.
    func list(_ directory: String) throws(FileFault) -> [String]
    /// Nil when nothing is there.
    func status(_ path: String) throws(FileFault) -> FileStatus?
    /// What has this very name: a symbolic link is not followed. Nil when nothing is there.
    func kind(_ path: String) throws(FileFault) -> FileKind?
    /// Makes a directory and those above it; fine when it is there already.
    func makeDirectory(_ path: String) throws(FileFault)
    /// Replaces what has the name `to`.
    func rename(_ from: String, to: String) throws(FileFault)
    /// Removes a file.
    func remove(_ path: String) throws(FileFault)
    /// Removes a directory with all that it holds; fine when it is not there.
    func removeTree(_ path: String) throws(FileFault)
    func syncDirectory(_ path: String) throws(FileFault)
    /// Bytes that the file system of `path` has, and has free for us.
    func space(_ path: String) throws(FileFault) -> (totalBytes: UInt64, freeBytes: UInt64)
}

package enum FileMode: Sendable, Equatable {
    case read
    /// Reads and writes an existing file.
    case update
    /// Reads and writes; makes the file when it is not there.
    case openOrCreate
    /// Makes the file; a fault when it is there already.
    case create
}

package enum FileKind: Sendable, Equatable {
    case file
    case directory
    case symbolicLink
    /// A device, a socket, a named pipe.
    case special
}

package struct FileStatus: Sendable, Equatable {
    package var isDirectory: Bool
    package var sizeBytes: UInt64
    package var modified: Timestamp
    /// Permission bits, as in POSIX.
    package var permissions: UInt16
    package init(
        isDirectory: Bool, sizeBytes: UInt64, modified: Timestamp = Timestamp(milliseconds: 0),
        permissions: UInt16 = 0o644
    ) {
        self.isDirectory = isDirectory
        self.sizeBytes = sizeBytes
        self.modified = modified
        self.permissions = permissions
    }
}

/// An open file. Positions are explicit, so that several threads may use it at once.
package protocol File: AnyObject, Sendable {
    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int
    /// Reads whole blocks from the device itself, whatever the system's cache holds for clean; where
    /// the file system cannot do so, as `read` does. Fewer bytes only at the end of the file.
    ///
    /// - Precondition: address, size and offset are multiples of `BlockBuffer.blockBytes`.
    func readBlocks(
        into blocks: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int
    /// Writes all buffers one behind the other at `offset`, extending the file as needed.
    func write(_ buffers: [UnsafeRawBufferPointer], at offset: UInt64) throws(FileFault)
    /// Writes whole blocks, taken by the device from where they lie, without a copy in the system's
    /// cache; where the file system cannot do so, as `write` does. No more durable than `write`.
    ///
    /// - Precondition: address, size and offset are multiples of `BlockBuffer.blockBytes`.
    func writeBlocks(_ blocks: UnsafeRawBufferPointer, at offset: UInt64) throws(FileFault)
    /// Makes the bytes, and the size needed to read them, survive a power cut (fdatasync).
    /// After a fault from here the file's contents on disk are unknown: never call it again.
    func sync() throws(FileFault)
    /// Asks the system to begin writing the range out, without waiting.
    func startWriteback(_ range: Range<UInt64>) throws(FileFault)
    func truncate(to sizeBytes: UInt64) throws(FileFault)
    /// Reserves disk space for the range without changing the size.
    func preallocate(_ range: Range<UInt64>) throws(FileFault)
    /// Gives the range's disk space back; it reads as zeros.
    func punchHole(_ range: Range<UInt64>) throws(FileFault)
    func sizeBytes() throws(FileFault) -> UInt64
    /// Takes an exclusive lock that ends with the process; false when another process holds it.
    func tryLock() throws(FileFault) -> Bool
    func close()
}

package enum FileFault: Error, Equatable, Sendable {
    case notFound(path: String)
    case exists(path: String)
    case full(path: String)
    case system(call: String, path: String, errno: Int32)
}

extension File {
    package func readBlocks(
        into blocks: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int {
        BlockBuffer.check(UnsafeRawBufferPointer(blocks), at: offset)
        return try self.read(into: blocks, at: offset)
    }

    /// Reads `count` bytes at `offset` from the device itself; fewer only at the end of the file.
    package func readDirectly(_ count: Int, at offset: UInt64) throws(FileFault) -> [UInt8] {
        guard count > 0 else { return [] }
        let before = Int(offset % UInt64(BlockBuffer.blockBytes))
        let buffer = BlockBuffer(capacityBytes: before + count)
        let read = try self.readBlocks(into: buffer.bytes, at: offset - UInt64(before))
        return Array(buffer.bytes[min(before, read)..<min(before + count, read)])
    }

    package func writeBlocks(
        _ blocks: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(FileFault) {
        BlockBuffer.check(blocks, at: offset)
        try self.write([blocks], at: offset)
    }

    package func write(_ bytes: [UInt8], at offset: UInt64) throws(FileFault) {
        let result: Result<Void, FileFault> = bytes.withUnsafeBytes { buffer in
            do throws(FileFault) { return .success(try self.write([buffer], at: offset)) } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Reads `count` bytes at `offset`; fewer only at the end of the file.
    package func read(_ count: Int, at offset: UInt64) throws(FileFault) -> [UInt8] {
        var fault: FileFault?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(FileFault) {
                initialized = try self.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch { fault = error }
        }
        if let fault { throw fault }
        return bytes
    }
}

extension FileSystem {
    /// Makes a directory and those above it so that a power cut does not take their names away.
    ///
    /// The name in the directory above is synced even where it was there already: a process that
    /// died between making and syncing has left it.
    package func makeDirectoryDurably(_ path: String) throws(FileFault) {
        let slash = path.lastIndex(of: "/")
        let parent = slash.map { String(path[..<$0]) } ?? "."
        if !parent.isEmpty, parent != ".", try self.status(parent) == nil {
            try self.makeDirectoryDurably(parent)
        }
        try self.makeDirectory(path)
        try self.syncDirectory(parent.isEmpty ? "/" : parent)
    }

    /// The whole content of a file of at most `limit` bytes.
    package func contents(of path: String, limit: Int = 16 << 20) throws(FileFault) -> [UInt8] {
        let file = try self.open(path, .read)
        defer { file.close() }
        let size = try file.sizeBytes()
        guard size <= UInt64(limit) else {
            throw .system(call: "read (over \(limit) bytes)", path: path, errno: 27)
        }
        return try file.read(Int(size), at: 0)
    }

    /// Replaces a small file so that a crash leaves the old content or the new, never a mixture:
    /// a temporary file beside it, sync, rename, sync of the directory.
    package func replace(_ path: String, with bytes: [UInt8]) throws(FileFault) {
        let temporary = path + ".new"
        if try self.status(temporary) != nil { try self.remove(temporary) }
        let file = try self.open(temporary, .create)
        do throws(FileFault) {
            try file.write(bytes, at: 0)
            try file.sync()
            file.close()
        } catch {
            file.close()
            throw error
        }
        try self.rename(temporary, to: path)
        let slash = path.lastIndex(of: "/")
        try self.syncDirectory(slash.map { String(path[..<$0]) } ?? ".")
    }
}
