import Cryptography
import IORuntime
import Primitives
import Testing

@Suite struct TLSChannelTests {
    private let clientSecurity: TLSChannelSecurity
    private let serverSecurity: TLSChannelSecurity

    init() throws {
        let fixture = try TLSFixture(clusterByte: 0xcc)
        self.clientSecurity = try fixture.peers(1)
        self.serverSecurity = try fixture.peers(2)
    }

    private func handshake(
        capacity: Int = 65_536, prepare: (MemoryStream, MemoryStream) -> Void = { _, _ in }
    ) -> Handshake {
        Handshake(
            self.clientSecurity, as: .client(of: NodeID(2)), with: self.serverSecurity,
            capacity: capacity, prepare: prepare)
    }

    private static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private static func catching(
        _ work: () async throws(StreamFault) -> Void
    ) async -> StreamFault? {
        do throws(StreamFault) {
            try await work()
            return nil
        } catch { return error }
    }

    @Test(arguments: [1_000, 7_777, 300_000])
    func `both ends send much at once through a narrow pipe, and all arrives`(capacity: Int) throws
    {
        let handshake = self.handshake(capacity: capacity)
        let client = try handshake.client.get()
        let server = try handshake.server.get()
        let up = Self.noise(700_001, seed: 1)
        let down = Self.noise(500_003, seed: 2)
        let received = Box<(atServer: [UInt8], atClient: [UInt8])>(([], []))
        let loop = handshake.loop
        let isDone = loop.run {
            let deadline = loop.now + .seconds(100)
            let fault = await Self.catching { () throws(StreamFault) in
                let sending = loop.spawn {
                    let fault = await Self.catching { () throws(StreamFault) in
                        try await client.write(up, by: deadline)
                        client.finishWriting()
                    }
                    #expect(fault == nil)
                }
                let answering = loop.spawn {
                    let fault = await Self.catching { () throws(StreamFault) in
                        try await server.write(down, by: deadline)
                        server.finishWriting()
                    }
                    #expect(fault == nil)
                }
                let reading = loop.spawn {
                    let fault = await Self.catching { () throws(StreamFault) in
                        received.value.atClient = try await client.readAll(by: deadline)
                    }
                    #expect(fault == nil)
                }
                received.value.atServer = try await server.readAll(by: deadline)
                await sending.finished()
                await answering.finished()
                await reading.finished()
            }
            #expect(fault == nil)
        }
        #expect(isDone)
        #expect(received.value.atServer == up)
        #expect(received.value.atClient == down)
    }

    @Test func `who writes and then only reads leaves nothing behind`() throws {
        let handshake = self.handshake(capacity: 5_000)
        let client = try handshake.client.get()
        let server = try handshake.server.get()
        let request = Self.noise(100_000, seed: 3)
        let loop = handshake.loop
        let answer = Box<[UInt8]>([])
        let isDone = loop.run {
            let deadline = loop.now + .seconds(10)
            let serving = loop.spawn {
                let fault = await Self.catching { () throws(StreamFault) in
                    let read = try await server.readAll(limit: request.count, by: deadline)
                    #expect(read == request)
                    try await server.write([1, 2, 3], by: deadline)
                }
                #expect(fault == nil)
            }
            let fault = await Self.catching { () throws(StreamFault) in
                let taken = try client.writeNow(request, inPiecesOf: request.count)
                #expect(taken == request.count)
                answer.value = try await client.readAll(limit: 3, by: deadline)
            }
            #expect(fault == nil)
            await serving.finished()
        }
        #expect(isDone)
        #expect(answer.value == [1, 2, 3])
    }

    @Test func `a writer whom nobody reads runs into the deadline`() throws {
        let handshake = self.handshake(capacity: 5_000)
        let client = try handshake.client.get()
        let loop = handshake.loop
        let fault = Box<StreamFault?>(nil)
        _ = loop.run {
            fault.value = await Self.catching { () throws(StreamFault) in
                try await client.write(
                    [UInt8](repeating: 1, count: 1_000_000), by: loop.now + .seconds(3))
            }
        }
        #expect(fault.value == .deadlineExceeded)
        #expect(loop.now >= Instant(nanoseconds: 3_000_000_000))
    }

    @Test func `many short buffers share one record`() throws {
        let handshake = self.handshake()
        let client = try handshake.client.get()
        let server = try handshake.server.get()
        let before = handshake.streams.client.outgoing.count
        let pieces = (0..<100).map { [UInt8](repeating: UInt8($0), count: 10) }
        let joined = Array(pieces.joined())
        let loop = handshake.loop
        let received = Box<[UInt8]>([])
        _ = loop.run {
            let fault = await Self.catching { () throws(StreamFault) in
                let taken = try client.writeNow(joined, inPiecesOf: 10)
                #expect(taken == 1_000)
                received.value = try await server.readAll(
                    limit: 1_000, by: loop.now + .seconds(1))
            }
            #expect(fault == nil)
        }
        #expect(received.value == joined)
        let overhead = 22
        #expect(handshake.streams.client.outgoing.count - before == 1_000 + overhead)
    }

    @Test func `an end is heard, and the other direction goes on`() throws {
        let handshake = self.handshake()
        let client = try handshake.client.get()
        let server = try handshake.server.get()
        let loop = handshake.loop
        let isDone = loop.run {
            let deadline = loop.now + .seconds(1)
            let fault = await Self.catching { () throws(StreamFault) in
                try await client.write([1], by: deadline)
                client.finishWriting()
                #expect(try await server.readAll(by: deadline) == [1])
                try await server.write([2, 3], by: deadline)
                server.finishWriting()
                #expect(try await client.readAll(by: deadline) == [2, 3])
            }
            #expect(fault == nil)
            let late = await Self.catching { () throws(StreamFault) in
                try await client.write([4], by: deadline)
            }
            #expect(late == .closed)
        }
        #expect(isDone)
    }

    @Test func `a stream cut off between is told from one that has ended`() throws {
        let handshake = self.handshake()
        let client = try handshake.client.get()
        let server = try handshake.server.get()
        let loop = handshake.loop
        let fault = Box<StreamFault?>(nil)
        _ = loop.run {
            let deadline = loop.now + .seconds(1)
            fault.value = await Self.catching { () throws(StreamFault) in
                try await client.write([1], by: deadline)
                handshake.streams.client.outgoing.end()
                _ = try await server.readAll(by: deadline)
            }
        }
        #expect(fault.value == .endedEarly)
    }

    @Test func `who waits is woken when this side closes`() throws {
        let handshake = self.handshake(capacity: 5_000)
        let client = try handshake.client.get()
        let loop = handshake.loop
        let faults = Box<[StreamFault?]>([])
        let isDone = loop.run {
            let deadline = loop.now + .seconds(50)
            let writing = loop.spawn {
                let fault = await Self.catching { () throws(StreamFault) in
                    try await client.write([UInt8](repeating: 1, count: 500_000), by: deadline)
                }
                faults.value.append(fault)
            }
            let reading = loop.spawn {
                let fault = await Self.catching { () throws(StreamFault) in
                    try await client.readable(by: deadline)
                }
                faults.value.append(fault)
            }
            loop.spawn { client.close() }
            await writing.finished()
            await reading.finished()
        }
        #expect(isDone)
        #expect(faults.value == [.closed, .closed])
        #expect(loop.now < Instant(nanoseconds: 1_000_000_000))
    }

    @Test func `one connection's failure is not another's`() throws {
        let good = self.handshake()
        let bad = self.handshake()
        let client = try good.client.get()
        let server = try good.server.get()
        let broken = try bad.server.get()
        bad.streams.client.outgoing.flip = (bad.streams.client.outgoing.count + 10, 1)
        let badClient = try bad.client.get()
        let fault = Box<StreamFault?>(nil)
        _ = bad.loop.run {
            fault.value = await Self.catching { () throws(StreamFault) in
                try await badClient.write([1, 2, 3], by: bad.loop.now + .seconds(1))
                _ = try await broken.readAll(limit: 3, by: bad.loop.now + .seconds(1))
            }
        }
        #expect(fault.value == .insecure("TLS: decryption failed or bad record mac"))
        let received = Box<[UInt8]>([])
        _ = good.loop.run {
            _ = await Self.catching { () throws(StreamFault) in
                try await client.write([7], by: good.loop.now + .seconds(1))
                received.value = try await server.readAll(
                    limit: 1, by: good.loop.now + .seconds(1))
            }
        }
        #expect(received.value == [7])
    }

    @Test func `a flipped bit anywhere is a fault, never another byte and never a trap`() throws {
        var random = SeededGenerator(seed: 9)
        let message = Self.noise(40_000, seed: 10)
        for _ in 0..<150 {
            let position = Int.random(in: 0..<44_000, using: &random)
            let bits = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
            let isUpward = Bool.random(using: &random)
            let handshake = self.handshake { client, server in
                (isUpward ? client : server).outgoing.flip = (position, bits)
            }
            guard case .success(let client) = handshake.client,
                case .success(let server) = handshake.server
            else { continue }
            let (sender, receiver) = isUpward ? (client, server) : (server, client)
            let received = Box<[UInt8]>([])
            let fault = Box<StreamFault?>(nil)
            _ = handshake.loop.run {
                fault.value = await Self.catching { () throws(StreamFault) in
                    let deadline = handshake.loop.now + .seconds(1)
                    try await sender.write(message, by: deadline)
                    sender.finishWriting()
                    received.value = try await receiver.readAll(by: deadline)
                }
            }
            let isWhole = received.value == message
            let stream = isUpward ? handshake.streams.client : handshake.streams.server
            #expect(isWhole == (stream.outgoing.count <= position))
            #expect((fault.value == nil) == isWhole)
        }
    }
}
