import IORuntime
import Primitives
import SimulatedRuntime
import Testing

private let serverAddress = SocketAddress(host: "10.0.0.2", port: 80)

/// Lets machine b send back whatever it hears, on every connection.
private func serveEcho(_ world: World) {
    let environment = world[1].environment
    let loop = environment.simulatedLoops[0]
    loop.spawn {
        do throws(StreamFault) {
            let listener = try environment.listen(on: serverAddress, loop: loop)
            while true {
                let stream = try await listener.accept()
                loop.spawn { await echo(stream, environment) }
            }
        } catch {
            environment.log("listener: \(error)")
        }
    }
}

private func echo(_ stream: any ByteStream, _ environment: SimulatedEnvironment) async {
    do throws(StreamFault) {
        while true {
            let bytes = try await stream.readSome(by: environment.after(.seconds(100)))
            if bytes.isEmpty { break }
            try await stream.write(bytes, by: environment.after(.seconds(100)))
        }
        stream.finishWriting()
    } catch {
        environment.log("echo: \(error)")
        stream.close()
    }
}

/// Connects from machine a to the echo, having waited until it listens.
private func connect(
    _ environment: SimulatedEnvironment, within span: Duration = .seconds(10)
) async throws(StreamFault) -> any ByteStream {
    try? await environment.firstLoop.sleep(for: .milliseconds(10))
    return try await environment.connect(
        to: serverAddress, on: environment.firstLoop, deadline: environment.after(span))
}

/// Runs `work` on machine a against the echo; a fault becomes a note.
private func story(
    _ world: World, _ notes: Notes,
    _ work: @escaping @Sendable (SimulatedEnvironment) async throws -> Void
) -> SimulationOutcome {
    serveEcho(world)
    return world.run { environment in
        do { try await work(environment) } catch { notes.add("\(error)") }
    }
}

struct SimulatedNetworkTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func `bytes arrive whole and in order through loss and short transfers`(seed: UInt64) {
        let world = World(seed: seed)
        world.simulator.network.conditions.lossProbability = 0.2
        world.simulator.network.shortTransferProbability = 0.5
        let notes = Notes()
        let sent = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let outcome = story(world, notes) { environment in
            let stream = try await connect(environment)
            environment.firstLoop.spawn {
                try? await stream.write(sent, by: environment.after(.seconds(500)))
                stream.finishWriting()
            }
            let received = try await stream.readAll(by: environment.after(.seconds(500)))
            notes.add("\(received == sent)")
        }
        #expect(outcome.ending == .finished)
        #expect(notes.lines == ["true"])
    }

    @Test func `a writer whose peer does not read is held at the bound`() {
        let world = World()
        world.simulator.network.streamBufferBytes = 10_000
        world.simulator.network.shortTransferProbability = 0
        let notes = Notes()
        let server = world[1].environment
        server.firstLoop.spawn {
            guard
                let listener = try? server.listen(on: serverAddress, loop: server.firstLoop),
                let stream = try? await listener.accept()
            else { return }
            try? await server.firstLoop.sleep(for: .seconds(5))
            _ = try? await stream.readSome(by: server.after(.seconds(1)))
            try? await server.firstLoop.sleep(for: .seconds(50))
        }
        world.run { environment in
            do throws(StreamFault) {
                let stream = try await connect(environment)
                let bytes = [UInt8](repeating: 7, count: 8_000)
                let taken = [1, 2].map { _ in
                    bytes.withUnsafeBytes { (try? stream.writeNow([$0])) ?? -1 }
                }
                notes.add("\(taken)")
                let start = environment.now
                try await stream.writable(by: environment.after(.seconds(20)))
                notes.add("\(environment.now - start > .seconds(4))")
            } catch { notes.add("\(error)") }
        }
        #expect(notes.lines == ["[8000, 2000]", "true"])
    }

    @Test func `nobody listens where a connection is refused`() {
        let world = World()
        let notes = Notes()
        world.run { environment in
            do throws(StreamFault) { _ = try await connect(environment) } catch {
                notes.add("\(error == .refused(serverAddress))")
            }
        }
        #expect(notes.lines == ["true"])
    }

    @Test func `an unknown host is unreachable`() {
        let world = World()
        let notes = Notes()
        let address = SocketAddress(host: "10.9.9.9", port: 1)
        world.run { environment in
            do throws(StreamFault) {
                _ = try await environment.connect(
                    to: address, on: environment.firstLoop,
                    deadline: environment.after(.seconds(1)))
            } catch { notes.add("\(error == .unreachable(address, errno: 113))") }
        }
        #expect(notes.lines == ["true"])
    }

    @Test func `a killed peer is an end and then a reset and then refused`() {
        let world = World()
        let notes = Notes()
        let peer = world[1]
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            peer.crash()
            let rest = try await stream.readAll(by: environment.after(.seconds(5)))
            notes.add("end after \(rest.count)")
            try await stream.write([1], by: environment.after(.seconds(5)))
            do throws(StreamFault) {
                try? await environment.firstLoop.sleep(for: .seconds(1))
                try await stream.write([2], by: environment.after(.seconds(5)))
            } catch { notes.add("\(error)") }
            _ = try await connect(environment)
        }
        #expect(notes.lines == ["end after 0", "reset", "\(StreamFault.refused(serverAddress))"])
    }

    @Test func `a machine without power is silent and its next start resets`() {
        let world = World()
        let notes = Notes()
        let peer = world[1]
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            peer.powerCut()
            try await stream.write([1], by: environment.after(.seconds(5)))
            do throws(StreamFault) {
                try await stream.readable(by: environment.after(.seconds(5)))
            } catch { notes.add("\(error)") }
            peer.restart()
            _ = try await stream.readSome(by: environment.after(.seconds(5)))
        }
        #expect(notes.lines == ["deadlineExceeded", "reset"])
    }

    @Test func `a cut holds bytes back and mending lets them through`() {
        let world = World()
        let notes = Notes()
        let network = world.simulator.network
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            network.partition([world[0]], from: [world[1]])
            try await stream.write([5, 6], by: environment.after(.seconds(1)))
            do throws(StreamFault) {
                try await stream.readable(by: environment.after(.seconds(60)))
            } catch { notes.add("\(error)") }
            do throws(StreamFault) {
                _ = try await connect(environment, within: .seconds(20))
            } catch { notes.add("connect: \(error)") }
            network.heal()
            var bytes: [UInt8] = []
            while bytes.count < 2 {
                bytes += try await stream.readSome(by: environment.after(.seconds(5)))
            }
            notes.add("\(bytes)")
        }
        #expect(notes.lines == ["deadlineExceeded", "connect: deadlineExceeded", "[5, 6]"])
    }

    @Test func `a one-way cut loses only one direction`() {
        let world = World()
        let notes = Notes()
        let network = world.simulator.network
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            try await stream.write([1], by: environment.after(.seconds(1)))
            network.partition([world[0]], from: [world[1]], .oneWay)
            notes.add("\(try await stream.readSome(by: environment.after(.seconds(1))))")
            try await stream.write([2], by: environment.after(.seconds(1)))
            try await stream.readable(by: environment.after(.seconds(10)))
        }
        // The first byte was under way when the path was cut, and may wait on it by seed.
        #expect(notes.lines.last == "deadlineExceeded")
    }

    @Test func `a clogged path delivers late`() {
        let world = World()
        let notes = Notes()
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            world.simulator.network.clog(from: world[1], to: world[0], for: .seconds(7))
            let start = environment.now
            try await stream.write([1], by: environment.after(.seconds(1)))
            notes.add("\(try await stream.readSome(by: environment.after(.seconds(20))))")
            notes.add("\(environment.now - start >= .seconds(7))")
        }
        #expect(notes.lines == ["[1]", "true"])
    }

    @Test func `a reset breaks the connections between two machines`() {
        let world = World()
        let notes = Notes()
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            world.simulator.network.resetConnections(between: world[0], and: world[1])
            _ = try await stream.readSome(by: environment.after(.seconds(1)))
        }
        #expect(notes.lines == ["reset"])
    }

    @Test func `a closed stream says so to who waits on it`() {
        let world = World()
        let notes = Notes()
        _ = story(world, notes) { environment in
            let stream = try await connect(environment)
            environment.firstLoop.spawn {
                try? await environment.firstLoop.sleep(for: .seconds(1))
                stream.close()
                stream.close()
            }
            try await stream.readable(by: environment.after(.seconds(30)))
        }
        #expect(notes.lines == ["closed"])
    }

    @Test func `connections that ended are forgotten, and streams that nobody holds end`() {
        let world = World()
        let notes = Notes()
        let outcome = story(world, notes) { environment in
            for _ in 0..<20 {
                // The echo ends its half and drops its stream; this side drops its own.
                let stream = try await connect(environment)
                stream.finishWriting()
                _ = try await stream.readAll(by: environment.after(.seconds(5)))
            }
            try await environment.firstLoop.sleep(for: .seconds(5))
        }
        #expect(outcome.ending == .finished)
        #expect(notes.lines.isEmpty)
        #expect(world.simulator.network.connectionCount == 0)
    }

    @Test func `what is left of a world that was discarded holds nothing`() {
        let world = World()
        let notes = Notes()
        _ = story(world, notes) { environment in _ = try await connect(environment) }
        world.simulator.discard()
        #expect(world.simulator.nodes.isEmpty)
        #expect(world.simulator.network.connectionCount == 0)
    }
}
