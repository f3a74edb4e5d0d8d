import Catalog
import Placement
import Primitives
import Testing
import Wire

@Suite struct DeletionFormatTests {
    static let operations: [CatalogOperation] = [
        .condemnChunks(CondemnChunks(chunks: [chunkKey(1), chunkKey(2)])),
        .condemnChunks(CondemnChunks(holder: NodeID(4), chunks: [chunkKey(1)])),
        .authoriseDeletions(
            AuthoriseDeletions(
                grace: .seconds(21_600),
                chunks: [.init(key: chunkKey(1), homes: [NodeID(1), NodeID(2)])])),
        .confirmDeletions(ConfirmDeletions(node: NodeID(4), chunks: [chunkKey(1)])),
        .forgetChunks([chunkKey(1)]),
        .fileBadCopy(FileBadCopy(chunk: chunkKey(1), node: NodeID(2))),
        .correctReferences(
            CorrectReferences(
                asOf: LogIndex(5),
                chunks: [.init(key: chunkKey(1), delta: -2, sealedLength: 116)])),
    ]

    static let since = ChunkLife.Unreferenced(
        index: LogIndex(5), time: Timestamp(milliseconds: 6))
    static let rows = [
        ChunkLife.referenced(2), .unreferenced(since), .condemned(since),
        .authorised([NodeID(1), NodeID(2)]), .deleted(at: Timestamp(milliseconds: 7)),
    ].map { life in
        ChunkRow(
            life: life, sealedLength: 2, placedBy: LayoutVersion(3), exceptions: [NodeID(4)],
            suspects: [NodeID(7)], corrected: LogIndex(8))
    }

    @Test func `the bytes of the commands by which chunks die are these`() {
        let key = { (counter: String) in Self.slot + "0900000000000000" + counter }
        let one = key("0100000000000000")
        let golden = [
            "80" + "00" + "02000000" + one + key("0200000000000000"),
            "80" + "01" + "04000000" + "01000000" + one,
            "81" + "0097490100000000" + "01000000" + one + "02" + "01000000" + "02000000",
            "82" + "04000000" + "01000000" + one,
            "83" + "01000000" + one,
            "84" + one + "02000000",
            "85" + "0500000000000000" + "01000000" + one + "feffffffffffffff" + "74000000",
        ]
        #expect(Self.operations.map { Hex.encode($0.encoded) } == golden)
    }

    @Test func `each stage of a chunk's life has its bytes`() {
        let since = "0500000000000000" + "0600000000000000"
        let golden = [
            "01" + "0200000000000000", "02" + since, "03" + since,
            "04" + "02" + "01000000" + "02000000", "05" + "0700000000000000",
        ]
        #expect(Self.rows.map { Hex.encode($0.life.encoded) } == golden)
    }

    @Test func `a deletion without a home, or with a grace before now, is no command`() {
        let homeless = AuthoriseDeletions(
            grace: .zero, chunks: [.init(key: chunkKey(1), homes: [])])
        let early = AuthoriseDeletions(grace: .seconds(-1), chunks: [])
        for refused in [homeless, early] {
            #expect(throws: FormatFault.self) { try AuthoriseDeletions(decoding: refused.encoded) }
        }
    }

    private static let slot = Hex.encode([
        UInt8(truncatingIfNeeded: photos.slot.rawValue), UInt8(photos.slot.rawValue >> 8),
    ])
}
