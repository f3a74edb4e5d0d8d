import IORuntime
import Primitives
import Synchronization
import Testing

@Suite struct LoopTests {
    @Test func `sleeps end in the order of their times`() async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            let step = Duration.milliseconds(20)
            while true {
                let order = Shared<[Int]>([])
                let start = environment.now
                let sleepers = [4, 1, 3, 2].map { steps in
                    loop.spawn {
                        do { try await loop.sleep(for: step * steps) } catch { return }
                        order.change { $0.append(steps) }
                    }
                }
                // All sleep by now: they were queued before the end of this.
                try await loop.sleep(for: .milliseconds(1))
                let areSettled = environment.now < start + step
                for sleeper in sleepers { await sleeper.finished() }
                // Times that were set a step apart, because the machine stood still between them,
                // have an order of their own.
                guard areSettled else { continue }
                #expect(order.value == [1, 2, 3, 4])
                return
            }
        }
    }

    @Test func `a sleep lasts as long as was asked`() async throws {
        try await withEnvironment { environment in
            let start = environment.now
            try await environment.loops[0].sleep(for: .milliseconds(20))
            #expect(environment.now - start >= .milliseconds(20))
        }
    }

    @Test(arguments: [0, 1])
    func `a cancelled sleep ends at once, on its own loop and from another`(
        sleeping: Int
    ) async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[sleeping]
            let start = environment.now
            let error = Shared<(any Error)?>(nil)
            let task = environment.loops[0].spawn {
                do { try await loop.sleep(for: .seconds(600)) } catch let thrown {
                    error.change { $0 = thrown }
                }
            }
            // So that the task sleeps by now: it was queued before the end of this.
            try await loop.sleep(for: .zero)
            task.cancel()
            await task.finished()
            #expect(error.value is CancellationError)
            #expect(environment.now - start < .seconds(60))
        }
    }

    @Test func `a task that is cancelled before it sleeps does not sleep`() async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            let ended = Shared(false)
            let task = loop.spawn {
                do { try await loop.sleep(for: .seconds(600)) } catch {
                    ended.change { $0 = error is CancellationError }
                }
            }
            task.cancel()
            await task.finished()
            #expect(ended.value)
        }
    }

    private actor Tally {
        nonisolated let loop: any EventLoop
        nonisolated var unownedExecutor: UnownedSerialExecutor {
            self.loop.asUnownedSerialExecutor()
        }
        private(set) var count = 0
        init(loop: any EventLoop) { self.loop = loop }
        func add() {
            self.loop.preconditionIsolated()
            self.count += 1
        }
        func addAfterSleep() async throws {
            try await self.loop.sleep(for: .milliseconds(1))
            self.loop.preconditionIsolated()
            self.count += 1
        }
    }

    @Test func `an actor whose executor is a loop runs there, also after it was suspended`()
        async throws
    {
        try await withEnvironment { environment in
            let tally = Tally(loop: environment.loops[1])
            for _ in 0..<100 { await tally.add() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 { group.addTask { try await tally.addAfterSleep() } }
                try await group.waitForAll()
            }
            #expect(await tally.count == 200)
        }
    }

    @Test func `ten thousand tasks start, sleep and end`() async throws {
        try await withEnvironment { environment in
            let tally = Tally(loop: environment.loops[0])
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<10_000 {
                    group.addTask(executorPreference: environment.loops[number % 2]) {
                        await tally.add()
                    }
                }
            }
            let tasks = (0..<10_000).map { number in
                environment.loops[0].spawn {
                    try? await environment.loops[0].sleep(for: .microseconds(number % 100))
                    await tally.add()
                }
            }
            for task in tasks { await task.finished() }
            #expect(await tally.count == 20_000)
        }
    }

    @Test func `the clock of a loop never runs behind the clock of the environment`() async throws {
        try await withEnvironment { environment in
            for _ in 0..<1000 {
                let before = environment.now
                let between = environment.loops[0].now
                #expect(before <= between && between <= environment.now)
            }
        }
    }
}

@Suite struct TimerHeapTests {
    private final class Target: TimerTarget {
        var timerPosition = TimerHeap.nowhere
        let number: Int
        init(_ number: Int) { self.number = number }
        func timerExpired(at now: Instant) {}
    }

    /// What a heap holds, as a list that is searched from end to end.
    private struct Oracle {
        var entries: [(deadline: Instant, sequence: Int, number: Int)] = []
        var nextSequence = 0

        mutating func arm(_ number: Int, at deadline: Instant) {
            if let held = self.entries.firstIndex(where: { $0.number == number }) {
                self.entries[held].deadline = min(self.entries[held].deadline, deadline)
            } else {
                self.entries.append((deadline, self.nextSequence, number))
                self.nextSequence += 1
            }
        }

        mutating func removeFirst(dueAt now: Instant) -> Int? {
            let order = self.entries.sorted {
                ($0.deadline, $0.sequence) < ($1.deadline, $1.sequence)
            }
            guard let first = order.first, first.deadline <= now else { return nil }
            self.entries.removeAll { $0.number == first.number }
            return first.number
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `the heap agrees with a list, whatever is armed, moved forward, disarmed and due`(
        seed: UInt64
    ) {
        var generator = SeededGenerator(seed: seed)
        var heap = TimerHeap()
        var oracle = Oracle()
        let targets = (0..<40).map(Target.init)
        for step in 0..<3000 {
            let target = targets[Int.random(in: 0..<40, using: &generator)]
            switch Int.random(in: 0..<5, using: &generator) {
            case 0, 1, 2:
                let deadline = Instant(
                    nanoseconds: UInt64(step + Int.random(in: 0..<60, using: &generator)))
                heap.arm(target, at: deadline)
                oracle.arm(target.number, at: deadline)
            case 3:
                heap.disarm(target)
                oracle.entries.removeAll { $0.number == target.number }
            default:
                let now = Instant(nanoseconds: UInt64(step))
                let due = heap.removeFirst(dueAt: now) as? Target
                #expect(due?.number == oracle.removeFirst(dueAt: now))
            }
            #expect(heap.firstDeadline == oracle.entries.map(\.deadline).min())
        }
    }
}
