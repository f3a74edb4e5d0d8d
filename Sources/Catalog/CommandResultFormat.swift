internal import Placement
package import Primitives
internal import Wire

/// A tag, and the result's fields behind it. Tags are for ever: results rest in session rows.
extension CommandResult: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.tag)
        switch self {
        case .slotNotOwned(let epoch), .slotsAdopted(let epoch), .staleEpoch(let epoch),
            .slotsRetained(let epoch), .slotsInMotion(let epoch):
            writer.write(epoch.rawValue)
        case .sessionOpened(let sequence): writer.write(sequence)
        case .slotsReleased(let epoch, let versionFloor):
            writer.write(epoch.rawValue)
            writer.write(versionFloor)
        case .stored(let version, let time):
            writer.write(version.rawValue)
            writer.write(time)
        case .objectDeleted(let existed): writer.write(existed)
        case .chunkCondemned(let name): writer.write(name)
        case .chunks(let verdicts): writer.writeArray(verdicts) { $0.write($1.rawValue) }
        case .linkEpochRaised(let epoch): writer.write(epoch.rawValue)
        case .uploadOpened(let id): writer.write(id.rawValue)
        case .partStored(let revision, let time):
            writer.write(revision)
            writer.write(time)
        case .uploadChanged(let revision): writer.write(revision)
        case .uploadCompletedBefore(let version, let time):
            writer.write(version.rawValue)
            writer.write(time)
        case .manifestSwept(let isDone), .rowsErased(let isDone): writer.write(isDone)
        case .rowsImported(let pieces): writer.write(pieces)
        case .slotMoves(let moves): writer.writeMessages(moves)
        case .bootstrappedBefore(let cluster): writer.writeRaw(cluster.bytes)
        case .incarnation(let number): writer.write(number)
        case .layoutSet(let version), .layoutChanged(let version): writer.write(version.rawValue)
        case .groupTableSet(let version), .groupTableChanged(let version): writer.write(version)
        case .wrappingKeySet(let generation), .wrappingKeyKept(let generation):
            writer.write(generation)
        case .secretsRewrapped(let count): writer.write(count)
        case .malformed, .wrongMasterKey, .masterKeyRetired, .masterKeyNeeded, .wrongGroup,
            .sessionUnknown, .limitReached, .bucketCreated,
            .bucketAlreadyOwned, .bucketTaken, .bucketDeleted, .bucketNotEmpty, .noSuchBucket,
            .bucketReplaced, .preconditionFailed, .noSuchKey, .sourceChanged, .accessKeyCreated,
            .linkRevoked, .noSuchUpload, .uploadAborted, .uploadActive,
            .accessKeyTaken, .accessKeyDeleted, .bootstrapped, .bootstrapFinished, .nodeRegistered,
            .slotsNotImported, .noSuchSlotMove, .noSuchGroup, .nodeIdentityUsed, .nodeRemoved,
            .linkKeyAdded,
            .linkKeyTaken, .linkKeyRemoved:
            break
        }
    }

    private var tag: UInt8 {
        switch self {
        case .malformed: 1
        case .wrongGroup: 2
        case .sessionUnknown: 3
        case .slotNotOwned: 4
        case .limitReached: 5
        case .sessionOpened: 6
        case .slotsAdopted: 7
        case .slotsReleased: 8
        case .staleEpoch: 9
        case .slotsNotImported: 10
        case .slotsRetained: 11
        case .rowsErased: 12
        case .rowsImported: 13
        case .bucketCreated: 16
        case .bucketAlreadyOwned: 17
        case .bucketTaken: 18
        case .bucketDeleted: 19
        case .bucketNotEmpty: 20
        case .noSuchBucket: 21
        case .stored: 22
        case .preconditionFailed: 23
        case .noSuchKey: 24
        case .sourceChanged: 25
        case .objectDeleted: 26
        case .accessKeyCreated: 27
        case .accessKeyTaken: 28
        case .accessKeyDeleted: 29
        case .bucketReplaced: 30
        case .linkRevoked: 96
        case .linkEpochRaised: 97
        case .chunkCondemned: 128
        case .chunks: 129
        case .uploadOpened: 40
        case .noSuchUpload: 41
        case .partStored: 42
        case .uploadChanged: 43
        case .uploadCompletedBefore: 44
        case .uploadAborted: 45
        case .uploadActive: 46
        case .manifestSwept: 47
        case .bootstrapped: 64
        case .bootstrappedBefore: 65
        case .bootstrapFinished: 66
        case .nodeRegistered: 67
        case .nodeIdentityUsed: 68
        case .nodeRemoved: 77
        case .incarnation: 69
        case .layoutSet: 70
        case .layoutChanged: 71
        case .groupTableSet: 72
        case .groupTableChanged: 73
        case .linkKeyAdded: 74
        case .linkKeyTaken: 75
        case .linkKeyRemoved: 76
        case .slotMoves: 80
        case .slotsInMotion: 81
        case .noSuchSlotMove: 82
        case .noSuchGroup: 83
        case .wrongMasterKey: 192
        case .wrappingKeySet: 193
        case .wrappingKeyKept: 194
        case .secretsRewrapped: 195
        case .masterKeyRetired: 196
        case .masterKeyNeeded: 197
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let tag = try reader.read(UInt8.self)
        if let result = try Self.readShared(tag, from: &reader) {
            self = result
        } else if let result = try Self.readData(tag, from: &reader) {
            self = result
        } else if let result = try Self.readUploads(tag, from: &reader) {
            self = result
        } else if let result = try Self.readSystem(tag, from: &reader) {
            self = result
        } else {
            throw .invalid(field: "command result", offset: at)
        }
    }

    private static func readShared(
        _ tag: UInt8, from reader: inout ByteReader
    ) throws(FormatFault) -> Self? {
        switch tag {
        case 1: .malformed
        case 2: .wrongGroup
        case 3: .sessionUnknown
        case 4: .slotNotOwned(Epoch(try reader.read()))
        case 5: .limitReached
        case 6: .sessionOpened(firstSequence: try reader.read())
        case 7: .slotsAdopted(Epoch(try reader.read()))
        case 8: .slotsReleased(Epoch(try reader.read()), versionFloor: try reader.read())
        case 9: .staleEpoch(Epoch(try reader.read()))
        case 10: .slotsNotImported
        case 11: .slotsRetained(Epoch(try reader.read()))
        case 12: .rowsErased(isDone: try reader.readBool())
        case 13: .rowsImported(pieces: try reader.read())
        case 192: .wrongMasterKey
        case 193: .wrappingKeySet(generation: try reader.read())
        case 194: .wrappingKeyKept(generation: try reader.read())
        case 195: .secretsRewrapped(count: try reader.read())
        default: nil
        }
    }

    private static func readData(
        _ tag: UInt8, from reader: inout ByteReader
    ) throws(FormatFault) -> Self? {
        switch tag {
        case 16: .bucketCreated
        case 17: .bucketAlreadyOwned
        case 18: .bucketTaken
        case 19: .bucketDeleted
        case 20: .bucketNotEmpty
        case 21: .noSuchBucket
        case 22: .stored(VersionID(rawValue: try reader.read()), at: try reader.readTimestamp())
        case 23: .preconditionFailed
        case 24: .noSuchKey
        case 25: .sourceChanged
        case 26: .objectDeleted(existed: try reader.readBool())
        case 27: .accessKeyCreated
        case 28: .accessKeyTaken
        case 29: .accessKeyDeleted
        case 30: .bucketReplaced
        case 96: .linkRevoked
        case 97: .linkEpochRaised(VersionID(rawValue: try reader.read()))
        case 128: .chunkCondemned(try ChunkName(from: &reader))
        case 129: .chunks(try reader.readVerdicts())
        default: nil
        }
    }

    private static func readUploads(
        _ tag: UInt8, from reader: inout ByteReader
    ) throws(FormatFault) -> Self? {
        switch tag {
        case 40: .uploadOpened(UploadID(rawValue: try reader.read()))
        case 41: .noSuchUpload
        case 42: .partStored(revision: try reader.read(), at: try reader.readTimestamp())
        case 43: .uploadChanged(revision: try reader.read())
        case 44:
            .uploadCompletedBefore(
                VersionID(rawValue: try reader.read()), at: try reader.readTimestamp())
        case 45: .uploadAborted
        case 46: .uploadActive
        case 47: .manifestSwept(isDone: try reader.readBool())
        default: nil
        }
    }

    private static func readSystem(
        _ tag: UInt8, from reader: inout ByteReader
    ) throws(FormatFault) -> Self? {
        switch tag {
        case 64: .bootstrapped
        case 65: .bootstrappedBefore(try ClusterID(from: &reader))
        case 66: .bootstrapFinished
        case 67: .nodeRegistered
        case 68: .nodeIdentityUsed
        case 77: .nodeRemoved
        case 69: .incarnation(try reader.read())
        case 70: .layoutSet(LayoutVersion(try reader.read()))
        case 71: .layoutChanged(current: LayoutVersion(try reader.read()))
        case 72: .groupTableSet(version: try reader.read())
        case 73: .groupTableChanged(current: try reader.read())
        case 74: .linkKeyAdded
        case 75: .linkKeyTaken
        case 76: .linkKeyRemoved
        case 80:
            .slotMoves(
                try reader.readMessages(field: "moves", limit: CatalogLimits.slotMoves))
        case 81: .slotsInMotion(Epoch(try reader.read()))
        case 82: .noSuchSlotMove
        case 83: .noSuchGroup
        case 196: .masterKeyRetired
        case 197: .masterKeyNeeded
        default: nil
        }
    }
}
