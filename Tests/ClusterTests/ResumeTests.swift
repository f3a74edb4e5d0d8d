import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

extension ClusterTests {
    @Test func `a put and a get that are killed go on where they stopped`() async throws {
        try await withCluster { fixture in
            let (part, parts) = (5 << 20, 8)
            let size = part * parts
            let source = fixture.directory + "/source.bin"
            let target = fixture.directory + "/target"
            let content = SeededContent(seed: 9, sizeBytes: size).bytes
            try Data(content).write(to: URL(fileURLWithPath: source))
            let put = ["put", source, "resumed/file.bin"]
            let get = ["get", "resumed/file.bin", target]
            // Beyond four parts, with the heads of their requests: the fifth is under way.
            let limit = 4 * part + part / 2

            try await fixture.killedAtGate(put, .up, limitBytes: limit)
            let up = try await fixture.throughGate(put, .up)
            #expect(up > size - 5 * part && up < size - 3 * part, "\(up) bytes went up again")

            try await fixture.killedAtGate(get, .down, limitBytes: limit)
            #expect(try FileManager.default.contentsOfDirectory(atPath: target).count == 1)
            let down = try await fixture.throughGate(get, .down)
            #expect(down > size - 5 * part && down < size - 3 * part, "\(down) came down again")
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: target) == ["file.bin"])
            #expect(
                try await haveSameBytes(source, target + "/file.bin", fixture.environment))
        }
    }

    @Test func `every page of help fits a screen, and every shell gets its script`() async throws {
        let program = try #require(HoldfastProgram.besideThisOne)
        func said(_ words: String...) throws -> String {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = words
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let bytes = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(words)")
            return String(decoding: bytes, as: UTF8.self)
        }
        func fits(_ page: String, _ name: String) {
            let lines = page.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            #expect(lines.count <= 24, "\(name) has \(lines.count) lines")
            for line in lines { #expect(line.count <= 80, "\(name): \(line)") }
        }
        let overview = try said("--help")
        fits(overview, "holdfast")
        let commands = overview.split(separator: "\n").filter { $0.hasPrefix("  ") }.compactMap {
            $0.split(separator: " ").first.map(String.init)
        }
        #expect(commands.count > 15)
        let topics = (overview.split(separator: "\n").last ?? "").split(separator: " ")
        for name in commands + topics.map(String.init) { fits(try said("help", name), name) }
        for shell in ["bash", "zsh", "fish"] {
            let script = try said("completion", shell)
            for command in commands { #expect(script.contains(command), "\(shell)") }
        }
    }
}

extension ClusterFixture {
    /// Options and variables of a client that goes through `gate` alone, a part after the other.
    private func process(
        _ arguments: [String], through gate: MeteredGate
    ) async throws -> ChildProcess {
        var variables = ProgramEnvironment.variables
        variables.merge(self.cluster.variables.all) { $1 }
        variables["HOLDFAST_EDGES"] = "\(gate.address)"
        variables["XDG_STATE_HOME"] = self.directory + "/state"
        return try await self.environment.start(
            ChildCommand(
                program: self.cluster.plan.program,
                arguments: arguments + ["--jobs", "1", "--part-mib", "5"], environment: variables,
                output: .captured(limitBytes: 1 << 20), errors: .captured(limitBytes: 1 << 20)))
    }

    /// Runs the program until the gate holds it, and kills it there.
    fileprivate func killedAtGate(
        _ arguments: [String], _ metered: MeteredGate.Direction, limitBytes: Int
    ) async throws {
        let edge = self.cluster.variables.edges[0]
        let gate = try MeteredGate(
            to: edge, metered, limitBytes: limitBytes, self.environment)
        defer { gate.close() }
        let process = try await self.process(arguments, through: gate)
        let deadline = self.environment.now + .seconds(60)
        while !gate.isShut, self.environment.now < deadline {
            try await self.cluster.loop.sleep(for: .milliseconds(10))
        }
        process.send(.kill)
        _ = await process.exitStatus()
        try #require(gate.isShut, "\(gate.passedBytes) bytes passed")
    }

    /// Runs the program to its end; how many bytes passed.
    fileprivate func throughGate(
        _ arguments: [String], _ metered: MeteredGate.Direction
    ) async throws -> Int {
        let gate = try MeteredGate(
            to: self.cluster.variables.edges[1], metered, self.environment)
        defer { gate.close() }
        let process = try await self.process(arguments, through: gate)
        guard let status = await process.exitStatus(by: self.environment.now + .seconds(100)) else {
            process.send(.kill)
            throw TestFault("\(arguments) does not end")
        }
        let errors = String(decoding: await process.capturedErrors(), as: UTF8.self)
        #expect(status == .exited(0), "\(errors)")
        #expect(errors.contains("were there from an earlier run"), "\(errors)")
        return gate.passedBytes
    }
}
