package import Placement
package import Primitives

/// What became of a command: the same on every replica, and the same again for a repeat.
package enum CommandResult: Equatable, Sendable {
    // Refusals that any command may meet.

    /// The bytes are no command that this release reads.
    case malformed
    /// System commands go to group 0, all others to data groups.
    case wrongGroup
    /// The session never was, has expired, or has forgotten the command: whether it was applied
    /// before is not known here, and it was not applied now.
    case sessionUnknown
    /// The group does not own the slot; `epoch` is the latest it knows of, 0 when it never did.
    case slotNotOwned(Epoch)
    /// A bound of `CatalogLimits` would be passed.
    case limitReached

    /// The secret that came with the command is wrapped by a master key that was replaced: ask for it
    /// anew.
    case wrongMasterKey

    case sessionOpened(firstSequence: UInt64)
    case wrappingKeySet(generation: UInt64)
    /// The group knows a choice of this generation or a later one, or the key was in force before.
    case wrappingKeyKept(generation: UInt64)
    /// How many of the secrets were still what they were when they were read.
    case secretsRewrapped(count: UInt32)
    case slotsAdopted(Epoch)
    /// - `versionFloor`: what `AdoptSlots` must be told, so that versions go on growing.
    case slotsReleased(Epoch, versionFloor: UInt64)
    /// The group knows a later epoch of one of the slots, or holds it in another than it should.
    case staleEpoch(Epoch)
    /// The rows of the slots did not come, or not all that should have come before.
    case slotsNotImported
    case slotsRetained(Epoch)
    /// Whether nothing of the slots is left.
    case rowsErased(isDone: Bool)
    /// - `pieces`: how many pieces of the attempt stand by now.
    case rowsImported(pieces: UInt64)

    case bucketCreated
    /// The same owner has it already; nothing changed.
    case bucketAlreadyOwned
    /// Another owner has it.
    case bucketTaken
    case bucketDeleted
    case bucketNotEmpty
    case noSuchBucket
    /// The bucket that the bytes were sealed for is gone, and another has its name and a key of its
    /// own; nothing changed.
    case bucketReplaced

    case stored(VersionID, at: Timestamp)
    case preconditionFailed
    /// A precondition asked for a current version, and there is none.
    case noSuchKey
    /// The source of a copy is no longer the version that was to be copied; nothing changed.
    case sourceChanged
    /// The chunk may not be named any more: it is about to be deleted, or is gone. Nothing changed;
    /// the bytes must be stored anew, under another name.
    case chunkCondemned(ChunkName)
    /// Whether there was something to delete.
    case objectDeleted(existed: Bool)

    /// What became of each chunk of a command about their deletion, in its order.
    case chunks([ChunkVerdict])
    case uploadOpened(UploadID)
    /// It never was, was aborted, was completed longer ago than is remembered, or is of another key.
    case noSuchUpload
    case partStored(revision: UInt64, at: Timestamp)
    /// A part came after `revision` was read: read the parts again. Nothing changed.
    case uploadChanged(revision: UInt64)
    /// A repeat, or somebody else, completed the upload before: `CatalogQuery.upload` says to what.
    case uploadCompletedBefore(VersionID, at: Timestamp)
    case uploadAborted
    /// A part came since; nothing changed.
    case uploadActive
    /// Whether nothing of the manifest is left.
    case manifestSwept(isDone: Bool)

    /// It stands on the list, or is over anyway.
    case linkRevoked
    /// Links that were made before carry a lower epoch.
    case linkEpochRaised(VersionID)

    case accessKeyCreated
    /// The identity stands already, with other contents.
    case accessKeyTaken
    case accessKeyDeleted

    case bootstrapped
    /// The cluster was made before, under this name; nothing changed.
    case bootstrappedBefore(ClusterID)
    case bootstrapFinished
    case nodeRegistered
    /// The identity is another node's, or it is not above all that were ever used.
    case nodeIdentityUsed
    /// The node was removed for ever.
    case nodeRemoved
    case incarnation(UInt64)
    case layoutSet(LayoutVersion)
    /// The layout is another one than was expected, or the new version is not above it.
    case layoutChanged(current: LayoutVersion)
    case groupTableSet(version: UInt64)
    /// The table is another one than was expected, or the new version is not above it.
    case groupTableChanged(current: UInt64)
    /// The moves that were asked for, or the one that was advanced, as they stand now.
    case slotMoves([SlotMove])
    /// Some of the slots are on their way in another move, or in another attempt.
    case slotsInMotion(Epoch)
    /// The move is over, or never was.
    case noSuchSlotMove
    case noSuchGroup
    case linkKeyAdded
    /// The identity stands already, with other contents.
    case linkKeyTaken
    case linkKeyRemoved
    case masterKeyRetired
    /// It is in force, or was never replaced, or wraps secrets of group 0; or slots move, or have
    /// moved, so that it may wrap others.
    case masterKeyNeeded
}
