import Catalog
import ClusterClient
import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Synchronization
import Telemetry
import Wire

/// What a meta node answers to other nodes, and to its own.
extension MetaNode {
    package nonisolated func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        do throws(FormatFault) {
            switch request.kind {
            case MetaCallKind.propose:
                let proposal = try ProposeRequest(decoding: request.head)
                for command in proposal.commands {
                    guard
                        try CatalogCommand.proposer(ofEncoded: command).allows(
                            peer, metaNodes: self.metaNodes)
                    else {
                        return .refused(
                            code: MetaCallRefusal.notYours,
                            message: "a command that node \(peer) may not propose")
                    }
                }
                guard let answer = await self.propose(proposal) else {
                    return .refused(
                        code: MetaCallRefusal.outcomeUnknown, message: "given up while undecided")
                }
                return .response(PeerResponse(head: answer.encoded))
            case MetaCallKind.clock:
                let answer = ClockAnswer(wall: self.environment.wallClock)
                return .response(PeerResponse(head: answer.encoded))
            case MayLeaveRequest.kind:
                let answer = await self.answer(
                    try MayLeaveRequest(decoding: request.head), from: peer)
                return .response(PeerResponse(head: answer.encoded))
            case MetaCallKind.query:
                let query = try QueryRequest(decoding: request.head)
                if case .deletions(let list) = query.query, list.node == peer {
                    self.storeAsked(list)
                }
                return await self.answer(query)
            case MetaCallKind.follow:
                let answer = await self.answer(try FollowRequest(decoding: request.head))
                return .response(PeerResponse(fitting: answer.encoded))
            case MetaCallKind.readIndex:
                let answer = await self.answer(try ReadIndexRequest(decoding: request.head))
                return .response(PeerResponse(head: answer.encoded))
            default:
                if let answer = try await self.answerSnapshot(request, from: peer) {
                    return answer
                }
                return try await self.answerSecret(request)
            }
        } catch {
            return .refused(
                code: MetaCallRefusal.malformed, message: "call of kind \(request.kind): \(error)")
        }
    }

    /// Takes Raft's messages of another node, as they came from its connection.
    package nonisolated func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {
        guard kind == RaftEnvelope.messagesKind || kind == RaftEnvelope.heartbeatsKind else {
            return
        }
        do throws(FormatFault) {
            let envelope = try RaftEnvelope(decoding: message)
            // A node speaks for itself alone.
            guard envelope.items.allSatisfy({ $0.message.from == peer }) else { return }
            self.post(.envelope(envelope, from: peer, at: self.environment.now))
        } catch {
            self.logger.warning(
                "a message cannot be read", ["from": "\(peer)", "reason": "\(error)"])
        }
    }

    /// The connection to a node broke, or its process is gone.
    package nonisolated func peerChanged(_ event: PeerEvent) {
        switch event {
        case .up: break
        case .lost(let node): self.post(.lost(node))
        case .gone(let node): self.post(.gone(node))
        }
    }

    // MARK: Commands

    /// Has commands decided; nil when the caller gave up, or this node stopped, before anybody could
    /// say what becomes of them.
    package nonisolated func propose(_ request: ProposeRequest) async -> ProposeAnswer? {
        let ticket = self.makeTicket()
        let group = request.group
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { answer in
                self.post(.propose(group, request.commands, ticket: ticket, answer))
                // A caller that was cancelled before has given up before there was a wait to end.
                if Task.isCancelled { self.post(.giveUp(group, ticket: ticket)) }
            }
        } onCancel: {
            self.post(.giveUp(group, ticket: ticket))
        }
    }

    // MARK: Queries

    private nonisolated func answer(_ request: QueryRequest) async -> PeerAnswer {
        switch await self.query(request) {
        case .success(let answer):
            let toSend: QueryAnswer =
                switch answer {
                case .answer(let found, let applied):
                    .answer(found.withoutSecrets, applied: applied)
                case .refused: answer
                }
            return .response(PeerResponse(fitting: toSend.encoded))
        case .failure(let fault):
            return .refused(
                code: MetaCallRefusal.state, message: "the state cannot be read: \(fault)")
        }
    }

    /// Answers a query, with what is sealed under the master key still in it.
    nonisolated func query(_ request: QueryRequest) async -> Result<QueryAnswer, StoreFault> {
        guard let state = self.states[request.group] else {
            return .success(.refused(.noSuchGroup))
        }
        guard !self.isFenced(request.group) else {
            return .success(.refused(.notLeader(hint: nil)))
        }
        self.counters.queries.add()
        var applied = LogIndex.zero
        switch request.freshness {
        case .linearizable:
            switch await self.readIndex(of: request.group) {
            case .success(let index): applied = index
            case .failure(let refusal): return .success(.refused(refusal))
            }
        case .local: break
        case .led:
            if let refusal = await self.refusalUnlessLeading(request.group) {
                return .success(.refused(refusal))
            }
        }
        return await self.answer(request.query, from: state, reached: applied)
    }

    /// Asks a state; where a snapshot takes its place meanwhile, that one. A replica that left and
    /// came back has a later state too, which may know less.
    private nonisolated func answer(
        _ query: CatalogQuery, from state: GroupState, reached: LogIndex
    ) async -> Result<QueryAnswer, StoreFault> {
        if let answer = state.answerFromCache(query) {
            self.counters.queriesFromCache.add()
            return .success(.answer(answer, applied: reached))
        }
        let answer = await self.environment.blocking(.metadata) {
            () -> Result<QueryAnswer, StoreFault> in
            do throws(StoreFault) {
                return .success(.answer(try state.answer(query), applied: reached))
            } catch { return .failure(error) }
        }
        guard case .failure = answer, let current = self.states[state.group],
            current.generation > state.generation,
            current.feed.through ?? .zero >= reached
        else { return answer }
        return await self.answer(query, from: current, reached: reached)
    }

    private func refusalUnlessLeading(_ group: GroupID) -> GroupRefusal? {
        guard let replica = self.groups[group]?.replica else { return .noSuchGroup }
        return replica.role == .leader ? nil : .notLeader(hint: replica.status.leader)
    }

    /// Waits until this replica shows every write acknowledged before the call; says the index it
    /// has applied then. Only the leader can tell.
    ///
    /// - Parameter isAppliedFirst: false: says the index as soon as it is confirmed.
    nonisolated func readIndex(
        of group: GroupID, isAppliedFirst: Bool = true
    ) async -> Result<LogIndex, GroupRefusal> {
        let ticket = self.makeTicket()
        self.counters.readIndexes.add()
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { answer in
                self.post(.read(group, ticket: ticket, isAppliedFirst: isAppliedFirst, answer))
                if Task.isCancelled { self.post(.giveUp(group, ticket: ticket)) }
            }
        } onCancel: {
            self.post(.giveUp(group, ticket: ticket))
        }
    }
}

extension GroupState {
    /// Answers from one view of the state. Blocking.
    func answer(_ query: CatalogQuery) throws(StoreFault) -> CatalogAnswer {
        try CatalogView(self.store.snapshot()).answer(query)
    }

    /// Answers without any chance of blocking; nil when the disk would have to be asked, or the
    /// query walks over rows.
    func answerFromCache(_ query: CatalogQuery) -> CatalogAnswer? {
        switch query {
        case .buckets, .objects, .revokedLinks, .manifestParts, .uploads, .uploadParts,
            .abandonedUploads, .doomedManifests, .deletions, .chunkStates, .nodes, .linkKeys:
            return nil
        case .object, .manifest, .upload, .deduplicated, .bucket, .accessKey, .slot, .session,
            .applied, .masterKeys, .configuration, .cluster, .tables, .groupTable, .incarnation:
            break
        }
        let reader = CachedReader(store: self.store)
        do throws(StoreFault) {
            let view = CatalogView(reader)
            let answer = try view.answer(query)
            if answer == .absent || answer == .noSuchBucket, let slot = query.slot {
                // The looks are at a state that goes on: rows that are not there may have been dropped
                // since the first one, which asked whether the slot is ours, because it moved away.
                guard case .owned = try view.ownership(of: slot) else { return nil }
            }
            return reader.hasMissed ? nil : answer
        } catch {
            return nil
        }
    }
}

/// Reads what can be had without blocking, and remembers whether something could not. Lives for one
/// query on one thread.
final class CachedReader: OrderedReader, @unchecked Sendable {
    // Unchecked because `hasMissed` changes: one query makes the reader, uses it without suspending
    // and drops it.
    private let store: any OrderedStore
    private(set) var hasMissed = false

    init(store: any OrderedStore) { self.store = store }

    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        switch self.store.getIfCached(family, key) {
        case .found(let value): return value
        case .absent: return nil
        case .unknown:
            self.hasMissed = true
            return nil
        }
    }

    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        self.hasMissed = true
        return EmptyCursor()
    }

    private final class EmptyCursor: OrderedCursor {
        func next() throws(StoreFault) -> KeyValue? { nil }
        func seek(_ key: [UInt8]) {}
    }
}
