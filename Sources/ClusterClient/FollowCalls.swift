import CachePolicy
import Catalog
import Primitives
import Wire

/// Asks a replica what a group's entries behind an index invalidated. It is answered at once when
/// there is news, and held open for a while when there is none.
package struct FollowRequest: WireMessage, Equatable {
    package let group: GroupID
    package let after: LogIndex

    package init(group: GroupID, after: LogIndex) {
        self.group = group
        self.after = after
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        writer.write(self.after.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        self.group = GroupID(try reader.read())
        self.after = LogIndex(try reader.read())
    }
}

package enum FollowAnswer: WireMessage, Equatable {
    case news(InvalidationNews)
    /// The replica has applied nothing behind the index that was asked about.
    case nothing
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .news(let news):
            writer.write(UInt8(1))
            news.encode(into: &writer)
        case .nothing: writer.write(UInt8(2))
        case .refused(let refusal):
            writer.write(UInt8(3))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .news(try InvalidationNews(from: &reader))
        case 2: self = .nothing
        case 3: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// Asks the leader of a group how far the group has committed, confirmed after the question came
/// (Raft thesis §6.4). A state that has applied so much shows every write acknowledged before.
package struct ReadIndexRequest: WireMessage, Equatable {
    package let group: GroupID
    package init(group: GroupID) { self.group = group }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        self.group = GroupID(try reader.read())
    }
}

package enum ReadIndexAnswer: WireMessage, Equatable {
    case index(LogIndex)
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .index(let index):
            writer.write(UInt8(1))
            writer.write(index.rawValue)
        case .refused(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .index(LogIndex(try reader.read()))
        case 2: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

extension NameMark {
    /// What an invalidation is told as.
    package init(_ invalidation: Invalidation) {
        switch invalidation {
        case .object(let bucket, let key):
            self.init(key: key.utf8, in: NameMark(bucket: bucket.text.utf8))
        case .bucket(let bucket): self.init(bucket: bucket.text.utf8)
        case .slots: self = .everything
        }
    }
}

extension MarkedName {
    package init(_ key: ObjectKey, in bucket: BucketName) {
        let mark = NameMark(bucket: bucket.text.utf8)
        self.init(name: NameMark(key: key.utf8, in: mark), bucket: mark)
    }
}
