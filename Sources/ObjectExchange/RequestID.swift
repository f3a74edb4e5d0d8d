import Primitives

/// Names one request for ever: the incarnation of the process that answered it, and a count.
package struct RequestID: Hashable, Sendable, CustomStringConvertible {
    package let incarnation: UInt64
    package let count: UInt64
    package let node: NodeID

    package init(incarnation: UInt64, count: UInt64, node: NodeID) {
        self.incarnation = incarnation
        self.count = count
        self.node = node
    }

    /// `x-amz-request-id`: in upper-case hexadecimal, as S3's are.
    package var text: String {
        let count = String(self.count, radix: 16, uppercase: true)
        return String(self.incarnation, radix: 16, uppercase: true)
            + String(repeating: "0", count: max(1, 13 - count.utf8.count)) + count
    }

    /// `x-amz-id-2`: which machine answered.
    package var host: String { "holdfast-\(self.node)" }
    package var description: String { self.text }
}
