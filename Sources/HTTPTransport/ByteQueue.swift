import Primitives

/// Bytes on their way from a stream to a parser: written behind, read in front, in one piece of
/// memory that grows up to a bound and can be given back while a connection idles.
///
/// Used by one task only, and never handed to another.
final class ByteQueue {
    private var storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start = 0
    private var end = 0
    /// The most bytes that the queue may hold.
    private let limitBytes: Int

    /// What an idle connection keeps.
    static let smallBytes = 2048

    init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    deinit { self.storage.deallocate() }

    var count: Int { self.end - self.start }
    var isEmpty: Bool { self.start == self.end }

    /// The bytes held. Valid until the next call that changes the queue.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self.storage[self.start..<self.end])
    }

    func consume(_ count: Int) {
        invariant(count <= self.count, "no more is consumed than is held")
        self.start += count
        if self.start == self.end {
            self.start = 0
            self.end = 0
        }
    }

    /// Room behind the bytes held; empty when the bound is reached. Valid until the next change.
    func room() -> UnsafeMutableRawBufferPointer {
        if self.end == self.storage.count { self.makeRoom() }
        return UnsafeMutableRawBufferPointer(rebasing: self.storage[self.end...])
    }

    /// Says that `count` bytes were written into the room.
    func wrote(_ count: Int) {
        invariant(count <= self.storage.count - self.end, "no more is written than there is room")
        self.end += count
    }

    /// Gives memory back, down to what an idle connection keeps.
    func shrink() {
        guard self.isEmpty, self.storage.count > Self.smallBytes else { return }
        self.storage.deallocate()
        self.storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    private func makeRoom() {
        let held = self.count
        if self.start > 0 {
            self.storage.copyMemory(from: self.bytes)
        } else {
            let size = min(max(Self.smallBytes, self.storage.count * 2), self.limitBytes)
            guard size > self.storage.count else { return }
            let grown = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
            grown.copyMemory(from: self.bytes)
            self.storage.deallocate()
            self.storage = grown
        }
        self.start = 0
        self.end = held
    }
}
