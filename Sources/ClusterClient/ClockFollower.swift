import IORuntime
import PeerTransport
import Primitives
import Wire

/// Tells a process that takes no part in group 0 what time it is: asks the voters for their clocks,
/// one call each, every two seconds. Who takes part hears the same with the heartbeats.
package struct ClockFollower: Sendable {
    package static let period: Duration = .seconds(2)
    private static let callTimeout: Duration = .seconds(1)

    private let clock: ClockView
    /// Who votes now; nobody where heartbeats tell the time.
    private let voters: @Sendable () -> [NodeID]
    private let environment: any Environment
    private let loop: any EventLoop
    private let peers: any Peers

    package init(
        _ clock: ClockView, environment: any Environment, loop: any EventLoop,
        peers: any Peers, voters: @escaping @Sendable () -> [NodeID]
    ) {
        self.clock = clock
        self.voters = voters
        self.environment = environment
        self.loop = loop
        self.peers = peers
    }

    /// Follows until the loop refuses to wait.
    package func run() async {
        while true {
            await self.look()
            do { try await self.loop.sleep(for: Self.period) } catch { return }
        }
    }

    /// Asks every voter once, all at a time; who does not answer is left out.
    package func look() async {
        let voters = self.voters()
        guard !voters.isEmpty else { return }
        self.clock.setVoters(voters)
        await withTaskGroup(of: Void.self) { group in
            for voter in voters { group.addTask { await self.ask(voter) } }
        }
    }

    private func ask(_ voter: NodeID) async {
        let asked = self.environment.now
        do throws(CallFault) {
            let response = try await self.peers.call(
                voter, PeerRequest(kind: MetaCallKind.clock, head: []),
                deadline: asked + Self.callTimeout)
            let answered = self.environment.now
            do throws(FormatFault) {
                let answer = try ClockAnswer(decoding: response.head)
                self.clock.heard(
                    from: voter, wall: answer.wall, roundTrip: answered - asked, at: answered)
            } catch {
                // A clock that cannot be read is one that is not known.
                return
            }
        } catch { return }
    }
}

/// What a meta node's wall clock shows.
package struct ClockAnswer: WireMessage, Equatable, Sendable {
    package let wall: Timestamp

    package init(wall: Timestamp) { self.wall = wall }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(UInt64(bitPattern: self.wall.milliseconds))
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        self.wall = Timestamp(milliseconds: Int64(bitPattern: try reader.read()))
    }
}
