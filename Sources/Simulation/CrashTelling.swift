import Catalog
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Synchronization

/// Tells a `CrashStory` on a cluster, and holds what is there at the end against what was
/// acknowledged.
final class CrashTelling: Sendable {
    private struct State {
        var objects = AcknowledgedObjects()
        var violations: [String] = []
        var watch: StepWatch?
    }

    private let cluster: SimulatedCluster
    private let client: SimulatedClient
    private let story: CrashStory
    private let point: CrashPoint?
    private let bodies = ObjectBodies()
    private let state: Mutex<State>

    /// How long a machine stays dead.
    private static let outage: Duration = .milliseconds(700)
    /// How long the story's traces are followed behind its last act, as steps that may be one's last.
    private static let echo: Duration = .milliseconds(150)
    /// How long an act that was not done is tried again: until the dead are back and have joined.
    private static let patience: Duration = .seconds(60)
    private static let pause: Duration = .milliseconds(50)

    init(_ cluster: SimulatedCluster, _ story: CrashStory, _ point: CrashPoint?) {
        guard let bucket = BucketName("simulated") else { brokenInvariant("a bucket has a name") }
        self.cluster = cluster
        self.client = SimulatedClient(cluster, bucket: bucket)
        self.story = story
        self.point = point
        self.state = Mutex(State())
    }

    var violations: [String] { self.state.withLock { $0.violations } }

    /// Who counted the steps; nil when the story did not get as far.
    var watch: StepWatch? { self.state.withLock { $0.watch } }

    private var loop: any EventLoop { self.cluster.simulator.loop }

    func tell() async {
        do {
            guard await self.cluster.join(self.cluster.machines, within: Self.patience),
                await self.client.makeBucket(within: Self.patience)
            else { return self.violate("the cluster did not begin") }
            for act in self.story.prelude { try await self.perform(act) }
            try await self.actUntilDeath()
            guard await self.cluster.join(self.cluster.machines, within: Self.patience) else {
                let missing = self.cluster.missing.map(\.name).joined(separator: " ")
                return self.violate("the cluster is not whole again: \(missing)")
            }
            try await self.readBack()
            try await self.auditStores()
        } catch {
            self.violate("the story was broken off: \(error)")
        }
    }

    private func actUntilDeath() async throws {
        let watch = self.cluster.simulator.watchSteps(
            of: self.point?.victims(in: self.cluster) ?? self.cluster.machines,
            until: self.point?.death)
        self.state.withLock { $0.watch = watch }
        let supervisor = self.loop.spawn { await self.restartTheDead() }
        for act in self.story.acts { try await self.perform(act) }
        try await self.loop.sleep(for: Self.echo)
        watch.end()
        supervisor.cancel()
        await supervisor.finished()
        for machine in self.cluster.machines where !machine.isRunning {
            self.cluster.restart(machine)
        }
    }

    /// What a supervisor and an electrician do.
    private func restartTheDead() async {
        while true {
            do { try await self.loop.sleep(for: Self.pause) } catch { return }
            let dead = self.cluster.machines.filter { !$0.isRunning }
            guard !dead.isEmpty else { continue }
            do { try await self.loop.sleep(for: Self.outage) } catch { return }
            for machine in dead where !machine.isRunning { self.cluster.restart(machine) }
        }
    }

    // MARK: Acts

    private func perform(_ act: ClientAct) async throws {
        switch act {
        case .put(let text, let sizeBytes):
            let (key, body) = (Self.key(text), self.bodies.make(sizeBytes: sizeBytes))
            let hasDone = try await self.askOnce(act) { machine in
                await self.client.put(key, body.body, through: machine)
            }
            self.note(key, body.value, hasDone)
        case .delete(let text):
            let key = Self.key(text)
            let hasDone = try await self.askOnce(act) { machine in
                await self.client.delete(key, through: machine)
            }
            self.note(key, nil, hasDone)
        case .copy(let source, let target):
            let (source, target) = (Self.key(source), Self.key(target))
            let content = self.state.withLock { $0.objects.possible(source)[0] }
            let hasDone = try await self.askOnce(act) { machine in
                await self.client.copy(source, to: target, through: machine)
            }
            self.note(target, content, hasDone)
        case .upload(let text, let partBytes):
            try await self.upload(act, Self.key(text), partBytes)
        case .awaitReclaim: try await self.auditStores()
        }
    }

    private static func key(_ text: String) -> ObjectKey {
        guard let key = ObjectKey(text) else { brokenInvariant("a story names its objects") }
        return key
    }

    private func note(_ key: ObjectKey, _ content: UInt64?, _ hasDone: Bool?) {
        self.state.withLock { state in
            switch hasDone {
            case true?: state.objects.acknowledged(key, content)
            case false?: break
            case nil: state.objects.unanswered(key, content)
            }
        }
    }

    /// Every step is asked for again when nobody answers it, as clients of S3 do: none does harm
    /// when it is done twice.
    private func upload(_ act: ClientAct, _ key: ObjectKey, _ partBytes: [Int]) async throws {
        let (value, body) = self.bodies.make(sizeBytes: partBytes.reduce(0, +))
        let opened = try await self.insist(act) { machine in
            await self.client.openUpload(of: key, through: machine)
        }
        guard let opened else { return }
        var parts: [(PartNumber, [UInt8])] = []
        var rest = body[...]
        for (position, sizeBytes) in partBytes.enumerated() {
            guard let number = PartNumber(position + 1) else { return }
            parts.append((number, Array(rest.prefix(sizeBytes))))
            rest = rest.dropFirst(sizeBytes)
        }
        for (number, bytes) in parts + parts.suffix(1) {
            let stored = try await self.insist(act) { machine in
                await self.client.putPart(number, of: opened, of: key, bytes, through: machine)
            }
            guard stored != nil else { return }
        }
        self.note(key, value, nil)
        let tag = ObjectBodies.uploadTag(of: value)
        let completed = try await self.insist(act) { machine in
            await self.client.completeUpload(opened, of: key, tag: tag, through: machine)
        }
        if completed != nil { self.note(key, value, true) }
    }

    /// Asks until there is an answer, or until nobody can say any more whether there was one: nil
    /// then. Asks another node when the first is down. False when something is wrong.
    private func askOnce<Value: Sendable>(
        _ act: ClientAct, _ request: (SimulatedNode) async -> SimulatedClient.Answer<Value>
    ) async throws -> Bool? {
        let end = self.loop.now + Self.patience
        while true {
            if let machine = self.cluster.running.first {
                switch await request(machine) {
                case .success: return true
                case nil: return nil
                case .failure(let fault):
                    switch fault.meaning {
                    case .notDone, .unreadable: break
                    case .unknown: return nil
                    case .wrong:
                        self.violate("\(act) failed with \(fault)")
                        return false
                    }
                }
            }
            guard self.loop.now < end else {
                self.violate("nobody took \(act)")
                return false
            }
            try await self.loop.sleep(for: Self.pause)
        }
    }

    /// Asks one node after the other until there is an answer; nil when something is wrong.
    private func insist<Value: Sendable>(
        _ act: ClientAct, _ request: (SimulatedNode) async -> SimulatedClient.Answer<Value>
    ) async throws -> Value? {
        let end = self.loop.now + Self.patience
        for attempt in 0... {
            let running = self.cluster.running
            if !running.isEmpty {
                switch await request(running[attempt % running.count]) {
                case .success(let value): return value
                case .failure(let fault) where fault.meaning == .wrong:
                    self.violate("\(act) failed with \(fault)")
                    return nil
                case .failure, nil: break
                }
            }
            guard self.loop.now < end else { break }
            try await self.loop.sleep(for: Self.pause)
        }
        self.violate("nobody took \(act)")
        return nil
    }

    // MARK: The end

    /// Reads every object through every edge, twice: as a door in the node does, and by request.
    private func readBack() async throws {
        for key in self.state.withLock({ $0.objects.keys }) {
            for machine in self.cluster.machines {
                try await self.check(key, through: machine) {
                    switch await self.client.get(key, through: machine) {
                    case .success(let object): .success(object.body)
                    case .failure(.noSuchKey): .success(nil)
                    case .failure(let fault): .failure(fault)
                    case nil: nil
                    }
                }
                try await self.check(key, through: machine) {
                    await self.client.getAtDoor(
                        key, of: machine, limitBytes: CrashStory.mostBytes)
                }
            }
        }
    }

    private func check(
        _ key: ObjectKey, through machine: SimulatedNode,
        _ read: () async -> SimulatedClient.Answer<[UInt8]?>
    ) async throws {
        let end = self.loop.now + Self.patience
        while true {
            let answer = await read()
            if case .success(let body) = answer {
                return self.compare(key, body, readThrough: machine)
            }
            guard self.loop.now < end else {
                return self.violate("\(key) through \(machine.name): \(String(describing: answer))")
            }
            try await self.loop.sleep(for: Self.pause)
        }
    }

    private func compare(_ key: ObjectKey, _ body: [UInt8]?, readThrough machine: SimulatedNode) {
        let content = body.map { self.bodies.value(of: $0) }
        if case .some(nil) = content {
            return self.violate("\(key) through \(machine.name): bytes that nobody stored")
        }
        let found = content ?? nil
        let (possible, isPossible) = self.state.withLock { state in
            (state.objects.possible(key), state.objects.settled(key, found))
        }
        guard !isPossible else { return }
        let name = { (content: UInt64?) in content.map { "body \($0)" } ?? "nothing" }
        let told = possible.map(name).joined(separator: " or ")
        self.violate("\(key) through \(machine.name): \(name(found)) instead of \(told)")
    }

    /// Compares what stores hold with what objects name, until nothing is on its way any more.
    private func auditStores() async throws {
        let audit = StoreAudit(cluster: self.cluster, bucket: self.client.bucket)
        let findings = try await audit.settle(self.cluster.machines, within: Self.patience)
        for finding in findings.broken + findings.leftover { self.violate(finding) }
    }

    private func violate(_ violation: String) {
        self.cluster.simulator.note("violation", violation)
        self.state.withLock { $0.violations.append(violation) }
    }
}
