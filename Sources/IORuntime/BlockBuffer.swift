import CLinux
import Primitives

/// Memory that a device takes bytes from without a copy: it begins on a block's boundary and is whole
/// blocks long. Zeros at first.
///
/// Unchecked, because it is plain memory with one owner at a time: whoever holds the buffer hands it
/// to one piece of blocking work, and touches it again only behind that.
package final class BlockBuffer: @unchecked Sendable {
    /// What direct writes are aligned to: a multiple of every device's logical block.
    package static let blockBytes = 4096

    package let bytes: UnsafeMutableRawBufferPointer

    /// - Parameter capacityBytes: rounded up to whole blocks.
    package init(capacityBytes: Int) {
        invariant(capacityBytes > 0, "a buffer has room for something")
        let size = (capacityBytes + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
        guard let base = holdfast_map_memory(size) else {
            brokenInvariant("the system has \(size) bytes of memory for a buffer")
        }
        self.bytes = UnsafeMutableRawBufferPointer(start: base, count: size)
    }

    deinit {
        if let base = self.bytes.baseAddress { holdfast_unmap_memory(base, self.bytes.count) }
    }

    static func check(_ blocks: UnsafeRawBufferPointer, at offset: UInt64) {
        let isAligned =
            UInt(bitPattern: blocks.baseAddress) % UInt(Self.blockBytes) == 0
            && blocks.count % Self.blockBytes == 0 && offset % UInt64(Self.blockBytes) == 0
        invariant(isAligned, "\(blocks.count) bytes at \(offset) are whole blocks")
    }
}
