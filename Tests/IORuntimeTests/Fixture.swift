import IORuntime
import Primitives
import Synchronization

/// Runs `body` as a task of the first loop of an environment that ends with it. What `body` throws
/// fails the test.
func withEnvironment(
    loopCount: Int = 2,
    _ body: @escaping @Sendable (RealEnvironment) async throws -> Void
) async throws {
    let environment = RealEnvironment(loopCount: loopCount)
    defer { environment.stop() }
    try await on(environment.loops[0]) { try await body(environment) }
}

/// Runs `body` as a task of `loop`, and returns what it returns.
func on<Value: Sendable>(
    _ loop: any EventLoop, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask(executorPreference: loop) { try await body() }
        for try await value in group { return value }
        throw CancellationError()
    }
}

let loopback = SocketAddress(host: "127.0.0.1", port: 0)

extension Environment {
    /// The bound of a wait that must end by itself. A machine that stalls for seconds does not reach
    /// it; only a test that hangs does.
    var soon: Instant { self.now + .seconds(300) }
}

extension ByteStream {
    /// Reads exactly `count` bytes.
    func read(_ count: Int, by deadline: Instant) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: min(count, 64 << 10))
        while bytes.count < count {
            let wanted = min(piece.count, count - bytes.count)
            let got = try piece.withUnsafeMutableBytes {
                try self.readNow(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted]))
            }
            switch got {
            case nil: try await self.readable(by: deadline)
            case 0: throw StreamFault.endedEarly
            case let count?: bytes += piece.prefix(count)
            }
        }
        return bytes
    }
}

/// Two streams of the first loop that talk to each other.
func connectedPair(
    _ environment: RealEnvironment
) async throws -> (client: any ByteStream, server: any ByteStream) {
    let loop = environment.loops[0]
    let listener = try environment.listen(on: loopback, loop: loop)
    defer { listener.close() }
    let client = try await environment.connect(
        to: listener.address, on: loop, deadline: environment.soon)
    return (client, try await listener.accept())
}

/// A folder of its own for `body`, removed at the end.
func withTemporaryDirectory<Value>(
    _ environment: RealEnvironment, _ body: (String) async throws -> Value
) async throws -> Value {
    let base = ProgramEnvironment.variable("TMPDIR") ?? "/tmp"
    let name = Hex.encode(environment.randomBytes(8))
    let directory = "\(base)/holdfast-test-\(name)"
    try environment.files.makeDirectory(directory)
    do {
        let value = try await body(directory)
        try environment.files.removeTree(directory)
        return value
    } catch {
        try environment.files.removeTree(directory)
        throw error
    }
}

/// The fault that `body` throws, for comparing.
func fault<Fault: Error>(
    _ type: Fault.Type, _ body: () async throws -> Void
) async -> Fault? {
    do { try await body() } catch { return error as? Fault }
    return nil
}

/// A value that tasks and threads of a test share.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { self.mutex = Mutex(value) }
    var value: Value { self.mutex.withLock { $0 } }
    func change(_ body: (inout Value) -> Void) { self.mutex.withLock { body(&$0) } }
}
