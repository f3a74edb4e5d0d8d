import Cryptography
import HTTPTransport
import IORuntime
import Primitives

/// The bytes of one file, given as a request's body as often as attempts need it. Used by one task.
final class UploadSource {
    let sizeBytes: UInt64
    let file: any File
    /// Of the file when it was opened.
    let status: FileStatus
    private let environment: any Environment
    private let progress: TransferProgress
    /// Up to one piece is kept and never read again.
    private let whole: [UInt8]?
    private var offset: UInt64 = 0
    /// Of the attempt that is under way, where the hash was not known before it.
    private var digest: SHA256Digest?

    /// Why the last attempt's body ended early, where the file was the reason.
    private(set) var fault: FileFault?
    /// The SHA-256 of the content, known from the beginning where `hash` was called or the file is
    /// small.
    private var knownHash: [UInt8]?

    private struct Opened: Sendable {
        let file: any File
        let status: FileStatus
        let sizeBytes: UInt64
        let whole: [UInt8]?
        let sha256: [UInt8]?
    }

    /// Opens the file, and reads it when it is small.
    init(
        _ path: String, _ environment: any Environment, _ progress: TransferProgress
    ) async throws(FileFault) {
        let files = environment.files
        let opened = try await environment.blocking(.disk) { () throws(FileFault) -> Opened in
            let file = try files.open(path, .read)
            let size = try file.sizeBytes()
            guard let status = try files.status(path) else { throw .notFound(path: path) }
            guard size <= UInt64(TransferBounds.pieceBytes) else {
                return Opened(
                    file: file, status: status, sizeBytes: size, whole: nil, sha256: nil)
            }
            let bytes = try file.read(Int(size), at: 0)
            return Opened(
                file: file, status: status, sizeBytes: UInt64(bytes.count), whole: bytes,
                sha256: SHA256.hash(bytes))
        }
        self.file = opened.file
        self.status = opened.status
        self.sizeBytes = opened.sizeBytes
        self.whole = opened.whole
        self.knownHash = opened.sha256
        self.environment = environment
        self.progress = progress
    }

    deinit { self.file.close() }

    /// The SHA-256 of the content; reads the whole file where it is not small.
    func hash() async throws(FileFault) -> [UInt8] {
        if let hash = self.knownHash { return hash }
        var digest = SHA256Digest()
        var position: UInt64 = 0
        while position < self.sizeBytes {
            let (file, offset, before) = (self.file, position, digest)
            let (count, after) = try await self.environment.blocking(.disk) {
                () throws(FileFault) -> (Int, SHA256Digest) in
                let piece = try file.read(TransferBounds.pieceBytes, at: offset)
                var digest = before
                digest.update(piece)
                return (piece.count, digest)
            }
            // Shorter than when it was opened: the attempt to send it will say so.
            guard count > 0 else { break }
            position += UInt64(count)
            digest = after
        }
        let hash = digest.finish()
        self.knownHash = hash
        return hash
    }

    /// The body for a new attempt.
    func body() -> RequestBody {
        self.progress.takenBack(self.offset)
        self.offset = 0
        self.fault = nil
        if let whole = self.whole {
            self.offset = self.sizeBytes
            self.progress.moved(whole.count)
            return .bytes(whole)
        }
        self.digest = self.knownHash == nil ? SHA256Digest() : nil
        return .stream(length: self.sizeBytes) { try await self.next() }
    }

    /// The SHA-256 of the bytes that the last attempt sent.
    var sentHash: [UInt8]? { self.knownHash ?? self.digest?.finish() }

    /// Their MD5, where it costs little.
    var sentMD5: [UInt8]? { self.whole.map { MD5.hash($0) } }

    /// Takes back what was counted: the file was not stored.
    func abandon() {
        self.progress.takenBack(self.offset)
        self.offset = 0
    }

    private func next() async throws(FileFault) -> ArraySlice<UInt8>? {
        guard self.offset < self.sizeBytes else { return nil }
        let count = Int(min(UInt64(TransferBounds.pieceBytes), self.sizeBytes - self.offset))
        let (file, offset, before) = (self.file, self.offset, self.digest)
        do throws(FileFault) {
            let (piece, after) = try await self.environment.blocking(.disk) {
                () throws(FileFault) -> ([UInt8], SHA256Digest?) in
                let piece = try file.read(count, at: offset)
                var digest = before
                digest?.update(piece)
                return (piece, digest)
            }
            self.digest = after
            self.offset += UInt64(piece.count)
            self.progress.moved(piece.count)
            return piece.isEmpty ? nil : piece[...]
        } catch {
            self.fault = error
            throw error
        }
    }
}
