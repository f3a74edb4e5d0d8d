import Catalog
import IORuntime
import Node
import Primitives
import Testing

@Suite struct NodeConfigurationTests {
    private static let lines = [
        "cluster = 000102030405060708090a0b0c0d0e0f", "node = 2", "zone = north 1",
        "roles = meta,store,edge", "peer = 127.0.0.1:9202", "edge = [::1]:9002",
        "https = 127.0.0.1:9402", "admin = 127.0.0.1:9102",
        "peers = 1@127.0.0.1:9201,2@127.0.0.1:9202,3@10.0.0.3:9203", "voters = 1,2,3",
        "groups = 0,1,2",
    ]
    private static let text = Self.lines.joined(separator: "\n") + "\n"

    /// The text with the line of one name replaced.
    private func text(_ name: String, _ value: String?) -> String {
        Self.lines.compactMap { line in
            guard line.hasPrefix(name + " ") else { return line }
            return value.map { "\(name) = \($0)" }
        }.joined(separator: "\n")
    }

    @Test func `a configuration writes itself as it was read`() throws {
        let configuration = try NodeConfiguration(text: Self.text)
        #expect(configuration.text == Self.text)
        #expect(configuration.zone == "north 1")
        #expect(configuration.peers[NodeID(3)] == SocketAddress(host: "10.0.0.3", port: 9203))
        #expect(configuration.edge.host == "::1")
        #expect(configuration.roles == .all)
        #expect(configuration.voters == [NodeID(1), NodeID(2), NodeID(3)])
    }

    @Test func `blanks, comments and the line ends of Windows do not matter`() throws {
        let loose =
            "# a comment\r\n\r\n"
            + Self.lines.map { "  \($0.replacing(" = ", with: "="))\t" }.joined(separator: "\r\n")
        #expect(try NodeConfiguration(text: loose) == NodeConfiguration(text: Self.text))
    }

    @Test func `every name must stand there once`() {
        for line in Self.lines {
            let name = String(line.prefix { $0 != " " })
            #expect(throws: NodeConfiguration.Fault.missing(name)) {
                try NodeConfiguration(text: self.text(name, nil))
            }
            #expect(throws: NodeConfiguration.Fault.repeatedName(name)) {
                try NodeConfiguration(text: Self.text + line)
            }
            #expect(throws: NodeConfiguration.Fault.invalid(name: name, value: "")) {
                try NodeConfiguration(text: self.text(name, ""))
            }
        }
    }

    @Test func `what is no setting is refused with its place`() {
        #expect(throws: NodeConfiguration.Fault.malformedLine(number: 12)) {
            try NodeConfiguration(text: Self.text + "what")
        }
        #expect(throws: NodeConfiguration.Fault.unknownName("colour")) {
            try NodeConfiguration(text: Self.text + "colour = red")
        }
    }

    @Test(arguments: [
        ("cluster", "00"), ("cluster", String(repeating: "z", count: 32)), ("node", "0"),
        ("node", "-1"), ("node", "4294967296"), ("roles", "meta,cook"), ("roles", "meta,,edge"),
        ("peer", "127.0.0.1"), ("edge", ":1"), ("https", "a:65536"), ("admin", "a:b"),
        ("peers", "1@a:1,1@a:2"), ("peers", "1"), ("peers", "x@a:1"), ("voters", "1,x"),
        ("voters", "1,2,3,"), ("groups", "0,-1"),
    ])
    func `a value that cannot be is refused by its name`(name: String, value: String) {
        #expect(throws: NodeConfiguration.Fault.invalid(name: name, value: value)) {
            try NodeConfiguration(text: self.text(name, value))
        }
    }

    @Test(arguments: [
        ("peers", "1@127.0.0.1:9201,3@10.0.0.3:9203"),
        ("peers", "1@127.0.0.1:9201,2@127.0.0.1:9999,3@10.0.0.3:9203"),
        ("voters", "1,2,2"), ("voters", "1,2,4"), ("roles", "store,edge"), ("groups", "0,1,1"),
        ("groups", "1,2"),
    ])
    func `settings that contradict each other are refused`(name: String, value: String) {
        #expect(throws: NodeConfiguration.Fault.contradictory(name: name)) {
            try NodeConfiguration(text: self.text(name, value))
        }
    }

    @Test func `no text traps`() {
        var generator = SeededGenerator(seed: 4)
        let alphabet = Array("=#,@:[]. 019azmetsorclu\n\r\u{301}")
        for _ in 0..<2_000 {
            var text = Array(Self.text)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<text.count, using: &generator)
                text[place] = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            do throws(NodeConfiguration.Fault) {
                let read = try NodeConfiguration(text: String(text))
                #expect(try NodeConfiguration(text: read.text) == read)
            } catch {}
        }
    }
}
