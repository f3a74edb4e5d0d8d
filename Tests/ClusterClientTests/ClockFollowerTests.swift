import ClusterClient
import IORuntime
import PeerTransport
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing
import Wire

/// A node without the meta role, which asks the voters what time it is.
struct ClockFollowerTests {
    @Test func `what time it is is known after one look`() throws {
        let world = FollowerWorld(voters: 5)
        #expect(!world.clock.isFitForEdges, "nobody has been asked yet")
        try world.run { await $0.look() }
        #expect(world.clock.knownClocks == 5)
        #expect(world.clock.verdict.offset == .zero)
        #expect(world.clock.isFitForEdges)
        #expect(world.voters.asked.sorted() == (1...5).map { NodeID($0) })
    }

    @Test(
        arguments: [
            // The median counts: neither who is ahead nor who is behind.
            ([3_600_000, -3_600_000, 0, 20, 20], -20, true),
            // The own clock is an hour behind everybody's, or ahead.
            ([3_600_000, 3_600_000, 3_600_000, 3_600_000, 3_600_000], -3_600_000, false),
            ([-3_600_000, -3_600_000, -3_600_000, -3_600_000, -3_600_000], 3_600_000, false),
            // The limit of edges is within.
            ([5_000, 5_000, 5_000, 5_000, 5_000], -5_000, true),
            ([5_001, 5_001, 5_001, 5_001, 5_001], -5_001, false),
        ] as [([Int64], Int64, Bool)])
    func `a clock is fit by the median of the voters alone`(
        ahead: [Int64], offset: Int64, isFit: Bool
    ) throws {
        let world = FollowerWorld(voters: ahead.count)
        for (place, span) in ahead.enumerated() { world.voters.set(place + 1, .ahead(span)) }
        try world.run { await $0.look() }
        #expect(world.clock.verdict.offset == .milliseconds(offset))
        #expect(world.clock.isFitForEdges == isFit)
        // Spans of hours are measured within half a second of the median, whatever the clock shows.
        let median = world.environment.wallClock + .milliseconds(-offset)
        let distance = world.clock.time.milliseconds - median.milliseconds
        #expect(abs(distance) <= 500)
    }

    @Test(arguments: [
        VoterConduct.silent, .refusing, .gone, .answering([]), .answering([2, 0]),
        .answering([1, 0, 0]), .answering([9] + [UInt8](repeating: 0, count: 8)),
        // A time that no calendar has, and an answer too late to say anything.
        .answering([1] + [UInt8](repeating: 0xff, count: 8)), .slow(there: 300, back: 300),
    ])
    func `who says nothing that can be believed is left out`(conduct: VoterConduct) throws {
        let world = FollowerWorld(voters: 5)
        for voter in [1, 2] { world.voters.set(voter, conduct) }
        let took = try world.run { await $0.look() }
        #expect(world.clock.knownClocks == 3)
        #expect(world.clock.isFitForEdges)
        #expect(took <= .seconds(1), "a look waits for nobody longer than a call takes")

        // Two of five are no majority, and what most say is not known any more.
        let other = FollowerWorld(voters: 5)
        for voter in [1, 2, 3] { other.voters.set(voter, conduct) }
        try other.run { await $0.look() }
        #expect(other.clock.knownClocks == 2)
        #expect(other.clock.verdict.offset == nil && !other.clock.isFitForEdges)
    }

    @Test func `half of the way there and back is taken off`() throws {
        let world = FollowerWorld(voters: 3)
        for voter in 1...3 { world.voters.set(voter, .slow(there: 150, back: 150)) }
        try world.run { await $0.look() }
        #expect(world.clock.verdict.offset == .zero)
        // Where one way takes all of the time, the error is half of it and no more.
        for voter in 1...3 { world.voters.set(voter, .slow(there: 300, back: 0)) }
        try world.run { await $0.look() }
        #expect(world.clock.verdict.offset == .milliseconds(-150))
    }

    @Test func `a clock that jumps is seen within a period, and one's own at once`() throws {
        let world = FollowerWorld(voters: 3)
        world.follow()
        world.pass(.seconds(1))
        #expect(world.clock.isFitForEdges)

        world.machine.jumpWallClock(by: .seconds(60))
        #expect(world.clock.verdict.offset == .seconds(60) && !world.clock.isFitForEdges)
        world.machine.correctWallClock()
        #expect(world.clock.isFitForEdges)

        for voter in 1...3 { world.voters.set(voter, .ahead(-7_000)) }
        world.pass(ClockFollower.period)
        #expect(world.clock.verdict.offset == .seconds(7) && !world.clock.isFitForEdges)
    }

    @Test func `voters that cannot be reached are believed for ten minutes`() throws {
        let world = FollowerWorld(voters: 3)
        world.follow()
        world.pass(.seconds(1))
        for voter in 1...3 { world.voters.set(voter, .gone) }
        world.pass(ClockOffsets.readingLifetime - .seconds(4))
        #expect(world.clock.isFitForEdges)
        world.pass(.seconds(8))
        #expect(world.clock.verdict.offset == nil && !world.clock.isFitForEdges)
        for voter in 1...3 { world.voters.set(voter, .ahead(0)) }
        world.pass(ClockFollower.period)
        #expect(world.clock.isFitForEdges)
    }

    @Test func `who votes no more is not asked, and what it said is forgotten`() throws {
        let world = FollowerWorld(voters: 3)
        for voter in 1...3 { world.voters.set(voter, .ahead(60_000)) }
        try world.run { await $0.look() }
        #expect(!world.clock.isFitForEdges)
        world.voters.replace(by: [NodeID(4), NodeID(5), NodeID(6)])
        try world.run { await $0.look() }
        #expect(world.voters.asked.suffix(3).sorted() == [NodeID(4), NodeID(5), NodeID(6)])
        #expect(world.clock.verdict.offset == .zero)
    }

    @Test func `the answer's bytes are fixed`() throws {
        let answer = ClockAnswer(wall: Timestamp(milliseconds: 0x0102_0304))
        #expect(answer.encoded == [1, 4, 3, 2, 1, 0, 0, 0, 0])
        #expect(try ClockAnswer(decoding: answer.encoded) == answer)
        for length in 0..<answer.encoded.count {
            #expect(throws: FormatFault.self) {
                try ClockAnswer(decoding: Array(answer.encoded.prefix(length)))
            }
        }
    }
}

/// What a voter does when it is asked for its clock.
enum VoterConduct: Sendable {
    /// Milliseconds that its clock shows above the asker's right time.
    case ahead(Int64)
    /// Milliseconds that the question and the answer are under way.
    case slow(there: Int, back: Int)
    case answering([UInt8])
    case refusing
    case gone
    /// Until the deadline.
    case silent
}

/// Voters that are played.
private final class PlayedVoters: Peers {
    private struct State {
        var voters: [NodeID]
        var conduct: [NodeID: VoterConduct] = [:]
        var asked: [NodeID] = []
    }

    private let state: Mutex<State>
    private let environment: any Environment
    private let start: (wall: Timestamp, now: Instant)

    init(_ environment: any Environment, count: Int) {
        self.environment = environment
        self.start = (environment.wallClock, environment.now)
        self.state = Mutex(State(voters: (1...UInt32(count)).map { NodeID($0) }))
    }

    var voters: [NodeID] { self.state.withLock { $0.voters } }
    var asked: [NodeID] { self.state.withLock { $0.asked } }

    func set(_ voter: Int, _ conduct: VoterConduct) {
        self.state.withLock { $0.conduct[NodeID(UInt32(voter))] = conduct }
    }

    func replace(by voters: [NodeID]) { self.state.withLock { $0.voters = voters } }

    func send(_ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane) {}
    func sendUrgent(_ node: NodeID, kind: UInt16, _ message: [UInt8]) {}

    func call(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async throws(CallFault) -> PeerResponse {
        let conduct = self.state.withLock { state in
            state.asked.append(node)
            return state.conduct[node] ?? .ahead(0)
        }
        switch conduct {
        case .ahead(let milliseconds):
            return self.answer(ahead: .milliseconds(milliseconds))
        case .slow(let there, let back):
            try await self.pass(.milliseconds(there))
            let answer = self.answer(ahead: .zero)
            try await self.pass(.milliseconds(back))
            return answer
        case .answering(let bytes): return PeerResponse(head: bytes)
        case .refusing: throw .refused(code: 1, message: "")
        case .gone: throw .unreachable(node)
        case .silent:
            try await self.pass(deadline - self.environment.now)
            throw .deadlineExceeded(mayHaveRun: true)
        }
    }

    /// The right time, which jumps of the asker's clock do not change.
    private func answer(ahead span: Duration) -> PeerResponse {
        let wall = self.start.wall + (self.environment.now - self.start.now) + span
        return PeerResponse(head: ClockAnswer(wall: wall).encoded)
    }

    private func pass(_ span: Duration) async throws(CallFault) {
        do { try await self.environment.loops[0].sleep(for: span) } catch {
            throw .cancelled(mayHaveRun: true)
        }
    }
}

/// One follower before played voters.
private final class FollowerWorld {
    let simulator = Simulator(seed: 1)
    let machine: SimulatedNode
    let environment: SimulatedEnvironment
    let voters: PlayedVoters
    let clock: ClockView
    private let follower: ClockFollower

    init(voters count: Int) {
        self.machine = self.simulator.makeNode("edge", host: "10.0.0.9")
        self.environment = self.machine.environment
        let voters = PlayedVoters(self.environment, count: count)
        self.voters = voters
        self.clock = ClockView(
            node: NodeID(9), voters: [], environment: self.environment,
            registry: MetricsRegistry())
        self.follower = ClockFollower(
            self.clock, environment: self.environment, loop: self.environment.simulatedLoops[0],
            peers: voters, voters: { voters.voters })
    }

    deinit { self.simulator.discard() }

    /// Runs `work` to its end; says how long it took.
    @discardableResult
    func run(
        _ work: @escaping @Sendable (ClockFollower) async -> Void
    ) throws -> Duration {
        let isDone = Mutex(false)
        let follower = self.follower
        let start = self.simulator.now
        self.simulator.spawn("test", on: self.environment.simulatedLoops[0]) {
            await work(follower)
            isDone.withLock { $0 = true }
        }
        let ending = self.simulator.run(for: .seconds(60), until: { isDone.withLock { $0 } })
        #expect(ending.ending == .finished)
        return self.simulator.now - start
    }

    func pass(_ span: Duration) { _ = self.simulator.run(for: span, until: { false }) }

    /// Has it follow from now on, whenever time passes.
    func follow() {
        let follower = self.follower
        self.environment.simulatedLoops[0].spawn { await follower.run() }
    }
}
