import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Synchronization
import Wire

/// Replicas that their group does without.
///
/// A voter that still believes in the change that took this node out may need its vote to be elected,
/// and after a power cut it may believe in it again. So this node asks the new voters: once a
/// majority of them hold durably that the change is over, they can elect one of themselves whatever
/// happens, and the replica may go. Time alone proves nothing.
extension MetaNode {
    /// One question to one voter.
    private static let leaveTimeout: Duration = .seconds(1)

    /// Ends this node's replica of a group, if those who vote in it now can do without it for ever.
    func leaveIfCertain(_ group: GroupID, of members: Configuration) async {
        defer { self.groups[group]?.isLeaving = false }
        let request = PeerRequest(
            kind: MayLeaveRequest.kind, head: MayLeaveRequest(group: group).encoded)
        var knowing: Set<NodeID> = []
        for voter in members.voters {
            if await self.isGranted(request, by: voter) { knowing.insert(voter) }
        }
        guard !self.isStopped, let driver = self.groups[group] else { return }
        guard driver.replica.members == members,
            members.quorum.verdict({ knowing.contains($0) }) == .won
        else {
            // Asked again after the same time.
            driver.strangerSince = nil
            return
        }
        await self.removeGroup(group)
    }

    private nonisolated func isGranted(_ request: PeerRequest, by voter: NodeID) async -> Bool {
        let response: PeerResponse
        do throws(CallFault) {
            response = try await self.peers.call(
                voter, request, deadline: self.environment.now + Self.leaveTimeout)
        } catch { return false }
        do throws(FormatFault) {
            return try MayLeaveAnswer(decoding: response.head).mayLeave
        } catch { return false }
    }

    /// Whether this node's replica will do without the asker's, whatever happens.
    nonisolated func answer(
        _ request: MayLeaveRequest, from peer: NodeID
    ) async -> MayLeaveAnswer {
        guard let state = self.states[request.group],
            !self.fencedGroups.withLock({ $0.contains(request.group) })
        else { return MayLeaveAnswer(mayLeave: false) }
        let mayLeave = await self.environment.blocking(.metadata) { () -> Bool in
            do throws(RaftLogTables.Fault) { return try state.doesDurably(without: peer) } catch {
                // The replica that asked stays, which harms nobody.
                return false
            }
        }
        return MayLeaveAnswer(mayLeave: mayLeave)
    }
}

extension GroupState {
    /// Whether the state holds a configuration without the node and with no change going on. It is
    /// made durable then, so that no crash takes that back. Blocking.
    func doesDurably(without node: NodeID) throws(RaftLogTables.Fault) -> Bool {
        guard let members = try self.configuration(), !members.isJoint,
            !members.members.contains(node)
        else { return false }
        do throws(StoreFault) { try self.store.flush() } catch { throw .store(error) }
        return true
    }
}

/// A former member of a group asks one who votes in it whether its replica may go.
package struct MayLeaveRequest: WireMessage, Equatable {
    /// The kind of the call; raw values are for ever.
    static let kind: UInt16 = 0x0113

    package let group: GroupID

    package init(group: GroupID) { self.group = group }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
    }
}

package struct MayLeaveAnswer: WireMessage, Equatable {
    package let mayLeave: Bool

    package init(mayLeave: Bool) { self.mayLeave = mayLeave }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.mayLeave)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.mayLeave = try reader.readBool(field: "may leave")
    }
}
