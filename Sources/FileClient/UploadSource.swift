import Cryptography
import HTTPTransport
import IORuntime
import Primitives

/// The bytes of one file, given as a request's body as often as attempts need it. Used by one task.
final class UploadSource {
    let sizeBytes: UInt64
    private let file: any File
    private let environment: any Environment
    private let progress: TransferProgress
    /// Up to one piece is kept and never read again.
    private let whole: [UInt8]?
    private var offset: UInt64 = 0
    private var md5: MD5Digest?

    /// Why the last attempt's body ended early, where the file was the reason.
    private(set) var fault: FileFault?
    /// The SHA-256 of the content, where `hash` was called or the file is small.
    private(set) var sha256: [UInt8]?

    private struct Opened: Sendable {
        let file: any File
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
            guard size <= UInt64(TransferBounds.pieceBytes) else {
                return Opened(file: file, sizeBytes: size, whole: nil, sha256: nil)
            }
            let bytes = try file.read(Int(size), at: 0)
            return Opened(
                file: file, sizeBytes: UInt64(bytes.count), whole: bytes,
                sha256: SHA256.hash(bytes))
        }
        self.file = opened.file
        self.sizeBytes = opened.sizeBytes
        self.whole = opened.whole
        self.sha256 = opened.sha256
        self.environment = environment
        self.progress = progress
    }

    deinit { self.file.close() }

    /// Reads the file once for its SHA-256.
    func hash() async throws(FileFault) {
        guard self.sha256 == nil else { return }
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
        self.sha256 = digest.finish()
    }

    /// The body for a new attempt.
    ///
    /// - Parameter digesting: whether to compute the MD5, to compare it with what the edge stored.
    func body(digesting: Bool) -> RequestBody {
        self.progress.takenBack(self.offset)
        self.offset = 0
        self.fault = nil
        if let whole = self.whole {
            self.offset = self.sizeBytes
            self.progress.moved(whole.count)
            return .bytes(whole)
        }
        self.md5 = digesting ? MD5Digest() : nil
        return .stream(length: self.sizeBytes) { try await self.next() }
    }

    /// Of the bytes that the last attempt sent; nil where it was not wanted.
    var md5Hex: String? {
        self.whole.map { Hex.encode(MD5.hash($0)) } ?? self.md5.map { Hex.encode($0.finish()) }
    }

    /// Takes back what was counted: the file was not stored.
    func abandon() {
        self.progress.takenBack(self.offset)
        self.offset = 0
    }

    private func next() async throws(FileFault) -> ArraySlice<UInt8>? {
        guard self.offset < self.sizeBytes else { return nil }
        let count = Int(min(UInt64(TransferBounds.pieceBytes), self.sizeBytes - self.offset))
        let (file, offset, before) = (self.file, self.offset, self.md5)
        do throws(FileFault) {
            let (piece, after) = try await self.environment.blocking(.disk) {
                () throws(FileFault) -> ([UInt8], MD5Digest?) in
                let piece = try file.read(count, at: offset)
                var digest = before
                digest?.update(piece)
                return (piece, digest)
            }
            self.md5 = after
            self.offset += UInt64(piece.count)
            self.progress.moved(piece.count)
            return piece.isEmpty ? nil : piece[...]
        } catch {
            self.fault = error
            throw error
        }
    }
}
