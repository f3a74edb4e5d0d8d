import Cryptography
import IORuntime
import PeerTransport
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

/// The same transport over real sockets of this machine.
@Suite struct LoopbackTests {
    enum Security: CaseIterable {
        case clear, mutualTLS
    }

    /// Two nodes, each with an environment of its own.
    private struct Pair {
        let environments: [RealEnvironment]
        let switchboards: [Switchboard]

        init(_ kind: Security, events: @escaping @Sendable (PeerEvent) -> Void = { _ in }) throws {
            let cluster = try #require(ClusterID(bytes: [UInt8](repeating: 7, count: 16)))
            let environments = [RealEnvironment(loopCount: 1), RealEnvironment(loopCount: 1)]
            let securities = try Self.securities(
                kind, cluster: cluster, today: environments[0].wallClock)
            self.environments = environments
            self.switchboards = zip(environments, securities).enumerated().map { index, parts in
                Switchboard(
                    environment: parts.0, loop: parts.0.loops[0],
                    identity: PeerIdentityCard(
                        node: NodeID(UInt32(index + 1)), cluster: cluster, security: parts.1),
                    answerer: Answerer.echo, limits: Self.patientLimits, events: events)
            }
            let address = try self.switchboards[1].listen(
                on: SocketAddress(host: "127.0.0.1", port: 0))
            self.switchboards[0].setAddresses([NodeID(2): address])
        }

        /// A machine that stalls for seconds must not look like a silent peer here.
        private static var patientLimits: PeerLimits {
            var limits = PeerLimits()
            limits.handshakeLimit = .seconds(300)
            limits.silenceLimit = .seconds(300)
            return limits
        }

        private static func securities(
            _ kind: Security, cluster: ClusterID, today: Timestamp
        ) throws -> [any ChannelSecurity] {
            switch kind {
            case .clear:
                return (1...2).map {
                    ClearChannelSecurity(
                        identity: .node(NodeID($0), cluster: cluster), requiresNode: true)
                }
            case .mutualTLS:
                let authority = try CertificateAuthority.make(cluster: cluster, now: today)
                return try (1...2).map {
                    try TLSChannelSecurity.peers(
                        identity: authority.issue(
                            node: NodeID($0), names: ["127.0.0.1"], now: today),
                        authority: authority.pem.certificatePEM, cluster: cluster,
                        isRevoked: { _ in false })
                }
            }
        }

        func stop() {
            for environment in self.environments { environment.stop() }
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: Security.allCases)
    func `calls of all sizes cross real sockets`(security: Security) async throws {
        let pair = try Pair(security)
        defer { pair.stop() }
        let loop = pair.environments[0].loops[0]
        let asker = pair.switchboards[0]
        let good = Mutex(0)
        await loop.spawn {
            await withTaskGroup(of: Bool.self) { group in
                for number in 0..<120 {
                    group.addTask {
                        let size = number % 40 == 0 ? 2_000_000 + number : number % 7 * 9_000
                        let request = PeerRequest(
                            kind: 1, head: patterned(number * 3, number),
                            body: [patterned(size, number)])
                        let result = await asker.result(2, request, within: .seconds(300), on: loop)
                        guard case .success(let response) = result else { return false }
                        return response.head == request.head
                            && response.body.whole == request.body.whole
                    }
                }
                for await isRight in group where isRight { good.withLock { $0 += 1 } }
            }
        }.finished()
        #expect(good.withLock { $0 } == 120)
    }

    @Test(.timeLimit(.minutes(5)), arguments: Security.allCases)
    func `a caller on another loop is served too, and hears of the end`(
        security: Security
    ) async throws {
        let journal = Journal()
        let pair = try Pair(security) { journal.add("\($0)") }
        defer { pair.stop() }
        let asker = pair.switchboards[0]
        let here = pair.environments[1].loops[0]
        let first = await asker.result(
            2, PeerRequest(kind: 1, head: [1]), within: .seconds(300), on: here)
        #expect(first == .success(PeerResponse(head: [1])))
        pair.switchboards[1].close()
        while !journal.lines.contains("gone(2)") {
            try await here.sleep(for: .milliseconds(1))
        }
        #expect(journal.lines == ["up(2)", "lost(2)", "gone(2)"])
        let last = await asker.result(
            2, PeerRequest(kind: 1, head: [1]), within: .seconds(300), on: here)
        #expect(last == .failure(.unreachable(NodeID(2))))
    }
}
