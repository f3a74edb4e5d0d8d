import Cryptography
import IORuntime
import PeerTransport
import Primitives
import SimulatedRuntime
import Synchronization
import Testing
import Wire

/// A peer with a valid certificate that speaks the protocol by hand, and wrong.
@Suite struct HostilePeerTests {
    /// The hello of node 1 to node 2 on the control lane, written from the format's description.
    static func hello(cluster: ClusterID, version: UInt16 = 1) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(version)
        writer.write(UInt8(1))
        writer.write(UInt32(1))
        writer.write(UInt32(2))
        writer.writeRaw(cluster.bytes)
        return Self.bytes(Frame(kind: .hello, payload: writer.bytes))
    }

    static func bytes(_ frame: Frame) -> [UInt8] {
        var bytes: [UInt8] = []
        frame.append(to: &bytes)
        return bytes
    }

    static func request(
        call: UInt64, isLast: Bool = true, microseconds: UInt64 = 1_000_000, body: UInt32 = 0,
        waits: UInt8 = 0
    ) -> Frame {
        var writer = ByteWriter()
        writer.write(microseconds)
        writer.write(body)
        writer.write(waits)
        writer.writeRaw([1, 2, 3])
        return Frame(kind: .requestHead, isLast: isLast, tag: 1, call: call, payload: writer.bytes)
    }

    /// Sends `bytes` to node 2 from node 1's machine and collects the frames that come back until
    /// the connection ends or nothing comes for 100 ms.
    static func speak(_ bytes: [UInt8], in world: PeerWorld) -> (frames: [Frame], isClosed: Bool) {
        let result = Mutex((frames: [Frame](), isClosed: false))
        let environment = world.machines[0].environment
        let security = ClearChannelSecurity(identity: .node(NodeID(1), cluster: world.cluster))
        world.run { loop in
            let deadline = loop.now + .seconds(5)
            let stream = try await environment.connect(
                to: SocketAddress(host: "10.0.0.2", port: PeerWorld.port), on: loop,
                deadline: deadline)
            let channel = try await security.secure(
                stream, as: .client(of: NodeID(2)), deadline: deadline)
            defer { channel.close() }
            var decoder = FrameDecoder()
            do {
                try await channel.write(bytes, by: deadline)
                while true {
                    let count = try decoder.fill { room throws(StreamFault) -> Int? in
                        try channel.readNow(into: room)
                    }
                    if count == 0 { throw StreamFault.endedEarly }
                    while let frame = try decoder.next() {
                        result.withLock { $0.frames.append(frame) }
                    }
                    if count == nil {
                        try await channel.readable(by: loop.now + .milliseconds(100))
                    }
                }
            } catch StreamFault.deadlineExceeded {
                return
            } catch {
                result.withLock { $0.isClosed = true }
            }
        }
        return result.withLock { $0 }
    }

    @Test func `the hello and a call by hand are answered`() throws {
        let world = try PeerWorld()
        world.start(2)
        let answer = Self.speak(
            Self.hello(cluster: world.cluster) + Self.bytes(Self.request(call: 77)), in: world)
        #expect(answer.frames.map(\.kind) == [.hello, .responseHead])
        #expect(
            Hex.encode(answer.frames[0].payload.prefix(11)) == "0100" + "01" + "02000000"
                + "01000000")
        #expect(answer.frames[1].call == 77)
        #expect(answer.frames[1].isLast)
        #expect(Hex.encode(answer.frames[1].payload) == "00000000" + "00" + "010203")
        #expect(!answer.isClosed)
    }

    static let violations: [(String, @Sendable (ClusterID) -> [UInt8])] = [
        ("an unknown version", { Self.hello(cluster: $0, version: 2) }),
        ("no hello", { _ in Self.bytes(Self.request(call: 1)) }),
        ("a second hello", { Self.hello(cluster: $0) + Self.hello(cluster: $0) }),
        (
            "a response",
            { Self.hello(cluster: $0) + Self.bytes(Frame(kind: .responseHead, call: 1)) }
        ),
        (
            "a head cut short",
            {
                Self.hello(cluster: $0)
                    + Self.bytes(Frame(kind: .requestHead, call: 1, payload: [1]))
            }
        ),
        (
            "a damaged frame",
            {
                var request = Self.bytes(Self.request(call: 1))
                request[request.count - 1] ^= 1
                return Self.hello(cluster: $0) + request
            }
        ),
        (
            "a body larger than any",
            {
                Self.hello(cluster: $0)
                    + Self.bytes(Self.request(call: 1, isLast: false, body: .max, waits: 1))
            }
        ),
        (
            "a large body unasked",
            {
                Self.hello(cluster: $0)
                    + Self.bytes(Self.request(call: 1, isLast: false, body: 300_000))
            }
        ),
        (
            "more body than announced",
            {
                Self.hello(cluster: $0)
                    + Self.bytes(Self.request(call: 1, isLast: false, body: 3))
                    + Self.bytes(Frame(kind: .requestPart, call: 1, payload: [1, 2, 3, 4]))
            }
        ),
        (
            "less body than announced",
            {
                Self.hello(cluster: $0)
                    + Self.bytes(Self.request(call: 1, isLast: false, body: 3))
                    + Self.bytes(Frame(kind: .requestPart, call: 1, payload: [1]))
            }
        ),
    ]

    @Test(arguments: 0..<10)
    func `whoever breaks the protocol is cut off`(index: Int) throws {
        let (name, bytes) = Self.violations[index]
        let world = try PeerWorld()
        world.start(2)
        #expect(Self.speak(bytes(world.cluster), in: world).isClosed, "\(name)")
    }

    @Test func `a body sent before its credit cuts the connection`() throws {
        let world = try PeerWorld()
        world.limits.requestBudgetBytes = 1
        world.start(2)
        let holder = Self.request(call: 1, isLast: false, body: 400_000, waits: 1)
        let second = Self.request(call: 2, isLast: false, body: 400_000, waits: 1)
        let answer = Self.speak(
            Self.hello(cluster: world.cluster) + Self.bytes(holder) + Self.bytes(second)
                + Self.bytes(Frame(kind: .requestPart, isLast: false, call: 2, payload: [1])),
            in: world)
        #expect(answer.isClosed)
    }

    @Test func `a cancelled call gives its credit to the next in line`() throws {
        let world = try PeerWorld()
        world.limits.requestBudgetBytes = 1
        world.start(2)
        let first = Self.request(call: 1, isLast: false, body: 400_000, waits: 1)
        let second = Self.request(call: 2, isLast: false, body: 400_000, waits: 1)
        let third = Self.request(call: 3, isLast: false, body: 400_000, waits: 1)
        let answer = Self.speak(
            Self.hello(cluster: world.cluster) + Self.bytes(first) + Self.bytes(second)
                + Self.bytes(third) + Self.bytes(Frame(kind: .cancel, call: 2))
                + Self.bytes(Frame(kind: .cancel, call: 1)), in: world)
        #expect(answer.frames.filter { $0.kind == .credit }.map(\.call) == [1, 3])
        #expect(!answer.isClosed)
    }

    @Test func `random and mutated frames never harm more than their connection`() throws {
        let world = try PeerWorld()
        world.start(2)
        let calm = world.start(1)
        for seed: UInt64 in 0..<150 {
            var generator = SeededGenerator(seed: seed)
            var bytes = Self.hello(cluster: world.cluster)
            for _ in 0..<Int.random(in: 1...12, using: &generator) {
                bytes += Self.bytes(Self.randomFrame(&generator))
            }
            if seed % 3 == 0 {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[position] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = Self.speak(bytes, in: world)
        }
        world.run { loop in
            let result = await calm.result(
                2, PeerRequest(kind: 1, head: [4], body: [patterned(900_000)]),
                within: .seconds(9), on: loop)
            guard case .success(let response) = result else {
                Issue.record("\(result)")
                return
            }
            #expect(response.head == [4])
        }
    }

    private static func randomFrame(_ generator: inout SeededGenerator) -> Frame {
        let call = UInt64.random(in: 0...3, using: &generator)
        if Int.random(in: 0..<3, using: &generator) == 0 {
            return Self.request(
                call: call, isLast: Bool.random(using: &generator),
                microseconds: generator.next(),
                body: UInt32.random(in: 0...300_000, using: &generator),
                waits: UInt8.random(in: 0...2, using: &generator))
        }
        return Frame(
            kind: FrameKind.allCases.randomElement(using: &generator) ?? .ping,
            isLast: Bool.random(using: &generator),
            tag: UInt16.random(in: 0...2, using: &generator), call: call,
            payload: (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            })
    }
}
