package import Primitives
internal import Wire

/// Who may propose a command. Most are for any node of the cluster; what decides over the life of
/// chunks is not: a stolen edge's keys must not delete what others stored, nor a store that has lost
/// its mind more than what it holds itself and no manifest names. Nor is who the nodes are: who is
/// removed stays so for ever. Nor is where things lie: a layout or a table of groups that is wrong
/// hides what is stored, or has it copied to the wrong nodes.
package enum CommandProposer: Equatable, Sendable {
    case anyNode
    /// The group's leader, of its own accord: nobody may ask it to.
    case leader
    /// A leader of another group: whoever may hold all that this group holds.
    case metaNode
    /// Who holds the cluster's authority, in person: a process without a role that it certifies.
    case `operator`
    /// This node, for itself.
    case node(NodeID)

    /// The name of the operator's processes among nodes, which are numbered from below.
    package static let operatorNode = NodeID(.max)

    /// Whether the command may come in a call of `peer`.
    package func allows(_ peer: NodeID, metaNodes: @autoclosure () -> [NodeID]) -> Bool {
        switch self {
        case .anyNode: true
        case .leader: false
        case .metaNode: metaNodes().contains(peer)
        case .operator: peer == Self.operatorNode
        case .node(let node): node == peer
        }
    }
}

extension CatalogCommand {
    /// Who may propose an encoded command, told from its first bytes wherever those say enough.
    package static func proposer(ofEncoded bytes: [UInt8]) throws(FormatFault) -> CommandProposer {
        guard CatalogOperation.isRestricted(tag: Self.tag(ofEncoded: bytes)) else {
            return .anyNode
        }
        return try CatalogCommand(decoding: bytes).operation.proposer
    }

    /// The tag of the operation: behind the format and the identity, if there is one. 0, which is
    /// nobody's, where the bytes end before.
    private static func tag(ofEncoded bytes: [UInt8]) -> UInt8 {
        guard bytes.count > 2 else { return 0 }
        let place = bytes[1] == 0 ? 2 : 2 + CommandIdentity.encodedBytes
        return place < bytes.count ? bytes[place] : 0
    }
}

extension CommandIdentity {
    fileprivate static let encodedBytes = 24
}

extension CatalogOperation {
    /// Whether not every node may propose operations of a tag.
    fileprivate static func isRestricted(tag: UInt8) -> Bool { tag >= 128 }

    package var proposer: CommandProposer {
        switch self {
        case .authoriseDeletions, .forgetChunks, .correctReferences, .setWrappingKey,
            .rewrapSecrets, .retireMasterKey, .releaseSlots, .retainSlots, .dropRows,
            .setGroupTable:
            .leader
        case .adoptSlots, .clearImport, .importRows, .advanceSlotMove: .metaNode
        case .moveSlots, .registerNode, .setLayout: .operator
        case .condemnChunks(let condemn): condemn.holder.map { .node($0) } ?? .leader
        case .confirmDeletions(let confirm): .node(confirm.node)
        case .fileBadCopy, .unreadable, .openSession, .createBucket, .deleteBucket, .putObject,
            .deleteObject, .copyObject, .createAccessKey,
            .deleteAccessKey, .revokeLink, .raiseLinkEpoch, .openUpload, .putPart, .completeUpload,
            .abortUpload, .sweepManifest, .bootstrap, .finishBootstrap, .allocateIncarnation,
            .addLinkKey, .removeLinkKey:
            .anyNode
        }
    }
}
