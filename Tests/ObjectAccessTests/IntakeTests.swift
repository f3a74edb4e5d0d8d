import ChunkProtocol
import Cryptography
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing

struct ByteBudgetTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `never more is held than there is, and everybody is served`(seed: UInt64) {
        let simulator = Simulator(seed: seed)
        let budget = ByteBudget(limitBytes: 100)
        let most = Mutex((held: 0, served: 0))
        for number in 0..<40 {
            let bytes = 1 + (number * 37 + Int(seed)) % 100
            simulator.spawn("\(number)") {
                let loop = simulator.loop
                do { try await loop.sleep(for: .milliseconds(number)) } catch {}
                let ticket = await budget.take(bytes, on: loop, by: loop.now + .seconds(60))
                most.withLock {
                    $0.held = max($0.held, budget.heldBytes)
                    $0.served += ticket == nil ? 0 : 1
                }
                do { try await loop.sleep(for: .milliseconds(50)) } catch {}
                if let ticket { budget.release(ticket) }
            }
        }
        #expect(simulator.run().ending == .finished)
        most.withLock {
            #expect($0.held <= 100 && $0.held > 50)
            #expect($0.served == 40)
        }
        #expect(budget.heldBytes == 0, "all of it came back")
    }

    @Test func `a small share does not overtake a large one that waits`() {
        let simulator = Simulator(seed: 1)
        let budget = ByteBudget(limitBytes: 100)
        let served = Mutex<[Int]>([])
        simulator.spawn("story") {
            let loop = simulator.loop
            let deadline = loop.now + .seconds(60)
            guard let first = await budget.take(90, on: loop, by: deadline) else { return }
            for bytes in [60, 10] {
                simulator.spawn("\(bytes)") {
                    let ticket = await budget.take(bytes, on: loop, by: deadline)
                    served.withLock { $0.append(ticket == nil ? 0 : bytes) }
                }
                do { try await loop.sleep(for: .seconds(1)) } catch {}
            }
            #expect(served.withLock { $0 } == [])
            #expect(budget.isShort)
            #expect(!budget.extend(first, by: 1), "nor does one who wants to grow")
            budget.release(first)
            do { try await loop.sleep(for: .seconds(1)) } catch {}
            #expect(served.withLock { $0.sorted() } == [10, 60])
            #expect(budget.heldBytes == 70 && !budget.isShort)
        }
        #expect(simulator.run().ending == .finished)
    }

    @Test func `a wait for bytes ends at its deadline or with its task, and holds nothing`() {
        let simulator = Simulator(seed: 1)
        let budget = ByteBudget(limitBytes: 100)
        simulator.spawn("story") {
            let loop = simulator.loop
            let begun = loop.now
            guard let first = await budget.take(60, on: loop, by: begun) else {
                Issue.record("what is free is granted whatever the deadline")
                return
            }
            #expect(budget.extend(first, by: 40))
            #expect(await budget.take(1, on: loop, by: begun + .seconds(5)) == nil)
            #expect(loop.now - begun == .seconds(5))
            let cancelled = loop.spawn {
                #expect(await budget.take(1, on: loop, by: begun + .seconds(60)) == nil)
            }
            do { try await loop.sleep(for: .seconds(1)) } catch {}
            cancelled.cancel()
            await cancelled.finished()
            #expect(loop.now - begun < .seconds(7))
            #expect(!budget.isShort && budget.heldBytes == 100)
            budget.release(first)
            #expect(budget.heldBytes == 0)
        }
        #expect(simulator.run().ending == .finished)
    }
}

struct ChunkDraftTests {
    private static let frame = SealedLayout.frameBytes

    @Test(arguments: [
        [1], [frame], [frame + 1], [3 * frame], [16 << 10, 48 << 10],
        [16 << 10, 48 << 10, 100_000],
        [16 << 10, 48 << 10, 4 * frame, 16 * frame, 5], [5, 10, 20, frame - 35, frame, 1],
    ])
    func `a draft that grew in steps seals to what the same bytes at hand do`(
        steps: [Int]
    ) async throws {
        let plain = someBytes(steps.reduce(0, +))
        var draft = ChunkDraft()
        let source = BytesSource(plain)
        for step in steps {
            var left = step
            while left > 0 {
                let growth = draft.growth(upTo: left)
                draft.grow(by: growth)
                left -= growth
                while !draft.isFull { _ = try await draft.read(from: source) }
            }
        }
        #expect(draft.plainBytes == plain.count)
        #expect(draft.joined == plain)
        let name = ChunkName(incarnation: 1, counter: 1)
        let key = try #require(SymmetricKey(bytes: [UInt8](repeating: 7, count: 32)))
        for isCompressing in [false, true] {
            let atHand = SealedChunk(
                plain, name: name, bucketKey: key, isCompressing: isCompressing)
            var copy = draft
            let sealed = copy.seal(name, bucketKey: key, isCompressing: isCompressing)
            #expect(sealed.frames == atHand.frames)
            #expect(Array(sealed.sealed.joined()) == Array(atHand.sealed.joined()))
            #expect(copy.plainBytes == 0)
        }
    }
}

/// Gives a few bytes at long intervals.
private final class SlowSource: BodySource {
    private var rest: ArraySlice<UInt8>
    private let dripBytes: Int
    private let interval: Duration
    private let loop: any EventLoop

    init(_ bytes: [UInt8], dripBytes: Int, every interval: Duration, on loop: any EventLoop) {
        self.rest = bytes[...]
        self.dripBytes = dripBytes
        self.interval = interval
        self.loop = loop
    }

    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        guard !self.rest.isEmpty else { return [] }
        do { try await self.loop.sleep(for: self.interval) } catch { throw .connection("cut") }
        let part = self.rest.prefix(min(limit, self.dripBytes))
        self.rest = self.rest.dropFirst(part.count)
        return Array(part)
    }
}

struct SlowSenderTests {
    private static func settings(budgetBytes: Int) -> ObjectAccessSettings {
        var settings = AccessWorld.small
        settings.chunkBytes = 8 << 20
        settings.intakeBudgetBytes = budgetBytes
        return settings
    }

    /// Starts uploads that drip, and waits until all of them are under way.
    private static func drip(
        _ count: Int, _ body: [UInt8], in world: AccessWorld, dripBytes: Int
    ) async throws -> [SpawnedTask] {
        let tasks = (0..<count).map { number in
            world.loop.spawn {
                let source = SlowSource(
                    body, dripBytes: dripBytes, every: .seconds(1), on: world.loop)
                do { _ = try await world.put("slow\(number)", source) } catch {
                    Issue.record("upload \(number): \(error)")
                }
            }
        }
        try await world.loop.sleep(for: .seconds(3))
        return tasks
    }

    @Test func `many slow senders hold little each and do not hold up a fast one`() throws {
        // 32 KiB for each of 300 slow senders, and a little over for the fast one.
        let world = try AccessWorld(Self.settings(budgetBytes: 300 * (32 << 10)))
        world.run {
            let slow = try await Self.drip(300, someBytes(100_000), in: world, dripBytes: 1000)
            #expect(world.access.heldIntakeBytes == 300 * (16 << 10))
            let begun = world.loop.now
            let body = someBytes(6 << 20)
            _ = try await world.put("fast", body)
            #expect(world.loop.now - begun < .seconds(5))
            let isSame = try await world.get("fast") == body
            #expect(isSame)
            for task in slow { await task.finished() }
            #expect(world.access.heldIntakeBytes == 0)
        }
    }

    @Test func `who holds a part of a chunk and gets no more memory sends the part off`() throws {
        let world = try AccessWorld(Self.settings(budgetBytes: 1 << 20))
        world.run {
            // Each of them alone would fill half of the memory with one chunk.
            let body = someBytes(600_000)
            let slow = try await Self.drip(20, body, in: world, dripBytes: 30_000)
            for task in slow { await task.finished() }
            for number in 0..<20 {
                let isSame = try await world.get("slow\(number)") == body
                #expect(isSame)
            }
            #expect(world.access.counters.chunksEndedEarly.value > 0)
            #expect(world.access.heldIntakeBytes == 0)
        }
    }

    @Test func `who gets no memory in time is told so, and has promised nothing`() throws {
        let world = try AccessWorld(Self.settings(budgetBytes: 64 << 10))
        world.run {
            let slow = try await Self.drip(4, someBytes(30_000), in: world, dripBytes: 500)
            await #expect(throws: AccessFault.overloaded) {
                _ = try await world.access.put(
                    try AccessWorld.key("k"), in: try AccessWorld.bucket,
                    BytesSource(someBytes(20_000)), PutOptions(), on: world.loop,
                    deadline: world.loop.now + .seconds(5))
            }
            #expect(world.access.counters.uploadsRefusedForMemory.value == 1)
            #expect(world.cluster.commits.isEmpty)
            for task in slow { await task.finished() }
            _ = try await world.put("k", someBytes(20_000))
        }
    }
}
