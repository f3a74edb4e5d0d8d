import IORuntime
import OrderedStorage
import Primitives
import SimulatedRuntime

/// A small system that uses everything there is: on each machine an actor with a store counts the
/// balls it hit, and machines hit balls to each other over streams while faults strike.
struct Rally {
    let simulator: Simulator
    let nodes: [SimulatedNode]
    private let families = [Family(index: 0, name: "hits")]
    private static let port: UInt16 = 4000

    init(seed: UInt64) {
        let simulator = Simulator(seed: seed)
        self.simulator = simulator
        self.nodes = (1...3).map { simulator.makeNode("n\($0)", host: "10.0.0.\($0)") }
    }

    /// Plays for two minutes with faults and without for ten seconds more.
    func play() -> SimulationOutcome {
        self.simulator.allowsTermination = true
        var generator = self.simulator.generator
        let rates = FaultRates.swarm(&generator)
        let plan = FaultPlan(
            rates, nodeCount: self.nodes.count, span: .seconds(120), maximumDown: 1, &generator)
        let director = FaultDirector(self.simulator, self.nodes) { self.start($0) }
        director.prepare(rates)
        for node in self.nodes { self.start(node) }
        self.simulator.spawn("faults") {
            try? await director.carryOut(plan)
            try? await self.simulator.loop.sleep(for: .seconds(10))
        }
        return self.simulator.run(for: .seconds(600))
    }

    private func start(_ node: SimulatedNode) {
        let environment = node.environment
        let loop = environment.simulatedLoops[0]
        loop.spawn {
            do {
                let player = try await Player(node, loop, self.families)
                let own = SocketAddress(host: node.host, port: Self.port)
                let listener = try environment.listen(on: own, loop: loop)
                loop.spawn { await self.hit(from: node, player) }
                while true {
                    let stream = try await listener.accept()
                    loop.spawn { await player.answer(stream) }
                }
            } catch { environment.log("stopped: \(error)") }
        }
    }

    private func hit(from node: SimulatedNode, _ player: Player) async {
        let environment = node.environment
        let loop = environment.simulatedLoops[1]
        for round in 0... {
            let other = self.nodes[(node.index + 1 + round % 2) % self.nodes.count]
            let address = SocketAddress(host: other.host, port: Self.port)
            do {
                try await loop.sleep(for: .milliseconds(200))
                let stream = try await environment.connect(
                    to: address, on: environment.firstLoop,
                    deadline: environment.after(.seconds(1)))
                await player.hit(stream)
            } catch { environment.log("miss: \(error)") }
        }
    }
}

/// Counts hits durably.
private actor Player {
    private let node: SimulatedNode
    private let environment: SimulatedEnvironment
    private let loop: any EventLoop
    private let store: any OrderedStore
    private let family: Family
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }

    init(_ node: SimulatedNode, _ loop: any EventLoop, _ families: [Family]) async throws {
        self.node = node
        self.environment = node.environment
        self.loop = loop
        self.family = families[0]
        self.store = try await node.environment.blocking(.disk) { () throws(StoreFault) in
            try SimulatedStoreFactory(node).open(
                "/store", StoreOptions(families: families, isLogged: true))
        }
    }

    func hit(_ stream: any ByteStream) async {
        do {
            try await stream.write([1, 2, 3], by: self.environment.after(.seconds(1)))
            _ = try await stream.readSome(by: self.environment.after(.seconds(1)))
        } catch { self.environment.log("lost: \(error)") }
        stream.close()
    }

    func answer(_ stream: any ByteStream) async {
        do {
            _ = try await stream.readSome(by: self.environment.after(.seconds(1)))
            let count = await self.count()
            self.environment.log("hit \(count)")
            try await stream.write([UInt8(count % 256)], by: self.environment.after(.seconds(1)))
        } catch { self.environment.log("dropped: \(error)") }
        stream.close()
    }

    private func count() async -> Int {
        let (store, family) = (self.store, self.family)
        let result: Result<Int, StoreFault> = await self.environment.blocking(.log) {
            do throws(StoreFault) {
                let count = Int(try store.get(family, [])?.first ?? 0) + 1
                var batch = WriteBatch()
                batch.put(family, [], [UInt8(count % 256)])
                try store.write(batch, .synced)
                return .success(count)
            } catch { return .failure(error) }
        }
        switch result {
        case .success(let count): return count
        case .failure(let fault):
            await self.environment.terminate(status: 4, reason: "\(fault)")
        }
    }
}
