import Primitives

/// Bytes that a seed and a size decide, so that what was written can be compared byte by byte
/// without being kept.
package struct SeededContent: Hashable, Sendable {
    package let seed: UInt64
    package let sizeBytes: Int

    package init(seed: UInt64, sizeBytes: Int) {
        self.seed = seed
        self.sizeBytes = sizeBytes
    }

    package var bytes: [UInt8] {
        var generator = SeededGenerator(seed: self.seed)
        return [UInt8](unsafeUninitializedCapacity: self.sizeBytes) { buffer, initialized in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            var offset = 0
            while offset + 8 <= self.sizeBytes {
                raw.storeBytes(
                    of: generator.next().littleEndian, toByteOffset: offset, as: UInt64.self)
                offset += 8
            }
            let last = generator.next()
            for index in offset..<self.sizeBytes {
                raw[index] = UInt8(truncatingIfNeeded: last >> UInt64(8 * (index - offset)))
            }
            initialized = self.sizeBytes
        }
    }
}
