import Foundation
import OrderedStorage
import Synchronization

/// A directory of its own for a test, removed with all that is in it when the test ends.
final class TestDirectory: Sendable {
    private let root: String
    private let count = Mutex(0)

    init() throws {
        self.root =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("holdfast-rocks-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: self.root, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: self.root) } catch {
            print("left behind: \(self.root): \(error)")
        }
    }

    /// A path inside where nothing is, a new one at each call.
    func fresh() -> String {
        let number = self.count.withLock { count in
            count += 1
            return count
        }
        return "\(self.root)/store-\(number)"
    }

    /// What a crash now would leave of the store in `directory`, as a directory of its own.
    ///
    /// A killed process leaves just the files, as far as they are written; so a copy of them, made
    /// past the store, equals a crash. What the store holds in memory (unlogged, unflushed) is not
    /// in them. A background flush or compaction may go on meanwhile: each ends with a record in the
    /// manifest, and files go only after that, so a copy counts when the manifest stood still.
    func crashed(_ directory: String) throws -> String {
        let files = FileManager.default
        for _ in 0..<Self.copyAttempts {
            let copy = self.fresh()
            try files.createDirectory(atPath: copy, withIntermediateDirectories: false)
            let before = try Self.manifest(of: directory)
            for name in try files.contentsOfDirectory(atPath: directory) where name != "LOCK" {
                do {
                    try files.copyItem(atPath: "\(directory)/\(name)", toPath: "\(copy)/\(name)")
                } catch CocoaError.fileReadNoSuchFile {
                    // A file that the manifest no longer names.
                }
            }
            if try Self.manifest(of: directory) == before { return copy }
        }
        throw CocoaError(.fileReadUnknown)
    }

    private static let copyAttempts = 50

    /// The names and contents of the files that say which others belong to the store.
    private static func manifest(of directory: String) throws -> [String: Data] {
        var contents: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: directory)
        where name == "CURRENT" || name.hasPrefix("MANIFEST") {
            do {
                contents[name] = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)"))
            } catch CocoaError.fileReadNoSuchFile {
                // A manifest that another has replaced.
            }
        }
        return contents
    }

    /// The write-ahead log of a store, when it has just one that holds anything.
    func log(in directory: String) throws -> URL {
        let logs = try FileManager.default.contentsOfDirectory(atPath: directory)
            .filter { $0.hasSuffix(".log") }
            .map { URL(fileURLWithPath: "\(directory)/\($0)") }
        let filled = try logs.filter { try !Data(contentsOf: $0).isEmpty }
        guard filled.count == 1 else { throw CocoaError(.fileReadUnknown) }
        return filled[0]
    }
}
