import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import S3Door
import Signing
import Testing

@Suite struct PostFormTests {
    /// A form as browsers write it.
    private static func body(
        _ fields: [(String, String)], file: String, name: String = "a.txt", boundary: String = "xYz"
    ) -> [UInt8] {
        var text = ""
        for (field, value) in fields {
            text += "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(field)\"\r\n\r\n"
            text += "\(value)\r\n"
        }
        text += "--\(boundary)\r\nContent-Disposition: form-data; name=\"file\"; "
        text += "filename=\"\(name)\"\r\nContent-Type: text/plain\r\n\r\n"
        text += "\(file)\r\n--\(boundary)--\r\n"
        return Array(text.utf8)
    }

    private static func decoder(boundary: String = "xYz") throws -> FormDecoder {
        try #require(
            FormDecoder(
                contentType: Array("multipart/form-data; boundary=\(boundary)".utf8)[...]))
    }

    /// Gives its bytes in pieces of a size.
    private final class Pieces: BodySource {
        private var rest: ArraySlice<UInt8>
        private let size: Int

        init(_ bytes: [UInt8], of size: Int) {
            self.rest = bytes[...]
            self.size = size
        }

        func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
            let piece = Array(self.rest.prefix(min(limit, self.size)))
            self.rest = self.rest.dropFirst(piece.count)
            return piece
        }
    }

    private static func read(
        _ body: [UInt8], pieces: Int, allowed: ClosedRange<UInt64> = 0...UInt64.max
    ) async throws -> (form: PostForm, file: [UInt8]) {
        let file = FormFile(Pieces(body, of: pieces), try self.decoder())
        let form = try await file.readFields()
        file.allowed = allowed
        var bytes: [UInt8] = []
        while true {
            do throws(BodyFault) {
                let next = try await file.next(upTo: 77)
                if next.isEmpty { return (form, bytes) }
                bytes += next
            } catch {
                if let refusal = file.refusal { throw refusal }
                throw error
            }
        }
    }

    @Test(arguments: [1, 2, 3, 17, 100, 100_000])
    func `fields and file come out however the bytes arrive`(pieces: Int) async throws {
        // With what looks like a delimiter almost to its end.
        let content = "line\r\n--xY\r\n--xYy\r\r\n\r\n-"
        let body = Self.body(
            [("key", "a/${filename}"), ("Empty", ""), ("x-amz-meta-ü", "grün")], file: content)
        let (form, file) = try await Self.read(body, pieces: pieces)
        #expect(form.fields.map(\.name) == ["key", "empty", "x-amz-meta-ü"])
        #expect(form["x-amz-meta-ü"] == "grün" && form.fileName == "a.txt")
        #expect(String(decoding: file, as: UTF8.self) == content)
        #expect(try form.key() == ObjectKey("a/a.txt"))
    }

    @Test func `a body that ends before its last delimiter is not stored`() async throws {
        let body = Self.body([("key", "k")], file: "content")
        for cut in 1..<body.count - 2 {
            await #expect(throws: (any Error).self, "\(cut) bytes") {
                try await Self.read(Array(body.prefix(cut)), pieces: 50)
            }
        }
    }

    @Test func `fields are bounded and the file is not`() async throws {
        let long = String(repeating: "v", count: FormDecoder.fieldsLimitBytes)
        await #expect(throws: S3Refusal(.formFieldsTooLarge)) {
            try await Self.read(Self.body([("key", long)], file: ""), pieces: 1_000)
        }
        let large = String(repeating: "f", count: 3 * FormDecoder.fieldsLimitBytes)
        let (_, file) = try await Self.read(Self.body([("key", "k")], file: large), pieces: 5_000)
        #expect(file.count == large.utf8.count)
        await #expect(throws: S3Refusal(.entityTooLarge)) {
            try await Self.read(Self.body([("key", "k")], file: "12345"), pieces: 9, allowed: 0...4)
        }
        await #expect(throws: S3Refusal(.entityTooSmall)) {
            try await Self.read(Self.body([("key", "k")], file: "12345"), pieces: 9, allowed: 6...9)
        }
    }

    @Test func `random and mutated bodies are read or refused`() async throws {
        var random = SeededGenerator(seed: 5)
        let good = Self.body([("key", "k"), ("policy", "p")], file: "content\r\n--x")
        for _ in 0..<1_000 {
            var body = good
            for _ in 0...Int.random(in: 0...3, using: &random) {
                let place = Int.random(in: 0..<body.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: body[place] = UInt8.random(in: 0...255, using: &random)
                case 1: body.remove(at: place)
                default: body.insert(contentsOf: body[..<place], at: place)
                }
            }
            do {
                let (_, file) = try await Self.read(
                    body, pieces: Int.random(in: 1...90, using: &random))
                #expect(file.count < body.count)
            } catch { #expect(error is S3Refusal || error is BodyFault) }
        }
    }

    @Test(arguments: [
        ("multipart/form-data; boundary=a", true), ("Multipart/Form-Data;boundary=\"a b\"", true),
        ("multipart/form-data", false), ("multipart/mixed; boundary=a", false), ("", false),
        ("multipart/form-data; boundary=", false),
        ("multipart/form-data; boundary=" + String(repeating: "b", count: 71), false),
    ])
    func `a form is known by its content type`(type: String, isForm: Bool) {
        #expect((FormDecoder(contentType: Array(type.utf8)[...]) != nil) == isForm)
    }

    // MARK: Fields

    private static func form(
        _ fields: [(String, String)], fileName: String = "a.txt"
    ) throws(S3Refusal) -> PostForm {
        try PostForm(fields.map { ($0.0.lowercased(), Array($0.1.utf8)) }, fileName: fileName)
    }

    @Test(arguments: [
        ("a.txt", "a.txt"), ("C:\\folder\\a.txt", "a.txt"), ("/home/me/a.txt", "a.txt"), ("", ""),
    ])
    func `the folders of a browser's machine are not part of the name`(
        sent: String, name: String
    ) throws {
        #expect(try Self.form([], fileName: sent).fileName == name)
    }

    @Test func `the form is stored as if it had been put`() throws {
        let form = try Self.form([
            ("key", "k"), ("Content-Type", "image/x"), ("x-amz-meta-colour", "green"),
            ("x-amz-date", "20130524T000000Z"), ("acl", "private"), ("x-ignore-me", "1"),
        ])
        let put = try PutRequest(form.putHead(), payload: .unsigned)
        #expect(put.options.attributes.contentType == "image/x")
        #expect(put.options.attributes.metadata == [ObjectField(name: "colour", value: "green")])
        #expect(
            code { () throws(S3Refusal) in
                try PutRequest(Self.form([("acl", "public-read")]).putHead(), payload: .unsigned)
            } == "AccessControlListNotSupported")
        #expect(
            code { () throws(S3Refusal) in
                try Self.form([("Content-Type", "a\r\nx-amz-acl: b")]).putHead()
            } == "InvalidArgument")
        #expect(
            code { () throws(S3Refusal) in try Self.form([("key", "a"), ("Key", "b")]) }
                == "InvalidArgument")
    }

    @Test func `the browser is told what the form asks for`() throws {
        let key = try #require(ObjectKey("a b"))
        let bucket = try #require(BucketName("photos"))
        func success(_ fields: [(String, String)]) throws -> PostForm.Success {
            try Self.form(fields).success(key, in: bucket, entityTag: "abc")
        }
        #expect(try success([]) == .noContent)
        #expect(try success([("success_action_status", "200")]) == .ok)
        #expect(try success([("success_action_status", "201")]) == .created)
        #expect(try success([("success_action_status", "404")]) == .noContent)
        #expect(
            try success([("success_action_redirect", "https://a/b?c=1")])
                == .redirect("https://a/b?c=1&bucket=photos&key=a%20b&etag=%22abc%22"))
        #expect(try success([("success_action_redirect", "javascript:x")]) == .noContent)
    }

    // MARK: Policies

    private static let now = Timestamp(milliseconds: 1_700_000_000_000)

    private static func policy(
        _ conditions: String, expiration: String = "2030-01-01T00:00:00.000Z"
    ) throws(S3Refusal) -> PostPolicy {
        let text = "{\"expiration\": \"\(expiration)\", \"conditions\": [\(conditions)]}"
        return try PostPolicy(Base64.encode(Array(text.utf8)))
    }

    private static func verdict(
        _ conditions: String, _ fields: [(String, String)],
        expiration: String = "2030-01-01T00:00:00Z"
    ) -> String? {
        code { () throws(S3Refusal) in
            try self.policy(conditions, expiration: expiration).check(
                fields.map { (name: $0.0, value: $0.1) }, at: self.now)
        }
    }

    @Test(
        arguments: [
            ("", [], nil),
            (#"{"key": "a"}"#, [("key", "a")], nil),
            (#"{"key": "a"}"#, [("key", "b")], "AccessDenied"),
            (#"["eq", "$key", "a"]"#, [("key", "a")], nil),
            (#"["eq", "$key", "a"]"#, [], "AccessDenied"),
            (#"["starts-with", "$Key", "user/"]"#, [("key", "user/x")], nil),
            (#"["starts-with", "$key", "user/"]"#, [("key", "users/x")], "AccessDenied"),
            (#"["starts-with", "$key", ""]"#, [("key", "any")], nil),
            // Every field must be allowed.
            ("", [("key", "a")], "AccessDenied"),
            ("", [("x-ignore-a", "1"), ("policy", "p"), ("x-amz-signature", "s")], nil),
            (#"{"acl": "private"}"#, [("x-amz-meta-a", "1")], "AccessDenied"),
            // Documents that are none.
            (#"["neq", "$key", "a"]"#, [], "InvalidPolicyDocument"),
            (#"["eq", "key", "a"]"#, [], "InvalidPolicyDocument"),
            (#"["eq", "$key"]"#, [], "InvalidPolicyDocument"),
            (#"["content-length-range", 5, 1]"#, [], "InvalidPolicyDocument"),
            (#"["content-length-range", -1, 1]"#, [], "InvalidPolicyDocument"),
            ("7", [], "InvalidPolicyDocument"), ("[", [], "InvalidPolicyDocument"),
        ] as [(String, [(String, String)], String?)])
    func `a policy allows what its conditions say`(
        conditions: String, fields: [(String, String)], refusal: String?
    ) {
        #expect(Self.verdict(conditions, fields) == refusal)
    }

    @Test func `a policy ends with its time and bounds the file`() throws {
        #expect(Self.verdict("", [], expiration: "2023-11-14T22:13:20Z") == nil)
        #expect(Self.verdict("", [], expiration: "2023-11-14T22:13:19.999Z") == "AccessDenied")
        for expiration in ["", "tomorrow", "2030-01-01", "2030-13-01T00:00:00Z"] {
            #expect(Self.verdict("", [], expiration: expiration) == "InvalidPolicyDocument")
        }
        let bounded = #"["content-length-range", 1, 10], ["content-length-range", "5", "20"]"#
        #expect(try Self.policy(bounded).lengths == 5...10)
        #expect(try Self.policy("").lengths == 0...UInt64.max)
        let empty = #"["content-length-range", 1, 2], ["content-length-range", 3, 4]"#
        #expect(try Self.policy(empty).lengths == nil)
        #expect(code { () throws(S3Refusal) in try PostPolicy("%%%") } == "InvalidPolicyDocument")
    }
}
