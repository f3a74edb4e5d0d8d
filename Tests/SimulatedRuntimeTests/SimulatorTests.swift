import IORuntime
import Primitives
import SimulatedRuntime
import Testing

/// An actor on one of the simulated loops, as shells are.
private actor Counting {
    private let loop: any EventLoop
    private(set) var order: [Int] = []
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }

    init(on loop: any EventLoop) { self.loop = loop }

    func take(_ number: Int) async {
        try? await self.loop.sleep(for: .microseconds(number % 7))
        self.order.append(number)
    }
}

/// Plays with actors, task groups and `async let` on two machines, and writes down what came out.
func playWithTasks(_ world: World) -> SimulationOutcome {
    let counting = Counting(on: world[1].environment.loops[1])
    return world.run { environment in
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    await counting.take(number)
                    try? await environment.firstLoop.sleep(for: .microseconds(3))
                    await counting.take(number + 100)
                }
            }
        }
        async let first: Void = counting.take(1000)
        async let second: Void = counting.take(1001)
        _ = await (first, second)
        environment.log("\(await counting.order)")
    }
}

struct SimulatorTests {
    @Test func `one seed replays to one trace and another seed takes another way`() {
        let first = World(seed: 7)
        let again = World(seed: 7)
        let other = World(seed: 8)

        let outcomes = [first, again, other].map(playWithTasks)

        #expect(outcomes[0].ending == .finished)
        #expect(outcomes[0] == outcomes[1])
        #expect(first.simulator.trace.lines == again.simulator.trace.lines)
        #expect(outcomes[2].ending == .finished)
        #expect(outcomes[0].traceHash != outcomes[2].traceHash)
    }

    @Test func `time stands still while anything is runnable and jumps when nothing is`() {
        let world = World()
        let notes = Notes()
        let outcome = world.run { environment in
            let start = environment.now
            for _ in 0..<1000 { await Task.yield() }
            notes.add("\(environment.now - start)")
            try? await environment.firstLoop.sleep(for: .seconds(86_400))
            notes.add("a day has passed")
        }
        #expect(notes.lines == ["\(Duration.zero)"])
        #expect(outcome.ending == .timeLimit)
    }

    @Test func `a cancelled sleeper wakes at once`() {
        let world = World()
        let notes = Notes()
        let outcome = world.run { environment in
            let sleeper = environment.firstLoop.spawn {
                do { try await environment.firstLoop.sleep(for: .seconds(1000)) } catch {
                    notes.add("\(error)")
                }
            }
            try? await environment.firstLoop.sleep(for: .seconds(1))
            sleeper.cancel()
            await sleeper.finished()
        }
        #expect(notes.lines == ["\(CancellationError())"])
        #expect(outcome.time < Instant(nanoseconds: 0) + .seconds(2))
    }

    @Test func `a killed process runs no further job and nobody waits for it`() {
        let world = World()
        let notes = Notes()
        let victim = world[1]
        let loop = victim.environment.simulatedLoops[0]
        world.simulator.spawn("victim", on: loop) {
            while true {
                notes.add("beat")
                try? await loop.sleep(for: .seconds(1))
            }
        }
        world.simulator.spawn("killer") {
            try? await world.simulator.loop.sleep(for: .milliseconds(2500))
            victim.crash()
            try? await world.simulator.loop.sleep(for: .seconds(60))
        }
        let outcome = world.simulator.run()
        #expect(notes.lines == ["beat", "beat", "beat"])
        #expect(outcome.ending == .finished)
        #expect(outcome.unfinished.isEmpty)
    }

    @Test func `a paused machine goes on where it stood`() {
        let world = World()
        let notes = Notes()
        let node = world[1]
        let loop = node.environment.simulatedLoops[0]
        world.simulator.spawn("sleeper", on: loop) {
            try? await loop.sleep(for: .seconds(1))
            notes.add("woke at \(world.simulator.now.nanoseconds / 1_000_000_000) s")
        }
        world.simulator.spawn("freezer") {
            try? await world.simulator.loop.sleep(for: .milliseconds(500))
            node.pause()
            try? await world.simulator.loop.sleep(for: .seconds(30))
            node.resume()
        }
        #expect(world.simulator.run().ending == .finished)
        #expect(notes.lines == ["woke at 30 s"])
    }

    @Test func `a deadlock is told by the names of the tasks in it`() {
        let world = World()
        world.simulator.spawn("waits for ever") {
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
        }
        let outcome = world.simulator.run()
        #expect(outcome.ending == .idle)
        #expect(outcome.unfinished == ["waits for ever"])
    }

    @Test func `a task that leaves for the global pool fails the run`() {
        let world = World()
        let outcome = world.run { _ in
            // What the rule against `Task.detached` is about.
            await Task.detached {}.value
        }
        guard case .escaped = outcome.ending else {
            Issue.record("the escape went unnoticed: \(outcome.ending)")
            return
        }
    }

    @Test func `a process that ends itself fails the run unless that was expected`() {
        for isAllowed in [false, true] {
            let world = World()
            world.simulator.allowsTermination = isAllowed
            let outcome = world.run { environment in
                await environment.terminate(status: 3, reason: "the log is gone")
            }
            #expect(
                outcome.ending
                    == (isAllowed
                        ? .finished
                        : .terminated(node: "a", status: 3, reason: "the log is gone")))
            #expect(world[0].terminations.map(\.status) == [3])
            #expect(!world[0].isRunning)
        }
    }

    @Test func `clocks drift and jump apart`() {
        let world = World()
        world[0].setClockDrift(partsPerMillion: 1000)
        world[1].setClockDrift(partsPerMillion: -1000)
        let before = world.nodes.map { ($0.environment.now, $0.environment.wallClock) }
        world.simulator.spawn("wait") {
            try? await world.simulator.loop.sleep(for: .seconds(1000))
        }
        _ = world.simulator.run()
        world[1].jumpWallClock(by: .seconds(-3600))
        let elapsed = world.nodes.indices.map { world[$0].environment.now - before[$0].0 }
        let walls = world.nodes.indices.map { world[$0].environment.wallClock - before[$0].1 }
        #expect(elapsed == [.seconds(1001), .seconds(999)])
        #expect(walls == [.seconds(1001), .seconds(999 - 3600)])
    }

    @Test func `a sleep lasts by the sleeper's own clock`() {
        let world = World()
        world[0].setClockDrift(partsPerMillion: 250_000)
        let outcome = world.run { environment in
            let start = environment.now
            try? await environment.firstLoop.sleep(for: .seconds(100))
            #expect(environment.now - start >= .seconds(100))
        }
        #expect(outcome.time == Instant(nanoseconds: 0) + .seconds(80))
    }

    @Test func `blocking work runs later and its caller goes on after what it cost`() {
        let world = World()
        world[0].disk.conditions.syncTime = .milliseconds(50)...(.milliseconds(50))
        let outcome = world.run { environment in
            let start = environment.now
            await environment.blocking(.disk) {
                do {
                    let file = try environment.files.open("x", .create)
                    try file.write([1], at: 0)
                    try file.sync()
                } catch { Issue.record(error) }
            }
            #expect(environment.now - start >= .milliseconds(50))
        }
        #expect(outcome.ending == .finished)
        #expect(outcome.blockingCallsOnLoops == 0)
    }

    @Test func `a file call on a loop is counted`() {
        let world = World()
        let outcome = world.run { environment in
            _ = try? environment.files.status("x")
        }
        #expect(outcome.blockingCallsOnLoops == 1)
    }
}
