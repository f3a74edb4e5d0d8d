import MetaNode
import Node
import ObjectAccess
import Settings
import StoreNode
import Testing

struct DeletionSettingsTests {
    private func options(_ arguments: [String]) throws -> NodeOptions {
        var options = NodeOptions(identityDirectory: "/identity", dataDirectory: "/data")
        let parser = OptionParser(values: NodeOptions.deletionSettings)
        try options.readDeletionSettings(SettingSources(options: try parser.parse(arguments)))
        return options
    }

    @Test func `what is not said is as it ships`() throws {
        let options = try self.options([])
        #expect(options.sweep.grace == .seconds(6 * 3_600))
        #expect(options.janitor.orphanGrace == .seconds(6 * 3_600))
        #expect(options.access.uploadLifetime == .seconds(5 * 3_600))
    }

    @Test func `every setting goes where it belongs`() throws {
        let options = try self.options([
            "--deletion-grace", "2h", "--full-disk-grace", "1m", "--orphan-grace", "3h",
            "--upload-lifetime", "1h", "--abandoned-upload-grace", "2d", "--sweep-period", "7s",
            "--deletion-period", "8s", "--orphan-period", "9m", "--audit-period", "10m",
        ])
        #expect(options.sweep.grace == .seconds(7_200))
        #expect(options.sweep.graceWhenFull == .seconds(60))
        #expect(options.janitor.orphanGrace == .seconds(10_800))
        #expect(options.access.uploadLifetime == .seconds(3_600))
        #expect(options.sweep.uploadPatience == .seconds(172_800))
        #expect(options.sweep.period == .seconds(7))
        #expect(options.janitor.pullPeriod == .seconds(8))
        #expect(options.janitor.walkPeriod == .seconds(540))
        #expect(options.sweep.auditPeriod == .seconds(600))
    }

    @Test(arguments: [
        ["--orphan-grace", "5h"], ["--upload-lifetime", "6h"],
        ["--orphan-grace", "1h", "--upload-lifetime", "2h"],
    ])
    func `an orphan grace within the lifetime of uploads is refused`(arguments: [String]) {
        #expect(throws: SettingsFault.self) { try self.options(arguments) }
    }

    @Test(arguments: [["--deletion-grace", "366d"], ["--audit-period", "8d"]])
    func `a span outside of its bounds is refused`(arguments: [String]) {
        #expect(throws: SettingsFault.self) { try self.options(arguments) }
    }
}
