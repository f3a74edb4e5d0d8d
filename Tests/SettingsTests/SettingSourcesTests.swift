import FileClient
import IORuntime
import Primitives
import Settings
import SimulatedRuntime
import Telemetry
import Testing

@Suite struct SettingSourcesTests {
    private func file(_ text: String) throws -> SettingsFile {
        try SettingsFile(Array(text.utf8), path: "conf", known: ["edges", "jobs", "span"])
    }

    @Test func `a settings file is read line by line`() throws {
        let file = try self.file("# comment\n\n edges = a:1, b:2 \r\njobs=3 # not a comment\n")
        #expect(file["edges"] == "a:1, b:2")
        #expect(file["jobs"] == "3 # not a comment")
        #expect(file["span"] == nil)
    }

    @Test(arguments: [
        ("edges", SettingsFile.Fault.malformed(line: 1)), ("\nedges =", .malformed(line: 2)),
        ("= x", .malformed(line: 1)), ("jobs = 1\njobs = 1", .repeated("jobs", line: 2)),
        ("colour = red", .unknown("colour", line: 1)),
    ])
    func `a settings file that says nothing clear is refused`(
        text: String, fault: SettingsFile.Fault
    ) {
        #expect(throws: fault) { try self.file(text) }
    }

    @Test func `a file that is not text is refused`() {
        #expect(throws: SettingsFile.Fault.notText) {
            try SettingsFile([0xFF, 0xFE], path: "conf", known: [])
        }
    }

    @Test func `options win over variables, and these over the file`() throws {
        let parser = OptionParser(values: ["jobs", "edges"])
        let file = try self.file("jobs = 1\nedges = file\nspan = 2h")
        let variables = ["HOLDFAST_JOBS": "2", "HOLDFAST_EDGES": ""]
        func found(_ words: [String], _ name: String) throws -> SettingSources.Found? {
            SettingSources(
                options: try parser.parse(words), variables: variables, file: file
            ).find(name)
        }
        #expect(try found(["--jobs", "3"], "jobs")?.value == "3")
        #expect(try found(["--jobs", "3"], "jobs")?.origin == "--jobs")
        #expect(try found([], "jobs")?.value == "2")
        #expect(try found([], "jobs")?.origin == "HOLDFAST_JOBS")
        #expect(try found([], "edges")?.value == "file")
        #expect(try found([], "edges")?.origin == "edges in conf")
        #expect(try found([], "ca") == nil)
    }

    @Test(arguments: ["0", "65", "four", "", "4.5", "99999999999999999999"])
    func `a number outside its bounds is an error`(text: String) throws {
        let parser = OptionParser(values: ["jobs"])
        let sources = SettingSources(options: try parser.parse(["--jobs=\(text)"]))
        #expect(throws: SettingsFault.notANumber("--jobs", value: text, range: 1...64)) {
            try sources.number("jobs", in: 1...64)
        }
    }

    @Test(arguments: [("on", true), ("off", false)])
    func `a switch is on or off`(text: String, isOn: Bool) throws {
        let options = try OptionParser(values: ["compression"]).parse(["--compression", text])
        #expect(try SettingSources(options: options).isOn("compression") == isOn)
        let bare = try OptionParser(values: ["compression"]).parse([])
        let variables = ["HOLDFAST_COMPRESSION": text]
        #expect(
            try SettingSources(options: bare, variables: variables).isOn("compression") == isOn)
        #expect(try SettingSources(options: bare).isOn("compression") == nil)
        #expect(
            throws: SettingsFault.malformed("--compression", value: "yes", wanted: "on or off")
        ) {
            let options = try OptionParser(values: ["compression"]).parse(["--compression=yes"])
            _ = try SettingSources(options: options).isOn("compression")
        }
    }

    @Test(arguments: [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)])
    func `spans of time have a unit`(text: String, seconds: Int64) throws {
        let parser = OptionParser(values: ["expires"])
        let sources = SettingSources(options: try parser.parse(["--expires", text]))
        #expect(try sources.seconds("expires", in: 1...604_800) == seconds)
    }

    @Test(arguments: ["", "1", "h", "-1h", "1.5h", "1w", "9223372036854775807d"])
    func `what is no span of time is an error`(text: String) throws {
        let parser = OptionParser(values: ["expires"])
        let sources = SettingSources(options: try parser.parse(["--expires=\(text)"]))
        #expect(throws: SettingsFault.notASpan("--expires", value: text)) {
            try sources.seconds("expires", in: 1...604_800)
        }
    }
}

@Suite struct ClientSettingsTests {
    private static let parser = OptionParser(values: ClientSettings.optionNames)

    /// Reads settings on a machine that has the given files.
    private func settings(
        _ words: [String] = [], variables: [String: String] = [:], files: [String: String] = [:]
    ) throws -> ClientSettings {
        let simulator = Simulator(seed: 1)
        let environment = simulator.makeNode("m", host: "10.0.0.1").environment
        let options = try Self.parser.parse(words)
        let outcome = Outcome()
        simulator.spawn("read", on: environment.simulatedLoops[0]) {
            let system = environment.files
            outcome.result = await environment.blocking(.disk) {
                Result {
                    for (path, text) in files.sorted(by: { $0.key < $1.key }) {
                        try system.replace(path, with: Array(text.utf8))
                    }
                    return try ClientSettings(options, variables: variables, files: system)
                }
            }
        }
        _ = simulator.run()
        return try #require(outcome.result).get()
    }

    /// Touched on the simulator's thread only, hence unchecked.
    private final class Outcome: @unchecked Sendable {
        var result: Result<ClientSettings, any Error>?
    }

    @Test func `everything may come from a file`() throws {
        let text = """
            edges = 127.0.0.1:9001, https://edge.example,127.0.0.1:9001
            key = AKID
            secret = hush
            jobs = 9
            ca = /ca.pem
            """
        let settings = try self.settings(
            variables: ["HOLDFAST_CONFIG": "/conf"], files: ["/conf": text, "/ca.pem": "PEM"])
        #expect(
            settings.options.edges.map(\.description)
                == ["http://127.0.0.1:9001", "https://edge.example"])
        #expect(settings.options.accessKey == "AKID")
        #expect(settings.options.secret.secret == "hush")
        #expect(settings.options.jobs == 9)
        #expect(settings.authorities == "PEM")
    }

    @Test func `the secret is found at the strongest place and never shown`() throws {
        let variables = [
            "HOLDFAST_EDGES": "a:1", "HOLDFAST_KEY": "k", "HOLDFAST_SECRET": "variable",
        ]
        let files = ["/secret": "file\n", "/conf": "secret-file = /secret\n"]
        let plain = try self.settings(["--config", "/conf"], variables: variables, files: files)
        #expect(plain.options.secret.secret == "variable")
        let named = try self.settings(
            ["--secret-file", "/secret"], variables: variables, files: files)
        #expect(named.options.secret.secret == "file")
        var shown = "\(named)"
        dump(named, to: &shown)
        #expect(!shown.contains("file"))
    }

    @Test(arguments: [
        ([:], "edges is not set: give --edges or set HOLDFAST_EDGES"),
        (["HOLDFAST_EDGES": "a:1"], "key is not set: give --key or set HOLDFAST_KEY"),
        (
            ["HOLDFAST_EDGES": "a:1", "HOLDFAST_KEY": "k"],
            "secret is not set: set HOLDFAST_SECRET"
        ),
        (
            ["HOLDFAST_EDGES": "a:1,b", "HOLDFAST_KEY": "k", "HOLDFAST_SECRET": "s"],
            "HOLDFAST_EDGES: b is not an edge: http://host:port, https://host:port or host:port"
        ),
        (
            ["HOLDFAST_CONFIG": "/none"], "HOLDFAST_CONFIG: /none cannot be read"
        ),
    ])
    func `what is missing or wrong is named`(variables: [String: String], message: String) {
        let fault = #expect(throws: SettingsFault.self) {
            try self.settings(variables: variables)
        }
        #expect(fault?.description == message)
    }
}
