import Foundation
import Testing

/// Stories in `Scripts/*.txt`. A story is comments, then blocks of commands, each with the trace it
/// must leave below `----`. `REWRITE=1 swift test` writes the traces anew, to be read before they
/// are believed.
struct ScriptTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "Scripts")

    static let names: [String] = {
        let files = FileManager.default.enumerator(atPath: Self.folder.path)
        let names = (files?.allObjects ?? []).compactMap { $0 as? String }
        return names.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    @Test func `there are stories to tell`() {
        #expect(Self.names.count >= 12)
    }

    @Test(arguments: Self.names)
    func `a story goes as it is written`(name: String) throws {
        let file = Self.folder.appending(path: name)
        let written = try String(contentsOf: file, encoding: .utf8)
        let told = try Self.tell(written)
        if ProcessInfo.processInfo.environment["REWRITE"] == "1" {
            try told.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(told == written)
        }
    }

    /// The script with the traces that its commands leave now.
    private static func tell(_ script: String) throws -> String {
        let cluster = ScriptedCluster()
        var told: [String] = []
        var isTrace = false
        var seen = 0
        for line in script.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty || line.hasPrefix("#") {
                isTrace = false
                told.append(String(line))
            } else if line == "----" {
                isTrace = true
                told.append(String(line))
                told += cluster.trace[seen...]
                seen = cluster.trace.count
            } else if !isTrace {
                told.append(String(line))
                try cluster.run(String(line))
            }
        }
        return told.joined(separator: "\n")
    }
}
