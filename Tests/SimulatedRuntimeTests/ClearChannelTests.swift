import Cryptography
import IORuntime
import Primitives
import SimulatedRuntime
import Testing

private let ours = ClusterID(bytes: [UInt8](repeating: 1, count: 16))
private let theirs = ClusterID(bytes: [UInt8](repeating: 2, count: 16))

private func node(_ number: UInt32, _ cluster: ClusterID?) -> PeerIdentity {
    cluster.map { .node(NodeID(number), cluster: $0) } ?? .anonymous
}

/// Lets a (client) and b (server) shake hands, and says what each came to, and whether three bytes
/// then went through.
private func shakeHands(
    client: ClearChannelSecurity, as role: ChannelRole, server: ClearChannelSecurity
) -> [String] {
    let world = World()
    let notes = Notes()
    let address = SocketAddress(host: "10.0.0.2", port: 7)
    let listening = world[1].environment
    world.simulator.spawn("server", on: listening.simulatedLoops[0]) {
        do {
            let listener = try listening.listen(on: address, loop: listening.firstLoop)
            let stream = try await listener.accept()
            let deadline = listening.after(.seconds(9))
            let channel = try await server.secure(stream, as: .server, deadline: deadline)
            notes.add("server: \(channel.peer)")
            try await channel.write([1, 2, 3], by: deadline)
            channel.finishWriting()
        } catch { notes.add("server: \(error)") }
    }
    world.run { environment in
        do {
            try await environment.firstLoop.sleep(for: .milliseconds(10))
            let deadline = environment.after(.seconds(9))
            let stream = try await environment.connect(
                to: address, on: environment.firstLoop, deadline: deadline)
            let channel = try await client.secure(stream, as: role, deadline: deadline)
            notes.add("client: \(channel.peer)")
            notes.add("client: \(try await channel.readAll(by: deadline))")
        } catch { notes.add("client: \(error)") }
    }
    return notes.lines.sorted()
}

struct ClearChannelTests {
    @Test func `two nodes of one cluster know each other`() throws {
        let a = node(1, ours)
        let b = node(2, ours)
        #expect(
            shakeHands(
                client: ClearChannelSecurity(identity: a), as: .client(of: NodeID(2)),
                server: ClearChannelSecurity(identity: b, requiresNode: true))
                == ["client: \(b)", "client: [1, 2, 3]", "server: \(a)"].sorted())
    }

    @Test(arguments: [node(3, ours), node(2, theirs), .anonymous])
    func `a client refuses whom it did not call`(server: PeerIdentity) {
        let notes = shakeHands(
            client: ClearChannelSecurity(identity: node(1, ours)), as: .client(of: NodeID(2)),
            server: ClearChannelSecurity(identity: server))
        #expect(notes.contains { $0.hasPrefix("client: insecure") })
    }

    @Test(arguments: [node(1, theirs), .anonymous])
    func `a server of nodes refuses a stranger`(client: PeerIdentity) {
        let notes = shakeHands(
            client: ClearChannelSecurity(identity: client), as: .client(of: NodeID(2)),
            server: ClearChannelSecurity(identity: node(2, ours), requiresNode: true))
        #expect(notes.contains { $0.hasPrefix("server: insecure") })
        #expect(notes.contains { $0.hasPrefix("client: ") && !$0.hasPrefix("client: node") })
    }

    @Test func `a client of a door goes by the host name`() {
        let door = ClearChannelSecurity(identity: node(2, ours), hostNames: ["drive.example"])
        for (name, isRight) in [("drive.example", true), ("other.example", false)] {
            let notes = shakeHands(
                client: ClearChannelSecurity(identity: .anonymous), as: .clientOfHost(name),
                server: door)
            #expect(notes.contains("client: [1, 2, 3]") == isRight)
        }
    }

    @Test func `bytes that are no hello are refused and never trap`() {
        for seed in 1...300 as ClosedRange<UInt64> {
            let world = World(seed: seed)
            let notes = Notes()
            let address = SocketAddress(host: "10.0.0.2", port: 7)
            let listening = world[1].environment
            world.simulator.spawn("server", on: listening.simulatedLoops[0]) {
                do {
                    let listener = try listening.listen(on: address, loop: listening.firstLoop)
                    let stream = try await listener.accept()
                    _ = try await ClearChannelSecurity(identity: .anonymous)
                        .secure(stream, as: .server, deadline: listening.after(.seconds(5)))
                    notes.add("let in")
                } catch { notes.add("refused") }
            }
            world.run { environment in
                var bytes = environment.randomBytes(40)
                bytes[1] = 0
                try? await environment.firstLoop.sleep(for: .milliseconds(10))
                let stream = try? await environment.connect(
                    to: address, on: environment.firstLoop,
                    deadline: environment.after(.seconds(5)))
                try? await stream?.write(bytes, by: environment.after(.seconds(5)))
                stream?.finishWriting()
            }
            #expect(notes.lines == ["refused"])
        }
    }
}
