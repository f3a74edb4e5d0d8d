import IORuntime
import Primitives
import Synchronization
import Testing

@Suite struct StreamTests {
    /// Sends back what it reads until the peer ends.
    private static func echo(_ stream: any ByteStream, _ environment: RealEnvironment) async {
        defer { stream.close() }
        var buffer = [UInt8](repeating: 0, count: 4096)
        do {
            while true {
                let count = try buffer.withUnsafeMutableBytes { try stream.readNow(into: $0) }
                guard let count else {
                    try await stream.readable(by: environment.soon)
                    continue
                }
                if count == 0 { return }
                try await stream.write(Array(buffer.prefix(count)), by: environment.soon)
            }
        } catch { Issue.record(error) }
    }

    @Test func `two loops that listen on one port share its connections and answer all of them`()
        async throws
    {
        try await withEnvironment { environment in
            let first = try environment.listen(on: loopback, loop: environment.loops[0])
            let second = try environment.listen(on: first.address, loop: environment.loops[1])
            let accepted = Shared([0, 0])
            let servers = [first, second].enumerated().map { number, listener in
                environment.loops[number].spawn {
                    while let stream = try? await listener.accept() {
                        accepted.change { $0[number] += 1 }
                        environment.loops[number].spawn { await Self.echo(stream, environment) }
                    }
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    let loop = environment.loops[number % 2]
                    group.addTask(executorPreference: loop) {
                        let stream = try await environment.connect(
                            to: first.address, on: loop, deadline: environment.soon)
                        for round in 0..<20 {
                            let message = Array("\(number) says \(round)".utf8)
                            try await stream.write(message, by: environment.soon)
                            let answer = try await stream.read(message.count, by: environment.soon)
                            #expect(answer == message)
                        }
                        stream.close()
                    }
                }
                try await group.waitForAll()
            }
            first.close()
            second.close()
            for server in servers { await server.finished() }
            let counts = accepted.value
            #expect(counts[0] + counts[1] == 100)
            // The chance that a fair spread leaves one of them without is 2 to the -99th.
            #expect(counts[0] > 0 && counts[1] > 0)
        }
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `a stream knows its peer, and its end`(host: String) async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            let listener = try environment.listen(
                on: SocketAddress(host: host, port: 0), loop: loop)
            let client = try await environment.connect(
                to: listener.address, on: loop, deadline: environment.soon)
            let server = try await listener.accept()
            #expect(listener.address.host == host)
            #expect(client.remoteAddress == listener.address)
            #expect(server.remoteAddress.host == host)
            #expect(server.loop === loop)

            // The end arrives with the bytes, and is seen behind them.
            try await client.write([1, 2, 3], by: environment.soon)
            client.finishWriting()
            #expect(try await server.read(3, by: environment.soon) == [1, 2, 3])
            #expect(
                await fault(StreamFault.self) {
                    _ = try await server.read(1, by: environment.soon)
                } == .endedEarly)
            // The other direction is open still.
            try await server.write([4], by: environment.soon)
            #expect(try await client.read(1, by: environment.soon) == [4])
        }
    }

    @Test func `a name is resolved`() async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            let listener = try environment.listen(on: loopback, loop: loop)
            let name = SocketAddress(host: "localhost", port: listener.address.port)
            let stream = try await environment.connect(
                to: name, on: loop, deadline: environment.soon)
            #expect(stream.remoteAddress == name)
        }
    }

    @Test func `a deadline ends a wait, for reading and for writing`() async throws {
        try await withEnvironment { environment in
            let (client, server) = try await connectedPair(environment)
            let start = environment.now
            let deadline = start + .milliseconds(20)
            #expect(
                await fault(StreamFault.self) { try await client.readable(by: deadline) }
                    == .deadlineExceeded)
            #expect(environment.now >= deadline)

            let bytes = [UInt8](repeating: 7, count: 64 << 20)
            #expect(
                await fault(StreamFault.self) {
                    try await client.write(bytes, by: environment.now + .milliseconds(20))
                } == .deadlineExceeded)
            server.close()
        }
    }

    private static func outcome(
        _ body: () async throws -> [UInt8]
    ) async -> Result<[UInt8], StreamFault> {
        do { return .success(try await body()) } catch let fault as StreamFault {
            return .failure(fault)
        } catch {
            Issue.record(error)
            return .success([])
        }
    }

    @Test func `a deadline that moves forward with each message ends the wait that misses it`()
        async throws
    {
        try await withEnvironment { environment in
            let (client, server) = try await connectedPair(environment)
            for round in 0..<50 {
                let deadline = environment.now + .milliseconds(40)
                async let answer = Self.outcome { try await client.read(1, by: deadline) }
                try await environment.loops[0].sleep(for: .milliseconds(1))
                try await server.write([UInt8(round)], by: environment.soon)
                switch await answer {
                case .success(let bytes): #expect(bytes == [UInt8(round)])
                case .failure(let fault):
                    // The machine stood still for 40 ms. That is no fault of the stream's; to give
                    // up before the deadline would be, as if an earlier one had not moved.
                    #expect(fault == .deadlineExceeded)
                    #expect(environment.now >= deadline)
                    let late = try await client.read(1, by: environment.soon)
                    #expect(late == [UInt8(round)])
                }
            }
            let deadline = environment.now + .milliseconds(40)
            #expect(
                await fault(StreamFault.self) { _ = try await client.read(1, by: deadline) }
                    == .deadlineExceeded)
            #expect(environment.now >= deadline)
            server.close()
        }
    }

    @Test func `close wakes who waits, and every later call hears of it`() async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            let (client, server) = try await connectedPair(environment)
            let listener = try environment.listen(on: loopback, loop: loop)
            async let reader = fault(StreamFault.self) {
                try await client.readable(by: environment.soon)
            }
            async let acceptor = fault(StreamFault.self) { _ = try await listener.accept() }
            try await loop.sleep(for: .milliseconds(1))
            client.close()
            client.close()
            listener.close()
            let faults = await [reader, acceptor]
            #expect(faults == [.closed, .closed])
            #expect(
                await fault(StreamFault.self) { _ = try client.writeNow([]) } == .closed)
            server.close()
        }
    }

    @Test func `events of streams that close each other find nobody`() async throws {
        try await withEnvironment(loopCount: 1) { environment in
            for _ in 0..<50 {
                var pairs: [(client: any ByteStream, server: any ByteStream)] = []
                for _ in 0..<8 { pairs.append(try await connectedPair(environment)) }
                let clients = pairs.map(\.client)
                // All become readable in one turn; the first to run closes all, and new streams take
                // the slots and the numbers that are free then.
                let readers = clients.map { client in
                    environment.loops[0].spawn {
                        guard (try? await client.readable(by: environment.soon)) != nil else {
                            return
                        }
                        for other in clients { other.close() }
                    }
                }
                try await environment.loops[0].sleep(for: .zero)
                for pair in pairs { _ = try await pair.server.write([1], by: environment.soon) }
                for reader in readers { await reader.finished() }
                let next = try await connectedPair(environment)
                try await next.client.write([9], by: environment.soon)
                #expect(try await next.server.read(1, by: environment.soon) == [9])
            }
        }
    }

    @Test func `a slow reader gets all of a large write, in order`() async throws {
        try await withEnvironment { environment in
            let (client, server) = try await connectedPair(environment)
            // Several times what the two sockets' buffers hold.
            let bytes = (0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 / 251 ^ $0) }
            let sender = environment.loops[0].spawn {
                do { try await client.write(bytes, by: environment.soon) } catch {
                    Issue.record(error)
                }
                client.finishWriting()
            }
            var position = 0
            var wrongPieces = 0
            var buffer = [UInt8](repeating: 0, count: 300_000)
            while true {
                let count = try buffer.withUnsafeMutableBytes { try server.readNow(into: $0) }
                guard let count else {
                    try await server.readable(by: environment.soon)
                    continue
                }
                if count == 0 { break }
                let expected = bytes[position...].prefix(count)
                if !expected.elementsEqual(buffer.prefix(count)) { wrongPieces += 1 }
                position += count
                if position % 7 == 0 {
                    try await environment.loops[0].sleep(for: .microseconds(200))
                }
            }
            await sender.finished()
            #expect(position == bytes.count)
            #expect(wrongPieces == 0)
        }
    }

    @Test func `many buffers leave in order, in as many calls as it takes`() async throws {
        try await withEnvironment { environment in
            let (client, server) = try await connectedPair(environment)
            let bytes = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
            var written = 0
            while written < bytes.count {
                let taken = try bytes.withUnsafeBytes { all in
                    try client.writeNow(
                        (written..<bytes.count).map {
                            UnsafeRawBufferPointer(rebasing: all[$0..<$0 + 1])
                        })
                }
                written += taken
                if taken == 0 { try await client.writable(by: environment.soon) }
            }
            #expect(try await server.read(bytes.count, by: environment.soon) == bytes)
        }
    }

    @Test func `a stream that is always ready leaves the others their turn`() async throws {
        try await withEnvironment(loopCount: 2) { environment in
            let (client, server) = try await connectedPair(environment)
            let isDone = Shared(false)
            // Writes and reads of one pair on one loop could go on for ever without a wait.
            let busy = environment.loops[0].spawn {
                var buffer = [UInt8](repeating: 0, count: 64 << 10)
                do {
                    while !isDone.value {
                        let sent = try buffer.withUnsafeBytes { try client.writeNow([$0]) }
                        if sent == 0 { try await client.writable(by: environment.soon) }
                        let got = try buffer.withUnsafeMutableBytes {
                            try server.readNow(into: $0)
                        }
                        if got == nil { try await server.readable(by: environment.soon) }
                    }
                } catch { Issue.record(error) }
            }
            for _ in 0..<20 { try await environment.loops[0].sleep(for: .microseconds(100)) }
            isDone.change { $0 = true }
            await busy.finished()
        }
    }

    @Test func `nobody listens there`() async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            // The port is held at one address of the loopback network, so that no other test, and no
            // child process that shares a descriptor until it runs its program, has it at another.
            let holder = try environment.listen(on: loopback, loop: loop)
            defer { holder.close() }
            let address = SocketAddress(host: "127.86.1.9", port: holder.address.port)
            #expect(
                await fault(StreamFault.self) {
                    _ = try await environment.connect(
                        to: address, on: loop, deadline: environment.soon)
                } == .refused(address))
        }
    }

    @Test func `an address that somebody else listens on is in use`() async throws {
        try await withEnvironment { environment in
            let loop = environment.loops[0]
            // An address that is this test's alone: elsewhere another test may take the port as soon
            // as it is free.
            let listener = try environment.listen(
                on: SocketAddress(host: "127.86.1.10", port: 0), loop: loop)
            let joined = try environment.listen(on: listener.address, loop: environment.loops[1])
            let stranger = RealEnvironment(loopCount: 1)
            defer { stranger.stop() }
            #expect(
                await fault(StreamFault.self) {
                    _ = try stranger.listen(on: listener.address, loop: stranger.loops[0])
                } == .addressInUse(listener.address))
            listener.close()
            joined.close()
            // A child process of another test holds copies of all sockets until it runs its program.
            let deadline = environment.soon
            while true {
                do throws(StreamFault) {
                    return try environment.listen(on: listener.address, loop: loop).close()
                } catch {
                    guard error == .addressInUse(listener.address), environment.now < deadline
                    else { throw error }
                }
                try await loop.sleep(for: .milliseconds(1))
            }
        }
    }

    @Test func `a peer that gives up with bytes unread resets the stream, for good`() async throws {
        try await withEnvironment { environment in
            let (client, server) = try await connectedPair(environment)
            try await client.write([1], by: environment.soon)
            try await server.readable(by: environment.soon)
            server.close()
            for _ in 0..<2 {
                #expect(
                    await fault(StreamFault.self) {
                        _ = try await client.read(1, by: environment.soon)
                    } == .reset)
            }
            #expect(
                await fault(StreamFault.self) {
                    try await client.write([1], by: environment.soon)
                } == .reset)
        }
    }

    @Test func `an environment that stops leaves no socket open`() async throws {
        try await withEnvironment { environment in
            let stopping = RealEnvironment(loopCount: 1)
            let loop = stopping.loops[0]
            let listener = try stopping.listen(on: loopback, loop: loop)
            let accepting = Shared(0)
            loop.spawn {
                var streams: [any ByteStream] = []
                while let stream = try? await listener.accept() {
                    streams.append(stream)
                    accepting.change { $0 = streams.count }
                }
            }
            let client = try await environment.connect(
                to: listener.address, on: environment.loops[0], deadline: environment.soon)
            while accepting.value == 0 {
                try await environment.loops[0].sleep(for: .milliseconds(1))
            }
            stopping.stop()
            #expect(
                await fault(StreamFault.self) {
                    _ = try await client.read(1, by: environment.soon)
                } == .endedEarly)
        }
    }

    @Test func `a connection that nobody completes ends at its deadline`() async throws {
        try await withEnvironment { environment in
            // TEST-NET-1 (RFC 5737) has no hosts. What a machine without a route to it, or with a
            // filter before it, says at once is that machine's affair.
            let address = SocketAddress(host: "192.0.2.1", port: 9)
            let deadline = environment.now + .milliseconds(30)
            let thrown = await fault(StreamFault.self) {
                _ = try await environment.connect(
                    to: address, on: environment.loops[0], deadline: deadline)
            }
            if thrown == .deadlineExceeded { #expect(environment.now >= deadline) }
            #expect(thrown != nil && thrown != .closed)
        }
    }
}
