import CLinux
import Glibc
import Primitives
import Synchronization

/// What to start: a program (looked up in PATH when it has no slash), and where its output goes. Its
/// standard input is empty.
package struct ChildCommand: Sendable {
    package enum Output: Sendable, Equatable {
        /// Ours.
        case inherited
        case discarded
        /// Appended to the file, which is made when it is not there.
        case appended(path: String)
        /// Kept in memory; what goes over the limit is read and dropped.
        case captured(limitBytes: Int)
    }

    package var program: String
    package var arguments: [String]
    /// Nil: ours.
    package var environment: [String: String]?
    /// Nil: ours.
    package var workingDirectory: String?
    package var output: Output
    package var errors: Output

    package init(
        program: String, arguments: [String] = [], environment: [String: String]? = nil,
        workingDirectory: String? = nil, output: Output = .inherited, errors: Output = .inherited
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.output = output
        self.errors = errors
    }
}

/// A process that we have started. It lives on when nobody holds this any more.
package final class ChildProcess: Sendable {
    package enum ExitStatus: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    private static let pauseWhenFull = Duration.milliseconds(50)

    package let processID: Int32
    /// A pidfd, which names the process also after its number has been given to another.
    private let handle: Int32
    private let loop: EpollLoop
    private let exit = Mutex<ExitStatus?>(nil)
    private let output: CapturedOutput?
    private let errors: CapturedOutput?

    /// The caller is on `loop`.
    init(_ command: ChildCommand, on loop: EpollLoop) throws(ProcessFault) {
        let output = try OutputTarget(command.output, inherited: STDOUT_FILENO)
        defer { output.close() }
        let errors = try OutputTarget(command.errors, inherited: STDERR_FILENO)
        defer { errors.close() }
        self.loop = loop
        self.output = try output.capture(on: loop)
        self.errors = try errors.capture(on: loop)
        self.processID = try Self.spawn(command, output: output.number, errors: errors.number)
        self.handle = holdfast_open_process(self.processID)
        invariant(self.handle >= 0, "a child that was not waited for has a pidfd")
    }

    deinit {
        _ = self.statusNow()
        Glibc.close(self.handle)
    }

    package var isRunning: Bool { !holdfast_is_readable(self.handle) }

    /// False when the process has ended already.
    @discardableResult
    package func send(_ signal: ProcessSignal) -> Bool {
        holdfast_signal_process(self.handle, signal.rawValue) == 0
    }

    /// Waits for the end. Use `exitStatus(by:)` for a child that may hang.
    package func exitStatus() async -> ExitStatus {
        while true {
            if let status = await self.exitStatus(by: .never) { return status }
        }
    }

    /// Waits for the end; nil when the deadline comes first.
    package func exitStatus(by deadline: Instant) async -> ExitStatus? {
        while true {
            if let status = self.statusNow() { return status }
            if self.loop.now >= deadline { return nil }
            await self.loop.run { await self.ended(by: deadline) }
        }
    }

    /// Returns at the end, at the deadline, or earlier.
    private func ended(by deadline: Instant) async {
        // A copy, so that any number of tasks can wait.
        let copy = holdfast_duplicate(self.handle)
        do throws(StreamFault) {
            guard copy >= 0 else { throw .system(call: "fcntl", errno: -copy) }
            let end = try Descriptor(adopting: copy, on: self.loop)
            defer { end.close() }
            try await end.ready(.reading, by: deadline)
        } catch {
            // Out of descriptors: look again in a while.
            if error != .deadlineExceeded { await self.loop.pause(for: Self.pauseWhenFull) }
        }
    }

    /// What the child has written, up to the limit, once it and its heirs have closed the stream.
    package func capturedOutput() async -> [UInt8] { await self.output?.finished() ?? [] }
    package func capturedErrors() async -> [UInt8] { await self.errors?.finished() ?? [] }

    private func statusNow() -> ExitStatus? {
        self.exit.withLock { exit in
            if exit != nil { return exit }
            var wasSignalled = false
            var status: Int32 = 0
            guard holdfast_reap(self.processID, &wasSignalled, &status) == 1 else { return nil }
            exit = wasSignalled ? .signalled(status) : .exited(status)
            return exit
        }
    }

    private static func spawn(
        _ command: ChildCommand, output: Int32, errors: Int32
    ) throws(ProcessFault) -> Int32 {
        let variables = (command.environment ?? ProgramEnvironment.variables)
            .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let result = withCStrings([command.program] + command.arguments) { arguments in
            withCStrings(variables) { environment in
                holdfast_spawn(
                    command.program, arguments, environment, command.workingDirectory, output,
                    errors)
            }
        }
        guard result >= 0 else {
            throw .notStarted(program: command.program, errno: -result)
        }
        return result
    }
}

package enum ProcessFault: Error, Equatable, Sendable {
    case notStarted(program: String, errno: Int32)
    case output(call: String, errno: Int32)
}

extension RealEnvironment {
    package func start(_ command: ChildCommand) async throws(ProcessFault) -> ChildProcess {
        let loop = self.ours(self.loops[0])
        return try await loop.run { () async throws(ProcessFault) -> ChildProcess in
            try ChildProcess(command, on: loop)
        }
    }
}

/// Where the child writes: a descriptor that is ours until the child has its copy.
private struct OutputTarget {
    let number: Int32
    private let isOwned: Bool
    private let reader: Int32?
    private let limitBytes: Int

    init(_ output: ChildCommand.Output, inherited: Int32) throws(ProcessFault) {
        var reader: Int32 = -1
        var limitBytes = 0
        switch output {
        case .inherited:
            self.number = inherited
        case .discarded:
            self.number = holdfast_open("/dev/null", O_WRONLY, 0)
        case .appended(let path):
            self.number = holdfast_open(path, O_WRONLY | O_CREAT | O_APPEND, 0o666)
        case .captured(let limit):
            var writer: Int32 = -1
            let result = holdfast_pipe(&reader, &writer)
            self.number = result == 0 ? writer : result
            limitBytes = limit
        }
        self.isOwned = output != .inherited
        self.reader = reader >= 0 ? reader : nil
        self.limitBytes = limitBytes
        guard self.number >= 0 else { throw .output(call: "open", errno: -self.number) }
    }

    func close() { if self.isOwned { Glibc.close(self.number) } }

    /// Begins to read what the child will write.
    func capture(on loop: EpollLoop) throws(ProcessFault) -> CapturedOutput? {
        guard let reader = self.reader else { return nil }
        // The child's end must block as a terminal or a file would.
        _ = holdfast_set_blocking(self.number)
        do throws(StreamFault) {
            let descriptor = try Descriptor(adopting: reader, on: loop)
            return CapturedOutput(descriptor, limitBytes: self.limitBytes)
        } catch { throw .output(call: "epoll_ctl", errno: ENOSPC) }
    }
}

/// Reads a pipe to its end, as a task of the loop.
private final class CapturedOutput: Sendable {
    private let task: Task<[UInt8], Never>

    init(_ descriptor: Descriptor, limitBytes: Int) {
        self.task = Task(executorPreference: descriptor.loop) {
            defer { descriptor.close() }
            var kept: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                do throws(StreamFault) {
                    try await descriptor.ready(.reading, by: .never)
                } catch { return kept }
                let count = read(descriptor.number, &piece, piece.count)
                if count > 0 {
                    kept += piece.prefix(min(count, limitBytes - kept.count))
                    descriptor.tried(.reading, moved: count, wanted: piece.count)
                } else if count < 0, errno == EAGAIN {
                    descriptor.wouldBlock(.reading)
                } else if count == 0 || errno != EINTR {
                    return kept
                }
            }
        }
    }

    func finished() async -> [UInt8] { await self.task.value }
}

/// Calls `body` with the null-terminated array of C strings that exec(3) takes.
private func withCStrings<Value>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
) -> Value {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    pointers.append(nil)
    return pointers.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else {
            brokenInvariant("the array ends with a null pointer")
        }
        return body(base)
    }
}
