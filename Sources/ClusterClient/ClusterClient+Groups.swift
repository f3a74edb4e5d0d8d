import Catalog
import IORuntime
import PeerTransport
import Primitives
import Synchronization
import Telemetry
import Wire

/// Commands and queries.
extension ClusterClient {
    /// Has an operation decided in the group that owns its slot, exactly once: every retry carries
    /// the identity of the first attempt.
    ///
    /// - Throws: `.outcomeUnknown` when the operation may have been applied and nobody could say.
    package func submit(
        _ operation: CatalogOperation, deadline: Instant
    ) async throws(ClusterFault) -> CommandResult {
        invariant(operation.slot != nil, "what concerns a whole group names the group")
        let slot = operation.slot ?? Slot(rawValue: 0)
        self.counters.commands.add()
        while true {
            let group = try await self.owner(of: slot, deadline: deadline)
            let result = try await self.submit(operation, in: group, deadline: deadline)
            guard case .slotNotOwned = result else { return result }
            // Certainly not applied: the group's own rows decide who owns a slot.
            try await self.slotMoved(deadline: deadline)
        }
    }

    private func submit(
        _ operation: CatalogOperation, in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> CommandResult {
        while true {
            let identity = try await self.beginCommand(in: group, deadline: deadline)
            defer { self.state.withLock { $0.windows[group]?.end(identity) } }
            let command = CatalogCommand(identity: identity, operation: operation)
            let decision = try await self.decide(command, in: group, deadline: deadline)
            guard case .sessionUnknown = decision.result else { return decision.result }
            self.state.withLock { $0.windows[group]?.sessionLost(with: identity) }
            if decision.mayHaveRunBefore {
                self.counters.outcomesUnknown.add()
                throw .outcomeUnknown("group \(group) no longer knows this node's session")
            }
            // Only this attempt reached the group, and it was not applied: a new session will do.
        }
    }

    private func beginCommand(
        in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> CommandIdentity {
        while true {
            guard let incarnation = self.incarnation else {
                throw .unavailable("this node has no incarnation yet")
            }
            let session = SessionID(incarnation)
            switch self.state.withLock({
                $0.windows[group, default: CommandWindow()].begin(in: session)
            }) {
            case .command(let identity): return identity
            case .mustWait: try await self.pause(before: deadline)
            case .mustOpen: try await self.openSession(session, in: group, deadline: deadline)
            }
        }
    }

    private func openSession(
        _ session: SessionID, in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) {
        defer { self.state.withLock { $0.windows[group]?.openingFailed() } }
        let command = CatalogCommand(operation: .openSession(session))
        let decision = try await self.decide(command, in: group, deadline: deadline)
        guard case .sessionOpened(let first) = decision.result else {
            throw .unavailable("group \(group) opened no session: \(decision.result)")
        }
        self.state.withLock { $0.windows[group]?.opened(firstSequence: first) }
    }

    struct Decision {
        let result: CommandResult
        /// An attempt before the one that was answered may have reached the group.
        let mayHaveRunBefore: Bool
    }

    /// Sends one command to whoever leads, until it is decided.
    ///
    /// - Throws: `.outcomeUnknown` only for a command with an identity. Another may be repeated, so
    ///   it does not matter whether it ran, and the fault says why nothing was heard.
    func decide(
        _ command: CatalogCommand, in group: GroupID, deadline: Instant
    ) async throws(ClusterFault) -> Decision {
        let head = ProposeRequest(group: group, commands: [command.encoded]).encoded
        let request = PeerRequest(kind: MetaCallKind.propose, head: head)
        let isRepeatable = command.identity != nil || command.operation.mayRepeat
        invariant(isRepeatable, "a command without an identity may be applied twice")
        var mayHaveRun = false
        do throws(ClusterFault) {
            let result = try await self.askLeader(of: group, request, deadline: deadline) {
                (answer: ProposeAnswer) in
                switch answer {
                case .applied(_, let results):
                    results.first.map { .answer($0) } ?? .malformed("no result")
                case .refused(let refusal): .refused(refusal)
                }
            } onFault: { fault in
                mayHaveRun = mayHaveRun || Self.mayHaveRun(fault)
            }
            return Decision(result: result, mayHaveRunBefore: mayHaveRun)
        } catch {
            guard mayHaveRun, command.identity != nil else { throw error }
            self.counters.outcomesUnknown.add()
            switch error {
            case .unavailable(let reason), .diskFull(let reason), .outcomeUnknown(let reason),
                .malformed(let reason):
                throw .outcomeUnknown(reason)
            }
        }
    }

    /// Whether a proposal that ended so may be in a log. A refused call was refused before that,
    /// unless the code says otherwise.
    private static func mayHaveRun(_ fault: CallFault) -> Bool {
        switch fault {
        case .refused(let code, _): code == MetaCallRefusal.outcomeUnknown
        case .unreachable, .deadlineExceeded, .connectionLost, .overloaded, .cancelled,
            .shuttingDown, .malformed, .tooLarge:
            fault.mayHaveRun
        }
    }

    /// Asks the group that owns the query's slot.
    package func query(
        _ query: CatalogQuery, freshness: Freshness = .linearizable, deadline: Instant
    ) async throws(ClusterFault) -> CatalogAnswer {
        invariant(query.slot != nil, "what concerns a whole group names the group")
        let slot = query.slot ?? Slot(rawValue: 0)
        while true {
            let group = try await self.owner(of: slot, deadline: deadline)
            let answer = try await self.query(
                query, in: group, freshness: freshness, deadline: deadline)
            guard case .slotNotOwned = answer else { return answer }
            try await self.slotMoved(deadline: deadline)
        }
    }

    /// The group that owns a slot, by the table; asks for a table when there is none.
    package func owner(of slot: Slot, deadline: Instant) async throws(ClusterFault) -> GroupID {
        while true {
            if let group = self.group(owning: slot) { return group }
            try await self.pause(before: deadline)
            try await self.refreshTables(by: deadline)
        }
    }

    /// A group said that a slot is not its own: looks for a newer table. Of all who hear that at once
    /// one looks, and the others find what it found.
    package func slotMoved(deadline: Instant) async throws(ClusterFault) {
        self.counters.staleSlots.add()
        try await self.pause(before: deadline)
        let now = self.environment.now
        let mustLook = self.state.withLock { state in
            if let last = state.lastLook, now - last < Self.lookPeriod { return false }
            state.lastLook = now
            return true
        }
        if mustLook { try await self.refreshTables(by: deadline) }
    }

    /// Between two looks for a newer table, over all who wait for one.
    private static let lookPeriod: Duration = .milliseconds(10)

    /// Asks whoever leads one group.
    package func query(
        _ query: CatalogQuery, in group: GroupID, freshness: Freshness, deadline: Instant
    ) async throws(ClusterFault) -> CatalogAnswer {
        try await self.answer(to: query, in: group, freshness: freshness, deadline: deadline)
            .answer
    }

    /// Asks whoever leads one group, and says what its state had applied.
    func answer(
        to query: CatalogQuery, in group: GroupID, freshness: Freshness, deadline: Instant
    ) async throws(ClusterFault) -> (answer: CatalogAnswer, applied: LogIndex) {
        self.counters.queries.add()
        let head = QueryRequest(group: group, freshness: freshness, query: query).encoded
        return try await self.askLeader(
            of: group, PeerRequest(kind: MetaCallKind.query, head: head), deadline: deadline
        ) { (answer: QueryAnswer) in
            switch answer {
            case .answer(let found, let applied): .answer((found, applied))
            case .refused(let refusal): .refused(refusal)
            }
        }
    }

    // MARK: Finding the leader

    enum LeaderReply<Value> {
        case answer(Value)
        case refused(GroupRefusal)
        case malformed(String)
    }

    /// Asks who is thought to lead the group, and goes on asking around until somebody answers as
    /// its leader or the deadline comes.
    func askLeader<Answer: WireMessage, Value>(
        of group: GroupID, _ request: PeerRequest, deadline: Instant,
        _ read: (Answer) -> LeaderReply<Value>, onFault: (CallFault) -> Void = { _ in }
    ) async throws(ClusterFault) -> Value {
        var attempts = 0
        while true {
            let now = self.environment.now
            guard now < deadline else { throw .unavailable("no answer before the deadline") }
            let node = self.state.withLock { $0.routes.target(of: group, at: now) }
            attempts += 1
            if attempts > 1 { self.counters.retries.add() }
            let response: PeerResponse
            do throws(CallFault) {
                response = try await self.peers.call(
                    node, request, deadline: min(deadline, now + self.settings.attemptTimeout))
            } catch {
                onFault(error)
                let later = self.environment.now
                self.state.withLock { state in
                    // A caller who had less time than an attempt may take proves nothing.
                    if case .deadlineExceeded = error, later - now >= self.settings.attemptTimeout {
                        state.routes.wasSilent(node, for: group, at: later)
                    } else {
                        state.routes.failed(node, for: group)
                    }
                }
                if case .cancelled = error { throw .unavailable("the request was given up") }
                if case .tooLarge = error { throw .malformed("\(error)") }
                try await self.pause(before: deadline)
                continue
            }
            let answer: Answer
            do throws(FormatFault) { answer = try Answer(decoding: response.fittedMessage) } catch {
                // The call ran; only its answer is lost.
                onFault(.malformed(error))
                throw .malformed("node \(node) answered what cannot be read: \(error)")
            }
            switch read(answer) {
            case .answer(let value):
                self.state.withLock { $0.routes.answered(node, for: group) }
                return value
            case .malformed(let reason):
                onFault(.malformed(.invalid(field: "answer", offset: 0)))
                throw .malformed(reason)
            case .refused(.notLeader(let hint)):
                let isFollowed = self.state.withLock {
                    $0.routes.refused(node, for: group, hint: hint, at: self.environment.now)
                }
                // A fresh hint is followed at once; without one an election may be going on.
                if !isFollowed || attempts % 4 == 0 { try await self.pause(before: deadline) }
            case .refused(.overloaded), .refused(.tooLate):
                try await self.pause(before: deadline)
            case .refused(.diskFull):
                throw .diskFull("group \(group) has no disk space for more")
            case .refused(.noSuchGroup):
                self.state.withLock { $0.routes.failed(node, for: group) }
                try await self.pause(before: deadline)
            }
        }
    }
}
