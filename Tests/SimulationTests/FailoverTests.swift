import IORuntime
import Primitives
import SimulatedRuntime
import Simulation
import Synchronization
import Testing

/// How long writes wait for a leader that is gone (P4), in virtual time; `chaos/failover` measures
/// the same with real processes.
struct FailoverTests {
    private enum Blow {
        case killed, paused
    }

    /// From the blow to the acknowledgement of a write that was begun right behind it.
    private static func wait(after blow: Blow, seed: UInt64) throws -> Duration {
        let waited = Mutex(Duration.zero)
        try Stage(seed: seed).tell { stage in
            let leader = try await stage.leader()
            let edge = stage.others(than: leader)[Int(seed) % 4]
            let (first, second) = (try key("first"), try key("second"))
            try await stage.succeed { await $0.put(first, bytes(100), through: edge) }
            switch blow {
            case .killed: leader.crash()
            case .paused: leader.pause()
            }
            let begun = stage.simulator.now
            try await stage.succeed { await $0.put(second, bytes(100), through: edge) }
            let span = stage.simulator.now - begun
            waited.withLock { $0 = span }
            if blow == .paused { leader.resume() }
        }
        return waited.withLock { $0 }
    }

    @Test func `behind a killed leader writes go on at once, because its kernel says so`() throws {
        let waits = try (1...9).map { try Self.wait(after: .killed, seed: $0) }.sorted()
        #expect(waits[4] < .milliseconds(500))
        #expect(waits[8] < .seconds(1))
    }

    @Test func `behind a silent leader writes wait for one election, and not for each other`()
        throws
    {
        let waits = try (1...9).map { try Self.wait(after: .paused, seed: $0) }.sorted()
        // An election timeout is one to two seconds, and what asks in vain waits for its own.
        #expect(waits[4] < .milliseconds(1_700))
        #expect(waits[8] < .milliseconds(2_700))
    }
}
