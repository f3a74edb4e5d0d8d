import Foundation
import Testing

@Suite struct ImportTests {
    let tree = SourceTree()

    private func table() throws -> ModuleTable {
        ModuleTable(markdown: try self.tree.text("Sources/ARCHITECTURE.md"))
    }

    @Test func `a module imports what its row in the table names and nothing else`() throws {
        let table = try self.table()
        #expect(table.rows.count > 30, "the table could not be read")
        var broken: [String] = []
        for file in try self.tree.files(under: "Sources") {
            guard let allowed = table.imports(of: file.target) else {
                broken.append("\(file.path): module \(file.target) has no row in the table")
                continue
            }
            for (number, line) in file.lines.enumerated() {
                guard let imported = Self.importedModule(line) else { continue }
                if !allowed.contains(imported) {
                    broken.append("\(file.path):\(number + 1): imports \(imported)")
                }
            }
        }
        #expect(broken == [])
    }

    @Test func `every module in the table that stands has a folder, and every folder a row`() throws
    {
        let table = try self.table()
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: self.tree.root.appendingPathComponent("Sources").path
        ).filter { !$0.contains(".") }
        #expect(Set(folders).subtracting(table.rows.map(\.module)) == [])
        #expect(Set(table.rows.map(\.module)).subtracting(folders) == [])
    }

    @Test func `arrows point down only`() throws {
        let table = try self.table()
        let rank = Dictionary(
            uniqueKeysWithValues: ModuleTable.layers.enumerated().map { ($1, $0) })
        let layer = Dictionary(uniqueKeysWithValues: table.rows.map { ($0.module, $0.layer) })
        for row in table.rows {
            for imported in row.mayImport {
                guard let other = layer[imported], let from = rank[row.layer], let to = rank[other]
                else { continue }
                #expect(
                    to <= from, "\(row.module) in \(row.layer) may import \(imported) in \(other)")
                let isForbiddenPair = row.layer == other && ["door", "role"].contains(other)
                #expect(!isForbiddenPair, "\(row.module) may import its sibling \(imported)")
            }
        }
    }

    /// The module of an import line: `package import struct X.Y` gives `X`.
    static func importedModule(_ line: String) -> String? {
        var words = line.trimmingCharacters(in: .whitespaces).components(separatedBy: " ")
        while let first = words.first,
            ["public", "package", "internal", "private", "@preconcurrency", "@_exported"]
                .contains(first)
        { words.removeFirst() }
        guard words.first == "import", words.count > 1 else { return nil }
        let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
        return name.components(separatedBy: ".")[0]
    }

    @Test(arguments: [
        ("import Wire", "Wire"), ("package import Primitives", "Primitives"),
        ("private import struct Foundation.URL", "Foundation"), ("  important = 1", nil),
        ("// import Wire", nil),
    ])
    func `the imported module is read off a line`(line: String, module: String?) {
        #expect(Self.importedModule(line) == module)
    }
}
