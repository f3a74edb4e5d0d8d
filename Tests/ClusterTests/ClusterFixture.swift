import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

/// Everything that one test of real processes needs.
struct ClusterFixture: Sendable {
    let cluster: ProcessCluster
    let environment: RealEnvironment
    /// For the test's own files; removed at its end.
    let directory: String

    var client: FileClient { self.cluster.client() }

    /// Runs the program as a person would, with the cluster's variables; the standard output.
    func holdfast(_ arguments: [String]) async throws -> String {
        try await self.run(self.cluster.plan.program, arguments)
    }

    /// Runs a program to its end; a failure fails the test with what it has said.
    func run(_ program: String, _ arguments: [String]) async throws -> String {
        var variables = ProgramEnvironment.variables
        variables.merge(self.cluster.variables.all) { $1 }
        let process = try await self.environment.start(
            ChildCommand(
                program: program, arguments: arguments, environment: variables,
                output: .captured(limitBytes: 1 << 20), errors: .captured(limitBytes: 1 << 20)))
        guard let status = await process.exitStatus(by: self.environment.now + .seconds(100)) else {
            process.send(.kill)
            throw TestFault("\(program) \(arguments) does not end")
        }
        let errors = String(decoding: await process.capturedErrors(), as: UTF8.self)
        guard status == .exited(0) else {
            throw TestFault("\(program) \(arguments): \(status): \(errors)")
        }
        return String(decoding: await process.capturedOutput(), as: UTF8.self)
    }
}

struct TestFault: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs `body`, on a loop, beside a cluster of five processes that all take part, and ends each of
/// them at the end, however that comes. The logs of the nodes go into the message of a failure.
///
/// - Parameter arguments: given to each node.
func withCluster(
    arguments: [String] = [],
    _ body: @escaping @Sendable (ClusterFixture) async throws -> Void
) async throws {
    let program = try #require(HoldfastProgram.besideThisOne)
    try #require(
        FileManager.default.isExecutableFile(atPath: program),
        "\(program) is not built: run the tests by ops/check, or build the product holdfast first")
    let environment = RealEnvironment(loopCount: 1)
    defer { environment.stop() }
    let base = ProgramEnvironment.variable("TMPDIR") ?? "/tmp"
    let directory = "\(base)/holdfast-test-\(Hex.encode(environment.randomBytes(8)))"
    try environment.files.makeDirectory(directory)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    var plan = ProcessCluster.Plan(program: program, directory: directory + "/cluster")
    plan.nodeArguments = arguments
    let checked = plan
    try await on(environment.loops[0]) {
        let cluster = try await ProcessCluster.make(checked, in: environment)
        do {
            try await cluster.startAll()
            try environment.files.makeDirectory(directory + "/work")
            try await body(
                ClusterFixture(
                    cluster: cluster, environment: environment, directory: directory + "/work"))
        } catch {
            for node in cluster.nodes {
                Issue.record("the log of node \(node) ends: \(await cluster.logTail(of: node))")
            }
            await cluster.killAll()
            throw error
        }
        await cluster.killAll()
    }
}

/// Runs `body` as a task of `loop`, and returns what it returns.
private func on<Value: Sendable>(
    _ loop: any EventLoop, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask(executorPreference: loop) { try await body() }
        for try await value in group { return value }
        throw CancellationError()
    }
}
