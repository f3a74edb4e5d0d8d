import Catalog
import Cryptography
import Primitives
import SimulatedRuntime
import Synchronization

/// The bodies that clients store: each made of a number that no other body has, so that every byte
/// that comes back says which put it came from.
final class ObjectBodies: Sendable {
    private struct State {
        var last: UInt64 = 0
        var sizes: [UInt64: Int] = [:]
        var values: [[UInt8]: UInt64] = [:]
    }

    private let state = Mutex(State())

    /// A fresh number and its body of at least 8 bytes.
    func make(sizeBytes: Int) -> (value: UInt64, body: [UInt8]) {
        self.state.withLock { state in
            state.last += 1
            let value = state.last
            let body = Self.body(of: value, sizeBytes: max(8, sizeBytes))
            state.sizes[value] = body.count
            state.values[SHA256.hash(body)] = value
            return (value, body)
        }
    }

    /// What an upload of a body is tagged with: nobody computes the SHA-256 of its whole.
    static func uploadTag(of value: UInt64) -> EntityTag {
        guard let tag = EntityTag("upload-\(value)") else {
            brokenInvariant("a word and a number are an entity tag")
        }
        return tag
    }

    /// The number of the put or upload that stored the body with this head, when `part` is what the
    /// body has in `range`; nil where nobody stored such bytes.
    func value(
        ofBodyWith head: ObjectHead, having part: [UInt8], in range: Range<Int>
    ) -> UInt64? {
        let known = self.state.withLock { state -> (UInt64, Int)? in
            let ofUpload = UInt64(head.entityTag.text.dropFirst("upload-".count))
            return (head.sha256.map { state.values[$0] } ?? ofUpload).flatMap { value in
                state.sizes[value].map { (value, $0) }
            }
        }
        guard let (value, sizeBytes) = known else { return nil }
        let wanted = Self.body(of: value, sizeBytes: sizeBytes)
        return part == Array(wanted[range.clamped(to: 0..<sizeBytes)]) ? value : nil
    }

    /// The number of the put that stored this body; nil where nobody ever stored these bytes.
    func value(of body: [UInt8]) -> UInt64? {
        guard body.count >= 8 else { return nil }
        let value = body[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let size = self.state.withLock { $0.sizes[value] }
        guard let size, body == Self.body(of: value, sizeBytes: size) else { return nil }
        return value
    }

    private static func body(of value: UInt64, sizeBytes: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: value)
        return [UInt8](unsafeUninitializedCapacity: sizeBytes) { buffer, count in
            var offset = 0
            var word = value.littleEndian
            while offset < sizeBytes {
                withUnsafeBytes(of: word) { bytes in
                    let part = bytes.prefix(sizeBytes - offset)
                    for (place, byte) in part.enumerated() { buffer[offset + place] = byte }
                }
                offset += 8
                word = generator.next()
            }
            count = sizeBytes
        }
    }
}
