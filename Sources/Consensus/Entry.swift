import Primitives
import Wire

/// Where an entry stands: its term and its index name it for ever (log matching, Raft thesis §3.5).
///
/// Ordered by term first: of two logs, the one whose last position is greater is the more up to
/// date one (thesis §3.6.1).
package struct LogPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let term: Term
    package let index: LogIndex

    package init(term: Term, index: LogIndex) {
        self.term = term
        self.index = index
    }

    /// Before the first entry of every log.
    package static let zero = LogPosition(term: .zero, index: .zero)

    package static func < (a: Self, b: Self) -> Bool {
        (a.term, a.index) < (b.term, b.index)
    }

    package var description: String { "\(self.term)/\(self.index)" }
}

/// A position and the chain hash of the log up to and including it: all one has to know of the
/// entries before a point to go on from there.
package struct LogAnchor: Hashable, Sendable, CustomStringConvertible {
    package let position: LogPosition
    package let chain: UInt64

    package init(position: LogPosition, chain: UInt64) {
        self.position = position
        self.chain = chain
    }

    /// Before the first entry of every log.
    package static let zero = LogAnchor(position: .zero, chain: 0)

    package var index: LogIndex { self.position.index }
    package var term: Term { self.position.term }
    package var description: String { self.position.description }
}

/// What an entry is for. Raw values are on disks and wires: they never change.
package enum EntryKind: UInt8, Sendable {
    /// The first entry of a leader's term: commits what earlier terms left (thesis §3.6.2, §6.4).
    case noop = 0
    /// Bytes for the state machine.
    case command = 1
    /// A `Configuration`, in force wherever the entry is applied.
    case configuration = 2
}

/// One entry of a group's log.
package struct Entry: Hashable, Sendable {
    package let term: Term
    package let index: LogIndex
    package let kind: EntryKind
    package let payload: [UInt8]
    /// A hash over the chain of the entry before and all of this entry. Two logs whose chains are
    /// equal at an index are equal up to it; two logs that hold one position with different chains
    /// prove that a disk or a replica has gone wrong.
    package let chain: UInt64

    /// The format refuses larger payloads; `RaftConfiguration` sets a lower bound for proposals.
    package static let maximumPayloadBytes = 8 << 20

    /// An entry with a chain that somebody else computed.
    package init(term: Term, index: LogIndex, kind: EntryKind, payload: [UInt8], chain: UInt64) {
        self.term = term
        self.index = index
        self.kind = kind
        self.payload = payload
        self.chain = chain
    }

    /// The entry that follows `previous`.
    package init(after previous: LogAnchor, term: Term, kind: EntryKind, payload: [UInt8]) {
        let index = previous.index.next
        self.init(
            term: term, index: index, kind: kind, payload: payload,
            chain: Self.chain(
                after: previous.chain, term: term, index: index, kind: kind, payload: payload))
    }

    package var position: LogPosition { LogPosition(term: self.term, index: self.index) }
    package var anchor: LogAnchor { LogAnchor(position: self.position, chain: self.chain) }

    /// The configuration that the entry brings; nil for other kinds.
    package var configuration: Configuration? {
        guard self.kind == .configuration else { return nil }
        do throws(FormatFault) { return try Configuration(decoding: self.payload) } catch {
            brokenInvariant("the format refuses configuration entries that cannot be read")
        }
    }

    /// What the entry counts against bounds in bytes: its payload and its frame.
    package var sizeBytes: Int { self.payload.count + 32 }

    /// Whether the entry stands behind `previous` and its chain is its own.
    package func follows(_ previous: LogAnchor) -> Bool {
        self.index == previous.index.next && self.term >= previous.term
            && self.chain
                == Self.chain(
                    after: previous.chain, term: self.term, index: self.index, kind: self.kind,
                    payload: self.payload)
    }

    /// The chain hash. Eight bytes a step, because it runs over every byte that is replicated; not
    /// against an adversary. Chains are on disks: the function never changes.
    private static func chain(
        after previous: UInt64, term: Term, index: LogIndex, kind: EntryKind, payload: [UInt8]
    ) -> UInt64 {
        var hash = StableHash.mix(previous ^ 0x9e37_79b9_7f4a_7c15)
        hash = StableHash.mix(hash ^ term.rawValue)
        hash = StableHash.mix(hash ^ index.rawValue)
        hash = StableHash.mix(hash ^ (UInt64(payload.count) << 8 | UInt64(kind.rawValue)))
        func absorb(_ word: UInt64) {
            let product = (hash ^ word) &* 0x9fb2_1c65_1e98_df25
            hash = product << 31 | product >> 33
        }
        payload.withUnsafeBytes { bytes in
            let whole = bytes.count & ~7
            for offset in stride(from: 0, to: whole, by: 8) {
                absorb(
                    UInt64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            }
            if whole < bytes.count {
                var last: UInt64 = 0
                for offset in (whole..<bytes.count).reversed() {
                    last = last << 8 | UInt64(bytes[offset])
                }
                absorb(last)
            }
        }
        return StableHash.mix(hash)
    }
}
