package import OrderedStorage
internal import Primitives

/// One kind of the rows that a slot has: what goes with it when it moves to another group.
///
/// Each of them begins with the slot, behind the byte of its kind, so that the rows of a run of slots
/// are one range a section. Every other row that speaks of a slot's contents (queues in the order of
/// time, the buckets of an owner, what a store is to delete, how many secrets a key wraps) follows
/// from one of these, and is made anew where the row arrives: see `SlotRowTraces`.
///
/// Raw values are for ever: they stand in commands and rows.
package enum SlotSection: UInt8, CaseIterable, Comparable, Sendable {
    case buckets = 1
    case accessKeys = 2
    case chunks = 3
    case manifestReferences = 4
    case uploads = 5
    case uploadProgress = 6
    case uploadListings = 7
    case completedUploads = 8
    case doomedManifests = 9
    case fingerprints = 10
    case heads = 11
    case manifests = 12
    case revokedLinks = 13

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package var family: Family {
        switch self {
        case .heads: CatalogFamilies.heads
        case .manifests: CatalogFamilies.manifests
        case .buckets, .accessKeys, .chunks, .manifestReferences, .uploads, .uploadProgress,
            .uploadListings, .completedUploads, .doomedManifests, .fingerprints, .revokedLinks:
            CatalogFamilies.rows
        }
    }

    /// Nil in the families that hold nothing but rows of slots.
    private var kind: CatalogKeys.Kind? {
        switch self {
        case .buckets: .bucket
        case .accessKeys: .accessKey
        case .chunks: .chunk
        case .manifestReferences: .manifestReferences
        case .uploads: .upload
        case .uploadProgress: .uploadProgress
        case .uploadListings: .uploadOfKey
        case .completedUploads: .completedUpload
        case .doomedManifests: .doomedManifest
        case .fingerprints: .fingerprint
        case .revokedLinks: .revokedLink
        case .heads, .manifests: nil
        }
    }

    /// Whether other rows follow from those of the section.
    package var leavesTraces: Bool {
        switch self {
        case .buckets, .accessKeys, .chunks, .uploadProgress, .completedUploads, .doomedManifests:
            true
        case .manifestReferences, .uploads, .uploadListings, .fingerprints, .heads, .manifests,
            .revokedLinks:
            false
        }
    }

    /// The section's rows of a run of slots.
    package func keys(of slots: SlotRange) -> KeyRange {
        KeyRange(
            start: self.prefix(of: slots.first),
            end: KeyRange.successor(ofPrefix: self.prefix(of: slots.last)))
    }

    private func prefix(of slot: Slot) -> [UInt8] {
        var writer = KeyWriter()
        if let kind = self.kind { writer.write(kind.rawValue) }
        writer.write(slot.rawValue)
        return writer.key
    }

    package var next: SlotSection? { SlotSection(rawValue: self.rawValue + 1) }
}

/// A row of a slot, without its value.
package struct SlotRowName: Hashable, Comparable, Sendable {
    package let section: SlotSection
    package let key: [UInt8]

    package init(section: SlotSection, key: [UInt8]) {
        self.section = section
        self.key = key
    }

    package static func < (a: Self, b: Self) -> Bool {
        a.section == b.section ? KeyOrder.precedes(a.key, b.key) : a.section < b.section
    }

    /// Whether it is a row of one of these slots.
    func isOf(_ slots: SlotRange) -> Bool { self.section.keys(of: slots).contains(self.key) }
}

extension WriteBatch {
    /// The rows of slots that the batch puts or deletes, as they come.
    ///
    /// Ranges that it deletes are none: only sessions, and the rows of slots that the group no longer
    /// owns, are deleted so.
    package func slotRows(of slots: SlotRange) -> [SlotRowName] {
        let ranges = SlotSection.allCases.map { ($0, $0.family, $0.keys(of: slots)) }
        return self.changes.compactMap { change in
            let (family, key): (Family, [UInt8])
            switch change {
            case .put(let changed, let name, _), .delete(let changed, let name):
                (family, key) = (changed, name)
            case .deleteRange: return nil
            }
            return ranges.first { $0.1 == family && $0.2.contains(key) }.map {
                SlotRowName(section: $0.0, key: key)
            }
        }
    }
}
