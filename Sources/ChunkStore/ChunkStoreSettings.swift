import ChunkProtocol

/// How a chunk store is kept. All sizes in bytes.
package struct ChunkStoreSettings: Sendable, Equatable {
    /// The store's directory: `segments/`, `index/` and the lock lie in it.
    package var directory: String
    /// Chunks being taken in together; over it the store says `.overloaded`.
    package var intakeBudgetBytes: Int
    /// Free space that writes of chunks leave to the Raft log and to deletes.
    package var reserveBytes: UInt64
    /// How large a segment grows before the next is begun.
    package var segmentBytes: UInt64
    /// The disk has failed a sync since the store was last open: what the system's cache holds for
    /// clean may never have reached the device, so the start believes the device alone.
    package var mustReadDevice: Bool
    /// Room kept for tombstones, for when the disk has none at all: one block for 200 chunks.
    package var spareBytes: Int
    /// How long deletes are gathered before the room they freed is given back.
    package var upkeepDelay: Duration
    /// What emptying sparse segments may copy, in bytes a second.
    package var upkeepBytesPerSecond: Int

    package init(
        directory: String, intakeBudgetBytes: Int = 64 << 20, reserveBytes: UInt64 = 2 << 30,
        segmentBytes: UInt64 = SegmentFormat.segmentBytes, spareBytes: Int = 256 << 10,
        upkeepDelay: Duration = .milliseconds(200), upkeepBytesPerSecond: Int = 16 << 20,
        mustReadDevice: Bool = false
    ) {
        self.mustReadDevice = mustReadDevice
        self.directory = directory
        self.intakeBudgetBytes = intakeBudgetBytes
        self.reserveBytes = reserveBytes
        self.segmentBytes = segmentBytes
        self.spareBytes = spareBytes
        self.upkeepDelay = upkeepDelay
        self.upkeepBytesPerSecond = upkeepBytesPerSecond
    }
}

/// Why a store cannot be opened or go on.
package enum ChunkStoreFault: Error, Equatable, Sendable {
    /// Another process holds the directory's lock.
    case inUse(directory: String)
    case file(String)
    case index(String)
    /// Not even tombstones have room.
    case full
    /// The store is being closed.
    case closing
}
