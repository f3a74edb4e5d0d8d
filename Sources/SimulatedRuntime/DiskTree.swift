import Primitives

/// A file of the simulated disk, whatever names it has.
final class DiskFile {
    var content = FileContent()
    var modified: Timestamp
    /// The open file that holds the lock.
    var lockHolder: ObjectIdentifier?
    /// Visible names, and open files. Without either its room is free.
    fileprivate(set) var linkCount = 0
    var openCount = 0

    init(modified: Timestamp) { self.modified = modified }

    fileprivate var isHeld: Bool { self.linkCount > 0 || self.openCount > 0 }
    fileprivate var usedBytes: UInt64 {
        UInt64(self.content.allocatedPages * FileContent.pageBytes)
    }
}

final class DiskDirectory {
    /// The names that processes see.
    var names: [String: DiskEntry] = [:]
    /// The names that a power cut leaves.
    fileprivate var durableNames: [String: DiskEntry] = [:]
    /// The ordered store that lives here, if one does.
    var store: StoreMedium?
    var modified: Timestamp

    init(modified: Timestamp) { self.modified = modified }
}

enum DiskEntry {
    case file(DiskFile)
    case directory(DiskDirectory)
}

/// The names of a disk, visible and durable.
///
/// Changes of names since the last sync of their directories stand in one journal, in order, each
/// whole: a rename happens or does not, even between two directories. A sync of a directory makes
/// durable what touches it, and what that depends on; a power cut leaves a first part of the rest.
struct DiskTree {
    /// Changes that wait for a sync. At the limit the older half becomes durable, as file systems
    /// commit their journals now and then on their own.
    static let journalLimit = 256

    private struct NameChange {
        let directory: DiskDirectory
        let name: String
        let entry: DiskEntry?
    }

    private(set) var root = DiskDirectory(modified: Timestamp(milliseconds: 0))
    private(set) var usedBytes: UInt64 = 0
    private var journal: [[NameChange]] = []

    /// Splits a path; "", "." and double slashes mean nothing, ".." steps back.
    static func components(_ path: String) -> [String] {
        var parts: [String] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." {
                parts.removeLast(parts.isEmpty ? 0 : 1)
            } else {
                parts.append(String(part))
            }
        }
        return parts
    }

    func entry(_ path: String) -> DiskEntry? { self.entry(Self.components(path)[...]) }

    private func entry(_ parts: ArraySlice<String>) -> DiskEntry? {
        var entry = DiskEntry.directory(self.root)
        for part in parts {
            guard case .directory(let directory) = entry, let next = directory.names[part] else {
                return nil
            }
            entry = next
        }
        return entry
    }

    func file(_ path: String) -> DiskFile? {
        guard case .file(let file) = self.entry(path) else { return nil }
        return file
    }

    func directory(_ path: String) -> DiskDirectory? {
        guard case .directory(let directory) = self.entry(path) else { return nil }
        return directory
    }

    /// The directory that holds the last name of the path, and that name.
    func parent(of path: String) -> (directory: DiskDirectory, name: String)? {
        let parts = Self.components(path)
        guard let name = parts.last,
            case .directory(let directory) = self.entry(parts.dropLast())
        else { return nil }
        return (directory, name)
    }
}

// MARK: - Changes

extension DiskTree {
    mutating func setName(_ name: String, in directory: DiskDirectory, to entry: DiskEntry?) {
        self.change([NameChange(directory: directory, name: name, entry: entry)])
    }

    mutating func rename(
        _ from: String, in source: DiskDirectory, to: String, in target: DiskDirectory
    ) {
        guard let entry = source.names[from] else { return }
        if source === target, from == to { return }
        self.change([
            NameChange(directory: target, name: to, entry: entry),
            NameChange(directory: source, name: from, entry: nil),
        ])
    }

    /// Removes everything below the name, and then the name, one change each.
    mutating func removeTree(_ name: String, in directory: DiskDirectory) {
        guard let entry = directory.names[name] else { return }
        if case .directory(let inner) = entry {
            for child in inner.names.keys.sorted() { self.removeTree(child, in: inner) }
            self.usedBytes -= inner.store?.sizeBytes ?? 0
        }
        self.setName(name, in: directory, to: nil)
    }

    private mutating func change(_ changes: [NameChange]) {
        if self.journal.count >= Self.journalLimit {
            for old in self.journal.prefix(Self.journalLimit / 2) { Self.makeDurable(old) }
            self.journal.removeFirst(Self.journalLimit / 2)
        }
        self.journal.append(changes)
        for change in changes {
            let old = change.directory.names[change.name]
            change.directory.names[change.name] = change.entry
            if case .file(let file)? = change.entry { self.linked(file, by: 1) }
            if case .file(let file)? = old { self.linked(file, by: -1) }
        }
    }

    private mutating func linked(_ file: DiskFile, by difference: Int) {
        self.holding(file) { $0.linkCount += difference }
    }

    /// Changes a file and counts the room that it took or gave.
    mutating func holding<Result>(_ file: DiskFile, _ change: (DiskFile) -> Result) -> Result {
        let before = file.isHeld ? file.usedBytes : 0
        let result = change(file)
        self.usedBytes += file.isHeld ? file.usedBytes : 0
        self.usedBytes -= before
        return result
    }

    /// Counts the room that a store took or gave.
    mutating func storeChanged(fromBytes before: UInt64, toBytes after: UInt64) {
        self.usedBytes += after
        self.usedBytes -= min(before, self.usedBytes)
    }
}

// MARK: - Syncs and power cuts

extension DiskTree {
    /// Makes the directory's names durable, with the changes that those rest upon.
    mutating func sync(_ directory: DiskDirectory) {
        var wanted: Set<ObjectIdentifier> = [ObjectIdentifier(directory)]
        var chosen = [Bool](repeating: false, count: self.journal.count)
        for index in self.journal.indices.reversed() {
            let touched = self.journal[index].map { ObjectIdentifier($0.directory) }
            guard touched.contains(where: wanted.contains) else { continue }
            chosen[index] = true
            wanted.formUnion(touched)
        }
        var kept: [[NameChange]] = []
        for (index, changes) in self.journal.enumerated() {
            if chosen[index] { Self.makeDurable(changes) } else { kept.append(changes) }
        }
        self.journal = kept
    }

    private static func makeDurable(_ changes: [NameChange]) {
        for change in changes { change.directory.durableNames[change.name] = change.entry }
    }

    mutating func powerCut(_ generator: inout SeededGenerator) {
        let survivors = generator.chance(0.25) ? 0 : generator.below(self.journal.count + 1)
        for changes in self.journal.prefix(survivors) { Self.makeDurable(changes) }
        self.journal = []
        self.usedBytes = 0
        self.recover(self.root, &generator)
    }

    /// What is durable becomes what is visible, in the order of the names.
    private mutating func recover(
        _ directory: DiskDirectory, _ generator: inout SeededGenerator
    ) {
        directory.names = directory.durableNames
        if let store = directory.store {
            store.powerCut(&generator)
            self.usedBytes += store.sizeBytes
        }
        for name in directory.names.keys.sorted() {
            switch directory.names[name] {
            case .directory(let inner): self.recover(inner, &generator)
            case .file(let file):
                file.content.powerCut(&generator)
                file.openCount = 0
                file.linkCount = 1
                self.usedBytes += file.usedBytes
            case nil: break
            }
        }
    }
}

extension DiskTree {
    /// Open files and locks end with the process, and memory that a store had not flushed.
    mutating func processDied(_ generator: inout SeededGenerator) {
        var usedBytes: UInt64 = 0
        Self.walk(self.root, "") { _, entry in
            switch entry {
            case .file(let file):
                file.openCount = 0
                file.lockHolder = nil
                usedBytes += file.usedBytes
            case .directory(let directory):
                directory.store?.processDied(&generator)
                usedBytes += directory.store?.sizeBytes ?? 0
            }
        }
        self.usedBytes = usedBytes
    }
}

// MARK: - The end of the world

extension DiskTree {
    /// Frees what files and stores hold. Open files of tasks that will never run again keep the
    /// objects themselves.
    mutating func discard() {
        Self.walk(self.root, "") { _, entry in
            switch entry {
            case .file(let file): file.content = FileContent()
            case .directory(let directory): directory.store?.discard()
            }
        }
        self = DiskTree()
    }
}

// MARK: - Walks, in the order of the names

extension DiskTree {
    func filePaths() -> [String] {
        var paths: [String] = []
        Self.walk(self.root, "") { path, entry in
            if case .file = entry { paths.append(path) }
        }
        return paths
    }

    private static func walk(
        _ directory: DiskDirectory, _ path: String, _ visit: (String, DiskEntry) -> Void
    ) {
        for name in directory.names.keys.sorted() {
            guard let entry = directory.names[name] else { continue }
            visit("\(path)/\(name)", entry)
            if case .directory(let inner) = entry { Self.walk(inner, "\(path)/\(name)", visit) }
        }
    }
}
