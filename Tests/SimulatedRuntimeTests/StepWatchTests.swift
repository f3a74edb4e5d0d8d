import IORuntime
import Primitives
import SimulatedRuntime
import Testing

struct StepWatchTests {
    /// Makes a file, fills it, syncs it, and gives a part back: four steps and a write.
    private static func work(_ files: any FileSystem) throws(FileFault) {
        let file = try files.open("/file", .create)
        defer { file.close() }
        try file.write([UInt8](repeating: 7, count: 8192), at: 0)
        try file.sync()
        try file.punchHole(0..<4096)
        try files.syncDirectory("/")
    }

    private static let wanted: [MachineStep] = [.name, .sync, .extent, .sync]

    @Test func `what a disk could still show is a step, a plain write is none`() throws {
        let simulator = Simulator(seed: 1)
        let node = simulator.makeNode("a", host: "10.0.0.1")
        let watch = simulator.watchSteps(of: [node])
        try Self.work(node.environment.files)
        for kind in MachineStep.allCases {
            #expect(watch.countsOfKinds[kind.rawValue] == Self.wanted.count { $0 == kind })
        }
        #expect(watch.count == Self.wanted.count)
        #expect(watch.interrupted == nil)
    }

    @Test(arguments: 1...4)
    func `a machine dies before the chosen step and takes none after it`(step: Int) {
        let simulator = Simulator(seed: 1)
        let node = simulator.makeNode("a", host: "10.0.0.1")
        let watch = simulator.watchSteps(
            of: [node], until: StepWatch.Death(beforeStep: step, .killed))
        #expect(throws: FileFault.self) { try Self.work(node.environment.files) }
        #expect(!node.isRunning)
        #expect(watch.interrupted?.step == Self.wanted[step - 1])
        #expect(watch.count == step)
    }

    @Test func `a death before a message keeps it from the other machine`() {
        let world = World()
        let heard = Notes()
        let address = SocketAddress(host: "10.0.0.2", port: 1)
        world.simulator.spawn("listener", on: world[1].environment.simulatedLoops[0]) {
            let environment = world[1].environment
            do {
                let listener = try environment.listen(on: address, loop: environment.firstLoop)
                let stream = try await listener.accept()
                let bytes = try await stream.readAll(by: environment.after(.seconds(5)))
                heard.add("\(bytes)")
            } catch { heard.add("\(error)") }
        }
        let watch = world.simulator.watchSteps(
            of: [world[0]], until: StepWatch.Death(beforeStep: 2, .killed))
        world.run { environment in
            do {
                let stream = try await environment.connect(
                    to: address, on: environment.firstLoop, deadline: environment.after(.seconds(5))
                )
                try await stream.write([1], by: environment.after(.seconds(5)))
                try await stream.write([2], by: environment.after(.seconds(5)))
            } catch { heard.add("\(error)") }
        }
        #expect(watch.interrupted?.step == .messageSent)
        #expect(heard.lines.contains("[1]"))
        #expect(!world[0].isRunning)
    }
}
