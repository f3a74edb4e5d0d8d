import IORuntime
import Node
import Primitives
import Testing

@Suite struct RevokedNodesTests {
    private func disk() throws -> TestDisk {
        let disk = TestDisk()
        try disk.files.makeDirectory("/identity")
        try disk.files.syncDirectory("/")
        return disk
    }

    private func read(_ disk: TestDisk) throws -> RevokedNodes {
        let revoked = RevokedNodes()
        try revoked.read(from: "/identity", disk.files)
        return revoked
    }

    @Test func `who was removed is refused by the next process, from its first moment`() throws {
        let disk = try self.disk()
        #expect(try self.read(disk).nodes.isEmpty)
        let first = RevokedNodes()
        first.add([NodeID(7), NodeID(4)])
        try first.write(into: "/identity", disk.files)
        disk.powerCut()
        let second = try self.read(disk)
        #expect(second.nodes == [NodeID(4), NodeID(7)])
        #expect(second.refuses(NodeID(7)))
        #expect(!second.refuses(NodeID(5)))
        // What it hears comes on top.
        second.add([NodeID(5)])
        try second.write(into: "/identity", disk.files)
        #expect(try self.read(disk).nodes == [NodeID(4), NodeID(5), NodeID(7)])
    }

    @Test func `only what is new is worth writing down`() {
        let revoked = RevokedNodes()
        #expect(revoked.add([NodeID(4)]))
        #expect(!revoked.add([NodeID(4)]))
        #expect(!revoked.add([]))
    }

    @Test(arguments: ["seven", "7\n-1", "4294967296", "7 8"])
    func `a list that cannot be understood is not passed over`(text: String) throws {
        let disk = try self.disk()
        try disk.files.replace("/identity/revoked", with: Array(text.utf8))
        #expect(throws: NodeFault.self) { try self.read(disk) }
    }
}
