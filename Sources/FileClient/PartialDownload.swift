import IORuntime
import Primitives
import Synchronization

/// A file while it arrives: bytes go to a temporary file beside its place, which takes the place
/// only when all of them are there and right. Used by one task.
final class PartialDownload {
    /// How many bytes are in the temporary file.
    private(set) var offset: UInt64 = 0
    /// Of the version that they belong to.
    private(set) var etag: String?

    private let directory: String
    private let name: String
    private let temporary: String
    private let environment: any Environment
    private let progress: TransferProgress
    private let files: PartialFiles
    private var file: (any File)?
    private var check = ContentCheck.none

    /// - Parameters:
    ///   - directory: is made where it is missing; symbolic links in its own path are the caller's.
    ///   - name: the path below it, checked by `DownloadName`.
    init(
        _ name: String, in directory: String, _ environment: any Environment,
        _ progress: TransferProgress, _ files: PartialFiles
    ) {
        self.files = files
        self.directory = directory
        self.name = name
        let folder = Self.folders(of: name).last.map { "\(directory)/\($0)" } ?? directory
        self.temporary = "\(folder)/.holdfast-\(Hex.encode(environment.randomBytes(8))).part"
        self.environment = environment
        self.progress = progress
    }

    private var path: String { "\(self.directory)/\(self.name)" }

    /// Forgets all bytes, for those of a new answer that starts at the beginning.
    func restart(etag: String?, check: ContentCheck) {
        self.progress.takenBack(self.offset)
        self.offset = 0
        self.etag = etag
        self.check = check
    }

    /// Adds bytes behind those that are there.
    func append(_ bytes: [UInt8]) async throws(FileClientFault) {
        let file = try await self.opened()
        let (offset, before) = (self.offset, self.check)
        self.check = try await self.blocking { () throws(FileFault) -> ContentCheck in
            try file.write(bytes, at: offset)
            return before.updated(with: bytes)
        }
        self.offset += UInt64(bytes.count)
        self.progress.moved(bytes.count)
    }

    /// See `ContentCheck.mismatch`.
    var mismatch: (expected: String, received: String)? { self.check.mismatch }

    /// Gives the file its name. With `sync` it survives a power cut when this returns.
    func finish(sync: Bool) async throws(FileClientFault) {
        let file = try await self.opened()
        let (files, temporary, path, size) = (
            self.environment.files, self.temporary, self.path, self.offset
        )
        let inTheWay = try await self.blocking { () throws(FileFault) -> FileKind? in
            if try files.kind(path) == .directory { return .directory }
            // An earlier version of the object may have been longer.
            if try file.sizeBytes() != size { try file.truncate(to: size) }
            if sync { try file.sync() }
            try files.rename(temporary, to: path)
            if sync { try files.syncDirectory(Self.parent(of: path)) }
            return nil
        }
        if let inTheWay { throw .blockedByEntry(path: path, inTheWay) }
        self.files.gone(temporary)
        file.close()
        self.file = nil
    }

    /// Leaves nothing behind.
    func abandon() async {
        self.progress.takenBack(self.offset)
        self.offset = 0
        guard let file = self.file else { return }
        self.file = nil
        self.files.gone(self.temporary)
        let (files, temporary) = (self.environment.files, self.temporary)
        await self.environment.blocking(.disk) {
            file.close()
            do throws(FileFault) { try files.remove(temporary) } catch {
                // The transfer has failed already, and says why.
            }
        }
    }

    private func opened() async throws(FileClientFault) -> any File {
        if let file = self.file { return file }
        let (files, temporary) = (self.environment.files, self.temporary)
        try await Self.makeFolders(
            Self.folders(of: self.name), in: self.directory, self.environment)
        self.files.made(temporary)
        let file = try await self.blocking { () throws(FileFault) -> any File in
            try files.open(temporary, .create)
        }
        self.file = file
        return file
    }

    /// Makes the folders below `directory`, outermost first, without going through anything that is
    /// not a folder: a link placed there could lead out of the directory.
    static func makeFolders(
        _ folders: [String], in directory: String, _ environment: any Environment
    ) async throws(FileClientFault) {
        let files = environment.files
        let blocked: (path: String, kind: FileKind)?
        do throws(FileFault) {
            blocked = try await environment.blocking(.disk) {
                () throws(FileFault) -> (path: String, kind: FileKind)? in
                try files.makeDirectory(directory)
                for folder in folders {
                    let path = "\(directory)/\(folder)"
                    switch try files.kind(path) {
                    case .directory: break
                    case nil: try files.makeDirectory(path)
                    case let kind?: return (path, kind)
                    }
                }
                return nil
            }
        } catch {
            throw .file(error)
        }
        if let blocked { throw .blockedByEntry(path: blocked.path, blocked.kind) }
    }

    /// `a/b/c` lies in `a` and `a/b`.
    static func folders(of name: String) -> [String] {
        let bytes = name.utf8
        return bytes.indices.filter { bytes[$0] == .slash }.map { String(name[..<$0]) }
    }

    static func parent(of path: String) -> String {
        path.utf8.lastIndex(of: .slash).map { String(path[..<$0]) } ?? "."
    }

    private func blocking<Value: Sendable>(
        _ work: @escaping @Sendable () throws(FileFault) -> Value
    ) async throws(FileClientFault) -> Value {
        do throws(FileFault) {
            return try await self.environment.blocking(.disk, throwing: work)
        } catch {
            throw .file(error)
        }
    }
}

/// The temporary files of a client that are there now: what an interrupted program removes.
final class PartialFiles: Sendable {
    private let state = Mutex<[String]>([])

    var paths: [String] { self.state.withLock { $0 } }

    func made(_ path: String) { self.state.withLock { $0.append(path) } }
    func gone(_ path: String) {
        self.state.withLock { paths in
            if let place = paths.firstIndex(of: path) { paths.remove(at: place) }
        }
    }
}
