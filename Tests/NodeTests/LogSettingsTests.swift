import MetaNode
import Node
import Settings
import Testing

struct LogSettingsTests {
    private func options(_ arguments: [String]) throws -> NodeOptions {
        var options = NodeOptions(identityDirectory: "/identity", dataDirectory: "/data")
        let parser = OptionParser(values: NodeOptions.logSettings)
        try options.readLogSettings(SettingSources(options: try parser.parse(arguments)))
        return options
    }

    @Test func `what is not said is as it ships`() throws {
        let log = try self.options([]).log
        #expect(log.entriesKeptForSlow == 100_000)
        #expect(log.bytesKeptForSlow == 64 << 20)
        #expect(log.snapshots.bytesPerSecond == 64 << 20)
        #expect(log.invalidationsKept == 65_536)
    }

    @Test func `every setting goes where it belongs`() throws {
        let log = try self.options([
            "--log-kept-entries", "5000", "--log-kept-mib", "7", "--snapshot-rate-mib", "9",
            "--names-kept", "4096",
        ]).log
        #expect(log.entriesKeptForSlow == 5_000)
        #expect(log.bytesKeptForSlow == 7 << 20)
        #expect(log.snapshots.bytesPerSecond == 9 << 20)
        #expect(log.invalidationsKept == 4_096)
    }

    @Test(arguments: [
        ["--log-kept-entries", "999"], ["--log-kept-mib", "0"], ["--snapshot-rate-mib", "-1"],
        ["--snapshot-rate-mib", "fast"], ["--names-kept", "1023"],
    ])
    func `what is out of its bounds is refused`(arguments: [String]) {
        #expect(throws: SettingsFault.self) { try self.options(arguments) }
    }
}
