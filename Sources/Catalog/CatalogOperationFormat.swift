internal import Placement
package import Primitives
internal import Wire

/// A tag, and the operation's fields behind it. Tags are for ever.
extension CatalogOperation: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .unreadable: writer.write(UInt8(0))
        case .openSession(let session): writer.write(tag: 1) { $0.write(session.rawValue) }
        case .createBucket(let create): writer.write(tag: 4) { $0.write(create) }
        case .deleteBucket(let name): writer.write(tag: 5) { $0.write(name) }
        case .putObject(let put): writer.write(tag: 6) { $0.write(put) }
        case .deleteObject(let delete): writer.write(tag: 7) { $0.write(delete) }
        case .createAccessKey(let key): writer.write(tag: 8) { $0.write(key) }
        case .deleteAccessKey(let id): writer.write(tag: 9) { $0.write(id) }
        case .copyObject(let copy): writer.write(tag: 16) { $0.write(copy) }
        case .openUpload(let open): writer.write(tag: 17) { $0.write(open) }
        case .putPart(let put): writer.write(tag: 18) { $0.write(put) }
        case .completeUpload(let complete): writer.write(tag: 19) { $0.write(complete) }
        case .abortUpload(let abort): writer.write(tag: 20) { $0.write(abort) }
        case .sweepManifest(let doomed): writer.write(tag: 21) { $0.write(doomed) }
        case .revokeLink(let revoke): writer.write(tag: 96) { $0.write(revoke) }
        case .raiseLinkEpoch(let bucket): writer.write(tag: 97) { $0.write(bucket) }
        case .registerNode(let record): writer.write(tag: 176) { $0.write(record) }
        case .setWrappingKey(let set): writer.write(tag: 192) { $0.write(set) }
        case .rewrapSecrets(let secrets): writer.write(tag: 193) { $0.writeMessages(secrets) }
        case .retireMasterKey(let retire): writer.write(tag: 194) { $0.write(retire) }
        case .bootstrap(let bootstrap): writer.write(tag: 32) { $0.write(bootstrap) }
        case .finishBootstrap: writer.write(UInt8(33))
        case .allocateIncarnation: writer.write(UInt8(35))
        case .setLayout(let set):
            writer.write(tag: 177) {
                $0.write(set.expected.rawValue)
                $0.write(set.layout)
            }
        case .setGroupTable(let set):
            writer.write(tag: 178) {
                $0.write(set.expected)
                $0.write(set.table)
            }
        case .addLinkKey(let key): writer.write(tag: 38) { $0.write(key) }
        case .removeLinkKey(let id): writer.write(tag: 39) { $0.writeString(id) }
        case .condemnChunks(let condemn): writer.write(tag: 128) { $0.write(condemn) }
        case .authoriseDeletions(let authorise): writer.write(tag: 129) { $0.write(authorise) }
        case .confirmDeletions(let confirm): writer.write(tag: 130) { $0.write(confirm) }
        case .forgetChunks(let chunks): writer.write(tag: 131) { $0.writeMessages(chunks) }
        case .fileBadCopy(let filed): writer.write(tag: 132) { $0.write(filed) }
        case .correctReferences(let correct): writer.write(tag: 133) { $0.write(correct) }
        case .adoptSlots(let adopt): writer.write(tag: 160) { $0.write(adopt) }
        case .releaseSlots(let release): writer.write(tag: 161) { $0.write(release) }
        case .retainSlots(let retain): writer.write(tag: 162) { $0.write(retain) }
        case .clearImport(let clear): writer.write(tag: 163) { $0.write(clear) }
        case .importRows(let rows): writer.write(tag: 164) { $0.write(rows) }
        case .dropRows(let drop): writer.write(tag: 165) { $0.write(drop) }
        case .moveSlots(let move): writer.write(tag: 168) { $0.write(move) }
        case .advanceSlotMove(let advance): writer.write(tag: 169) { $0.write(advance) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .openSession(SessionID(try reader.read()))
        case 4: self = .createBucket(try CreateBucket(from: &reader))
        case 5: self = .deleteBucket(try BucketName(from: &reader))
        case 6: self = .putObject(try PutObject(from: &reader))
        case 7: self = .deleteObject(try DeleteObject(from: &reader))
        case 8: self = .createAccessKey(try AccessKey(from: &reader))
        case 9: self = .deleteAccessKey(try AccessKeyID(from: &reader))
        case 16: self = .copyObject(try CopyObject(from: &reader))
        case 17: self = .openUpload(try OpenUpload(from: &reader))
        case 18: self = .putPart(try PutPart(from: &reader))
        case 19: self = .completeUpload(try CompleteUpload(from: &reader))
        case 20: self = .abortUpload(try AbortUpload(from: &reader))
        case 21: self = .sweepManifest(try DoomedManifest(from: &reader))
        case 32: self = .bootstrap(try Bootstrap(from: &reader))
        case 33: self = .finishBootstrap
        case 35: self = .allocateIncarnation
        case 38: self = .addLinkKey(try LinkKey(from: &reader))
        case 39:
            self = .removeLinkKey(
                id: try reader.readString(
                    field: "link key", bounds: CatalogLimits.linkKeyIDBytes))
        case 96: self = .revokeLink(try RevokeLink(from: &reader))
        case 97: self = .raiseLinkEpoch(try BucketName(from: &reader))
        case 128: self = .condemnChunks(try CondemnChunks(from: &reader))
        case 129: self = .authoriseDeletions(try AuthoriseDeletions(from: &reader))
        case 130: self = .confirmDeletions(try ConfirmDeletions(from: &reader))
        case 131: self = .forgetChunks(try reader.readChunkKeys())
        case 132: self = .fileBadCopy(try FileBadCopy(from: &reader))
        case 133: self = .correctReferences(try CorrectReferences(from: &reader))
        case 160: self = .adoptSlots(try AdoptSlots(from: &reader))
        case 161: self = .releaseSlots(try ReleaseSlots(from: &reader))
        case 162: self = .retainSlots(try RetainSlots(from: &reader))
        case 163: self = .clearImport(try ClearImport(from: &reader))
        case 164: self = .importRows(try ImportRows(from: &reader))
        case 165: self = .dropRows(try DropRows(from: &reader))
        case 168: self = .moveSlots(try MoveSlots(from: &reader))
        case 169: self = .advanceSlotMove(try AdvanceSlotMove(from: &reader))
        case 176: self = .registerNode(try NodeRecord(from: &reader))
        case 177:
            let expected = LayoutVersion(try reader.read())
            self = .setLayout(SetLayout(expected: expected, layout: try Layout(from: &reader)))
        case 178:
            let expected = try reader.read(UInt64.self)
            self = .setGroupTable(
                SetGroupTable(expected: expected, table: try GroupTable(from: &reader)))
        case 192: self = .setWrappingKey(try SetWrappingKey(from: &reader))
        case 193:
            self = .rewrapSecrets(
                try reader.readMessages(
                    field: "secrets", limit: CatalogLimits.secretsPerCommand))
        case 194: self = .retireMasterKey(try RetireMasterKey(from: &reader))
        default: throw .invalid(field: "operation", offset: at)
        }
    }
}

extension ByteWriter {
    /// A tag, and what belongs to it.
    mutating func write(tag: UInt8, _ body: (inout ByteWriter) -> Void) {
        self.write(tag)
        body(&self)
    }
}

extension AdoptSlots: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
        writer.write(self.versionFloor)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let slots = try SlotRange(from: &reader)
        let epoch = Epoch(try reader.read())
        let at = reader.offset
        let versionFloor = try reader.read(UInt64.self)
        // A version is an index of 48 bits; a floor near its end would overflow every later one.
        guard versionFloor < 1 << 47 else { throw .invalid(field: "version floor", offset: at) }
        self.init(slots: slots, epoch: epoch, versionFloor: versionFloor)
    }
}

extension ReleaseSlots: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(slots: try SlotRange(from: &reader), epoch: Epoch(try reader.read()))
    }
}

extension CreateBucket: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.name)
        writer.write(self.owner)
        writer.writeBytes(self.wrappedKey)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let name = try BucketName(from: &reader)
        let owner = try OwnerID(from: &reader)
        let key = try reader.readBytes(
            field: "wrapped bucket key", limit: CatalogLimits.wrappedBytes)
        self.init(name: name, owner: owner, wrappedKey: Array(key))
    }
}

extension DeleteObject: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.write(self.key)
        writer.write(self.precondition)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            bucket: try BucketName(from: &reader), key: try ObjectKey(from: &reader),
            precondition: try ObjectPrecondition(from: &reader))
    }
}

extension ObjectPrecondition: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .none: writer.write(UInt8(0))
        case .absent: writer.write(UInt8(1))
        case .present: writer.write(UInt8(2))
        case .matches(let tag): writer.write(tag: 3) { $0.write(tag) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 0: self = .none
        case 1: self = .absent
        case 2: self = .present
        case 3: self = .matches(try EntityTag(from: &reader))
        default: throw .invalid(field: "precondition", offset: at)
        }
    }
}

extension Bootstrap: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeRaw(self.cluster.bytes)
        writer.write(self.firstAccessKey)
        writer.write(self.linkKey)
        writer.writeMessages(self.nodes)
        writer.write(self.layout)
        writer.write(self.groupTable)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            cluster: try ClusterID(from: &reader), firstAccessKey: try AccessKey(from: &reader),
            linkKey: try LinkKey(from: &reader),
            nodes: try reader.readMessages(field: "nodes", limit: CatalogLimits.nodes),
            layout: try Layout(from: &reader), groupTable: try GroupTable(from: &reader))
    }
}

extension ClusterID {
    init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        guard let cluster = Self(bytes: Array(try reader.readRaw(16))) else {
            throw .invalid(field: "cluster", offset: at)
        }
        self = cluster
    }
}
