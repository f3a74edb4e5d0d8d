import FileClient
import Primitives
import Testing

@Suite struct PathPatternTests {
    @Test(arguments: [
        // A pattern may begin behind any slash, unless it begins at the top itself.
        ("a.txt", "a.txt", true), ("a.txt", "x/a.txt", true), ("a.txt", "xa.txt", false),
        ("/a.txt", "a.txt", true), ("/a.txt", "x/a.txt", false), ("b/c", "a/b/c", true),
        ("b/c", "ab/c", false),
        // One star stays in its part, two do not.
        ("*.o", "x/y.o", true), ("/*.o", "x/y.o", false), ("/**.o", "x/y.o", true),
        ("*", "a/b", true), ("/a*z", "abcz", true), ("/a*z", "ab/cz", false),
        ("/a**z", "ab/cz", true), ("?.c", "a.c", true), ("/?/c", "a/c", true),
        ("/a?c", "a/c", false), ("a/**/b", "a/b", true), ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "axb", false), ("**/b", "b", true),
        // What matches a folder matches all in it.
        ("build", "build/x/y", true), ("build", "a/build/x", true), ("build", "builds/x", false),
        ("build/", "build", false), ("build/", "build/x", true), ("/a/", "b/a/x", false),
        ("build/", "x/build/", true),
        // Sets, alternatives, escapes.
        ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false), ("[!a-c]x", "dx", true),
        ("/[!a]b", "/b", false), ("[]]x", "]x", true), ("[c-a]", "b", true), ("[a\\]]", "]", true),
        ("*.{jpg,png}", "a.png", true), ("*.{jpg,png}", "a.gif", false),
        ("{a,b{c,d}}e", "bde", true), ("{a,b{c,d}}e", "bd", false), ("{,a}b", "b", true),
        ("\\*", "*", true), ("\\*", "a", false), ("\\{a}", "{a}", true), ("[{]a", "{a", true),
        ("é*", "église", true), ("??", "日本", true),
    ])
    func `a pattern matches as its table says`(
        pattern: String, path: String, isMatch: Bool
    ) throws {
        #expect(try PathPattern(pattern).matches(path) == isMatch, "\(pattern) over \(path)")
    }

    @Test(arguments: [
        ("", PathPattern.Fault.empty), ("/", .empty), ("[a", .unfinished("[a")),
        ("{a", .unfinished("{a")), ("a\\", .unfinished("a\\")),
        ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", .tooManyAlternatives(limit: 64)),
        (String(repeating: "a", count: 1025), .tooLong(limitCharacters: 1024)),
    ])
    func `a pattern that says nothing clear is refused`(text: String, fault: PathPattern.Fault) {
        #expect(throws: fault) { try PathPattern(text) }
    }

    @Test func `no pattern takes long`() throws {
        let pattern = try PathPattern(String(repeating: "*a", count: 100) + "b")
        #expect(!pattern.matches(String(repeating: "a", count: 1000)))
    }

    /// Stars alone, tried one length after the other.
    private func oracle(_ pattern: Substring, _ path: Substring) -> Bool {
        guard let first = pattern.first else { return path.isEmpty || path.first == "/" }
        if first == "*" {
            let isDouble = pattern.dropFirst().first == "*"
            var rest = path
            while true {
                if self.oracle(pattern.dropFirst(isDouble ? 2 : 1), rest) { return true }
                guard let next = rest.popFirst(), isDouble || next != "/" else { return false }
            }
        }
        return path.first == first && self.oracle(pattern.dropFirst(), path.dropFirst())
    }

    @Test func `random patterns agree with trying everything, and none traps`() throws {
        var generator = SeededGenerator(seed: 11)
        func text(_ letters: [Character], _ most: UInt64) -> String {
            let count = generator.next() % most + 1
            return String(
                (0..<count).map { _ in letters[Int(generator.next() % UInt64(letters.count))] })
        }
        var matches = 0
        for _ in 0..<4000 {
            let stars = text(["a", "b", "*"], 6)
            let path = text(["a", "b", "/"], 8)
            // Three stars are two; a slash at the end of the path is a folder's.
            guard !stars.contains("***"), path.last != "/" else { continue }
            let isMatch = try PathPattern("/" + stars).matches(path)
            #expect(isMatch == self.oracle(stars[...], path[...]), "\(stars) over \(path)")
            if isMatch { matches += 1 }
            do throws(PathPattern.Fault) {
                let wild = try PathPattern(text(Array("ab/*?[]{},!^-\\"), 12))
                _ = wild.matches(path)
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
        #expect(matches > 100)
    }
}

@Suite struct PathFilterTests {
    private func filter(_ words: String...) throws -> PathFilter {
        PathFilter(
            try words.map {
                PathFilter.Rule(try PathPattern(String($0.dropFirst())), includes: $0.first == "+")
            })
    }

    @Test func `the first rule that matches decides`() throws {
        let filter = try self.filter("+keep.o", "-*.o")
        #expect(filter.wants("a/keep.o"))
        #expect(!filter.wants("a/b.o"))
    }

    @Test func `what no rule matches goes along, unless something is included`() throws {
        #expect(PathFilter.all.wants("a"))
        #expect(try self.filter("-b").wants("a"))
        #expect(try !self.filter("+b").wants("a"))
        #expect(try !self.filter("-c", "+b").wants("a"))
    }

    @Test func `a folder is left out only when nothing in it can be wanted`() throws {
        #expect(try self.filter("-.git").leavesOut(folder: "x/.git/"))
        #expect(try !self.filter("-.git").leavesOut(folder: "x/git/"))
        #expect(try !self.filter("-.git", "+*.c").leavesOut(folder: ".git/"))
        #expect(try !self.filter("-*.o").leavesOut(folder: "src/"))
    }
}
