import FileClient
import IORuntime
import Primitives
import Synchronization

/// A way to an edge that lets so many bytes through in one direction and then no more: whoever waits
/// for the next is held there, wherever that is.
final class MeteredGate: Sendable {
    enum Direction: Sendable {
        case up
        case down
    }

    private let loop: any EventLoop
    private let environment: any Environment
    private let listener: any Listener
    private let edge: EdgeAddress
    private let metered: Direction
    private let limitBytes: Int
    private let state = Mutex(0)

    /// A test of real processes ends long before.
    private static let patience: Duration = .seconds(600)

    init(
        to edge: EdgeAddress, _ metered: Direction, limitBytes: Int = .max,
        _ environment: any Environment
    ) throws {
        self.loop = environment.loops[0]
        self.environment = environment
        self.listener = try environment.listen(
            on: SocketAddress(host: "127.0.0.1", port: 0), loop: self.loop)
        self.edge = edge
        self.metered = metered
        self.limitBytes = limitBytes
        self.loop.spawn { await self.serve() }
    }

    var address: EdgeAddress { EdgeAddress(self.listener.address) }
    var passedBytes: Int { self.state.withLock { $0 } }
    var isShut: Bool { self.passedBytes >= self.limitBytes }

    func close() { self.listener.close() }

    private func serve() async {
        while true {
            do throws(StreamFault) {
                let client = try await self.listener.accept()
                let edge = try await self.environment.connect(
                    to: self.edge.address, on: self.loop, deadline: self.deadline)
                self.loop.spawn { await self.pass(from: client, to: edge, .up) }
                self.loop.spawn { await self.pass(from: edge, to: client, .down) }
            } catch {
                return
            }
        }
    }

    private var deadline: Instant { self.loop.now + Self.patience }

    private func pass(
        from source: any ByteStream, to target: any ByteStream, _ direction: Direction
    ) async {
        do throws(StreamFault) {
            while direction != self.metered || !self.isShut {
                let bytes = try await self.read(source)
                if bytes.isEmpty { return target.finishWriting() }
                if direction == self.metered { self.state.withLock { $0 += bytes.count } }
                try await target.write(bytes, by: self.deadline)
            }
        } catch {
            source.close()
            target.close()
        }
    }

    /// None at the end of the stream.
    private func read(_ source: any ByteStream) async throws(StreamFault) -> [UInt8] {
        while true {
            var fault: StreamFault?
            var isOver = false
            let bytes = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
                do throws(StreamFault) {
                    let read = try source.readNow(into: UnsafeMutableRawBufferPointer(buffer))
                    isOver = read == 0
                    count = read ?? 0
                } catch { fault = error }
            }
            if let fault { throw fault }
            if isOver || !bytes.isEmpty { return bytes }
            try await source.readable(by: self.deadline)
        }
    }
}
