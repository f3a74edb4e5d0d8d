import Foundation
import IORuntime
import Primitives

/// Files that somebody else has made, of every size: those of the Swift toolchain that runs the
/// tests.
struct RealFiles {
    struct Item: Sendable {
        let path: String
        /// Below the toolchain.
        let name: String
        let sizeBytes: Int
    }

    let items: [Item]
    var totalBytes: Int { self.items.reduce(0) { $0 + $1.sizeBytes } }

    /// A file larger than this says nothing that a smaller one does not.
    private static let largestBytes = 64 << 20

    /// Chooses regular files in the order of their names: of each power of two of sizes as many
    /// bytes as of any other, as far as there are.
    init(limitBytes: Int, perSize: Int) throws {
        let root = try Self.toolchain()
        guard let walker = FileManager.default.enumerator(atPath: root) else {
            throw TestFault("\(root) cannot be read")
        }
        var bySize: [Int: [Item]] = [:]
        for case let name as String in walker {
            let attributes = walker.fileAttributes ?? [:]
            guard attributes[.type] as? FileAttributeType == .typeRegular,
                let size = attributes[.size] as? Int, size <= Self.largestBytes
            else { continue }
            let power = Int.bitWidth - size.leadingZeroBitCount
            bySize[power, default: []].append(
                Item(path: root + "/" + name, name: name, sizeBytes: size))
        }
        var items: [Item] = []
        var total = 0
        for power in bySize.keys.sorted() {
            for item in (bySize[power] ?? []).sorted(by: { $0.name < $1.name }).prefix(perSize)
            where total + item.sizeBytes <= limitBytes {
                items.append(item)
                total += item.sizeBytes
            }
        }
        self.items = items
    }

    /// The directory that holds `bin/swift`, found as a shell finds it.
    private static func toolchain() throws -> String {
        for directory in (ProgramEnvironment.variable("PATH") ?? "").split(separator: ":") {
            let program = URL(fileURLWithPath: "\(directory)/swift").resolvingSymlinksInPath()
            guard FileManager.default.isExecutableFile(atPath: program.path) else { continue }
            return program.deletingLastPathComponent().deletingLastPathComponent().path
        }
        throw TestFault("there is no swift on PATH")
    }
}

/// Whether two files hold the same bytes.
func haveSameBytes(_ one: String, _ other: String, _ environment: any Environment) async throws
    -> Bool
{
    let files = environment.files
    return try await environment.blocking(.disk) { () throws(FileFault) -> Bool in
        let (a, b) = (try files.open(one, .read), try files.open(other, .read))
        defer {
            a.close()
            b.close()
        }
        var offset: UInt64 = 0
        while true {
            let (left, right) = (try a.read(1 << 20, at: offset), try b.read(1 << 20, at: offset))
            guard left == right else { return false }
            guard !left.isEmpty else { return true }
            offset += UInt64(left.count)
        }
    }
}
