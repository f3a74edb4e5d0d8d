import CLinux
import Glibc
import Primitives

/// The files of the machine. What it makes has the permissions that the process's umask leaves.
final class PosixFileSystem: FileSystem {
    func open(_ path: String, _ mode: FileMode) throws(FileFault) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .openOrCreate: O_RDWR | O_CREAT
            case .create: O_RDWR | O_CREAT | O_EXCL
            }
        let number = holdfast_open(path, flags, 0o666)
        try Self.check(number, "open", path)
        return PosixFile(adopting: number, path: path)
    }

    func list(_ directory: String) throws(FileFault) -> [String] {
        guard let stream = opendir(directory) else {
            throw FileFault(call: "opendir", path: directory, errno: errno)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        if errno != 0 { throw FileFault(call: "readdir", path: directory, errno: errno) }
        return names.sorted()
    }

    func status(_ path: String) throws(FileFault) -> FileStatus? {
        try Self.status(path, followsLinks: true)
    }

    func kind(_ path: String) throws(FileFault) -> FileKind? {
        var found = holdfast_status()
        let result = holdfast_file_status(path, false, &found)
        if result == -ENOENT || result == -ENOTDIR { return nil }
        try Self.check(result, "lstat", path)
        if found.is_directory { return .directory }
        if found.is_symbolic_link { return .symbolicLink }
        return found.is_regular ? .file : .special
    }

    func makeDirectory(_ path: String) throws(FileFault) {
        if mkdir(path, 0o777) == 0 { return }
        let error = errno
        if error == ENOENT, let parent = Self.parent(of: path) {
            try self.makeDirectory(parent)
            if mkdir(path, 0o777) == 0 { return }
        }
        guard try self.status(path)?.isDirectory == true else {
            throw FileFault(call: "mkdir", path: path, errno: error)
        }
    }

    func rename(_ from: String, to: String) throws(FileFault) {
        try Self.check(Glibc.rename(from, to) == 0 ? 0 : -errno, "rename", from)
    }

    func remove(_ path: String) throws(FileFault) {
        try Self.check(unlink(path) == 0 ? 0 : -errno, "unlink", path)
    }

    func removeTree(_ path: String) throws(FileFault) {
        // A symbolic link to a directory is removed, never followed.
        guard let status = try Self.status(path, followsLinks: false) else { return }
        guard status.isDirectory else { return try self.remove(path) }
        for name in try self.list(path) { try self.removeTree(path + "/" + name) }
        try Self.check(rmdir(path) == 0 ? 0 : -errno, "rmdir", path)
    }

    func syncDirectory(_ path: String) throws(FileFault) {
        let number = holdfast_open(path, O_RDONLY | O_DIRECTORY, 0)
        try Self.check(number, "open", path)
        defer { Glibc.close(number) }
        try Self.check(fsync(number) == 0 ? 0 : -errno, "fsync", path)
    }

    func space(_ path: String) throws(FileFault) -> (totalBytes: UInt64, freeBytes: UInt64) {
        var (total, free): (UInt64, UInt64) = (0, 0)
        try Self.check(holdfast_file_system_space(path, &total, &free), "statvfs", path)
        return (total, free)
    }

    private static func status(
        _ path: String, followsLinks: Bool
    ) throws(FileFault) -> FileStatus? {
        var found = holdfast_status()
        let result = holdfast_file_status(path, followsLinks, &found)
        if result == -ENOENT || result == -ENOTDIR { return nil }
        try Self.check(result, "stat", path)
        let modified = found.modified_seconds * 1000 + found.modified_nanoseconds / 1_000_000
        return FileStatus(
            isDirectory: found.is_directory, sizeBytes: found.size_bytes,
            modified: Timestamp(milliseconds: modified), permissions: found.permissions)
    }

    /// Nil for a name without one: its parent is where we are, which exists.
    private static func parent(of path: String) -> String? {
        let trimmed = path.last == "/" ? path.dropLast() : path[...]
        guard let slash = trimmed.lastIndex(of: "/"), slash != trimmed.startIndex else {
            return nil
        }
        return String(trimmed[..<slash])
    }

    private static func check(_ result: Int32, _ call: String, _ path: String) throws(FileFault) {
        if result < 0 { throw FileFault(call: call, path: path, errno: -result) }
    }
}
