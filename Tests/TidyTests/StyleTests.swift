import Foundation
import Testing

/// A text that must not stand in the code, where it may all the same, and why.
struct Ban: Sendable {
    let pattern: String
    let reason: String
    var allowedIn: [String] = []
}

let bans: [Ban] = [
    Ban(
        pattern: #"\bTask\s*[({]|\bTask<.*>\s*[({]|Task\.detached|Task\.sleep|Task\.init"#,
        reason:
            "unstructured tasks leave the loop and the simulator: use loop.spawn and loop.sleep",
        allowedIn: ["Sources/IORuntime/"]),
    Ban(
        pattern: #"import Dispatch|\bDispatchQueue\b|\bDate\(\)|\bThread\.|\busleep\(|\bsleep\(\d"#,
        reason: "time and threads come from Environment", allowedIn: ["Sources/IORuntime/"]),
    Ban(
        pattern: #"\bfatalError\("#, reason: "use invariant or brokenInvariant",
        allowedIn: ["Sources/Primitives/Invariant.swift"]),
    Ban(pattern: #"\btry!|\bas!"#, reason: "a fault is thrown, never trapped on"),
    Ban(pattern: #"@testable"#, reason: "tests see what `package` shows"),
    Ban(pattern: #"\b(TODO|FIXME|XXX|HACK)\b"#, reason: "nothing is left to do in the code"),
    Ban(
        pattern:
            #"(class|struct|enum|actor|protocol) \w*(Manager|Helper|Util|Utils|Service|Handler|Info|Data)\b"#,
        reason: "a type is named after what it is"),
    Ban(pattern: #"\bprint\("#, reason: "output goes through IORuntime or the log"),
    Ban(pattern: #"CheckedContinuation"#, reason: "a job that a crash drops would trap"),
    Ban(pattern: #"\bHasher\b|\.hashValue\b"#, reason: "seeded anew in each process"),
]

@Suite struct StyleTests {
    let tree = SourceTree()

    @Test func `no banned text stands in the sources`() throws {
        var found: [String] = []
        let expressions = try bans.map { ($0, try NSRegularExpression(pattern: $0.pattern)) }
        for file in try self.tree.files(under: "Sources") {
            for (number, line) in file.lines.enumerated() {
                let code = Self.withoutComment(line)
                for (ban, expression) in expressions {
                    guard !ban.allowedIn.contains(where: file.path.hasPrefix) else { continue }
                    let range = NSRange(code.startIndex..., in: code)
                    guard expression.firstMatch(in: code, range: range) != nil else { continue }
                    found.append("\(file.path):\(number + 1): \(ban.reason): \(line)")
                }
            }
        }
        #expect(found == [])
    }

    @Test func `no file is longer than 500 lines`() throws {
        let files = try self.tree.files(under: "Sources", extensions: ["swift", "c", "h", "cpp"])
        let tests = try self.tree.files(under: "Tests")
        let long = (files + tests).filter { $0.lines.count > 501 }.map {
            "\($0.path) \($0.lines.count)"
        }
        #expect(long == [])
    }

    @Test func `an unchecked claim of safety has its reason beside it`() throws {
        var bare: [String] = []
        for file in try self.tree.files(under: "Sources") {
            for (number, line) in file.lines.enumerated()
            where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") {
                let before = file.lines[max(0, number - 8)..<number].joined(separator: "\n")
                if !before.contains("//") { bare.append("\(file.path):\(number + 1)") }
            }
        }
        #expect(bare == [])
    }

    @Test func `shell scripts stop at the first failure`() throws {
        for folder in ["ops", "cluster", "chaos", ".ci"] {
            let base = self.tree.root.appendingPathComponent(folder)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: base.path)) ?? []
            for name in names.sorted() {
                let path = base.appendingPathComponent(name)
                guard let text = try? String(contentsOf: path, encoding: .utf8),
                    text.hasPrefix("#!/usr/bin/env bash")
                else { continue }
                #expect(text.contains("set -euo pipefail"), "\(folder)/\(name)")
            }
        }
    }

    /// The part of a line before `//`, unless that stands in a string such as a URL.
    static func withoutComment(_ line: String) -> String {
        guard let slashes = line.range(of: "//") else { return line }
        let before = line[..<slashes.lowerBound]
        let quotes = before.filter { $0 == "\"" }.count
        return quotes % 2 == 1 ? line : String(before)
    }
}
