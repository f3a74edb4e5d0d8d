import Cryptography
import HTTPTransport
import IORuntime
import Primitives

/// A range of a file as the body of a request, given as often as attempts need it; a piece of it is
/// in memory at a time. Used by one task.
final class FileSlice {
    private let file: any File
    private let range: Range<UInt64>
    private let environment: any Environment
    private let progress: TransferProgress
    private var offset: UInt64

    /// Why the last attempt's body ended early, where the file was the reason.
    private(set) var fault: FileFault?

    init(
        _ file: any File, _ range: Range<UInt64>, _ environment: any Environment,
        _ progress: TransferProgress
    ) {
        self.file = file
        self.range = range
        self.environment = environment
        self.progress = progress
        self.offset = range.lowerBound
    }

    var sizeBytes: UInt64 { self.range.upperBound - self.range.lowerBound }

    /// The SHA-256 of the bytes as they are now; reads all of them.
    func hash() async throws(FileFault) -> [UInt8] {
        var digest = SHA256Digest()
        var position = self.range.lowerBound
        while position < self.range.upperBound {
            let count = self.pieceBytes(at: position)
            let (file, offset, before) = (self.file, position, digest)
            let (read, after) = try await self.environment.blocking(.disk) {
                () throws(FileFault) -> (Int, SHA256Digest) in
                let piece = try file.read(count, at: offset)
                var digest = before
                digest.update(piece)
                return (piece.count, digest)
            }
            // Shorter than when it was opened: the attempt to send it will say so.
            guard read > 0 else { break }
            position += UInt64(read)
            digest = after
        }
        return digest.finish()
    }

    /// The body for a new attempt.
    func body() -> RequestBody {
        self.takeBack()
        self.fault = nil
        return .stream(length: self.sizeBytes) { try await self.next() }
    }

    /// Takes back what was counted of an attempt that came to nothing.
    func takeBack() {
        self.progress.takenBack(self.offset - self.range.lowerBound)
        self.offset = self.range.lowerBound
    }

    private func next() async throws(FileFault) -> ArraySlice<UInt8>? {
        guard self.offset < self.range.upperBound else { return nil }
        let (file, offset, count) = (self.file, self.offset, self.pieceBytes(at: self.offset))
        do throws(FileFault) {
            let piece = try await self.environment.blocking(.disk) {
                () throws(FileFault) in try file.read(count, at: offset)
            }
            self.offset += UInt64(piece.count)
            self.progress.moved(piece.count)
            return piece.isEmpty ? nil : piece[...]
        } catch {
            self.fault = error
            throw error
        }
    }

    private func pieceBytes(at position: UInt64) -> Int {
        Int(min(UInt64(TransferBounds.pieceBytes), self.range.upperBound - position))
    }
}
