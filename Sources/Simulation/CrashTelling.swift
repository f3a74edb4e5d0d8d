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

    /// Asks until there is an answer, or until nobody can say any more whether there was one. Asks
    /// another node when the first is down.
    private func perform(_ act: ClientAct) async throws {
        let (key, body) = try self.wanted(of: act)
        let end = self.loop.now + Self.patience
        while true {
            if let machine = self.cluster.running.first {
                switch await self.ask(act, key, body?.bytes, through: machine) {
                case .none:
                    return self.state.withLock { $0.objects.acknowledged(key, body?.value) }
                case .unknown:
                    return self.state.withLock { $0.objects.unanswered(key, body?.value) }
                case .notDone, .unreadable: break
                case .wrong: return
                }
            }
            guard self.loop.now < end else { return self.violate("nobody took \(act)") }
            try await self.loop.sleep(for: Self.pause)
        }
    }

    private struct Body {
        let value: UInt64
        let bytes: [UInt8]
    }

    private func wanted(of act: ClientAct) throws -> (ObjectKey, Body?) {
        let (text, sizeBytes): (String, Int?) =
            switch act {
            case .put(let key, let sizeBytes): (key, sizeBytes)
            case .delete(let key): (key, nil)
            }
        guard let key = ObjectKey(text) else { brokenInvariant("a story names its objects") }
        guard let sizeBytes else { return (key, nil) }
        let (value, bytes) = self.bodies.make(sizeBytes: sizeBytes)
        return (key, Body(value: value, bytes: bytes))
    }

    /// Sends the request; nil when it was answered.
    private func ask(
        _ act: ClientAct, _ key: ObjectKey, _ body: [UInt8]?, through machine: SimulatedNode
    ) async -> FaultMeaning? {
        switch act {
        case .put: self.meaning(of: await self.client.put(key, body ?? [], through: machine), act)
        case .delete: self.meaning(of: await self.client.delete(key, through: machine), act)
        }
    }

    private func meaning<Value>(
        of answer: SimulatedClient.Answer<Value>, _ act: ClientAct
    ) -> FaultMeaning? {
        switch answer {
        case .success: return nil
        case .failure(let fault):
            if fault.meaning == .wrong { self.violate("\(act) failed with \(fault)") }
            return fault.meaning
        case nil: return .unknown
        }
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
                    await self.client.getAtDoor(key, of: machine)
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
        let end = self.loop.now + Self.patience
        while true {
            let findings = await audit.findings(self.cluster.machines)
            if findings.broken.isEmpty { return }
            guard self.loop.now < end else {
                for finding in findings.broken { self.violate(finding) }
                return
            }
            try await self.loop.sleep(for: .seconds(1))
        }
    }

    private func violate(_ violation: String) {
        self.cluster.simulator.note("violation", violation)
        self.state.withLock { $0.violations.append(violation) }
    }
}
