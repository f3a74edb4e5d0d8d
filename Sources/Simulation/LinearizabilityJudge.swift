import Primitives

/// Whether the history of one object could have come from one copy of it that does one thing at a
/// time, each between its call and its return.
///
/// The search is Wing's and Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's
/// memory of what was tried ("Testing for linearizability", 2017): take the first call that may
/// come next, go on behind it, and step back where a return is met whose call was not taken. The
/// search is exponential at worst; a step limit ends it with `.undecided`, which no test accepts.
package struct LinearizabilityJudge {
    package enum Verdict: Sendable, Equatable {
        case linearizable
        /// No order explains the history; the longest run of operations that one does explain.
        case impossible(explained: [ObjectOperation])
        case undecided
    }

    /// Steps of the search before it is given up.
    package static let stepLimit = 5_000_000

    private struct Event {
        let operation: Int
        let isCall: Bool
        var previous: Int
        var next: Int
        /// Of a call: where its return stands.
        var match: Int
    }

    /// What was tried: which operations have taken effect, and what they left.
    private struct Configuration: Hashable {
        let taken: [UInt64]
        let value: UInt64?
    }

    private let operations: [ObjectOperation]
    /// A doubly linked list behind a head at position 0.
    private var events: [Event]
    private var taken: [UInt64]

    package static func judge(_ operations: [ObjectOperation]) -> Verdict {
        var judge = LinearizabilityJudge(operations.filter(Self.isTelling))
        return judge.search()
    }

    /// A get without an answer says nothing.
    private static func isTelling(_ operation: ObjectOperation) -> Bool {
        operation.action != .get || operation.outcome != .unknown
    }

    private init(_ operations: [ObjectOperation]) {
        self.operations = operations
        var order: [(time: Int, operation: Int, isCall: Bool)] = []
        for (number, operation) in operations.enumerated() {
            order.append((operation.call, number, true))
            let isOpen = operation.outcome == .unknown
            order.append((isOpen ? Int.max : operation.end, number, false))
        }
        order.sort { ($0.time, $0.operation) < ($1.time, $1.operation) }
        var events = [Event(operation: -1, isCall: false, previous: -1, next: -1, match: -1)]
        var calls = [Int](repeating: 0, count: operations.count)
        for (_, operation, isCall) in order {
            let position = events.count
            events[position - 1].next = position
            events.append(
                Event(
                    operation: operation, isCall: isCall, previous: position - 1, next: -1,
                    match: -1))
            if isCall {
                calls[operation] = position
            } else {
                events[calls[operation]].match = position
            }
        }
        self.events = events
        self.taken = [UInt64](repeating: 0, count: operations.count / 64 + 1)
    }

    private mutating func search() -> Verdict {
        var path: [(event: Int, value: UInt64?)] = []
        var longest: [Int] = []
        var tried: Set<Configuration> = []
        var value: UInt64?
        var position = self.events[0].next
        var steps = 0
        while self.events[0].next >= 0 {
            steps += 1
            if steps > Self.stepLimit { return .undecided }
            let event = self.events[position]
            if event.isCall {
                if let after = Self.step(self.operations[event.operation], value),
                    tried.insert(self.configuration(with: event.operation, after)).inserted
                {
                    path.append((position, value))
                    value = after.value
                    self.lift(position)
                    if path.count > longest.count { longest = path.map(\.event) }
                    position = self.events[0].next
                } else {
                    position = event.next
                }
            } else {
                guard let last = path.popLast() else {
                    let explained = longest.map { self.operations[self.events[$0].operation] }
                    return .impossible(explained: explained)
                }
                value = last.value
                self.putBack(last.event)
                position = self.events[last.event].next
            }
        }
        return .linearizable
    }

    private struct Value { let value: UInt64? }

    /// The value behind an operation; nil where it could not have had its outcome.
    private static func step(_ operation: ObjectOperation, _ value: UInt64?) -> Value? {
        switch operation.action {
        case .get:
            return operation.outcome == .read(value) ? Value(value: value) : nil
        case .delete:
            return Value(value: nil)
        case .put(let new, let condition):
            let holds =
                switch condition {
                case .none: true
                case .absent: value == nil
                case .matches(let wanted): value == wanted
                }
            switch operation.outcome {
            case .done: return holds ? Value(value: new) : nil
            case .refused: return holds ? nil : Value(value: value)
            case .unknown: return Value(value: holds ? new : value)
            case .read: return nil
            }
        }
    }

    private func configuration(with operation: Int, _ after: Value) -> Configuration {
        var taken = self.taken
        taken[operation / 64] |= 1 << UInt64(operation % 64)
        return Configuration(taken: taken, value: after.value)
    }

    /// Takes a call and its return out of the list.
    private mutating func lift(_ call: Int) {
        let operation = self.events[call].operation
        self.taken[operation / 64] |= 1 << UInt64(operation % 64)
        self.unlink(call)
        self.unlink(self.events[call].match)
    }

    private mutating func putBack(_ call: Int) {
        let operation = self.events[call].operation
        self.taken[operation / 64] &= ~(1 << UInt64(operation % 64))
        self.link(self.events[call].match)
        self.link(call)
    }

    private mutating func unlink(_ position: Int) {
        let event = self.events[position]
        self.events[event.previous].next = event.next
        if event.next >= 0 { self.events[event.next].previous = event.previous }
    }

    private mutating func link(_ position: Int) {
        let event = self.events[position]
        self.events[event.previous].next = position
        if event.next >= 0 { self.events[event.next].previous = position }
    }
}
