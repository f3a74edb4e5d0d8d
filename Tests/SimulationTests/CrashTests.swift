import Primitives
import SimulatedRuntime
import Simulation
import Testing

/// Short stories, each told again and again with a death right before another of its steps. Here a
/// sample is walked; `holdfast-simulate --story all --every-step` walks everything.
///
/// A process of its own for each story, because what worlds leave in memory ends with it.
struct CrashTests {
    @Test func `a death at any step of a put loses nothing that was acknowledged`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.put) }
    }

    @Test func `a death at any step of an overwrite leaves the old object or the new`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.overwrite) }
    }

    @Test func `a death at any step of a delete leaves the object or nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.delete) }
    }

    @Test func `a death at any step of a copy leaves its source and all of it or nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.copy) }
    }

    @Test func `a death at any step of an upload in parts leaves all of it or nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.upload) }
    }

    @Test func `a death at any step of a long body leaves all of it or nothing`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.long) }
    }

    @Test func `a death at any step of a deletion leaves no byte behind and takes none`() async {
        await #expect(processExitsWith: .success) { try Self.walk(.reclaim) }
    }

    @Test func `two tellings of one story are the same up to the death`() throws {
        let undisturbed = try CrashRun(.put, seed: 3, nil).run()
        #expect(undisturbed.violations == [])
        // What is not counted is not tried.
        for kind in [MachineStep.sync, .batch, .messageSent, .messageArrived] {
            #expect(undisturbed.stepsOfKinds[kind.rawValue] > 0)
        }
        let last = undisturbed.stepCount(of: .allPowerCut)
        let point = CrashPoint(.allPowerCut, step: last)
        let first = try CrashRun(.put, seed: 3, point).run()
        #expect(first.violations == [])
        #expect(first.interrupted != nil)
        #expect(first.stepsOfMachines.reduce(0, +) == last)
        let second = try CrashRun(.put, seed: 3, point).run()
        #expect(first.traceHash == second.traceHash)
    }

    #if DEBUG
    private static let samplesPerScene = 1
    private static let scenes = [CrashPoint.Scene.killed(machine: 0), .allPowerCut]
    #else
    private static let samplesPerScene = 4
    private static let scenes = CrashPoint.Scene.all(nodeCount: CrashRun.nodeCount)
    #endif

    /// Tells a story with a death before some steps of each scene, at equal distances.
    private static func walk(_ story: CrashStory) throws {
        let undisturbed = try CrashRun(story, seed: 1, nil).run()
        try #require(undisturbed.isGood, "\(undisturbed.violations)")
        for (number, scene) in Self.scenes.enumerated() {
            let count = undisturbed.stepCount(of: scene)
            for sample in 0..<Self.samplesPerScene {
                // Each scene begins elsewhere, so that together they try more places.
                let step = 1 + (sample * count / Self.samplesPerScene + number) % count
                let report = try CrashRun(story, seed: 1, CrashPoint(scene, step: step)).run()
                print(report.line)
                try #require(report.isGood, "\(report.line): \(report.violations)")
            }
        }
    }
}
