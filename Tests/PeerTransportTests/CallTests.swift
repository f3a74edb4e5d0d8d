import IORuntime
import PeerTransport
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

@Suite struct CallTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func `many calls at once, of all sizes, get each its own answer`(seed: UInt64) throws {
        let world = try PeerWorld(seed: seed)
        world.simulator.network.shortTransferProbability = 0.3
        let asker = world.start(1)
        world.start(2)
        world.run { loop in
            await withTaskGroup(of: Bool.self) { group in
                for number in 0..<150 {
                    group.addTask {
                        let size = number % 50 == 0 ? 700_000 + number : number % 7 * 9_000
                        let request = PeerRequest(
                            kind: UInt16(number), head: patterned(number * 3, number),
                            body: [patterned(size / 2, number), [], patterned(size - size / 2)])
                        let result = await asker.result(
                            2, request, within: .seconds(60), on: loop)
                        guard case .success(let response) = result else { return false }
                        return response.head == request.head
                            && response.body.whole == request.body.whole
                    }
                }
                var good = 0
                for await isRight in group where isRight { good += 1 }
                #expect(good == 150)
            }
        }
    }

    @Test func `one seed is one trace`() throws {
        func trace() throws -> UInt64 {
            let world = try PeerWorld(seed: 99)
            let asker = world.start(1)
            world.start(2)
            return world.run { loop in
                for number in 0..<20 {
                    let request = PeerRequest(
                        kind: 1, head: patterned(10), body: [patterned(number * 40_000)])
                    _ = try await asker.call(NodeID(2), request, deadline: loop.now + .seconds(9))
                }
            }.traceHash
        }
        #expect(try trace() == trace())
    }

    @Test func `a small call does not wait behind sixteen megabytes`() throws {
        let world = try PeerWorld()
        world.simulator.network.conditions = .loopback
        world.simulator.network.conditions.bytesPerSecond = 100_000_000
        let asker = world.start(1)
        world.start(2)
        world.run { loop in
            let start = loop.now
            async let bulk = asker.result(
                2, PeerRequest(kind: 1, head: [], body: [[UInt8](repeating: 3, count: 16 << 20)]),
                within: .seconds(60), on: loop)
            for lane in [Lane.control, .bulk, .control, .bulk] {
                try await loop.sleep(for: .milliseconds(20))
                let before = loop.now
                let small = await asker.result(
                    2, PeerRequest(kind: 2, head: [1]), lane: lane, within: .seconds(1), on: loop)
                #expect(small == .success(PeerResponse(head: [1])))
                #expect(loop.now - before < .milliseconds(20), "on the \(lane) lane")
            }
            guard case .success(let response) = await bulk else {
                Issue.record("the large call failed")
                return
            }
            #expect(response.body.whole.count == 16 << 20)
            #expect(loop.now - start > .milliseconds(300))
        }
    }

    @Test func `a call ends at its deadline, and the answerer is told`() throws {
        let world = try PeerWorld()
        let cancelled = Mutex(0)
        let asker = world.start(1)
        let environment = world.machine(NodeID(2)).environment
        world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .seconds(50)) } catch {
                    cancelled.withLock { $0 += 1 }
                }
                return .response(PeerResponse())
            })
        world.run { loop in
            let start = loop.now
            let result = await asker.result(
                2, PeerRequest(kind: 1, head: []), within: .milliseconds(100), on: loop)
            #expect(result == .failure(.deadlineExceeded(mayHaveRun: true)))
            #expect(loop.now - start == .milliseconds(100))
            try await loop.sleep(for: .milliseconds(20))
        }
        #expect(cancelled.withLock { $0 } == 1)
    }

    @Test func `each of many deadlines is kept, in whatever order they come`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        let environment = world.machine(NodeID(2)).environment
        world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .seconds(50)) } catch {}
                return .response(PeerResponse())
            })
        world.run { loop in
            await withTaskGroup(of: Void.self) { group in
                for milliseconds in [500, 20, 300, 20, 900, 100, 10] {
                    group.addTask {
                        let start = loop.now
                        let result = await asker.result(
                            2, PeerRequest(kind: 1, head: []), within: .milliseconds(milliseconds),
                            on: loop)
                        guard case .failure(.deadlineExceeded) = result else {
                            Issue.record("\(result)")
                            return
                        }
                        #expect(loop.now - start == .milliseconds(milliseconds))
                    }
                }
            }
        }
    }

    @Test func `a request that arrives after its deadline is never run`() throws {
        let world = try PeerWorld()
        world.simulator.network.conditions.bytesPerSecond = 500_000
        let runs = Mutex(0)
        let asker = world.start(1)
        world.start(
            2,
            Answerer { _, _ in
                runs.withLock { $0 += 1 }
                return .response(PeerResponse())
            })
        world.run { loop in
            // Half a second's worth of bytes in two parts, unasked and so without a round trip. The
            // cancel stands behind them.
            let result = await asker.result(
                2, PeerRequest(kind: 1, head: [], body: [patterned(250_000)]),
                within: .milliseconds(120), on: loop)
            guard case .failure(.deadlineExceeded) = result else {
                Issue.record("\(result)")
                return
            }
            try await loop.sleep(for: .seconds(2))
        }
        #expect(runs.withLock { $0 } == 0)
    }

    @Test func `a caller that is cancelled stops waiting, and so does the answerer`() throws {
        let world = try PeerWorld()
        let cancelled = Mutex(0)
        let asker = world.start(1)
        let environment = world.machine(NodeID(2)).environment
        world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .seconds(50)) } catch {
                    cancelled.withLock { $0 += 1 }
                }
                return .response(PeerResponse())
            })
        world.run { loop in
            let journal = Journal()
            let caller = loop.spawn {
                let result = await asker.result(
                    2, PeerRequest(kind: 1, head: []), within: .seconds(50), on: loop)
                journal.add("\(result)")
            }
            try await loop.sleep(for: .milliseconds(50))
            caller.cancel()
            await caller.finished()
            #expect(journal.lines == ["\(CallResultText.cancelled)"])
            let early = loop.spawn {
                journal.add(
                    "\(await asker.result(2, PeerRequest(kind: 1, head: []), within: .seconds(50), on: loop))"
                )
            }
            early.cancel()
            await early.finished()
            #expect(journal.lines.count == 2)
            try await loop.sleep(for: .milliseconds(20))
        }
        #expect(cancelled.withLock { $0 } >= 1)
    }

    private enum CallResultText {
        static let cancelled = Result<PeerResponse, CallFault>.failure(.cancelled(mayHaveRun: true))
    }

    @Test func `a refusal arrives with its code and its words`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.start(2, Answerer { _, _ in .refused(code: 409, message: "not the leader: äöü") })
        world.run { loop in
            let result = await asker.result(
                2, PeerRequest(kind: 1, head: []), within: .seconds(1), on: loop)
            #expect(result == .failure(.refused(code: 409, message: "not the leader: äöü")))
        }
    }

    @Test func `more calls than a connection takes are refused, not queued`() throws {
        let world = try PeerWorld()
        world.limits.callsInFlight = 4
        let asker = world.start(1)
        let environment = world.machine(NodeID(2)).environment
        world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .milliseconds(50)) } catch {}
                return .response(PeerResponse())
            })
        world.run { loop in
            #expect(await Self.overloaded(asker, calls: 10, on: loop) == 6)
        }
    }

    @Test func `a node that answers as many calls as it may refuses the next`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.limits.callsInFlight = 3
        let environment = world.machine(NodeID(2)).environment
        world.start(
            2,
            Answerer { _, _ in
                do { try await environment.loops[0].sleep(for: .milliseconds(50)) } catch {}
                return .response(PeerResponse())
            })
        world.run { loop in
            #expect(await Self.overloaded(asker, calls: 10, on: loop) == 7)
        }
    }

    private static func overloaded(
        _ asker: Switchboard, calls: Int, on loop: any EventLoop
    ) async -> Int {
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<calls {
                group.addTask {
                    await asker.result(
                        2, PeerRequest(kind: 1, head: []), within: .seconds(5), on: loop)
                        == .failure(.overloaded)
                }
            }
            var count = 0
            for await isOverloaded in group where isOverloaded { count += 1 }
            return count
        }
    }

    @Test func `large bodies wait for room at the answerer and all arrive`() throws {
        let world = try PeerWorld(nodes: 3)
        world.limits.requestBudgetBytes = 2 << 20
        let held = Mutex((now: 0, most: 0))
        let environment = world.machine(NodeID(3)).environment
        let askers = [world.start(1), world.start(2)]
        let loops = world.machines.map { $0.environment.loops[0] }
        world.start(
            3,
            Answerer { request, _ in
                let size = request.body.whole.count
                held.withLock {
                    $0.now += size
                    $0.most = max($0.most, $0.now)
                }
                do { try await environment.loops[0].sleep(for: .milliseconds(30)) } catch {}
                held.withLock { $0.now -= size }
                return .response(PeerResponse())
            })
        world.run { loop in
            let done = Mutex(0)
            for number in 0..<16 {
                let asker = askers[number % 2]
                let loop = loops[number % 2]
                loop.spawn {
                    let request = PeerRequest(kind: 1, head: [], body: [patterned(700_000)])
                    let result = await asker.result(3, request, within: .seconds(60), on: loop)
                    #expect(result == .success(PeerResponse()))
                    done.withLock { $0 += 1 }
                }
            }
            while done.withLock({ $0 }) < 16 { try await loop.sleep(for: .milliseconds(10)) }
        }
        #expect(held.withLock { $0.most } == 1_400_000)
    }

    @Test func `large responses wait for room at the asker and all arrive`() throws {
        let world = try PeerWorld()
        world.limits.responseBudgetBytes = 1 << 20
        let asker = world.start(1)
        world.start(
            2,
            Answerer { _, _ in
                .response(PeerResponse(head: [9], body: [patterned(400_000), patterned(400_000)]))
            })
        world.run { loop in
            await withTaskGroup(of: Int.self) { group in
                for _ in 0..<12 {
                    group.addTask {
                        let result = await asker.result(
                            2, PeerRequest(kind: 1, head: []), lane: .bulk, within: .seconds(60),
                            on: loop)
                        guard case .success(let response) = result else { return 0 }
                        return response.body.whole.count
                    }
                }
                for await size in group { #expect(size == 800_000) }
            }
        }
    }

    @Test func `what is too large is refused before anything is sent`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.start(2)
        world.run { loop in
            for node: UInt32 in [1, 2] {
                let head = PeerLimits.headLimitBytes + 1
                let tooLong = await asker.result(
                    node, PeerRequest(kind: 1, head: patterned(head)), within: .seconds(1),
                    on: loop)
                #expect(
                    tooLong
                        == .failure(
                            .tooLarge(sizeBytes: head, limitBytes: PeerLimits.headLimitBytes)))
                let piece = patterned(PeerLimits.bodyLimitBytes / 2 + 1)
                let tooMuch = await asker.result(
                    node, PeerRequest(kind: 1, head: [], body: [piece, piece]),
                    within: .seconds(1), on: loop)
                #expect(
                    tooMuch
                        == .failure(
                            .tooLarge(
                                sizeBytes: PeerLimits.bodyLimitBytes + 2,
                                limitBytes: PeerLimits.bodyLimitBytes)))
            }
        }
    }

    @Test func `a call to oneself is like any other`() throws {
        let world = try PeerWorld()
        let environments = world.machines.map(\.environment)
        func answerer(_ index: Int) -> Answerer {
            Answerer { request, _ in
                switch request.kind {
                case 1: return .response(PeerResponse(head: request.head, body: request.body))
                case 2: return .refused(code: 7, message: "no")
                default:
                    do { try await environments[index].loops[0].sleep(for: .seconds(50)) } catch {}
                    return .response(PeerResponse())
                }
            }
        }
        let asker = world.start(1, answerer(0))
        world.start(2, answerer(1))
        world.run { loop in
            for kind: UInt16 in [1, 2, 3] {
                let request = PeerRequest(kind: kind, head: [1, 2], body: [patterned(100)])
                let own = await asker.result(1, request, within: .milliseconds(300), on: loop)
                let other = await asker.result(2, request, within: .milliseconds(300), on: loop)
                #expect(own == other)
                #expect((try? own.get()) != nil || kind != 1)
            }
            let late = await asker.result(
                1, PeerRequest(kind: 1, head: []), within: .zero, on: loop)
            #expect(late == .failure(.deadlineExceeded(mayHaveRun: false)))
            let lateElsewhere = await asker.result(
                2, PeerRequest(kind: 1, head: []), within: .zero, on: loop)
            #expect(lateElsewhere == late)
        }
    }

    @Test func `a node that is not in the book is unreachable`() throws {
        let world = try PeerWorld()
        let asker = world.start(1)
        world.run { loop in
            let result = await asker.result(
                9, PeerRequest(kind: 1, head: []), within: .seconds(1), on: loop)
            #expect(result == .failure(.unreachable(NodeID(9))))
        }
    }
}
