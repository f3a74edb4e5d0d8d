import Foundation

/// `ops/COUNTERS.md`, as far as it says which counters there are: the rows of its table.
struct CounterDocument {
    /// Sorted.
    let metrics: [String]

    init() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ops/COUNTERS.md")
        let text = try String(contentsOf: path, encoding: .utf8)
        self.metrics = text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("| `"), let end = line.dropFirst(3).firstIndex(of: "`") else {
                return nil
            }
            return String(line[line.index(line.startIndex, offsetBy: 3)..<end])
        }.sorted()
    }
}
