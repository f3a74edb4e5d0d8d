import IORuntime
import Node
import Primitives
import Testing

@Suite struct KnownNodesTests {
    private static let fifth = SocketAddress(host: "10.0.0.5", port: 9205)
    private static let sixth = SocketAddress(host: "10.0.0.6", port: 9206)

    private func disk() throws -> TestDisk {
        let disk = TestDisk()
        try disk.files.makeDirectory("/identity")
        try disk.files.syncDirectory("/")
        return disk
    }

    private func read(_ disk: TestDisk) throws -> KnownNodes {
        let known = KnownNodes()
        try known.read(from: "/identity", disk.files)
        return known
    }

    @Test func `who was removed is refused by the next process, from its first moment`() throws {
        let disk = try self.disk()
        #expect(try self.read(disk).removed.isEmpty)
        let first = KnownNodes()
        first.update(addresses: [:], removed: [NodeID(7), NodeID(4)])
        try first.write(into: "/identity", disk.files)
        disk.powerCut()
        let second = try self.read(disk)
        #expect(second.removed == [NodeID(4), NodeID(7)])
        #expect(second.refuses(NodeID(7)))
        #expect(!second.refuses(NodeID(5)))
        // What it hears comes on top.
        second.update(addresses: [:], removed: [NodeID(5)])
        try second.write(into: "/identity", disk.files)
        #expect(try self.read(disk).removed == [NodeID(4), NodeID(5), NodeID(7)])
    }

    @Test func `the next process knows where those are that came later`() throws {
        let disk = try self.disk()
        let first = KnownNodes()
        first.update(addresses: [NodeID(5): Self.fifth, NodeID(6): Self.sixth], removed: [])
        try first.write(into: "/identity", disk.files)
        first.update(addresses: [NodeID(6): Self.sixth], removed: [NodeID(5)])
        try first.write(into: "/identity", disk.files)
        disk.powerCut()
        #expect(try self.read(disk).addresses == [NodeID(6): Self.sixth])
        #expect(
            try disk.files.contents(of: "/identity/nodes")
                == Array("6 10.0.0.6:9206\n5 removed\n".utf8))
    }

    @Test func `only what is new is worth writing down, and nobody comes back`() {
        let known = KnownNodes()
        #expect(known.update(addresses: [NodeID(4): Self.fifth], removed: []))
        #expect(!known.update(addresses: [NodeID(4): Self.fifth], removed: []))
        #expect(known.update(addresses: [:], removed: [NodeID(4)]))
        #expect(!known.update(addresses: [NodeID(4): Self.fifth], removed: []))
        #expect(known.addresses.isEmpty && known.refuses(NodeID(4)))
    }

    @Test(arguments: [
        "seven removed", "7 removed\n-1 removed", "4294967296 removed", "7", "7 10.0.0.7",
        "7 removed twice",
    ])
    func `a list that cannot be understood is not passed over`(text: String) throws {
        let disk = try self.disk()
        try disk.files.replace("/identity/nodes", with: Array(text.utf8))
        #expect(throws: NodeFault.self) { try self.read(disk) }
    }
}
