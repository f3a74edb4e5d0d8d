import Foundation
import IORuntime
import Primitives
import Synchronization
import Testing

@Suite struct BlockingTests {
    @Test(arguments: BlockingLane.allCases)
    func `blocking work returns its value to the caller's own loop`(
        lane: BlockingLane
    ) async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            for number in 0..<100 {
                let square = await environment.blocking(lane) { number * number }
                #expect(square == number * number)
                loop.preconditionIsolated()
            }
        }
    }

    @Test(arguments: BlockingLane.allCases)
    func `a lane has several threads: two pieces that wait for each other both end`(
        lane: BlockingLane
    ) async throws {
        try await withEnvironment { environment in
            let first = Rendezvous()
            let second = Rendezvous()
            async let one = environment.blocking(lane) {
                first.open()
                return second.wait()
            }
            async let two = environment.blocking(lane) {
                second.open()
                return first.wait()
            }
            let both = await (one, two)
            #expect(both.0 && both.1)
        }
    }

    @Test func `lanes do not wait for each other`() async throws {
        try await withEnvironment { environment in
            let gate = Rendezvous()
            async let held = withTaskGroup(of: Bool.self) { group in
                for _ in 0..<64 { group.addTask { await environment.blocking(.disk, gate.wait) } }
                return await group.reduce(true) { $0 && $1 }
            }
            #expect(await environment.blocking(.log) { true })
            gate.open()
            let allEnded = await held
            #expect(allEnded)
        }
    }

    @Test func `pieces of a lane start in the order they were handed in`() async throws {
        try await withEnvironment { environment in
            // One thread is left of the lane, the others wait: what it does is the queue's order.
            let gates = (0..<3).map { _ in Rendezvous() }
            let started = (0..<3).map { _ in Rendezvous() }
            let order = Shared<[Int]>([])
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<3 {
                    group.addTask {
                        _ = await environment.blocking(.disk) {
                            started[number].open()
                            return gates[number].wait()
                        }
                    }
                }
                for each in started { _ = await environment.blocking(.compute, each.wait) }
                await withTaskGroup(of: Void.self) { pieces in
                    for number in 0..<200 {
                        pieces.addTask {
                            await environment.blocking(.disk) {
                                order.change { $0.append(number) }
                            }
                        }
                    }
                }
                for gate in gates { gate.open() }
            }
            #expect(order.value == Array(0..<200))
        }
    }

    /// What one thread of a pool waits for and another opens.
    private final class Rendezvous: Sendable {
        private let isOpen = Atomic(false)
        func open() { self.isOpen.store(true, ordering: .releasing) }
        /// Half a minute and more; false when nobody came.
        @Sendable func wait() -> Bool {
            for _ in 0..<600_000 {
                if self.isOpen.load(ordering: .acquiring) { return true }
                // Not a bare loop: it would take a core from the thread that it waits for. A thread
                // of the pool has no event loop to sleep on.
                usleep(50)
            }
            return false
        }
    }
}
