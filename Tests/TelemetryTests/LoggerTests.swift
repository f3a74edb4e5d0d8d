import Primitives
import Synchronization
import Telemetry
import Testing

@Suite struct LoggerTests {
    private final class Lines: Sendable {
        let written = Mutex<[String]>([])
    }

    private static func logger(
        _ lines: Lines, at milliseconds: Int64 = 1_763_634_123_007, minimum: LogLevel = .info
    ) -> Logger {
        Logger(
            component: "raft", minimum: minimum, clock: { Timestamp(milliseconds: milliseconds) },
            sink: { line in lines.written.withLock { $0.append(line) } })
    }

    private static func line(_ write: (Logger) -> Void) -> String {
        let lines = Lines()
        write(Self.logger(lines, minimum: .debug))
        return lines.written.withLock { $0.joined(separator: "|") }
    }

    @Test func `a line has time, level, component, message and its fields by key`() {
        let line = Self.line {
            $0.info("became leader", ["term": 5, "group": GroupID(3), "leader": NodeID(1)])
        }
        #expect(
            line == "time=2025-11-20T10:22:03.007Z level=info component=raft "
                + "message=\"became leader\" group=3 leader=1 term=5")
    }

    @Test(arguments: [
        ("", #""""#),
        ("plain-1.5/x", "plain-1.5/x"),
        ("two words", #""two words""#),
        ("a=b", #""a=b""#),
        (#"say "no""#, #""say \"no\"""#),
        (#"C:\x"#, #""C:\\x""#),
        ("line\nlevel=error", #""line\nlevel=error""#),
        ("\u{1b}[31m", #""\u{1b}[31m""#),
        ("\u{2028}", #""\u{2028}""#),
        ("Grüße", #""Grüße""#),
    ])
    func `a value can neither end the line nor pass for another field`(
        value: String, written: String
    ) {
        let line = Self.line { $0.warning("m", ["k": value]) }
        #expect(line.hasSuffix(" message=m k=" + written))
    }

    @Test func `a key with a space in it stays one key`() {
        #expect(Self.line { $0.error("m", ["a key=": 1]) }.hasSuffix(" message=m a_key_=1"))
    }

    @Test func `a very long value is cut`() {
        let line = Self.line { $0.error("m", ["k": String(repeating: "x", count: 100_000)]) }
        #expect(line.utf8.count < Logger.fieldLimitBytes + 200)
        #expect(line.hasSuffix("x..."))
    }

    @Test func `a line below the minimum is not even made`() {
        let lines = Lines()
        func message() -> String { brokenInvariant("the message of a silent line was made") }
        Self.logger(lines, minimum: .warning).info(message())
        Self.logger(lines, minimum: .warning).warning("heard")
        #expect(lines.written.withLock { $0.count } == 1)
    }

    @Test func `fields of a logger are on all its lines, sorted among the others`() {
        let line = Self.line {
            $0.component("peer").with(["node": 2]).info("up", ["lane": "bulk", "zone": "a"])
        }
        #expect(line.hasSuffix("component=peer message=up lane=bulk node=2 zone=a"))
    }

    @Test func `a secret is never written`() {
        let secret = Redacted("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        let texts = [
            "\(secret)", String(reflecting: secret), "\([secret])", dumped,
            Self.line { $0.info("login", ["password": secret]) },
        ]
        for text in texts { #expect(!text.contains("hunter2") && text.contains("edacted")) }
        #expect(secret.secret == "hunter2")
    }
}
