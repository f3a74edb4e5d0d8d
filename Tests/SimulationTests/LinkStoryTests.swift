import Catalog
import FileClient
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import SimulatedRuntime
import Simulation
import Synchronization
import Testing

/// Links in the world, and how soon they open nothing once they are withdrawn.
struct LinkStoryTests {
    @Test func `a link that is revoked at one edge is refused at all within a second`() throws {
        try Stage(seed: 101).tell { stage in
            let (kept, revoked) = try await Self.twoLinks(stage)
            for machine in stage.cluster.machines {
                try await stage.waitForAnswer(.ok, to: revoked.target, at: machine)
            }
            try await stage.revoke(revoked, through: stage[1])
            #expect(try await stage.status(of: revoked.target, at: stage[1]) == .forbidden)
            try await stage.simulator.loop.sleep(for: .seconds(1))
            for machine in stage.cluster.machines {
                #expect(try await stage.status(of: revoked.target, at: machine) == .forbidden)
                #expect(try await stage.status(of: kept.target, at: machine) == .ok)
            }
            #expect(stage.sum(of: "holdfast_links_withdrawn_refused_total") == 6)
        }
    }

    @Test func `all links of a bucket are withdrawn at once, and new ones hold`() throws {
        try Stage(seed: 102).tell { stage in
            let (first, second) = try await Self.twoLinks(stage)
            for machine in stage.cluster.machines {
                try await stage.waitForAnswer(.ok, to: first.target, at: machine)
            }
            try await stage.askDoor(of: stage[2]) { client throws(FileClientFault) in
                try await client.revokeLinks(into: "photos")
            }
            // Through another edge, at once: it carries the new epoch.
            let later = try await stage.link(to: "b", through: stage[3])
            try await stage.simulator.loop.sleep(for: .seconds(1))
            for machine in stage.cluster.machines {
                for link in [first, second] {
                    #expect(try await stage.status(of: link.target, at: machine) == .forbidden)
                }
                #expect(try await stage.status(of: later.target, at: machine) == .ok)
            }
        }
    }

    @Test func `an edge that hears nothing of metadata honours no link for longer than 5 s`()
        throws
    {
        try Stage(seed: 103).tell { stage in
            let (link, _) = try await Self.twoLinks(stage)
            let edge = stage[4]
            try await stage.waitForAnswer(.ok, to: link.target, at: edge)
            // People still reach the edge, but it reaches no other node.
            stage.simulator.network.partition([edge], from: stage.others(than: edge))
            let cutOff = stage.simulator.now
            try await stage.revoke(link, through: stage[0])
            var lastAnswer = cutOff
            while stage.simulator.now - cutOff < .seconds(12) {
                if try await stage.status(of: link.target, at: edge) == .ok {
                    lastAnswer = stage.simulator.now
                }
                try await stage.simulator.loop.sleep(for: .milliseconds(100))
            }
            #expect(lastAnswer - cutOff < .milliseconds(5_500))
            stage.simulator.network.heal()
            try await stage.waitForAnswer(.forbidden, to: link.target, at: edge)
        }
    }

    /// Links to two objects of 300 bytes.
    private static func twoLinks(_ stage: Stage) async throws -> (SignedLink, SignedLink) {
        for name in ["a", "b"] {
            let key = try key(name)
            try await stage.succeed { await $0.put(key, bytes(300, 1), through: stage[0]) }
        }
        return (
            try await stage.link(to: "a", through: stage[0]),
            try await stage.link(to: "b", through: stage[0])
        )
    }
}

extension RareEvent {
    static let withdrawnLink = RareEvent(
        "a link that was withdrawn is refused", "holdfast_links_withdrawn_refused_total",
        on: { try Stage(seed: 104) }
    ) { stage in
        let key = try key("a")
        try await stage.succeed { await $0.put(key, bytes(300), through: stage[0]) }
        let link = try await stage.link(to: "a", through: stage[0])
        try await stage.waitForAnswer(.ok, to: link.target, at: stage[2])
        try await stage.revoke(link, through: stage[1])
        try await stage.waitForAnswer(.forbidden, to: link.target, at: stage[2])
    }
}

// MARK: - The doors, as people reach them

extension Stage {
    func link(
        to key: String, through machine: SimulatedNode
    ) async throws -> SignedLink {
        let path = RemotePath(bucket: self.client.bucket.text, key: key)
        return try await self.askDoor(of: machine) { client throws(FileClientFault) in
            try await client.link(LinkRequest(path, expiresInSeconds: 3_600))
        }
    }

    func revoke(_ link: SignedLink, through machine: SimulatedNode) async throws {
        let url = try LinkURL(link.url)
        try await self.askDoor(of: machine) { client throws(FileClientFault) in
            try await client.revoke(url)
        }
    }

    /// What a client on the laptop is told by one machine's edge.
    @discardableResult
    func askDoor<Value: Sendable>(
        of machine: SimulatedNode,
        _ work: @escaping @Sendable (FileClient) async throws(FileClientFault) -> Value
    ) async throws -> Value {
        let answer = await self.client.atDoor(of: machine, work)
        return try #require(answer).get()
    }

    /// The status of a GET at a machine's edge; nil where it gives none.
    func status(of target: String, at machine: SimulatedNode) async throws -> Status? {
        let environment = self.cluster.laptop.environment
        let edge = SimulatedClient.edge(of: machine)
        let answer: Status?? = await self.cluster.ask(self.cluster.laptop) {
            let loop = environment.simulatedLoops[0]
            let client = HTTPClient(environment, loop: loop)
            defer { client.closeUnused() }
            do {
                let response = try await client.send(
                    try OutgoingRequest(.get, target: target, host: machine.host),
                    to: HTTPEndpoint(edge), deadline: loop.now + .seconds(2))
                _ = try await response.collect(limit: 1 << 20)
                return response.head.status
            } catch { return nil }
        }
        return answer ?? nil
    }

    /// Asks again and again, for a minute at most.
    func waitForAnswer(
        _ status: Status, to target: String, at machine: SimulatedNode
    ) async throws {
        let end = self.simulator.now + .seconds(60)
        while try await self.status(of: target, at: machine) != status {
            guard self.simulator.now < end else {
                throw Tired(reason: "\(machine.name) does not answer \(status)")
            }
            try await self.simulator.loop.sleep(for: .milliseconds(50))
        }
    }
}
