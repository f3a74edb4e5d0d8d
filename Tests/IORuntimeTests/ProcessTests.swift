import IORuntime
import Primitives
import Synchronization
import Testing

@Suite(.serialized) struct ProcessTests {
    @Test func `a child's output, errors and status are known`() async throws {
        try await withEnvironment { environment in
            let child = try await environment.start(
                ChildCommand(
                    program: "sh", arguments: ["-c", "echo out; echo $NAME >&2; pwd; exit 3"],
                    environment: ["NAME": "value", "PATH": "/bin:/usr/bin"],
                    workingDirectory: "/", output: .captured(limitBytes: 1000),
                    errors: .captured(limitBytes: 3)))
            #expect(await child.exitStatus(by: environment.soon) == .exited(3))
            #expect(!child.isRunning)
            #expect(await child.capturedOutput() == Array("out\n/\n".utf8))
            #expect(await child.capturedErrors() == Array("val".utf8))
            #expect(!child.send(.terminate))
        }
    }

    @Test func `several tasks wait for a child that a signal ends`() async throws {
        try await withEnvironment { environment in
            let child = try await environment.start(
                ChildCommand(program: "sleep", arguments: ["600"], output: .discarded))
            #expect(child.isRunning)
            #expect(await child.exitStatus(by: environment.now + .milliseconds(5)) == nil)
            async let first = child.exitStatus()
            async let second = child.exitStatus()
            #expect(child.send(.kill))
            let statuses = await [first, second]
            #expect(statuses == [.signalled(9), .signalled(9)])
            #expect(await child.exitStatus() == .signalled(9))
        }
    }

    @Test func `output is appended to a file`() async throws {
        try await withEnvironment { environment in
            try await withTemporaryDirectory(environment) { directory in
                let path = "\(directory)/log"
                for word in ["one", "two"] {
                    let child = try await environment.start(
                        ChildCommand(
                            program: "/bin/echo", arguments: [word],
                            output: .appended(path: path)))
                    #expect(await child.exitStatus(by: environment.soon) == .exited(0))
                }
                #expect(try environment.files.contents(of: path) == Array("one\ntwo\n".utf8))
            }
        }
    }

    @Test func `a program that is not there is not started`() async throws {
        try await withEnvironment { environment in
            await #expect(throws: ProcessFault.notStarted(program: "/no/such", errno: 2)) {
                _ = try await environment.start(ChildCommand(program: "/no/such"))
            }
        }
    }

    @Test func `signals to this process arrive on a loop, in order`() async throws {
        try await withEnvironment { environment in
            let stream = try await environment.catchSignals([.user1, .hangUp])
            let me = "\(ProgramEnvironment.processID)"
            for (name, signal) in [("-USR1", ProcessSignal.user1), ("-HUP", .hangUp)] {
                let kill = try await environment.start(
                    ChildCommand(program: "sh", arguments: ["-c", "kill \(name) \(me)"]))
                #expect(await stream.next() == signal)
                #expect(await kill.exitStatus(by: environment.soon) == .exited(0))
            }
            stream.close()
            #expect(await stream.next() == nil)
        }
    }

    @Test func `the program knows itself`() throws {
        let path = try #require(ProgramEnvironment.executablePath)
        #expect(path.hasPrefix("/"))
        #expect(ProgramEnvironment.currentDirectory?.hasPrefix("/") == true)
        #expect(try #require(ProgramEnvironment.residentBytes) > 1 << 20)
        #expect(ProgramEnvironment.variables["PATH"] == ProgramEnvironment.variable("PATH"))
        #expect(ProgramEnvironment.variable("HOLDFAST_NO_SUCH_VARIABLE") == nil)
        #expect(try #require(ResourceLimits.raiseDescriptorLimit()) >= 1024)
    }

    @Test func `random bytes differ and fill the whole array`() {
        let environment = RealEnvironment(loopCount: 1)
        defer { environment.stop() }
        let (a, b) = (environment.randomBytes(4096), environment.randomBytes(4096))
        #expect(a.count == 4096 && a != b)
        #expect(environment.randomBytes(0).isEmpty)
        #expect(environment.wallClock.seconds > 1_700_000_000)
    }
}
