import IORuntime
import Primitives
import Synchronization

/// How far a transfer has come, for whoever shows it. Written by the transfer, read at any time.
package final class TransferProgress: Sendable {
    package struct Counts: Equatable, Sendable {
        /// What is known to be there to do.
        package var files = 0
        package var bytes: UInt64 = 0
        /// Whether more may be found.
        package var isTotalKnown = false
        package var filesDone = 0
        package var filesFailed = 0
        package var filesSkipped = 0
        /// Bytes that have travelled; those of a file that had to begin anew are taken back.
        package var bytesDone: UInt64 = 0
        /// Bytes that an earlier run had moved already, and that were found to be right.
        package var bytesKept: UInt64 = 0
        /// Bytes of files that are not finished, which the next run would find.
        package var bytesStanding: UInt64 = 0
        /// Files that were left alone because the other side has the same content.
        package var filesSame = 0
        /// Their bytes, which count as kept.
        package var bytesSame: UInt64 = 0
        /// Of the bytes that were found, those of files that failed: they will not come.
        package var bytesFailed: UInt64 = 0

        package init() {}
    }

    private let state = Mutex(Counts())

    package init() {}

    package var counts: Counts { self.state.withLock { $0 } }

    func found(files: Int, bytes: UInt64) {
        self.state.withLock {
            $0.files += files
            $0.bytes += bytes
        }
    }

    func foundAll() { self.state.withLock { $0.isTotalKnown = true } }
    func moved(_ bytes: Int) { self.state.withLock { $0.bytesDone += UInt64(bytes) } }
    func takenBack(_ bytes: UInt64) { self.state.withLock { $0.bytesDone -= bytes } }
    func skipped() { self.state.withLock { $0.filesSkipped += 1 } }
    func finished() { self.state.withLock { $0.filesDone += 1 } }

    func kept(_ bytes: UInt64) { self.state.withLock { $0.bytesKept += bytes } }

    /// Leaves a file alone that the other side has.
    func foundSame(bytes: UInt64) {
        self.state.withLock {
            $0.filesSame += 1
            $0.bytesSame += bytes
            $0.bytesKept += bytes
        }
    }

    /// Ends a file of several parts: those that stand are part of a whole now, or lost, or wait for
    /// the next run, which alone counts them on.
    func ended(_ parts: PartCounts, isWhole: Bool, waits: Bool) {
        self.state.withLock {
            if !isWhole {
                $0.bytesDone -= parts.movedBytes
                $0.bytesKept -= parts.keptBytes
            }
            if !waits { $0.bytesStanding -= parts.standingBytes }
        }
    }

    func stands(_ bytes: UInt64) { self.state.withLock { $0.bytesStanding += bytes } }

    func failed(bytes: UInt64) {
        self.state.withLock {
            $0.filesFailed += 1
            $0.bytesFailed += bytes
        }
    }
}

/// What the parts of one file have added to the counts of a transfer.
struct PartCounts: Sendable {
    var movedBytes: UInt64 = 0
    var keptBytes: UInt64 = 0
    var standingBytes: UInt64 = 0
}

/// What a transfer says about single files while it goes on with the others.
package enum TransferEvent: Equatable, Sendable {
    case failed(FileClientFault)
    /// Found in a folder, and neither a file nor a folder.
    case skipped(path: String, FileKind)
}
