import Foundation
import Primitives
import SimulatedRuntime
import Testing

struct ReplayTests {
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `a whole run under faults replays line by line`(seed: UInt64) {
        let first = Rally(seed: seed)
        let again = Rally(seed: seed)
        let outcome = first.play()
        #expect(outcome.ending == .finished)
        #expect(outcome == again.play())
        #expect(first.simulator.trace.lines == again.simulator.trace.lines)
        #expect(first.simulator.trace.lines.contains { $0.contains("hit ") })
    }

    /// Each process has its own seed for the order of sets and dictionaries.
    @Test func `two processes with different hash seeds print one trace`() async throws {
        let results = [try await Self.traceOfChild(), try await Self.traceOfChild()]
        #expect(results[0].traces.count == 5)
        #expect(results[0].traces == results[1].traces)
        #expect(results[0].hashSeed != results[1].hashSeed)
    }

    private static func traceOfChild() async throws -> (traces: [String], hashSeed: String?) {
        let result = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) {
            for seed in 1...5 as ClosedRange<UInt64> {
                print("trace", Rally(seed: seed).play().traceHash)
            }
            print("hash", "the same text".hashValue)
        }
        let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
        let lines = output.split(separator: "\n").map(String.init)
        return (
            lines.filter { $0.hasPrefix("trace ") }, lines.first { $0.hasPrefix("hash ") }
        )
    }

    @Test func `a call from another thread ends the process`() async {
        await #expect(processExitsWith: .failure) {
            World().run { environment in
                let isDone = DispatchSemaphore(value: 0)
                Thread.detachNewThread {
                    _ = environment.now
                    isDone.signal()
                }
                isDone.wait()
            }
        }
    }
}
