import Primitives
import SimulatedRuntime
import Simulation
import Testing

struct LinearizabilityJudgeTests {
    private typealias Operation = ObjectOperation

    private static func judge(_ operations: [ObjectOperation]) -> LinearizabilityJudge.Verdict {
        LinearizabilityJudge.judge(operations)
    }

    @Test func `one thing after the other is linearizable`() {
        #expect(
            Self.judge([
                Operation(.get, .read(nil), call: 1, end: 2),
                Operation(.put(1, .absent), .done, call: 3, end: 4),
                Operation(.put(2, .absent), .refused, call: 5, end: 6),
                Operation(.put(3, .matches(1)), .done, call: 7, end: 8),
                Operation(.get, .read(3), call: 9, end: 10),
                Operation(.delete, .done, call: 11, end: 12),
                Operation(.get, .read(nil), call: 13, end: 14),
            ]) == .linearizable)
    }

    @Test func `a read of what was replaced before it began is stale`() {
        let verdict = Self.judge([
            Operation(.put(1, .none), .done, call: 1, end: 2),
            Operation(.put(2, .none), .done, call: 3, end: 4),
            Operation(.get, .read(1), call: 5, end: 6),
        ])
        guard case .impossible(let explained) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(explained.count == 2)
    }

    @Test func `an acknowledged put that nobody can read is lost`() {
        let verdict = Self.judge([
            Operation(.put(1, .none), .done, call: 1, end: 2),
            Operation(.get, .read(nil), call: 3, end: 4),
        ])
        #expect(verdict != .linearizable)
    }

    @Test func `operations at one time may have happened in either order`() {
        for seen: UInt64 in [1, 2] {
            #expect(
                Self.judge([
                    Operation(.put(1, .none), .done, call: 1, end: 10),
                    Operation(.put(2, .none), .done, call: 2, end: 9),
                    Operation(.get, .read(seen), call: 11, end: 12),
                ]) == .linearizable)
        }
    }

    @Test func `a put that nobody can speak for may show late or never, but once`() {
        let put = Operation(.put(1, .none), .unknown, call: 1, end: 2)
        let other = Operation(.put(2, .none), .done, call: 3, end: 4)
        #expect(
            Self.judge([put, other, Operation(.get, .read(2), call: 5, end: 6)]) == .linearizable)
        #expect(
            Self.judge([put, other, Operation(.get, .read(1), call: 5, end: 6)]) == .linearizable)
        #expect(
            Self.judge([
                put, other, Operation(.get, .read(1), call: 5, end: 6),
                Operation(.get, .read(2), call: 7, end: 8),
            ]) != .linearizable)
    }

    @Test func `a condition that did not hold cannot have let a put through`() {
        #expect(
            Self.judge([
                Operation(.put(1, .none), .done, call: 1, end: 2),
                Operation(.put(2, .absent), .done, call: 3, end: 4),
            ]) != .linearizable)
        #expect(
            Self.judge([
                Operation(.put(1, .none), .done, call: 1, end: 2),
                Operation(.put(2, .matches(1)), .refused, call: 3, end: 4),
            ]) != .linearizable)
    }

    /// Histories that one register really produced are accepted; with one read changed to what the
    /// register never held at the time they are refused.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `drawn histories are judged as they were made`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var operations: [ObjectOperation] = []
        var value: UInt64?
        var time = 0
        for number in 0..<300 as Range<UInt64> {
            // Each takes effect at an instant of its own, between a call and an end around it.
            time += 10
            let call = time - generator.below(25)
            let end = time + 1 + generator.below(25)
            switch generator.below(3) {
            case 0:
                value = number
                operations.append(Operation(.put(number, .none), .done, call: call, end: end))
            case 1:
                operations.append(Operation(.get, .read(value), call: call, end: end))
            default:
                value = nil
                operations.append(Operation(.delete, .done, call: call, end: end))
            }
        }
        #expect(Self.judge(operations) == .linearizable)
        operations.append(Operation(.get, .read(10_000), call: time + 100, end: time + 101))
        #expect(Self.judge(operations) != .linearizable)
    }
}
