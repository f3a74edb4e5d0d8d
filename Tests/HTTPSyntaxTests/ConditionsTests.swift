import HTTPSyntax
import Primitives
import Testing

private let before = "Sun, 06 Nov 1994 08:49:36 GMT"
private let same = "Sun, 06 Nov 1994 08:49:37 GMT"

/// Fields, method, whether the object exists (with tag "a" as of `same`), and the verdict.
private let table: [(String, Method, Bool, Conditions.Verdict)] = [
    ("", .get, true, .proceed),
    ("If-Match: \"a\"", .get, true, .proceed),
    ("If-Match: \"b\"", .get, true, .failed),
    ("If-Match: \"b\", \"a\"", .put, true, .proceed),
    ("If-Match: \"b\"\r\nIf-Match: \"a\"", .put, true, .proceed),
    ("If-Match: W/\"a\"", .get, true, .failed),
    ("If-Match: *", .put, true, .proceed),
    ("If-Match: *", .put, false, .failed),
    ("If-Match: \"a\"", .put, false, .failed),
    ("If-None-Match: \"a\"", .get, true, .notModified),
    ("If-None-Match: W/\"a\"", .head, true, .notModified),
    ("If-None-Match: \"a\"", .put, true, .failed),
    ("If-None-Match: \"b\"", .get, true, .proceed),
    ("If-None-Match: *", .put, true, .failed),
    ("If-None-Match: *", .put, false, .proceed),
    ("If-None-Match: *", .get, true, .notModified),
    ("If-Modified-Since: \(same)", .get, true, .notModified),
    ("If-Modified-Since: \(before)", .get, true, .proceed),
    ("If-Modified-Since: \(same)", .put, true, .proceed),
    ("If-Modified-Since: nonsense", .get, true, .proceed),
    ("If-Unmodified-Since: \(same)", .get, true, .proceed),
    ("If-Unmodified-Since: \(before)", .get, true, .failed),
    ("If-Unmodified-Since: \(before)", .get, false, .proceed),
    // If-Match hides If-Unmodified-Since, and If-None-Match hides If-Modified-Since.
    ("If-Match: \"a\"\r\nIf-Unmodified-Since: \(before)", .get, true, .proceed),
    ("If-None-Match: \"b\"\r\nIf-Modified-Since: \(same)", .get, true, .proceed),
    ("If-None-Match: \"a\"\r\nIf-Modified-Since: \(before)", .get, true, .notModified),
    ("If-Match: \"a\"\r\nIf-None-Match: \"a\"", .get, true, .notModified),
    ("If-Match: \"b\"\r\nIf-None-Match: \"a\"", .get, true, .failed),
]

@Suite struct ConditionsTests {
    private let current: Validators

    init() throws {
        self.current = Validators(
            etag: try #require(EntityTag("a")),
            lastModified: Timestamp(milliseconds: 784_111_777_400))
    }

    private func conditions(_ fields: String) -> Conditions? {
        let lines = fields.isEmpty ? "" : fields + "\r\n"
        return requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n").flatMap {
            Conditions($0.fields)
        }
    }

    @Test(arguments: table)
    func `conditions are judged in the order of the standard`(
        fields: String, method: Method, exists: Bool, verdict: Conditions.Verdict
    ) throws {
        let conditions = try #require(self.conditions(fields))
        #expect(conditions.verdict(for: method, current: exists ? self.current : nil) == verdict)
    }

    @Test func `a malformed tag list is not a condition to be ignored`() {
        #expect(self.conditions("If-Match: \"a") == nil)
        #expect(self.conditions("If-None-Match: \"a\" x") == nil)
    }

    @Test(arguments: [
        ("", true), ("If-Range: \"a\"", true), ("If-Range: \"b\"", false),
        ("If-Range: W/\"a\"", false), ("If-Range: \(same)", true), ("If-Range: \(before)", false),
        ("If-Range: \"a", false),
    ])
    func `a range counts only for the state that it was meant for`(fields: String, counts: Bool)
        throws
    {
        let conditions = try #require(self.conditions(fields))
        #expect(conditions.honoursRange(current: self.current) == counts)
    }
}
