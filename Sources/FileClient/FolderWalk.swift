import IORuntime
import Primitives

/// Finds the files below what a person named, in the order of their names.
struct FolderWalk {
    let environment: any Environment
    let filter: PathFilter
    let progress: TransferProgress
    let report: @Sendable (TransferEvent) -> Void

    private struct Entry: Sendable {
        let name: String
        let kind: FileKind
        let sizeBytes: UInt64
    }

    /// The plan for all sources. A source that is not a file or a folder is a fault; such an entry
    /// inside a folder is reported and left out.
    func plan(
        _ sources: [String], to destination: RemotePath
    ) async throws(FileClientFault) -> UploadPlan {
        var kinds: [FileKind] = []
        for source in sources {
            guard let kind = try await self.kind(of: source) else {
                throw .noSuchFile(path: source)
            }
            guard kind == .file || kind == .directory else {
                throw .notUploadable(path: source, kind)
            }
            kinds.append(kind)
        }
        var plan = UploadPlan(to: destination, isSingleFile: kinds == [.file])
        for (source, kind) in zip(sources, kinds) {
            if kind == .directory {
                try await self.walk(source, into: &plan)
            } else if let entry = try await self.entry(at: source) {
                guard self.filter.wants(UploadPlan.lastComponent(of: source)) else { continue }
                try Self.planned { () throws(UploadPlan.Refusal) in
                    try plan.add(file: source, sizeBytes: entry.sizeBytes)
                }
            } else {
                throw .noSuchFile(path: source)
            }
        }
        self.progress.found(files: plan.uploads.count, bytes: plan.totalBytes)
        self.progress.foundAll()
        return plan
    }

    private func walk(_ root: String, into plan: inout UploadPlan) async throws(FileClientFault) {
        let base = root.utf8.last == .slash ? root : root + "/"
        var folders = [""]
        while let folder = folders.popLast() {
            var inner: [String] = []
            for entry in try await self.entries(of: base + folder) {
                let relative = folder + entry.name
                switch entry.kind {
                case .directory where self.filter.leavesOut(folder: relative + "/"): break
                case .directory: inner.append(relative + "/")
                case .file where !self.filter.wants(relative): break
                case .file:
                    try Self.planned { () throws(UploadPlan.Refusal) in
                        try plan.add(
                            fileInFolder: relative, path: base + relative,
                            sizeBytes: entry.sizeBytes)
                    }
                case .symbolicLink, .special:
                    guard self.filter.wants(relative) else { continue }
                    self.progress.skipped()
                    self.report(.skipped(path: base + relative, entry.kind))
                }
            }
            folders += inner.reversed()
        }
    }

    private static func planned(
        _ add: () throws(UploadPlan.Refusal) -> Void
    ) throws(FileClientFault) {
        do throws(UploadPlan.Refusal) { try add() } catch { throw .noUploadPlace(error) }
    }

    private func kind(of path: String) async throws(FileClientFault) -> FileKind? {
        let files = self.environment.files
        return try await self.blocking { () throws(FileFault) in try files.kind(path) }
    }

    private func entry(at path: String) async throws(FileClientFault) -> Entry? {
        let files = self.environment.files
        return try await self.blocking { () throws(FileFault) in
            try Self.entry(path, named: path, in: files)
        }
    }

    private func entries(of folder: String) async throws(FileClientFault) -> [Entry] {
        let files = self.environment.files
        return try await self.blocking { () throws(FileFault) in
            var entries: [Entry] = []
            for name in try files.list(folder) {
                // One that has gone since the directory was read is not there any more.
                if let entry = try Self.entry(folder + name, named: name, in: files) {
                    entries.append(entry)
                }
            }
            return entries
        }
    }

    private static func entry(
        _ path: String, named name: String, in files: any FileSystem
    ) throws(FileFault) -> Entry? {
        guard let kind = try files.kind(path) else { return nil }
        guard kind == .file else { return Entry(name: name, kind: kind, sizeBytes: 0) }
        guard let status = try files.status(path) else { return nil }
        return Entry(name: name, kind: kind, sizeBytes: status.sizeBytes)
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
