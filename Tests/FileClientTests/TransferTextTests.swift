import FileClient
import IORuntime
import Primitives
import Testing

@Suite struct TransferTextTests {
    private func counts(
        files: Int, done: Int, bytes: UInt64, bytesDone: UInt64, isTotalKnown: Bool = true
    ) -> TransferProgress.Counts {
        var counts = TransferProgress.Counts()
        counts.files = files
        counts.filesDone = done
        counts.bytes = bytes
        counts.bytesDone = bytesDone
        counts.isTotalKnown = isTotalKnown
        return counts
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1999, "1.9 kB"), (1_250_000, "1.2 MB"),
        (50_000_000_000, "50.0 GB"), (UInt64.max, "18.4 EB"),
    ])
    func `sizes are short`(bytes: UInt64, text: String) {
        #expect(TransferText.size(bytes) == text)
    }

    @Test(arguments: [
        (0, "0 s"), (99, "99 s"), (150, "3 min"), (7500, "2 h 5 min"), (900_000, "10 d"),
    ])
    func `spans are short`(seconds: UInt64, text: String) {
        #expect(TransferText.span(seconds: seconds) == text)
    }

    @Test func `the rate and the time left are those of the last seconds`() {
        var text = TransferText("stored", start: Instant(nanoseconds: 0))
        func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }
        let early = self.counts(files: 4, done: 0, bytes: 1_000_000, bytesDone: 0)
        #expect(text.bytesPerSecond == nil)
        for second in 0..<30 { text.sample(early, at: at(Int64(second))) }
        let late = self.counts(files: 4, done: 1, bytes: 1_000_000, bytesDone: 500_000)
        text.sample(late, at: at(30))
        #expect(text.bytesPerSecond == 50_000)
        #expect(
            text.line(late) == "stored 1/4 files, 500.0 kB of 1.0 MB, 50.0 kB/s, 10 s left")
        #expect(text.summary(late, at: at(30)) == "stored 1 file, 500.0 kB in 30.0 s")
    }

    @Test func `a bar fits its terminal`() {
        let text = TransferText("fetched", start: Instant(nanoseconds: 0))
        let half = self.counts(files: 2, done: 1, bytes: 2000, bytesDone: 1000)
        let whole = self.counts(files: 2, done: 2, bytes: 2000, bytesDone: 2000)
        #expect(text.bar(half, columns: 100).hasPrefix("[############............] fetched"))
        #expect(text.bar(whole, columns: 100).hasPrefix("[########################] fetched"))
        for columns in 0..<100 {
            #expect(text.bar(half, columns: columns).count <= max(0, columns - 1))
        }
        let open = self.counts(files: 2, done: 1, bytes: 9, bytesDone: 1, isTotalKnown: false)
        #expect(text.bar(open, columns: 100) == "fetched 1/2+ files, 1 B of 9 B+")
    }

    @Test func `text of others cannot steer a terminal`() {
        #expect(TransferText.printable("a\u{1B}[2Jé\n\u{9B}") == "a\\u{1b}[2Jé\\u{a}\\u{9b}")
    }

    @Test func `the table names logs that are recovering, and what to do without a leader`() throws
    {
        func lines(_ role: String) throws -> [String] {
            let status = """
                {"node":1,"cluster":"ff","zone":"a","version":"1.0","promise":"any two of five",
                 "groups":[{"group":1,"role":"follower","term":3,"applied":4,"commit":4,
                 "recovering":{"holds":"2/4","held":"3/9"}},
                 {"group":2,"role":"\(role)","term":3,"applied":4,"commit":4},
                 {"group":1,"role":"\(role)","term":3,"applied":4,"commit":4}]}
                """
            let address = SocketAddress(host: "10.0.0.1", port: 9000)
            let table = StatusTable([
                AskedNode(
                    address, .success(try #require(NodeStatus(json: Array(status.utf8)))))
            ])
            return table.lines.filter { $0.hasPrefix("WARNING") }
        }
        let lacking =
            "WARNING: group 1 on node 1 is recovering: its log had reached 3/9, and holds 2/4"
        #expect(try lines("leader") == [lacking])
        let leaderless = try lines("follower")
        #expect(leaderless.first == lacking)
        #expect(
            leaderless.last?.hasPrefix("WARNING: group 1 has no leader: start the nodes") == true)
        #expect(leaderless.count == 2)
    }

    @Test func `the table shows every node, every group and the promise`() throws {
        func status(_ node: Int, _ role: String, applied: Int) -> String {
            """
            {"node":\(node),"cluster":"ff","zone":"a","version":"1.0","promise":"any two of five",
             "groups":[{"group":0,"role":"\(role)","term":3,"leader":1,"applied":\(applied),
             "commit":10}],"store":{"chunks":2,"sealedBytes":3000,"segments":1,"freeBytes":4000000}}
            """
        }
        func address(_ number: UInt16) -> SocketAddress {
            SocketAddress(host: "10.0.0.1", port: 9000 + number)
        }
        let table = StatusTable([
            AskedNode(
                address(1),
                .success(
                    try #require(NodeStatus(json: Array(status(1, "leader", applied: 10).utf8))))),
            AskedNode(
                address(2),
                .success(
                    try #require(NodeStatus(json: Array(status(2, "follower", applied: 8).utf8))))),
            AskedNode(address(3), .failure(.unreachable)),
        ])
        #expect(!table.allAnswered)
        #expect(
            table.lines == [
                "NODE  ADDRESS        ZONE  ROLES       STATE  LEADS  TERMS  APPLIED  BEHIND  "
                    + "CHUNKS  STORED  FREE    VERSION",
                "1     10.0.0.1:9001  a     meta,store  up     0      3      10       0       "
                    + "2       3.0 kB  4.0 MB  1.0",
                "2     10.0.0.1:9002  a     meta,store  up     -      3      8        2       "
                    + "2       3.0 kB  4.0 MB  1.0",
                "-     10.0.0.1:9003  -     -           DOWN: cannot be reached",
                "",
                "GROUP  LEADER  TERM  APPLIED  COPIES",
                "0      1       3     8-10     2",
                "",
                "promise: any two of five",
                "2 of 3 nodes answer",
            ])
    }
}
