import Node
import ObjectAccess
import Settings
import Testing

struct EdgeSettingsTests {
    private func options(_ arguments: [String]) throws -> NodeOptions {
        var options = NodeOptions(identityDirectory: "/identity", dataDirectory: "/data")
        let parser = OptionParser(values: NodeOptions.edgeSettings)
        try options.readEdgeSettings(SettingSources(options: try parser.parse(arguments)))
        return options
    }

    @Test func `what is not said is as it ships`() throws {
        let access = try self.options([]).access
        #expect(access.headCacheBytes == 32 << 20)
        #expect(access.boundedAge == .seconds(5))
    }

    @Test func `every setting goes where it belongs`() throws {
        let access = try self.options(["--head-cache-mib", "7", "--link-staleness", "3s"]).access
        #expect(access.headCacheBytes == 7 << 20)
        #expect(access.boundedAge == .seconds(3))
    }

    @Test(arguments: [
        ["--head-cache-mib", "0"], ["--link-staleness", "1s"], ["--link-staleness", "2m"],
    ])
    func `what is out of its bounds is refused`(arguments: [String]) {
        #expect(throws: SettingsFault.self) { try self.options(arguments) }
    }
}
