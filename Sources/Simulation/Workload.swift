import Catalog
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Synchronization

/// Clients that put, get and delete a few objects through random nodes, each one thing at a time,
/// and write down what they were told.
package final class Workload: Sendable {
    private struct State {
        var violations: [String] = []
        /// What is known of a value's entity tag, for conditional puts.
        var tags: [UInt64: EntityTag] = [:]
        /// What was seen last of each object.
        var seen: [ObjectKey: UInt64] = [:]
        var tally = OperationTally()
    }

    let client: SimulatedClient
    let keys: [ObjectKey]
    let history = ObjectHistory()
    private let cluster: SimulatedCluster
    private let bodies = ObjectBodies()
    private let state = Mutex(State())

    /// The largest body a client stores.
    static let mostBodyBytes = 700 << 10

    init(_ client: SimulatedClient, keyCount: Int) {
        self.client = client
        self.cluster = client.cluster
        self.keys = (0..<keyCount).compactMap { ObjectKey("object-\($0)") }
    }

    var violations: [String] { self.state.withLock { $0.violations } }
    var tally: OperationTally { self.state.withLock { $0.tally } }

    /// One client's life until `end`.
    func run(until end: Instant, _ seed: SeededGenerator) async {
        var generator = seed
        let loop = self.cluster.simulator.loop
        while loop.now < end {
            let pause = generator.duration(in: .zero...(.milliseconds(400)))
            do { try await loop.sleep(for: pause) } catch { return }
            guard let machine = generator.pick(self.cluster.running),
                let key = generator.pick(self.keys)
            else { continue }
            switch generator.below(100) {
            case ..<20: _ = await self.get(key, through: machine)
            case ..<25: await self.getRange(key, through: machine, &generator)
            case ..<40: _ = await self.getAtDoor(key, of: machine)
            case ..<60: await self.put(key, .none, through: machine, &generator)
            case ..<71: await self.putAtDoor(key, of: machine, &generator)
            case ..<75: await self.upload(key, &generator)
            case ..<82: await self.put(key, .absent, through: machine, &generator)
            case ..<92:
                let seen = self.state.withLock { $0.seen[key] }
                guard let seen else { continue }
                await self.put(key, .matches(seen), through: machine, &generator)
            default: await self.delete(key, through: machine)
            }
        }
    }

    /// Stores the first body of every object, so that there is something to lose.
    func fill(_ seed: SeededGenerator) async {
        var generator = seed
        for key in self.keys {
            guard let machine = generator.pick(self.cluster.running) else { continue }
            await self.put(key, .none, through: machine, &generator)
        }
    }

    private func put(
        _ key: ObjectKey, _ condition: ObjectOperation.Condition,
        through machine: SimulatedNode, _ generator: inout SeededGenerator
    ) async {
        guard let precondition = self.precondition(condition) else { return }
        let (value, body) = self.bodies.make(sizeBytes: Self.size(&generator))
        let action = ObjectOperation.Action.put(value, condition)
        let call = self.history.mark()
        switch await self.client.put(key, body, precondition, through: machine) {
        case .success(let stored):
            self.state.withLock { state in
                state.tags[value] = stored.entityTag
                state.seen[key] = value
            }
            self.note(key, action, .done, call: call)
        case .failure(.preconditionFailed), .failure(.noSuchKey):
            self.note(key, action, .refused, call: call)
        case .failure(let fault): self.note(key, action, failed: fault, call: call)
        case nil: self.note(key, action, .unknown, call: call)
        }
    }

    private func putAtDoor(
        _ key: ObjectKey, of machine: SimulatedNode, _ generator: inout SeededGenerator
    ) async {
        let (value, body) = self.bodies.make(sizeBytes: Self.size(&generator))
        let action = ObjectOperation.Action.put(value, .none)
        let call = self.history.mark()
        switch await self.client.putAtDoor(key, body, of: machine) {
        case .success: self.note(key, action, .done, call: call)
        case .failure(let fault): self.note(key, action, failed: fault, call: call)
        case nil: self.note(key, action, .unknown, call: call)
        }
    }

    /// Uploads a body in parts, each request through another node. What is left behind when a part
    /// does not come is for the cluster to clear away.
    private func upload(_ key: ObjectKey, _ generator: inout SeededGenerator) async {
        let (value, body) = self.bodies.make(sizeBytes: generator.below(Self.mostBodyBytes))
        let tag = ObjectBodies.uploadTag(of: value)
        guard let first = generator.pick(self.cluster.running),
            let upload = self.begun(key, await self.client.openUpload(of: key, through: first))
        else { return }
        let partBytes = max(1, body.count / (1 + generator.below(3)))
        var rest = body[...]
        var number: PartNumber? = .least
        while !rest.isEmpty, let part = number {
            guard let machine = generator.pick(self.cluster.running),
                self.begun(
                    key,
                    await self.client.putPart(
                        part, of: upload, of: key, Array(rest.prefix(partBytes)),
                        through: machine)) != nil
            else { return }
            rest = rest.dropFirst(partBytes)
            number = part.next
        }
        guard let last = generator.pick(self.cluster.running) else { return }
        let action = ObjectOperation.Action.put(value, .none)
        let call = self.history.mark()
        switch await self.client.completeUpload(upload, of: key, tag: tag, through: last) {
        case .success:
            self.state.withLock { state in
                state.tags[value] = tag
                state.seen[key] = value
                state.tally.uploads += 1
            }
            self.note(key, action, .done, call: call)
        // Given up, or completed by a first request whose answer was lost, and forgotten since.
        case .failure(.noSuchUpload): self.note(key, action, .unknown, call: call)
        case .failure(let fault): self.note(key, action, failed: fault, call: call)
        case nil: self.note(key, action, .unknown, call: call)
        }
    }

    /// What came of a step of an upload before its last, which changes no object.
    private func begun<Value>(_ key: ObjectKey, _ answer: SimulatedClient.Answer<Value>) -> Value? {
        switch answer {
        case .success(let value): return value
        // A leader whose clock is far ahead takes every upload for one that was given up.
        case .failure(.noSuchUpload): return nil
        case .failure(let fault):
            if fault.meaning == .wrong { self.violate("\(key): an upload failed with \(fault)") }
            return nil
        case nil: return nil
        }
    }

    private func delete(_ key: ObjectKey, through machine: SimulatedNode) async {
        let call = self.history.mark()
        switch await self.client.delete(key, through: machine) {
        case .success: self.note(key, .delete, .done, call: call)
        case .failure(let fault): self.note(key, .delete, failed: fault, call: call)
        case nil: self.note(key, .delete, .unknown, call: call)
        }
    }

    /// Reads an object and says whether there was an answer; of a fault, the words.
    func get(_ key: ObjectKey, through machine: SimulatedNode) async -> String? {
        let call = self.history.mark()
        switch await self.client.get(key, through: machine) {
        case .success(let object):
            self.read(key, object.body, object.head, call: call)
            return nil
        case .failure(.noSuchKey):
            self.note(key, .get, .read(nil), call: call)
            return nil
        case .failure(let fault):
            self.note(key, .get, failed: fault, call: call)
            return "\(fault)"
        case nil:
            return "no answer"
        }
    }

    /// Reads a part of an object that may begin and end anywhere, also behind its end.
    private func getRange(
        _ key: ObjectKey, through machine: SimulatedNode, _ generator: inout SeededGenerator
    ) async {
        let start = generator.below(Self.mostBodyBytes)
        let range = start..<start + 1 + generator.below(Self.mostBodyBytes)
        let call = self.history.mark()
        let wanted = UInt64(range.lowerBound)..<UInt64(range.upperBound)
        switch await self.client.get(key, range: wanted, through: machine) {
        case .success(let object):
            guard
                let value = self.bodies.value(
                    ofBodyWith: object.head, having: object.body, in: range)
            else {
                return self.violate("\(key): \(range) is not of a body that anybody stored")
            }
            self.state.withLock { $0.tally.ranges += 1 }
            self.note(key, .get, .read(value), call: call)
        case .failure(.noSuchKey): self.note(key, .get, .read(nil), call: call)
        case .failure(let fault): self.note(key, .get, failed: fault, call: call)
        case nil: break
        }
    }

    /// As `get`, by a request to the door of a machine's edge.
    func getAtDoor(_ key: ObjectKey, of machine: SimulatedNode) async -> String? {
        let call = self.history.mark()
        switch await self.client.getAtDoor(key, of: machine) {
        case .success(let body?):
            self.read(key, body, nil, call: call)
            return nil
        case .success(nil):
            self.note(key, .get, .read(nil), call: call)
            return nil
        case .failure(let fault):
            self.note(key, .get, failed: fault, call: call)
            return "\(fault)"
        case nil:
            return "no answer"
        }
    }

    /// When nobody writes, a listing has just the objects that can be read.
    func checkListing(through machine: SimulatedNode) async {
        let expected = self.history.operations.compactMap { key, operations -> ObjectKey? in
            let last = operations.last { $0.action == .get }
            guard case .read(.some) = last?.outcome else { return nil }
            return key
        }
        switch await self.client.list(through: machine) {
        case .success(let keys) where keys == expected: break
        case let answer:
            self.violate("a listing through \(machine.name) is \(answer.map { "\($0)" } ?? "none")")
        }
    }

    /// A body came back whole; it must be one that somebody stored.
    private func read(_ key: ObjectKey, _ body: [UInt8], _ head: ObjectHead?, call: Int) {
        guard let value = self.bodies.value(of: body),
            head.map({ $0.size == UInt64(body.count) }) ?? true
        else {
            return self.violate("\(key): \(body.count) bytes were read that nobody stored")
        }
        if let head {
            self.state.withLock { state in
                state.tags[value] = head.entityTag
                state.seen[key] = value
            }
        }
        self.note(key, .get, .read(value), call: call)
    }

    private func precondition(_ condition: ObjectOperation.Condition) -> ObjectPrecondition? {
        switch condition {
        case .none: ObjectPrecondition.none
        case .absent: .absent
        case .matches(let value): self.state.withLock { $0.tags[value] }.map { .matches($0) }
        }
    }

    /// Half of the bodies rest in metadata; of the others some have several chunks.
    private static func size(_ generator: inout SeededGenerator) -> Int {
        switch generator.below(10) {
        case ..<5: generator.below(4 << 10)
        case ..<8: generator.below(200 << 10)
        default: generator.below(Self.mostBodyBytes)
        }
    }

    // MARK: Noting

    private func note(
        _ key: ObjectKey, _ action: ObjectOperation.Action, _ outcome: ObjectOperation.Outcome,
        call: Int
    ) {
        self.history.note(key, action, outcome, call: call)
        self.state.withLock { $0.tally.add(action, outcome) }
    }

    private func note(
        _ key: ObjectKey, _ action: ObjectOperation.Action, failed fault: AccessFault, call: Int
    ) {
        switch fault.meaning {
        case .unknown: self.note(key, action, .unknown, call: call)
        // The history knows nothing of it.
        case .notDone: self.state.withLock { $0.tally.unavailable += 1 }
        // Copies may be out of reach while faults last; the reads behind them must succeed.
        case .unreadable: self.state.withLock { $0.tally.unreadable += 1 }
        case .wrong: self.violate("\(key): \(action) failed with \(fault)")
        }
    }

    func violate(_ violation: String) {
        self.cluster.simulator.note("violation", violation)
        self.state.withLock { $0.violations.append(violation) }
    }
}

/// How many operations ended how.
package struct OperationTally: Sendable, Equatable {
    package internal(set) var puts = 0
    /// Those of the puts that came in parts.
    package internal(set) var uploads = 0
    package internal(set) var gets = 0
    /// Those of the gets that asked for a part and got one.
    package internal(set) var ranges = 0
    package internal(set) var deletes = 0
    package internal(set) var refused = 0
    package internal(set) var unknown = 0
    package internal(set) var unavailable = 0
    package internal(set) var unreadable = 0

    package var total: Int {
        self.puts + self.gets + self.deletes + self.refused + self.unknown + self.unavailable
            + self.unreadable
    }

    mutating func add(_ action: ObjectOperation.Action, _ outcome: ObjectOperation.Outcome) {
        switch outcome {
        case .refused: self.refused += 1
        case .unknown: self.unknown += 1
        case .done, .read:
            switch action {
            case .put: self.puts += 1
            case .get: self.gets += 1
            case .delete: self.deletes += 1
            }
        }
    }
}
