import IORuntime
import Primitives

/// Processes of this very program that run one part of the work each, as many at a time as there are
/// processors.
///
/// Tasks of simulated processes that were killed are never resumed, and what they hold stays in
/// memory until the real process ends: 40 MB for a usual seed. A world that traps ends only its
/// process, too, and the others go on.
struct WorkerProcesses: Sendable {
    /// What a worker left behind.
    struct Leavings: Sendable {
        let output: [String]
        /// Nil for one that did not end in time and was killed.
        let status: ChildProcess.ExitStatus?

        /// Whether the worker did what it was asked and found nothing wrong.
        var isGood: Bool { self.status == .exited(0) }

        /// How it ended, where that was not of its own will.
        var trouble: String? {
            switch self.status {
            case .exited(0), .exited(1): nil
            case .exited(let status): "ended with status \(status)"
            case .signalled(let signal): "was ended by signal \(signal)"
            case nil: "did not end within \(WorkerProcesses.limit)"
            }
        }
    }

    /// How long a worker may take, by the real clock.
    private static let limit: Duration = .seconds(900)
    private static let outputLimitBytes = 4 << 20

    private let environment: RealEnvironment
    private let program: String
    private let width: Int

    init(_ environment: RealEnvironment, width: Int?) throws(UsageFault) {
        guard let program = ProgramEnvironment.executablePath else {
            throw UsageFault(reason: "the file of this program cannot be found")
        }
        self.environment = environment
        self.program = program
        self.width = width ?? ProgramEnvironment.processorCount
    }

    /// Runs a worker for each list of arguments. What they leave is handed over in the order of the
    /// lists.
    func run(_ jobs: [[String]], each: (Int, Leavings) -> Void) async {
        var waiting: [Int: Leavings] = [:]
        var handedOver = 0
        await withTaskGroup(of: (Int, Leavings).self) { group in
            var next = 0
            while handedOver < jobs.count {
                while next < jobs.count, next - handedOver - waiting.count < self.width {
                    let index = next
                    group.addTask { (index, await self.run(jobs[index])) }
                    next += 1
                }
                guard let (index, leavings) = await group.next() else { return }
                waiting[index] = leavings
                while let leavings = waiting.removeValue(forKey: handedOver) {
                    each(handedOver, leavings)
                    handedOver += 1
                }
            }
        }
    }

    private func run(_ arguments: [String]) async -> Leavings {
        let command = ChildCommand(
            program: self.program, arguments: arguments,
            output: .captured(limitBytes: Self.outputLimitBytes))
        do throws(ProcessFault) {
            let child = try await self.environment.start(command)
            let status = await child.exitStatus(by: self.environment.now + Self.limit)
            if status == nil { child.send(.kill) }
            let output = String(decoding: await child.capturedOutput(), as: UTF8.self)
            return Leavings(
                output: output.split(separator: "\n").map(String.init), status: status)
        } catch {
            return Leavings(output: ["could not be started: \(error)"], status: .exited(2))
        }
    }
}
