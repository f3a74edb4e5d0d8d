import Catalog
import OrderedStorage
import Primitives
import Testing

@Suite struct ListingTests {
    /// A bucket that holds these keys.
    private func group(_ keys: [String]) throws -> CatalogGroup {
        let group = try CatalogGroup.withBucket()
        try group.apply(keys.map { group.command(put($0)) })
        return group
    }

    private func page(_ group: CatalogGroup, _ list: ListObjects) throws -> ([String], [String]) {
        let page = try group.view.objects(list)
        return (
            page.objects.map(\.key.description),
            page.commonPrefixes.map { String(decoding: $0, as: UTF8.self) }
        )
    }

    @Test func `keys behind a delimiter are rolled up into one common prefix`() throws {
        let group = try self.group(["a", "b/1", "b/2", "c/x/1", "d"])
        let listed = try self.page(
            group, ListObjects(bucket: photos, delimiter: Array("/".utf8)))
        #expect(listed == (["a", "d"], ["b/", "c/"]))
        let inside = try self.page(
            group,
            ListObjects(bucket: photos, prefix: Array("c/".utf8), delimiter: Array("/".utf8)))
        #expect(inside == ([], ["c/x/"]))
    }

    @Test func `a page that ends with a common prefix goes on behind all of it`() throws {
        let group = try self.group(["a/1", "a/2", "a/3", "b"])
        let slash = Array("/".utf8)
        let first = try group.view.objects(
            ListObjects(bucket: photos, delimiter: slash, limit: 1))
        #expect(first.next == .afterPrefix(Array("a/".utf8)))
        let second = try group.view.objects(
            ListObjects(
                bucket: photos, delimiter: slash, start: unwrap(first.next), limit: 1))
        #expect(second.objects.map(\.key) == [key("b")])
        #expect(!second.isTruncated)
    }

    @Test func `a page of none is empty and not truncated`() throws {
        let page = try self.group(["a"]).view.objects(ListObjects(bucket: photos, limit: 0))
        #expect(page == ObjectPage())
    }

    @Test func `a full page that ends with the last key is the last page`() throws {
        let page = try self.group(["a", "b"]).view.objects(ListObjects(bucket: photos, limit: 2))
        #expect(page.objects.count == 2)
        #expect(!page.isTruncated)
    }

    /// Counts the steps that a listing takes.
    private final class CountingReader: OrderedReader {
        private let base: any OrderedReader
        nonisolated(unsafe) var steps = 0
        init(_ base: any OrderedReader) { self.base = base }

        func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
            try self.base.get(family, key)
        }

        func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
            CountingCursor(self.base.scan(family, range), self)
        }

        final class CountingCursor: OrderedCursor {
            private let base: any OrderedCursor
            private let reader: CountingReader
            init(_ base: any OrderedCursor, _ reader: CountingReader) {
                self.base = base
                self.reader = reader
            }

            func next() throws(StoreFault) -> KeyValue? {
                self.reader.steps += 1
                return try self.base.next()
            }

            func seek(_ key: [UInt8]) { self.base.seek(key) }
        }
    }

    @Test func `what is rolled up is stepped over, not read`() throws {
        let group = try self.group(
            (0..<3).flatMap { folder in (0..<500).map { "folder-\(folder)/\($0)" } })
        let reader = CountingReader(group.store)
        let page = try CatalogView(reader).objects(
            ListObjects(bucket: photos, delimiter: Array("/".utf8)))
        #expect(page.commonPrefixes.count == 3)
        #expect(reader.steps <= 4)
    }

    /// The whole listing of sorted keys, in the simplest words: lines of (text, is a prefix).
    private func oracle(
        _ keys: [[UInt8]], prefix: [UInt8], delimiter: [UInt8]
    ) -> [Line] {
        var lines: [Line] = []
        for key in keys where key.starts(with: prefix) {
            var line = Line(text: key, isPrefix: false)
            if !delimiter.isEmpty {
                for end in prefix.count...key.count
                where key[end...].starts(with: delimiter) {
                    line = Line(text: Array(key[..<(end + delimiter.count)]), isPrefix: true)
                    break
                }
            }
            if lines.last != line { lines.append(line) }
        }
        return lines
    }

    private struct Line: Equatable {
        let text: [UInt8]
        let isPrefix: Bool
    }

    @Test func `pages of any size, put together, are what a naive listing says`() throws {
        var random = SeededGenerator(seed: 21)
        let letters = ["a", "b", "/", "//", "é", "\u{1}", "z"]
        for round in 0..<60 {
            let group = try CatalogGroup.withBucket()
            let count = Int.random(in: 0...40, using: &random)
            let keys = Set(
                (0..<count).map { _ in
                    (0..<Int.random(in: 1...6, using: &random))
                        .map { _ in unwrap(letters.randomElement(using: &random)) }.joined()
                })
            try group.apply(keys.sorted().map { group.command(put($0)) })
            let sorted = keys.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
            let prefix = Array(
                (Bool.random(using: &random) ? "" : unwrap(letters.randomElement(using: &random)))
                    .utf8)
            let delimiter = Array(["", "/", "//", "a", "é"][round % 5].utf8)

            var lines: [Line] = []
            var start = ListStart.beginning
            while true {
                let limit = Int.random(in: 1...5, using: &random)
                let page = try group.view.objects(
                    ListObjects(
                        bucket: photos, prefix: prefix, delimiter: delimiter, start: start,
                        limit: limit))
                let merged =
                    (page.objects.map { Line(text: $0.key.utf8, isPrefix: false) }
                    + page.commonPrefixes.map { Line(text: $0, isPrefix: true) })
                    .sorted { $0.text.lexicographicallyPrecedes($1.text) }
                #expect(merged.count <= limit)
                lines += merged
                guard let next = page.next else { break }
                #expect(merged.count == limit)
                start = next
            }
            #expect(lines == self.oracle(sorted, prefix: prefix, delimiter: delimiter))

            // A client's own start may be any text, in the bucket or not.
            let after = Array(
                (0..<3).map { _ in unwrap(letters.randomElement(using: &random)) }.joined().utf8)
            let page = try group.view.objects(
                ListObjects(bucket: photos, prefix: prefix, start: .after(after)))
            #expect(
                page.objects.map(\.key.utf8)
                    == sorted.filter {
                        $0.starts(with: prefix) && after.lexicographicallyPrecedes($0)
                    })
        }
    }
}
