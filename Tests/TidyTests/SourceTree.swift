import Foundation

/// The checkout that the tests were built from, read as text.
struct SourceTree {
    let root: URL

    init() {
        // Tests/TidyTests/SourceTree.swift lies three levels below the root.
        self.root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
    }

    struct SourceFile {
        /// From the root, with `/`.
        let path: String
        let lines: [String]
        /// The target that the file belongs to: the folder under `Sources` or `Tests`.
        var target: String { String(self.path.split(separator: "/")[1]) }
    }

    /// All files below `folder` with one of the extensions, in order of their paths.
    func files(under folder: String, extensions: Set<String> = ["swift"]) throws -> [SourceFile] {
        let base = self.root.appendingPathComponent(folder)
        guard let walker = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil)
        else { return [] }
        var files: [SourceFile] = []
        for case let url as URL in walker where extensions.contains(url.pathExtension) {
            let text = try String(contentsOf: url, encoding: .utf8)
            let path = String(url.standardizedFileURL.path.dropFirst(self.root.path.count + 1))
            files.append(SourceFile(path: path, lines: text.components(separatedBy: "\n")))
        }
        return files.sorted { $0.path < $1.path }
    }

    func text(_ path: String) throws -> String {
        try String(contentsOf: self.root.appendingPathComponent(path), encoding: .utf8)
    }
}

/// The table of modules in `Sources/ARCHITECTURE.md`.
struct ModuleTable {
    struct Row {
        let layer: String
        let module: String
        let mayImport: [String]
    }

    static let layers = [
        "C", "base", "core", "shell", "inside", "door", "role", "assembly", "executable",
    ]

    let rows: [Row]

    init(markdown: String) {
        self.rows = markdown.components(separatedBy: "\n").compactMap { line in
            let cells = line.components(separatedBy: "|").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard cells.count == 6, Self.layers.contains(cells[1]) else { return nil }
            return Row(
                layer: cells[1], module: cells[2].replacingOccurrences(of: "`", with: ""),
                mayImport: cells[4].components(separatedBy: ", ").filter { $0 != "-" })
        }
    }

    /// Everything that the module may import.
    func imports(of module: String) -> Set<String>? {
        guard let row = self.rows.first(where: { $0.module == module }) else { return nil }
        var names = Set(row.mayImport)
        if names.remove("cores") != nil {
            names.formUnion(self.rows.filter { $0.layer == "core" }.map(\.module))
        }
        if !["C", "base"].contains(row.layer) {
            names.formUnion(self.rows.filter { $0.layer == "base" }.map(\.module))
            if row.layer != "core" { names.formUnion(["IORuntime", "Synchronization"]) }
        }
        return names
    }
}
