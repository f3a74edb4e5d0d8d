import Cryptography
import IORuntime
import Primitives

/// What a person's machine keeps of an upload in parts, so that the next run finds it again. The
/// bytes themselves decide what of it is used: each part that is there must have the hash that the
/// file's bytes have now.
package struct UploadRecord: Equatable, Sendable {
    package let object: RemotePath
    package let uploadID: String
    package let sizeBytes: UInt64
    package let modified: Timestamp
    package let partBytes: UInt64

    package init(
        object: RemotePath, uploadID: String, sizeBytes: UInt64, modified: Timestamp,
        partBytes: UInt64
    ) {
        self.object = object
        self.uploadID = uploadID
        self.sizeBytes = sizeBytes
        self.modified = modified
        self.partBytes = partBytes
    }
}

/// What becomes of an upload that an earlier run has left.
package enum UploadResumption: Equatable, Sendable {
    case begin
    case goOn(UploadRecord)
    /// The file is another one now; what was sent of the old one is of no use.
    case beginAnew(aborting: UploadRecord)

    package static func decide(
        _ record: UploadRecord?, object: RemotePath, sizeBytes: UInt64, modified: Timestamp
    ) -> Self {
        // The record's name is a hash of the object's, and hashes can be equal.
        guard let record, record.object == object else { return .begin }
        let isSameFile = record.sizeBytes == sizeBytes && record.modified == modified
        return isSameFile ? .goOn(record) : .beginAnew(aborting: record)
    }
}

/// How the record of an upload lies in its file: version, the fields in the order of the structure,
/// CRC32C of all before it.
package enum UploadRecordFormat {
    private static let version: UInt8 = 1
    static let limitBytes = 8192

    package static func encode(_ record: UploadRecord) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.writeString(record.object.bucket)
        writer.writeString(record.object.key)
        writer.writeString(record.uploadID)
        writer.write(record.sizeBytes)
        writer.write(record.modified.milliseconds)
        writer.write(record.partBytes)
        let checksum = CRC32C.of(writer.bytes)
        writer.write(checksum)
        return writer.bytes
    }

    /// Nil for anything that is no whole record: then the upload begins anew.
    package static func decode(_ bytes: [UInt8]) -> UploadRecord? {
        guard bytes.count > 4, bytes.count <= Self.limitBytes else { return nil }
        let body = bytes.dropLast(4)
        do throws(FormatFault) {
            var checksum = ByteReader(bytes.suffix(4))
            guard try checksum.read(UInt32.self) == CRC32C.of(Array(body)) else { return nil }
            var reader = ByteReader(body)
            guard try reader.read(UInt8.self) == Self.version else { return nil }
            let bucket = try reader.readString(field: "bucket", limit: 255)
            let key = try reader.readString(field: "key", limit: RemotePath.keyLimitBytes)
            let record = UploadRecord(
                object: RemotePath(bucket: bucket, key: key),
                uploadID: try reader.readString(field: "upload", limit: 1024),
                sizeBytes: try reader.read(), modified: Timestamp(milliseconds: try reader.read()),
                partBytes: try reader.read())
            try reader.finish()
            return PartPlan.partBytesRange.contains(record.partBytes) ? record : nil
        } catch { return nil }
    }
}

/// The file of one object's upload, held by one process at a time.
final class UploadRecordFile: Sendable {
    private let file: any File
    private let path: String
    private let environment: any Environment

    /// Nil when another process has it, or when it cannot be written: the upload then goes on
    /// without, and cannot be resumed.
    static func open(
        for object: RemotePath, in directory: String, _ environment: any Environment
    ) async -> UploadRecordFile? {
        let name = Hex.encode(SHA256.hash(Array("\(object.bucket)/\(object.key)".utf8))).prefix(32)
        let folder = "\(directory)/uploads"
        let path = "\(folder)/\(name)"
        let files = environment.files
        let file = await environment.blocking(.disk) { () -> (any File)? in
            do throws(FileFault) {
                try files.makeDirectory(folder)
                let file = try files.open(path, .openOrCreate)
                if try file.tryLock() { return file }
                file.close()
                return nil
            } catch { return nil }
        }
        return file.map { UploadRecordFile($0, path, environment) }
    }

    private init(_ file: any File, _ path: String, _ environment: any Environment) {
        self.file = file
        self.path = path
        self.environment = environment
    }

    deinit { self.file.close() }

    func read() async -> UploadRecord? {
        let file = self.file
        return await self.environment.blocking(.disk) {
            do throws(FileFault) {
                return UploadRecordFormat.decode(
                    try file.read(UploadRecordFormat.limitBytes, at: 0))
            } catch { return nil }
        }
    }

    /// Written in place: a torn record is none, and the upload begins anew.
    func write(_ record: UploadRecord) async throws(FileFault) {
        let (file, bytes) = (self.file, UploadRecordFormat.encode(record))
        try await self.environment.blocking(.disk) { () throws(FileFault) in
            try file.truncate(to: 0)
            try file.write(bytes, at: 0)
            try file.sync()
        }
    }

    func remove() async {
        let (files, path) = (self.environment.files, self.path)
        await self.environment.blocking(.disk) {
            do throws(FileFault) { try files.remove(path) } catch {
                // A record of an upload that has ended is found out when it is next used.
            }
        }
    }
}
