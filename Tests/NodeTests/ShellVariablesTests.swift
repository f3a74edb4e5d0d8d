import IORuntime
import Node
import Primitives
import Testing

struct ShellVariablesTests {
    private static func doors(_ numbers: Int...) -> [ShellVariables.Doors] {
        numbers.map { number in
            ShellVariables.Doors(
                edge: SocketAddress(host: "127.0.0.1", port: UInt16(9000 + number)),
                https: SocketAddress(host: "127.0.0.1", port: UInt16(9400 + number)),
                admin: SocketAddress(host: "127.0.0.1", port: UInt16(9100 + number)))
        }
    }

    @Test func `a new cluster's variables name its nodes and its key`() throws {
        let cluster = try newCluster(["a", "b", "c"])
        let text = ShellVariables(
            of: cluster, doors: Self.doors(1, 2, 3), directory: "/it's/here"
        ).text
        let edges = "http://127.0.0.1:9001,http://127.0.0.1:9002,http://127.0.0.1:9003"
        #expect(
            text == """
                export HOLDFAST_EDGES='\(edges)'
                export HOLDFAST_ADMIN='127.0.0.1:9101,127.0.0.1:9102,127.0.0.1:9103'
                export HOLDFAST_KEY='\(cluster.accessKey)'
                export HOLDFAST_SECRET='\(cluster.secret)'
                export HOLDFAST_CA='/it'\\''s/here/authority/ca.pem'
                export AWS_ACCESS_KEY_ID='\(cluster.accessKey)'
                export AWS_SECRET_ACCESS_KEY='\(cluster.secret)'
                export AWS_DEFAULT_REGION='holdfast-1'
                export AWS_ENDPOINT_URL='http://127.0.0.1:9001'

                """)
    }

    @Test func `where edges listen on the loopback alone, others reach them by HTTPS`() throws {
        let doors = ShellVariables.Doors(
            edge: SocketAddress(host: "127.0.0.1", port: 9001),
            https: SocketAddress(host: "192.0.2.1", port: 9401),
            admin: SocketAddress(host: "127.0.0.1", port: 9101))
        let text = ShellVariables(
            of: try newCluster(["a", "b", "c"]), doors: [doors], directory: "/d"
        ).text
        #expect(text.contains("export HOLDFAST_EDGES='https://192.0.2.1:9401'\n"))
        #expect(text.hasSuffix("export AWS_CA_BUNDLE='/d/authority/ca.pem'\n"))
    }

    @Test func `other nodes change three lines, and nothing that is its owner's`() {
        let text = """
            # mine
            export HOLDFAST_EDGES='http://127.0.0.1:9001'
            export HOLDFAST_SECRET='it is'
            export AWS_ENDPOINT_URL='http://127.0.0.1:9001'
            export PATH=/opt/bin:$PATH
            export AWS_ENDPOINT_URL='https://files.example'
            export HOLDFAST_EDGES_NEAR='http://127.0.0.1:9001'

            """
        #expect(
            ShellVariables.replacingAddresses(in: text, by: Self.doors(2, 6)) == """
                # mine
                export HOLDFAST_EDGES='http://127.0.0.1:9002,http://127.0.0.1:9006'
                export HOLDFAST_SECRET='it is'
                export AWS_ENDPOINT_URL='http://127.0.0.1:9002'
                export PATH=/opt/bin:$PATH
                export AWS_ENDPOINT_URL='https://files.example'
                export HOLDFAST_EDGES_NEAR='http://127.0.0.1:9001'

                """)
    }

    @Test func `the file names the nodes that are beside it and not removed`() throws {
        let disk = TestDisk()
        let files = disk.files
        let cluster = try newCluster(["a", "b", "c"])
        try files.makeDirectoryDurably("/cluster")
        for identity in cluster.identities {
            try identity.write(
                into: "/cluster/node-\(identity.configuration.node)/identity", files)
        }
        // Where nobody has a file, none is made.
        try ShellVariables.update(clusterDirectory: "/cluster", without: [], files)
        #expect(try files.status("/cluster/env") == nil)

        let text = ShellVariables(of: cluster, doors: Self.doors(1), directory: "/cluster").text
        try files.replace("/cluster/env", with: Array((text + "export MINE=1\n").utf8))
        try ShellVariables.update(clusterDirectory: "/cluster", without: [NodeID(2)], files)
        disk.powerCut()
        let changed = String(decoding: try disk.files.contents(of: "/cluster/env"), as: UTF8.self)
        let whole = ShellVariables(of: cluster, doors: Self.doors(1, 3), directory: "/cluster")
        #expect(changed == whole.text + "export MINE=1\n")
    }
}
