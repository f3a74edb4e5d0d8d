import Catalog
import ClusterClient
import Cryptography
import IORuntime
import PeerTransport
import Primitives

/// An operator's process that looks where the slots of a cluster are, and has them moved.
package struct SlotOperator: Sendable {
    private static let askTimeout: Duration = .seconds(30)
    private static let lookPause: Duration = .milliseconds(200)

    private let environment: any Environment
    private let cluster: ClusterClient

    package init(
        _ identity: OperatorIdentity, in environment: any Environment
    ) throws(OperatorFault) {
        let security: TLSChannelSecurity
        do throws(CertificateFault) {
            security = try TLSChannelSecurity.peers(
                identity: identity.certificate, authority: identity.authority.certificatePEM,
                cluster: identity.configuration.cluster, isRevoked: { _ in false })
        } catch { throw .certificate(error) }
        let loop = environment.loops[0]
        let switchboard = Switchboard(
            environment: environment, loop: loop,
            identity: PeerIdentityCard(
                node: OperatorIdentity.node, cluster: identity.configuration.cluster,
                security: security),
            answerer: NobodyToAnswer())
        switchboard.setAddresses(identity.configuration.peers)
        self.environment = environment
        self.cluster = ClusterClient(
            ClusterClientSettings(metaNodes: identity.configuration.voters),
            node: OperatorIdentity.node, environment: environment, loop: loop,
            peers: switchboard)
    }

    private var deadline: Instant { self.environment.now + Self.askTimeout }

    /// A line for each run of slots, and one for each move that is under way.
    package func show() async throws(OperatorFault) -> [String] {
        let table = try await self.table()
        let runs = table.slots.map { run in
            "\(run.slots.first)-\(run.slots.last)  group \(run.group)"
        }
        return runs + table.moves.map(Self.line)
    }

    /// Has slots moved to a group, and returns when all of them are there and nothing of them is left
    /// where they were.
    ///
    /// - Parameter progress: told of every move as it changes.
    package func move(
        from first: Slot, to last: Slot, group: GroupID, progress: (String) -> Void
    ) async throws(OperatorFault) {
        let operation = CatalogOperation.moveSlots(
            MoveSlots(slots: SlotRange(first: first, last: last), to: group))
        let result: CommandResult
        do throws(ClusterFault) {
            result = try await self.cluster.propose(
                operation, in: .system, deadline: self.deadline)
        } catch { throw .cluster("\(error)") }
        guard case .slotMoves(let asked) = result else {
            throw .refused(Self.refusal(result, group))
        }
        var told: [String] = []
        while true {
            let moves = try await self.table().moves.filter { move in
                asked.contains { $0.id == move.id }
            }
            let lines = moves.map(Self.line)
            for line in lines where !told.contains(line) { progress(line) }
            told = lines
            if moves.isEmpty { return }
            do { try await self.environment.loops[0].sleep(for: Self.lookPause) } catch { return }
        }
    }

    private func table() async throws(OperatorFault) -> GroupTable {
        do throws(ClusterFault) {
            let answer = try await self.cluster.query(
                .groupTable, in: .system, freshness: .linearizable, deadline: self.deadline)
            guard case .groupTable(let table) = answer else {
                throw .malformed("group 0 has no table yet: \(answer)")
            }
            return table
        } catch { throw .cluster("\(error)") }
    }

    private static func line(_ move: SlotMove) -> String {
        let stage =
            switch move.stage {
            case .moving: "moving"
            case .dropping: "moved; the rows left behind are being dropped"
            }
        return "\(move.slots.first)-\(move.slots.last)  group \(move.from) -> \(move.to), \(stage)"
    }

    private static func refusal(_ result: CommandResult, _ group: GroupID) -> String {
        switch result {
        case .noSuchGroup: "there is no data group \(group); see `holdfast slots show`"
        case .slotsInMotion: "some of the slots are in another move; wait for its end"
        case .limitReached: "too many moves are under way; wait for their end"
        case let other: "the cluster refused: \(other)"
        }
    }
}

private struct NobodyToAnswer: PeerAnswerer {
    /// The raw value is for ever.
    private static let noRole: UInt16 = 0x0001

    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        .refused(code: Self.noRole, message: "this process has no role")
    }

    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {}
}
