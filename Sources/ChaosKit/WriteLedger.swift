import FileClient
import IORuntime
import Primitives

/// What was asked of the cluster and what it has acknowledged, object by object: the truth that its
/// answers are held against.
///
/// Each object has one writer, who waits for an outcome before the next write and writes no more to
/// an object whose last outcome is unknown, because such a write may still take effect at any later
/// time (the rule of Jepsen's checkers). So an object may be read as its last acknowledged write or
/// as any that was begun behind that.
package struct WriteLedger: Sendable {
    /// What an object is after a write; nil: there is none, because it was removed.
    package typealias Content = SeededContent?

    private struct Write: Sendable {
        let content: Content
        var isAcknowledged = false
    }

    private var writes: [RemotePath: [Write]] = [:]
    /// In the order of their first write.
    package private(set) var objects: [RemotePath] = []
    package private(set) var acknowledgedWrites = 0
    package private(set) var acknowledgedBytes: UInt64 = 0
    package private(set) var unknownWrites = 0
    package private(set) var unsentWrites = 0

    package init() {}

    /// A write that is about to be sent.
    package mutating func began(_ object: RemotePath, _ content: Content) {
        if self.writes[object] == nil { self.objects.append(object) }
        self.writes[object, default: []].append(Write(content: content))
    }

    /// The object's last write has been acknowledged.
    package mutating func acknowledged(_ object: RemotePath) {
        guard var history = self.writes[object], !history.isEmpty else {
            brokenInvariant("a write begins before it is acknowledged")
        }
        history[history.count - 1].isAcknowledged = true
        self.acknowledgedWrites += 1
        self.acknowledgedBytes += UInt64(history[history.count - 1].content?.sizeBytes ?? 0)
        self.writes[object] = history
    }

    /// Nobody will ever say whether the object's last write has taken effect.
    package mutating func becameUnknown(_ object: RemotePath) { self.unknownWrites += 1 }

    /// The object's last write has reached nobody: it is as if it had not begun.
    package mutating func wasNotSent(_ object: RemotePath) {
        self.writes[object]?.removeLast()
        self.unsentWrites += 1
    }

    /// A point in an object's history from which on a read may be answered.
    package struct ReadFloor: Equatable, Sendable {
        fileprivate let index: Int?
    }

    /// To be taken before a read is sent: what is acknowledged by now must be seen.
    package func readFloor(_ object: RemotePath) -> ReadFloor {
        ReadFloor(index: self.writes[object]?.lastIndex { $0.isAcknowledged })
    }

    /// How a read's answer agrees with what was written.
    package enum Verdict: Equatable, Sendable {
        case right
        /// An acknowledged object is not there.
        case lost
        /// What was there before the last acknowledged write.
        case outdated
        /// Bytes that nobody has ever written there.
        case foreign
    }

    /// Judges a read after its answer: it may have seen any write that had begun by now.
    package func judge(
        _ object: RemotePath, read bytes: [UInt8]?, since floor: ReadFloor
    ) -> Verdict {
        let history = self.writes[object] ?? []
        let isAllowed = { (write: Write) in Self.matches(write.content, bytes) }
        let first = floor.index ?? 0
        if history[first...].contains(where: isAllowed) { return .right }
        if bytes == nil { return floor.index == nil ? .right : .lost }
        return history[..<first].contains(where: isAllowed) ? .outdated : .foreign
    }

    private static func matches(_ content: Content, _ bytes: [UInt8]?) -> Bool {
        switch (content, bytes) {
        case (nil, nil): true
        case (let content?, let bytes?):
            content.sizeBytes == bytes.count && content.bytes == bytes
        case (nil, _?), (_?, nil): false
        }
    }
}
