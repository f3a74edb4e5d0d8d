import Placement
import Primitives
import Testing
import Wire

@Suite struct LayoutFormatTests {
    @Test(arguments: [[1], [2, 2, 1], [20, 20, 20]])
    func `a layout reads back as it was written`(sizes: [Int]) throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(3), nodes: nodes(zones: sizes, weight: 931))
        #expect(try Layout(decoding: layout.encoded) == layout)
    }

    @Test func `a small cluster's table takes a byte a partition`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [2, 2, 1]))
        #expect(layout.encoded.count < 65_536 + 256)
    }

    @Test func `the bytes of a layout are these`() throws {
        let layout = try Layout(
            version: LayoutVersion(2), replicaCount: 1, partitionBits: 1,
            nodes: [
                NodeDescriptor(id: NodeID(1), zone: "a", weight: 3),
                NodeDescriptor(id: NodeID(2), zone: "b", weight: 4, state: .draining),
            ], homeSets: [[NodeID(2)], [NodeID(1)]], assignment: [1, 0])
        #expect(
            Hex.encode(layout.encoded)
                == "01" + "0200000000000000" + "01" + "01" + "02000000"
                + "01000000" + "01000000" + "61" + "03000000" + "01"
                + "02000000" + "01000000" + "62" + "04000000" + "02"
                + "02000000" + "02000000" + "01000000" + "0100")
    }

    @Test func `no bytes make the reader trap, and what it reads is whole`() throws {
        let golden = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [2, 2, 1]), partitionBits: 4
        ).encoded
        var random = SeededGenerator(seed: 11)
        for _ in 0..<3_000 {
            var bytes = golden
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(
                    in: 0 ... .max, using: &random)
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            guard let layout = try? Layout(decoding: bytes) else { continue }
            #expect(layout.encoded == bytes)
        }
    }

    @Test func `a table that names a stranger is refused`() {
        #expect(throws: LayoutFault.unknownNode(NodeID(9))) {
            try Layout(
                version: LayoutVersion(1), replicaCount: 1, partitionBits: 1,
                nodes: nodes(zones: [1]), homeSets: [[NodeID(9)]], assignment: [0, 0])
        }
    }
}
