import Catalog
import ClusterClient
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Synchronization
import Telemetry
import Testing

/// Slots of a busy bucket move from group to group and back, while clients put, get, delete, list and
/// upload in parts.
struct SlotStoryTests {
    @Test(arguments: [1] as [UInt64])
    func `no request fails while slots move under it`(seed: UInt64) throws {
        try Stage.withShortGraces(seed: 200 + seed).tell { stage in
            let clients = Clients(stage, count: 6, mayFail: false, seed: seed)
            for _ in 0..<3 { try await stage.moveBucket() }
            try await clients.finish()
            #expect(clients.requests > 60)
            #expect(stage.total { $0.meta?.slotMoveCounters.moves.value ?? 0 } == 3)
            #expect(stage.total { $0.meta?.slotMoveCounters.attemptsFailed.value ?? 0 } == 0)
            #expect(stage.total { $0.cluster.counters.outcomesUnknown.value } == 0)
            try await clients.expectAll()
        }
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `whichever leader dies over a move, nothing is lost and nothing done twice`(
        seed: UInt64
    ) throws {
        try Stage.withShortGraces(seed: 210 + seed).tell(within: .seconds(900)) { stage in
            var random = SeededGenerator(seed: seed)
            let clients = Clients(stage, count: 4, mayFail: true, seed: seed)
            for round in 0..<3 {
                let (from, to) = try await stage.beginMove()
                let pause = Duration.milliseconds(Int.random(in: 0...2_500, using: &random))
                try await stage.simulator.loop.sleep(for: pause)
                let victim = round.isMultiple(of: 2) ? from : to
                if let leader = await stage.cluster.leader(of: victim) {
                    leader.crash()
                    try await stage.simulator.loop.sleep(for: .seconds(1))
                    stage.cluster.restart(leader)
                }
                try await stage.wait("all are back") { $0.cluster.running.count == 5 }
                let rests = await stage.cluster.slotsRest(within: .seconds(60))
                #expect(rests, "the move does not end")
            }
            try await clients.finish()
            #expect(stage.total { $0.meta?.auditCounters.lost.value ?? 0 } == 0)
            try await clients.expectAll()
        }
    }
}

extension Stage {
    /// Has the bucket's slot moved to another group; says from which and to which.
    @discardableResult
    func beginMove() async throws -> (from: GroupID, to: GroupID) {
        let slot = self.client.bucket.slot
        let end = self.simulator.now + .seconds(60)
        while self.simulator.now < end {
            if let table = await self.cluster.groupTable(), table.moves.isEmpty,
                let from = table.group(owning: slot),
                let to = table.groups.map(\.id).first(where: {
                    $0.rawValue == from.rawValue % UInt32(table.groups.count - 1) + 1
                }),
                case .slotMoves(let moves) = await self.cluster.moveSlots(
                    SlotRange(first: slot, last: slot), to: to),
                moves.count == 1
            {
                return (from, to)
            }
            try await self.simulator.loop.sleep(for: .milliseconds(50))
        }
        throw Tired(reason: "no move was begun")
    }

    func moveBucket() async throws {
        try await self.beginMove()
        guard await self.cluster.slotsRest(within: .seconds(60)) else {
            throw Tired(reason: "a move does not end")
        }
    }
}

/// Clients of one bucket, each with keys of its own, so that each knows what it must find.
private final class Clients: Sendable {
    private struct State {
        var isFinished = false
        var requests = 0
        /// What each object is; nil where a request has failed and nobody can say.
        var bodies: [ObjectKey: [UInt8]?] = [:]
        /// What ever came in parts.
        var uploaded: Set<ObjectKey> = []
    }

    private let stage: Stage
    private let mayFail: Bool
    private let state = Mutex(State())
    private let tasks = Mutex<[SpawnedTask]>([])

    init(_ stage: Stage, count: Int, mayFail: Bool, seed: UInt64) {
        self.stage = stage
        self.mayFail = mayFail
        for number in 0..<count {
            let task = stage.simulator.loop.spawn {
                var random = SeededGenerator(seed: seed << 8 + UInt64(number))
                do {
                    try await self.work(number, &random)
                } catch { Issue.record(error) }
            }
            self.tasks.withLock { $0.append(task) }
        }
    }

    var requests: Int { self.state.withLock { $0.requests } }

    func finish() async throws {
        self.state.withLock { $0.isFinished = true }
        for task in self.tasks.withLock({ $0 }) { await task.finished() }
    }

    /// Every object is what its client left, listings have just those, and stores just their chunks.
    func expectAll() async throws {
        let bodies = self.state.withLock { $0.bodies }
        let known = bodies.compactMapValues { $0 }.filter { !$0.value.isEmpty }
        #expect(!known.isEmpty)
        try await self.stage.expect(known)
        let listed = try await self.stage.succeed { await $0.list(through: self.stage[3]) }
        for (key, body) in bodies.sorted(by: { $0.key < $1.key }) {
            guard let body else { continue }
            #expect(listed.contains(key) == !body.isEmpty, "\(key)")
        }
        // Parts are released when their object goes, and all that they named with them.
        for key in self.state.withLock({ $0.uploaded }).sorted() {
            try await self.stage.succeed { await $0.delete(key, through: self.stage[1]) }
        }
        try await self.stage.expectOnlyLiveChunks(of: bodies.keys.sorted())
    }

    private func work(_ number: Int, _ random: inout SeededGenerator) async throws {
        var round = 0
        while !self.state.withLock({ $0.isFinished }) {
            round += 1
            let pause = Duration.milliseconds(Int.random(in: 0...400, using: &random))
            try await self.stage.simulator.loop.sleep(for: pause)
            guard let machine = self.stage.cluster.running.randomElement(using: &random) else {
                continue
            }
            let name = try key("\(number)/\(Int.random(in: 0..<5, using: &random))")
            let size = Int.random(
                in: 1...(round.isMultiple(of: 4) ? 200_000 : 4_000), using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case ..<4: await self.put(name, bytes(size, UInt64(number * 10_000 + round)), machine)
            case ..<8: await self.get(name, machine)
            case 8: await self.delete(name, machine)
            case 9: await self.list(number, machine)
            case 10:
                // A name that nobody else ever uses: a put that is done twice would be refused.
                let once = try key("\(number)/once-\(round)")
                await self.putOnce(once, bytes(500, UInt64(number * 10_000 + round)), machine)
            default:
                await self.upload(name, bytes(size, UInt64(number * 10_000 + round)), machine)
            }
        }
    }

    private func known(_ key: ObjectKey) -> [UInt8]?? { self.state.withLock { $0.bodies[key] } }

    /// - Parameter body: empty where the object is gone, nil where nobody knows.
    private func set(_ key: ObjectKey, _ body: [UInt8]?) {
        self.state.withLock {
            $0.bodies[key] = .some(body)
            $0.requests += 1
        }
    }

    /// A request that could not be carried out: only where leaders die.
    private func failed(_ what: String, _ fault: AccessFault?) {
        if self.mayFail, fault?.meaning != .wrong { return }
        Issue.record("\(what): \(fault.map { "\($0)" } ?? "no answer")")
    }

    private func put(_ key: ObjectKey, _ body: [UInt8], _ machine: SimulatedNode) async {
        switch await self.stage.client.put(key, body, through: machine) {
        case .success: self.set(key, body)
        case .failure(let fault):
            self.failed("put \(key)", fault)
            if fault.meaning != .notDone { self.set(key, nil) }
        case nil:
            self.failed("put \(key)", nil)
            self.set(key, nil)
        }
    }

    private func putOnce(_ key: ObjectKey, _ body: [UInt8], _ machine: SimulatedNode) async {
        switch await self.stage.client.put(key, body, .absent, through: machine) {
        case .success: self.set(key, body)
        case .failure(.preconditionFailed):
            Issue.record("\(key) was refused for what it had done itself")
        case .failure(let fault):
            self.failed("put \(key) once", fault)
            if fault.meaning != .notDone { self.set(key, nil) }
        case nil:
            self.failed("put \(key) once", nil)
            self.set(key, nil)
        }
    }

    private func get(_ key: ObjectKey, _ machine: SimulatedNode) async {
        let expected = self.known(key)
        let answer = await self.stage.client.get(key, through: machine)
        self.state.withLock { $0.requests += 1 }
        switch (answer, expected) {
        case (.success(let object), .some(.some(let body))):
            let isSame = object.body == body
            #expect(isSame, "\(key) is another object")
        case (.failure(.noSuchKey), .some(.some(let body))):
            #expect(body.isEmpty, "\(key) is not there")
        case (.success, .none): Issue.record("\(key) was never stored")
        case (.failure(.noSuchKey), _), (.success, _): break
        case (.failure(let fault), _): self.failed("get \(key)", fault)
        case (nil, _): self.failed("get \(key)", nil)
        }
    }

    private func delete(_ key: ObjectKey, _ machine: SimulatedNode) async {
        switch await self.stage.client.delete(key, through: machine) {
        case .success: self.set(key, [])
        case .failure(let fault):
            self.failed("delete \(key)", fault)
            if fault.meaning != .notDone { self.set(key, nil) }
        case nil:
            self.failed("delete \(key)", nil)
            self.set(key, nil)
        }
    }

    private func list(_ number: Int, _ machine: SimulatedNode) async {
        let before = self.state.withLock { $0.bodies }
        switch await self.stage.client.list(through: machine) {
        case .success(let keys):
            let listed = Set(keys)
            for (key, body) in before where key.utf8.starts(with: "\(number)/".utf8) {
                guard let body else { continue }
                #expect(listed.contains(key) == !body.isEmpty, "\(key) in a listing")
            }
        case .failure(let fault): self.failed("list", fault)
        case nil: self.failed("list", nil)
        }
    }

    private func upload(_ key: ObjectKey, _ body: [UInt8], _ machine: SimulatedNode) async {
        let client = self.stage.client
        self.state.withLock { _ = $0.uploaded.insert(key) }
        guard case .success(let upload) = await client.openUpload(of: key, through: machine) else {
            return self.failed("open an upload of \(key)", .unavailable(""))
        }
        let half = body.count / 2
        for (place, part) in [body[..<half], body[half...]].enumerated() {
            guard let number = PartNumber(place + 1),
                case .success = await client.putPart(
                    number, of: upload, of: key, Array(part), through: machine)
            else { return self.failed("put a part of \(key)", .unavailable("")) }
        }
        let tag = EntityTag("tag-2")
        guard let tag else { return }
        switch await client.completeUpload(upload, of: key, tag: tag, through: machine) {
        case .success: self.set(key, body)
        // Completed by a first request whose answer was lost.
        case .failure(.noSuchUpload) where self.mayFail: self.set(key, nil)
        case .failure(let fault):
            self.failed("complete \(key)", fault)
            self.set(key, nil)
        case nil:
            self.failed("complete \(key)", nil)
            self.set(key, nil)
        }
    }
}
