import ChunkProtocol
import IORuntime
import Primitives
import Synchronization

/// The segments of a store as files, and the few of them that are held open. Every call may block.
final class SegmentFiles: Sendable {
    /// Files held open together, beside those a call is using.
    private static let mostOpen = 64

    private struct Open {
        var files: [UInt64: any File] = [:]
        /// In the order they were opened: the first is closed first.
        var order: [UInt64] = []
    }

    private let files: any FileSystem
    private let directory: String
    private let mode: FileMode
    private let open = Mutex(Open())

    /// - Parameter mode: `.read` where nothing is to be changed.
    init(files: any FileSystem, directory: String, mode: FileMode = .update) {
        self.mode = mode
        self.files = files
        self.directory = directory
    }

    func freeBytes() throws(FileFault) -> UInt64 { try self.files.space(self.directory).freeBytes }

    /// The numbers of all segments, ascending.
    func numbers() throws(FileFault) -> [UInt64] {
        try self.files.list(self.directory).compactMap { name in
            guard name.hasSuffix(Self.suffix) else { return nil }
            return UInt64(name.dropLast(Self.suffix.count), radix: 16)
        }.sorted()
    }

    /// Makes the file of a new segment, durable by name, with its first space reserved.
    func create(_ number: UInt64, bytes: UInt64) throws(FileFault) -> any File {
        let file = try self.files.open(self.path(number), .create)
        do throws(FileFault) {
            try file.preallocate(0..<bytes)
            try self.files.syncDirectory(self.directory)
        } catch {
            file.close()
            // The first fault is the one to tell; a file that stays is empty, and does no harm.
            do throws(FileFault) { try self.files.remove(self.path(number)) } catch {}
            throw error
        }
        self.keep(file, number)
        return file
    }

    /// The open file of a segment.
    func file(_ number: UInt64) throws(FileFault) -> any File {
        if let file = self.open.withLock({ $0.files[number] }) { return file }
        let file = try self.files.open(self.path(number), self.mode)
        self.keep(file, number)
        return file
    }

    /// Removes a segment for good. Fine when it is gone already.
    func remove(_ number: UInt64) throws(FileFault) {
        self.open.withLock { open in
            open.files[number] = nil
            open.order.removeAll { $0 == number }
        }
        do throws(FileFault) { try self.files.remove(self.path(number)) } catch {
            guard case .notFound = error else { throw error }
        }
        try self.files.syncDirectory(self.directory)
    }

    private func keep(_ file: any File, _ number: UInt64) {
        // A file that falls out is closed by its last user, which may be reading it right now.
        self.open.withLock { open in
            // Two who open a file at once leave one of the two here.
            if open.files.updateValue(file, forKey: number) == nil { open.order.append(number) }
            if open.order.count > Self.mostOpen {
                open.files[open.order.removeFirst()] = nil
            }
        }
    }

    private static let suffix = ".segment"
    private static let spare = "spare"

    private func path(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.count) + digits
        return self.directory + "/" + padded + Self.suffix
    }
}

// MARK: - The spare

extension SegmentFiles {
    /// Makes the spare: a file with room for tombstones, for a time when the disk has none. Its bytes
    /// are written, so that they are there whatever the file system does with reserved ones.
    func makeSpare(bytes: Int) throws(FileFault) {
        let path = self.directory + "/" + Self.spare
        if try self.files.status(path) != nil { return }
        try self.files.replace(path, with: [UInt8](repeating: 0, count: bytes))
    }

    /// Makes a segment of the spare, without a need for any room; nil when there is none.
    func adoptSpare(_ number: UInt64) throws(FileFault) -> (file: any File, bytes: UInt64)? {
        let path = self.directory + "/" + Self.spare
        guard let status = try self.files.status(path) else { return nil }
        try self.files.rename(path, to: self.path(number))
        try self.files.syncDirectory(self.directory)
        return (try self.file(number), status.sizeBytes)
    }
}
