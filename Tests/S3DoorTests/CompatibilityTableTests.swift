import Foundation
import HTTPSyntax
import ObjectExchange
import S3Door
import Testing

/// `ops/s3-compatibility.md` tells people what the door does; this holds it to the door.
@Suite struct CompatibilityTableTests {
    private struct Row {
        let operation: String
        let request: String
        let here: String
    }

    /// Operations that share their request with another and differ by a field.
    private static let byField = ["CopyObject": "PutObject", "UploadPartCopy": "UploadPart"]

    private static func rows() throws -> [Row] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let text = try String(
            contentsOfFile: path + "/ops/s3-compatibility.md", encoding: .utf8)
        return text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            let cells = line.split(separator: "|").map {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: " `"))
            }
            return Row(operation: cells[0], request: cells[1], here: cells[2])
        }
    }

    private static func read(_ request: String) throws(S3Refusal) -> S3Operation {
        let words = request.split(separator: " ").map(String.init)
        guard words.count == 2, let head = parsedHead(words[0], words[1]) else {
            throw S3Refusal(.invalidRequest)
        }
        return try S3Operation(head.method, path: head.path, query: S3Query(head.query))
    }

    @Test func `what the table says is answered is what the door answers`() throws {
        let rows = try Self.rows()
        #expect(Set(rows.map(\.operation)).count == rows.count)
        for row in rows {
            switch row.here {
            case "yes", "differs":
                let name = Self.byField[row.operation] ?? row.operation
                #expect(try Self.read(row.request).name.rawValue == name)
            case "no":
                #expect(
                    code { () throws(S3Refusal) in try Self.read(row.request) }
                        == "NotImplemented", "\(row.operation)")
            default: Issue.record("\(row.operation) is \(row.here)")
            }
        }
    }

    @Test func `every operation of the door stands in the table`() throws {
        let answered = Set(try Self.rows().filter { $0.here != "no" }.map(\.operation))
        for name in S3Operation.Name.allCases { #expect(answered.contains(name.rawValue)) }
    }
}
