import Consensus
import MetaNode
import Primitives
import Testing
import Wire

@Suite struct SnapshotFormatTests {
    private static let manifest = SnapshotManifest(
        anchor: LogAnchor(
            position: LogPosition(term: Term(2), index: LogIndex(9)), chain: 0x0102_0304),
        files: [
            .init(name: "000012.sst", sizeBytes: 70_000, checksum: 0xaabb_ccdd),
            .init(name: "CURRENT", sizeBytes: 16, checksum: 1),
        ])
    private static let piece = SnapshotPieceRequest(
        group: GroupID(3), snapshot: SnapshotID(7), file: 1, offset: 1 << 20, count: 4096)

    @Test func `the calls for a state have these bytes for ever`() {
        #expect(SnapshotFormat.manifestKind == 0x0130)
        #expect(SnapshotFormat.pieceKind == 0x0131)
        #expect(SnapshotFormat.wantedKind == 0x0132)
        let wanted = SnapshotWantedRequest(group: GroupID(3), notBefore: LogIndex(9))
        #expect(Hex.encode(wanted.encoded) == "01" + "03000000" + "0900000000000000")
        let offer = SnapshotOffer(snapshot: SnapshotID(7), anchor: Self.manifest.anchor)
        #expect(Hex.encode(SnapshotWantedAnswer(offer: nil).encoded) == "01" + "00")
        #expect(
            Hex.encode(SnapshotWantedAnswer(offer: offer).encoded)
                == "01" + "01" + "0700000000000000" + "0200000000000000" + "0900000000000000"
                + "0403020100000000")
        let request = SnapshotManifestRequest(group: GroupID(3), snapshot: SnapshotID(7))
        #expect(Hex.encode(request.encoded) == "01" + "03000000" + "0700000000000000")
        #expect(
            Hex.encode(Self.piece.encoded)
                == "01" + "03000000" + "0700000000000000" + "01000000" + "0000100000000000"
                + "00100000")
        #expect(
            Hex.encode(Self.manifest.encoded)
                == "01" + "0200000000000000" + "0900000000000000" + "0403020100000000"
                + "02000000"
                + "0a000000" + Hex.encode(Array("000012.sst".utf8)) + "7011010000000000"
                + "ddccbbaa"
                + "07000000" + Hex.encode(Array("CURRENT".utf8)) + "1000000000000000"
                + "01000000")
    }

    @Test func `what is sent comes out as it went in`() throws {
        #expect(try SnapshotManifest(decoding: Self.manifest.encoded) == Self.manifest)
        #expect(try SnapshotPieceRequest(decoding: Self.piece.encoded) == Self.piece)
        #expect(Self.manifest.sizeBytes == 70_016)
        for offer in [nil, SnapshotOffer(snapshot: SnapshotID(7), anchor: Self.manifest.anchor)] {
            let answer = SnapshotWantedAnswer(offer: offer)
            #expect(try SnapshotWantedAnswer(decoding: answer.encoded) == answer)
        }
    }

    @Test(arguments: [
        ["../raft"], ["a/b"], ["/etc"], [""], ["."], [".."], ["a\0b"], ["b", "a"], ["a", "a"],
    ])
    func `a manifest names distinct files of one directory, or is refused`(names: [String]) {
        let manifest = SnapshotManifest(
            anchor: .zero, files: names.map { .init(name: $0, sizeBytes: 1, checksum: 1) })
        #expect(throws: FormatFault.self) { try SnapshotManifest(decoding: manifest.encoded) }
    }

    @Test(arguments: [0, UInt32(SnapshotFormat.mostPieceBytes) + 1, .max])
    func `a piece is asked for within its bounds`(count: UInt32) {
        let request = SnapshotPieceRequest(
            group: GroupID(3), snapshot: SnapshotID(7), file: 0, offset: 0, count: count)
        #expect(throws: FormatFault.self) {
            try SnapshotPieceRequest(decoding: request.encoded)
        }
    }

    @Test func `what anybody may send never traps`() {
        var generator = SeededGenerator(seed: 5)
        let originals = [Self.manifest.encoded, Self.piece.encoded]
        for round in 0..<4_000 {
            var bytes = originals[round % 2]
            for _ in 0...Int(generator.next() % 3) {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            bytes = Array(bytes.prefix(Int(generator.next() % UInt64(bytes.count + 8))))
            if let manifest = try? SnapshotManifest(decoding: bytes) {
                #expect(manifest.encoded == bytes)
            }
            if let piece = try? SnapshotPieceRequest(decoding: bytes) {
                #expect(piece.encoded == bytes)
            }
        }
    }
}
