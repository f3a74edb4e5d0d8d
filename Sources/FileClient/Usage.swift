import Primitives

/// What a folder, or a bucket, holds.
package struct Usage: Equatable, Sendable {
    /// Ends in `/`, but for a bucket.
    package let name: String
    package internal(set) var objects: Int
    package internal(set) var sizeBytes: UInt64

    package init(name: String, objects: Int = 0, sizeBytes: UInt64 = 0) {
        self.name = name
        self.objects = objects
        self.sizeBytes = sizeBytes
    }
}

/// Adds up the objects of a listing by folder, in memory that grows with the depth alone: keys come
/// in order, so the objects of a folder come one after the other.
package struct UsageCount: Sendable {
    private let depth: Int
    private let prefix: String
    /// The folder itself, and the folders in it that the last key lies in, outermost first.
    private var open: [Usage]

    /// - Parameters:
    ///   - name: what the whole is called.
    ///   - prefix: what all keys begin with: a folder's name with its slash, or nothing.
    ///   - depth: how many levels of folders below it are told of.
    package init(_ name: String, prefix: String, depth: Int) {
        self.depth = depth
        self.prefix = prefix
        self.open = [Usage(name: name)]
    }

    /// Counts the next object; returns the folders that are complete now, innermost first.
    package mutating func add(key: String, sizeBytes: UInt64) -> [Usage] {
        let folders = self.folders(of: key)
        var common = 0
        while common < folders.count, common + 1 < self.open.count,
            folders[common].utf8.elementsEqual(self.open[common + 1].name.utf8)
        { common += 1 }
        let complete = self.close(downTo: common + 1)
        self.open += folders[common...].map { Usage(name: $0) }
        self.open[self.open.count - 1].objects += 1
        self.open[self.open.count - 1].sizeBytes += sizeBytes
        return complete
    }

    /// Whatever is left, the whole last.
    package mutating func finish() -> [Usage] { self.close(downTo: 0) }

    private mutating func close(downTo count: Int) -> [Usage] {
        var complete: [Usage] = []
        while self.open.count > count, let last = self.open.popLast() {
            complete.append(last)
            if !self.open.isEmpty {
                self.open[self.open.count - 1].objects += last.objects
                self.open[self.open.count - 1].sizeBytes += last.sizeBytes
            }
        }
        return complete
    }

    private func folders(of key: String) -> [String] {
        let start = key.utf8.count >= self.prefix.utf8.count ? self.prefix.utf8.count : 0
        let rest = key.utf8.dropFirst(start)
        return rest.indices.filter { rest[$0] == .slash }.prefix(self.depth).map {
            String(Substring(key.utf8[...$0]))
        }
    }
}

extension FileClient {
    /// What the folders below `path` hold, to a depth, and last the whole. Tells of each as soon as
    /// it is counted; stops when `tell` returns false.
    package func usage(
        of path: RemotePath, depth: Int, tell: (Usage) -> Bool
    ) async throws(FileClientFault) {
        let folder = path.with(key: path.folderPrefix)
        var count = UsageCount(
            path.key.isEmpty ? path.bucket : folder.key, prefix: folder.key, depth: depth)
        var token: String?
        var foundAny = false
        repeat {
            let page = try await self.list(folder, after: token)
            token = page.next
            foundAny = foundAny || !page.objects.isEmpty
            for object in page.objects {
                for usage in count.add(key: object.key, sizeBytes: object.sizeBytes) {
                    guard tell(usage) else { return }
                }
            }
        } while token != nil
        if !foundAny, !path.isBucket {
            guard let object = try await self.head(path) else { throw .nothingThere(path) }
            _ = tell(Usage(name: object.key, objects: 1, sizeBytes: object.sizeBytes))
            return
        }
        for usage in count.finish() {
            guard tell(usage) else { return }
        }
    }
}
