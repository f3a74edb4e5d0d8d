import IORuntime
import Settings
import Simulation

/// Stories as the command line wants them: at one place in this process, or over whole walks of
/// places in processes of their own.
struct StoryRuns {
    private enum Extent {
        /// Nobody dies; says how many steps there are.
        case undisturbed
        case at(CrashPoint.Scene, ClosedRange<Int>)
        /// Of each walk as many steps, or all.
        case walks(sampleCount: Int?)
    }

    /// Places that one worker tries: few enough for its memory, many enough for its start.
    private static let stepsPerWorker = 10

    private let stories: [CrashStory]
    private let seeds: [UInt64]
    private let extent: Extent
    private let isTraced: Bool
    private let workers: WorkerProcesses

    init(_ options: ParsedOptions, _ workers: WorkerProcesses) throws(UsageFault) {
        for name in ["nodes", "minutes"] where options.isGiven(name) {
            throw UsageFault(reason: "--\(name) is not for a --story")
        }
        let name = options.value("story") ?? "all"
        let story = CrashStory(rawValue: name)
        guard story != nil || name == "all" else {
            throw UsageFault(reason: "there is no story \(name)")
        }
        self.stories = story.map { [$0] } ?? CrashStory.allCases
        let first = try HoldfastSimulate.number(options, "seed", in: 0...UInt64.max) ?? 1
        let count = try HoldfastSimulate.number(options, "seeds", in: 1...1_000_000) ?? 1
        self.seeds = (0..<count).map { first &+ $0 }
        self.extent = try Self.extent(options)
        self.isTraced = options.flag("trace")
        self.workers = workers
    }

    private static func extent(_ options: ParsedOptions) throws(UsageFault) -> Extent {
        let sample = try HoldfastSimulate.number(options, "sample", in: 1...1_000_000)
        let wishes = [sample != nil, options.flag("every-step"), options.isGiven("at")]
        guard wishes.count(where: { $0 }) <= 1 else {
            throw UsageFault(reason: "--every-step, --sample and --at exclude each other")
        }
        if let place = options.value("at") { return try Self.place(place) }
        if let sample { return .walks(sampleCount: Int(sample)) }
        return options.flag("every-step") ? .walks(sampleCount: nil) : .undisturbed
    }

    private static func place(_ text: String) throws(UsageFault) -> Extent {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        let ends = parts.last?.split(separator: "-", maxSplits: 1).map { Int($0) } ?? []
        guard parts.count == 2,
            let scene = CrashPoint.Scene(name: parts[0], nodeCount: CrashRun.nodeCount),
            let first = ends.first ?? nil, let last = ends.last ?? nil, first > 0, first <= last
        else { throw UsageFault(reason: "\(text) is no place such as n3-killed:117") }
        return .at(scene, first...last)
    }

    /// Whether every telling kept every promise.
    func run() async -> Bool {
        var isGood = true
        for story in self.stories {
            for seed in self.seeds {
                switch self.extent {
                case .undisturbed:
                    isGood = self.tell(story, seed, nil)?.isGood == true && isGood
                case .at(let scene, let steps):
                    for step in steps {
                        let report = self.tell(story, seed, CrashPoint(scene, step: step))
                        isGood = report?.isGood == true && isGood
                    }
                case .walks(let sampleCount):
                    isGood = await self.walk(story, seed, sampleCount) && isGood
                }
            }
        }
        return isGood
    }

    private func tell(_ story: CrashStory, _ seed: UInt64, _ point: CrashPoint?) -> CrashReport? {
        do {
            let run = try CrashRun(story, seed: seed, point)
            if self.isTraced { run.follow { Terminal.write($0 + "\n", to: .errors) } }
            let report = try run.run()
            Terminal.write(report.line + "\n", to: .output)
            for violation in report.violations {
                Terminal.write("  violation: \(violation)\n", to: .output)
            }
            return report
        } catch {
            Terminal.write("\(story) seed=\(seed): could not be run: \(error)\n", to: .output)
            return nil
        }
    }

    // MARK: Walks

    private func walk(_ story: CrashStory, _ seed: UInt64, _ sampleCount: Int?) async -> Bool {
        guard let undisturbed = self.tell(story, seed, nil), undisturbed.isGood else {
            return false
        }
        var isGood = true
        for scene in CrashPoint.Scene.all(nodeCount: CrashRun.nodeCount) {
            let parts = Self.parts(of: undisturbed.stepCount(of: scene), sampleCount)
            isGood = await self.walk(story, seed, scene, parts) && isGood
        }
        return isGood
    }

    /// All steps in pieces, or single ones at equal distances.
    private static func parts(of stepCount: Int, _ sampleCount: Int?) -> [ClosedRange<Int>] {
        guard let sampleCount, sampleCount < stepCount else {
            return stride(from: 1, through: stepCount, by: Self.stepsPerWorker).map {
                $0...min($0 + Self.stepsPerWorker - 1, stepCount)
            }
        }
        return (0..<sampleCount).map { number in
            let step = 1 + number * stepCount / sampleCount
            return step...step
        }
    }

    private func walk(
        _ story: CrashStory, _ seed: UInt64, _ scene: CrashPoint.Scene,
        _ parts: [ClosedRange<Int>]
    ) async -> Bool {
        let jobs = parts.map { steps in
            [
                "--story", story.rawValue, "--seed", String(seed),
                "--at", "\(scene.name):\(steps.lowerBound)-\(steps.upperBound)",
            ]
        }
        var told = 0
        var failed = 0
        await self.workers.run(jobs) { index, leavings in
            // One line for each telling, and under it what it violated.
            let tellings = leavings.output.count { !$0.hasPrefix(" ") }
            told += tellings
            guard !leavings.isGood else { return }
            var isOfFailure = false
            for line in leavings.output {
                if !line.hasPrefix(" ") { isOfFailure = !line.contains(" good ") }
                guard isOfFailure else { continue }
                if !line.hasPrefix(" ") { failed += 1 }
                Terminal.write(line + "\n", to: .output)
            }
            if let trouble = leavings.trouble {
                failed += 1
                let step = parts[index].lowerBound + tellings
                Terminal.write(
                    "\(story.rawValue) seed=\(seed) \(scene.name) step=\(step) FAILED: "
                        + "the process \(trouble)\n", to: .output)
            }
        }
        Terminal.write(
            "\(story.rawValue) seed=\(seed) \(scene.name): \(told) told, \(failed) failed\n",
            to: .output)
        return failed == 0
    }
}
