import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

struct FactCacheTests {
    private enum Fault: Error, Equatable { case down }

    /// Metadata that takes a while to answer, and counts how often it was asked.
    private final class Oracle: Sendable {
        struct State { var fact: Int?; var isDown = false; var asked = 0 }
        let state: Mutex<State>
        let loop: any EventLoop
        init(_ fact: Int?, _ loop: any EventLoop) {
            self.state = Mutex(State(fact: fact))
            self.loop = loop
        }

        var asked: Int { self.state.withLock(\.asked) }

        func answer() async throws(Fault) -> Int? {
            let now = self.state.withLock { state in
                state.asked += 1
                return state
            }
            do { try await self.loop.sleep(for: .milliseconds(10)) } catch { throw .down }
            if now.isDown { throw .down }
            return now.fact
        }
    }

    private func run(
        fact: Int?, mostFacts: Int = 10, mostAbsences: Int,
        _ work:
            @escaping @Sendable (
                _ oracle: Oracle, _ ask: @escaping @Sendable (String) async throws -> Int?
            ) async throws -> Void
    ) {
        let simulator = Simulator(seed: 1)
        let node = simulator.makeNode("edge", host: "10.0.0.1")
        let environment = node.environment
        let oracle = Oracle(fact, environment.loops[0])
        let cache = FactCache<String, Int, Fault>(
            lifetime: .seconds(1), mostFacts: mostFacts, mostAbsences: mostAbsences)
        simulator.spawn("work", on: environment.simulatedLoops[0]) {
            do {
                try await work(oracle) { key in
                    try await cache.fact(key, in: environment) { () async throws(Fault) -> Int? in
                        try await oracle.answer()
                    }
                }
            } catch { Issue.record(error) }
        }
        #expect(simulator.run(for: .seconds(60)).ending == .finished)
        simulator.discard()
    }

    @Test func `many who want to know the same ask once`() {
        self.run(fact: 7, mostAbsences: 0) { oracle, ask in
            try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<64 { group.addTask { try await ask("k") } }
                for try await fact in group { #expect(fact == 7) }
            }
            #expect(oracle.asked == 1)
        }
    }

    @Test func `a busy name is renewed by one while the others go on`() {
        self.run(fact: 7, mostAbsences: 0) { oracle, ask in
            _ = try await ask("k")
            for _ in 0..<30 {
                try await oracle.loop.sleep(for: .milliseconds(100))
                let began = oracle.loop.now
                async let first = ask("k")
                async let second = ask("k")
                _ = try await (first, second)
                #expect(oracle.loop.now - began <= .milliseconds(10))
            }
            #expect(oracle.asked > 4 && oracle.asked <= 8)
        }
    }

    @Test func `a fact is believed for its lifetime and no longer`() {
        self.run(fact: 7, mostAbsences: 0) { oracle, ask in
            _ = try await ask("k")
            oracle.state.withLock { $0.fact = 8 }
            try await oracle.loop.sleep(for: .milliseconds(400))
            #expect(try await ask("k") == 7)
            try await oracle.loop.sleep(for: .milliseconds(700))
            #expect(try await ask("k") == 8)
        }
    }

    @Test func `while metadata is down a fact is believed to the end of its time`() {
        self.run(fact: 7, mostAbsences: 0) { oracle, ask in
            _ = try await ask("k")
            oracle.state.withLock { $0.isDown = true }
            try await oracle.loop.sleep(for: .milliseconds(700))
            #expect(try await ask("k") == 7)
            try await oracle.loop.sleep(for: .milliseconds(400))
            await #expect(throws: Fault.down) { _ = try await ask("k") }
        }
    }

    @Test func `what was absent is seen by whoever asks behind its making`() {
        self.run(fact: nil, mostAbsences: 0) { oracle, ask in
            async let early = ask("k")
            try await oracle.loop.sleep(for: .milliseconds(5))
            // The question is on its way with the old answer; who comes now does not believe it.
            oracle.state.withLock { $0.fact = 7 }
            async let late = withThrowingTaskGroup(of: Int?.self, returning: [Int?].self) { group in
                for _ in 0..<5 { group.addTask { try await ask("k") } }
                var all: [Int?] = []
                for try await fact in group { all.append(fact) }
                return all
            }
            let (before, behind) = try await (early, late)
            #expect(before == nil)
            #expect(behind == [7, 7, 7, 7, 7])
            #expect(oracle.asked == 2)
        }
    }

    @Test func `an unknown name costs one question a second where absences are remembered`() {
        self.run(fact: nil, mostAbsences: 3) { oracle, ask in
            for _ in 0..<50 { #expect(try await ask("nobody") == nil) }
            #expect(oracle.asked == 1)
            try await oracle.loop.sleep(for: .seconds(1))
            _ = try await ask("nobody")
            #expect(oracle.asked == 2)
            for number in 0..<20 { _ = try await ask("other \(number)") }
            #expect(oracle.asked == 22)
        }
    }
}
