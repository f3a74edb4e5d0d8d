import CLinux
import Glibc
import Primitives
import Synchronization

/// An open file of the operating system. Calls may block; several threads may use it at once, but
/// none after `close`.
final class PosixFile: File {
    /// Buffers that go into one system call (Linux's IOV_MAX).
    private static let buffersPerWrite = 1024

    private let number: Int32
    private let path: String
    private let isOpen = Atomic(true)
    private let direct = Mutex(Direct())

    /// A second descriptor of the same file, whose writes pass by the system's cache. Reads go on
    /// through the cache: the kernel drops what it holds of a range that is written directly.
    private struct Direct {
        /// Opened at the first use.
        var number: Int32?
        /// False once the file system has refused. The descriptor is then closed with the file:
        /// another thread may be using it.
        var isUsable = true
    }

    /// Takes `number` over.
    init(adopting number: Int32, path: String) {
        self.number = number
        self.path = path
    }

    deinit { self.close() }

    func close() {
        guard self.isOpen.exchange(false, ordering: .acquiringAndReleasing) else { return }
        self.direct.withLock { direct in
            if let number = direct.number { Glibc.close(number) }
            direct = Direct(isUsable: false)
        }
        Glibc.close(self.number)
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int {
        self.checkOpen()
        var done = 0
        while done < buffer.count, let base = buffer.baseAddress {
            let count = pread(
                self.number, base + done, buffer.count - done, off_t(offset) + off_t(done))
            if count == 0 { break }
            if count > 0 { done += count } else if errno != EINTR { throw self.fault("pread") }
        }
        return done
    }

    func write(_ buffers: [UnsafeRawBufferPointer], at offset: UInt64) throws(FileFault) {
        self.checkOpen()
        var vectors = buffers.filter { !$0.isEmpty }.map { buffer in
            let base = UnsafeMutableRawPointer(mutating: buffer.baseAddress)
            return iovec(iov_base: base, iov_len: buffer.count)
        }[...]
        var position = off_t(offset)
        while !vectors.isEmpty {
            let count = vectors.withUnsafeBufferPointer { batch in
                pwritev(
                    self.number, batch.baseAddress, Int32(min(batch.count, Self.buffersPerWrite)),
                    position)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw self.fault("pwritev")
            }
            // POSIX leaves open what a write of some bytes that takes none means; never forever.
            guard count > 0 else { throw self.fault("pwritev", EIO) }
            position += off_t(count)
            Self.drop(count, from: &vectors)
        }
    }

    /// Takes the first `count` bytes off.
    private static func drop(_ count: Int, from vectors: inout ArraySlice<iovec>) {
        var left = count
        while let first = vectors.first, left >= first.iov_len {
            left -= first.iov_len
            vectors.removeFirst()
        }
        guard left > 0 else { return }
        vectors[vectors.startIndex].iov_base += left
        vectors[vectors.startIndex].iov_len -= left
    }

    func readBlocks(
        into blocks: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileFault) -> Int {
        BlockBuffer.check(UnsafeRawBufferPointer(blocks), at: offset)
        self.checkOpen()
        var done = 0
        while done < blocks.count, let base = blocks.baseAddress {
            // At the end of the file a device gives less than a block.
            guard done % BlockBuffer.blockBytes == 0, let number = self.directNumber() else {
                let rest = UnsafeMutableRawBufferPointer(rebasing: blocks[done...])
                return done + (try self.read(into: rest, at: offset + UInt64(done)))
            }
            let position = off_t(offset) + off_t(done)
            let count = pread(number, base + done, blocks.count - done, position)
            if count > 0 {
                done += count
            } else if count == 0 {
                return done
            } else if errno == EINVAL {
                self.refuseDirect()
            } else if errno != EINTR {
                throw self.fault("pread")
            }
        }
        return done
    }

    func writeBlocks(_ blocks: UnsafeRawBufferPointer, at offset: UInt64) throws(FileFault) {
        BlockBuffer.check(blocks, at: offset)
        self.checkOpen()
        var done = 0
        while done < blocks.count, let base = blocks.baseAddress {
            // A write that a full disk has cut short may end inside a block.
            guard done % BlockBuffer.blockBytes == 0, let number = self.directNumber() else {
                let rest = UnsafeRawBufferPointer(rebasing: blocks[done...])
                return try self.write([rest], at: offset + UInt64(done))
            }
            let position = off_t(offset) + off_t(done)
            let count = pwrite(number, base + done, blocks.count - done, position)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw self.fault("pwrite", EIO)
            } else if errno == EINVAL {
                self.refuseDirect()
            } else if errno != EINTR {
                throw self.fault("pwrite")
            }
        }
    }

    private func directNumber() -> Int32? {
        self.direct.withLock { direct in
            guard direct.isUsable else { return nil }
            if let number = direct.number { return number }
            let number = holdfast_reopen_direct(self.number)
            direct = number >= 0 ? Direct(number: number) : Direct(isUsable: false)
            return direct.number
        }
    }

    /// Some file systems open a file so and find out at the first write that they cannot.
    private func refuseDirect() { self.direct.withLock { $0.isUsable = false } }

    // Not repeated after EINTR or any other error: once it has failed, the kernel may have dropped
    // the pages it could not write, and the next call would report success.
    func sync() throws(FileFault) {
        self.checkOpen()
        if fdatasync(self.number) != 0 { throw self.fault("fdatasync") }
    }

    func startWriteback(_ range: Range<UInt64>) throws(FileFault) {
        try self.onRange(range, "sync_file_range", holdfast_start_writeback)
    }

    func preallocate(_ range: Range<UInt64>) throws(FileFault) {
        try self.onRange(range, "fallocate", holdfast_preallocate)
    }

    func punchHole(_ range: Range<UInt64>) throws(FileFault) {
        try self.onRange(range, "fallocate", holdfast_punch_hole)
    }

    private func onRange(
        _ range: Range<UInt64>, _ name: String, _ call: (Int32, off_t, off_t) -> Int32
    ) throws(FileFault) {
        self.checkOpen()
        // A length of 0 is an error to some of these calls, and "to the end" to others.
        guard !range.isEmpty else { return }
        let result = call(self.number, off_t(range.lowerBound), off_t(range.count))
        if result != 0 { throw self.fault(name, -result) }
    }

    func truncate(to sizeBytes: UInt64) throws(FileFault) {
        self.checkOpen()
        while ftruncate(self.number, off_t(sizeBytes)) != 0 {
            guard errno == EINTR else { throw self.fault("ftruncate") }
        }
    }

    func sizeBytes() throws(FileFault) -> UInt64 {
        self.checkOpen()
        var size: UInt64 = 0
        let result = holdfast_file_size(self.number, &size)
        if result != 0 { throw self.fault("fstat", -result) }
        return size
    }

    func tryLock() throws(FileFault) -> Bool {
        self.checkOpen()
        let result = holdfast_lock(self.number)
        if result == -EWOULDBLOCK { return false }
        if result != 0 { throw self.fault("flock", -result) }
        return true
    }

    /// Without this the number could be another file's by now, and a write would destroy it.
    private func checkOpen() {
        invariant(self.isOpen.load(ordering: .relaxed), "\(self.path) is used while open")
    }

    private func fault(_ call: String, _ error: Int32 = errno) -> FileFault {
        FileFault(call: call, path: self.path, errno: error)
    }
}

extension FileFault {
    init(call: String, path: String, errno error: Int32) {
        switch error {
        case ENOENT: self = .notFound(path: path)
        case EEXIST: self = .exists(path: path)
        case ENOSPC, EDQUOT: self = .full(path: path)
        default: self = .system(call: call, path: path, errno: error)
        }
    }
}
