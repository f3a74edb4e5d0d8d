import FileClient
import Testing

@Suite struct NamingTests {
    @Test(arguments: [
        ("box", "box", "", ""), ("box/", "box", "", ""), ("box/p", "box", "p", "p/"),
        ("box/p/", "box", "p/", "p/"), ("box//p", "box", "/p", "/p/"),
        // A slash with an accent on it is a slash.
        ("box/\u{301}a", "box", "\u{301}a", "\u{301}a/"),
    ])
    func `a remote path is a bucket and a key`(
        text: String, bucket: String, key: String, folder: String
    ) {
        let path = RemotePath(text)
        #expect(path?.bucket == bucket)
        #expect(path.map { Array($0.key.utf8) } == Array(key.utf8))
        #expect(path.map { Array($0.folderPrefix.utf8) } == Array(folder.utf8))
    }

    @Test(arguments: ["", "/", "ab", "ab/c", "/box/p"])
    func `what has no bucket is no remote path`(text: String) {
        #expect(RemotePath(text) == nil)
    }

    @Test(arguments: [
        // destination, sole source, key
        ("", true, "a.txt"), ("p/", true, "p/a.txt"), ("p", true, "p"),
        ("p", false, "p/a.txt"), ("p/", false, "p/a.txt"),
    ])
    func `a file that was named`(destination: String, isSole: Bool, key: String) throws {
        var plan = UploadPlan(
            to: RemotePath(bucket: "box", key: destination), isSingleFile: isSole)
        try plan.add(file: "dir/a.txt", sizeBytes: 3)
        #expect(plan.uploads == [PlannedUpload(path: "dir/a.txt", key: key, sizeBytes: 3)])
    }

    @Test(arguments: [("", "x/y"), ("p", "p/x/y"), ("p/", "p/x/y")])
    func `a file in a folder that was named`(destination: String, key: String) throws {
        var plan = UploadPlan(to: RemotePath(bucket: "box", key: destination), isSingleFile: false)
        try plan.add(fileInFolder: "x/y", path: "in/x/y", sizeBytes: 0)
        #expect(plan.uploads.map(\.key) == [key])
    }

    @Test func `names that only look alike are two names`() throws {
        var plan = UploadPlan(to: RemotePath(bucket: "box"), isSingleFile: false)
        try plan.add(fileInFolder: "caf\u{E9}", path: "1", sizeBytes: 0)
        try plan.add(fileInFolder: "cafe\u{301}", path: "2", sizeBytes: 0)
        #expect(plan.uploads.count == 2)
    }

    @Test func `a name that was not UTF-8 or is too long has no place`() {
        var plan = UploadPlan(to: RemotePath(bucket: "box"), isSingleFile: false)
        #expect(throws: UploadPlan.Refusal.unusableName(path: "a\u{FFFD}")) {
            try plan.add(file: "a\u{FFFD}", sizeBytes: 0)
        }
        let long = String(repeating: "x", count: 1025)
        #expect(throws: UploadPlan.Refusal.keyTooLong(path: long, sizeBytes: 1025)) {
            try plan.add(file: long, sizeBytes: 0)
        }
    }

    @Test(arguments: [
        ("", "a", DownloadName.Place.file("a")), ("", "a/b", .file("a/b")),
        ("p", "p", .file("p")), ("x/p", "x/p", .file("p")), ("p", "p/a/b", .file("a/b")),
        ("p/", "p/a", .file("a")), ("p/", "p/", .folder("")), ("", "a/b/", .folder("a/b")),
        ("p", "p/.hidden", .file(".hidden")), ("p", "p/...", .file("...")),
    ])
    func `an object has a place below the directory`(
        asked: String, key: String, place: DownloadName.Place
    ) throws {
        let path = RemotePath(bucket: "box", key: asked)
        #expect(try DownloadName.place(of: key, askedFor: path) == place)
    }

    @Test(arguments: [
        ("", "../x", DownloadName.Refusal.dotSegment), ("", "a/../../x", .dotSegment),
        ("", "..", .dotSegment), ("", ".", .dotSegment), ("", "a/./b", .dotSegment),
        ("", "/etc/passwd", .emptySegment), ("", "a//b", .emptySegment),
        ("p", "p//b", .emptySegment),
        ("", "a//", .emptySegment), ("", "a/../", .dotSegment), ("", "a\0b", .nulByte),
        ("p", "pq/a", .outsideFolder), ("p/", "p", .outsideFolder), ("x/..", "x/..", .dotSegment),
        // To Swift "/" and an accent are one character, which is not "/".
        ("", "..\u{2F}\u{301}x", .dotSegment),
        ("", String(repeating: "n", count: 256), .segmentTooLong(sizeBytes: 256)),
    ])
    func `a key that would land elsewhere is refused`(
        asked: String, key: String, refusal: DownloadName.Refusal
    ) {
        #expect(throws: refusal) {
            try DownloadName.place(of: key, askedFor: RemotePath(bucket: "box", key: asked))
        }
    }

    @Test(arguments: [
        ("127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://edge.example", "http://edge.example", "edge.example"),
        ("https://edge.example/", "https://edge.example", "edge.example"),
        ("https://edge.example:8443", "https://edge.example:8443", "edge.example:8443"),
        ("http://edge.example:443", "http://edge.example:443", "edge.example:443"),
        ("https://[::1]:9000", "https://[::1]:9000", "[::1]:9000"),
        ("https://[::1]", "https://[::1]", "[::1]"),
    ])
    func `an edge's address is read`(text: String, shown: String, host: String) {
        let edge = EdgeAddress(text)
        #expect(edge?.description == shown)
        #expect(edge?.host == host)
    }

    @Test(arguments: [
        "", "edge", "http://", "https:///", "ftp://edge:1", "http://edge/path", "http://a@b:1",
        "edge:0", "edge:99999", "http://e dge:1", "http://edge:1\r\nx",
    ])
    func `what is no origin is no edge`(text: String) {
        #expect(EdgeAddress(text) == nil)
    }
}
