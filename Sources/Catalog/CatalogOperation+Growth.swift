extension CatalogOperation {
    /// Whether it makes the state larger for good. While disks are full a leader refuses what grows;
    /// what frees space, or is needed so that something can, goes on.
    package var grows: Bool {
        switch self {
        case .createBucket, .putObject, .copyObject, .createAccessKey, .openUpload, .putPart,
            .completeUpload, .fileBadCopy:
            true
        // What is withdrawn must be so on a full disk too; the list of it is bounded.
        case .revokeLink, .raiseLinkEpoch: false
        // Refused behind the release, they would leave slots without an owner.
        case .importRows(let rows): !rows.isBehindRelease
        // A group takes slots over when their rows stand already, and nobody owns them until then.
        case .unreadable, .openSession, .setWrappingKey, .rewrapSecrets, .adoptSlots,
            .releaseSlots, .retainSlots, .clearImport, .dropRows, .moveSlots, .advanceSlotMove,
            .deleteBucket, .deleteObject, .deleteAccessKey, .abortUpload, .sweepManifest,
            .condemnChunks, .authoriseDeletions, .confirmDeletions, .forgetChunks,
            .correctReferences, .bootstrap, .finishBootstrap, .registerNode, .allocateIncarnation,
            .setLayout, .setGroupTable, .addLinkKey, .removeLinkKey, .retireMasterKey:
            false
        }
    }
}
