internal import OrderedStorage
internal import Primitives
internal import Wire

/// Exactly once (Raft thesis §6.3): a session remembers what its last commands came to.
extension EntryApplication {
    /// A session as this entry has it.
    struct SessionState {
        /// Nil: there is none, or it is gone.
        var session: Session?
        var isChanged = false
    }

    enum Recollection {
        /// The command was applied before, with this result.
        case answered(CommandResult)
        case refused(CommandResult)
        case new
    }

    /// Looks a command up in its session, and takes from it what the client has acknowledged.
    mutating func recall(_ identity: CommandIdentity) throws(StoreFault) -> Recollection {
        guard var session = try self.session(identity.session),
            identity.sequence >= session.firstSequence
        else { return .refused(.sessionUnknown) }
        // What keeps numbers of a later session of the client above those of this one.
        guard
            identity.sequence >> CatalogLimits.sequenceBitsPerIndex < self.position.index.rawValue
        else { return .refused(.malformed) }

        if identity.sequence < session.firstUnused {
            let key = CatalogKeys.result(of: identity.session, sequence: identity.sequence)
            if let stored = try self.view.row(CatalogFamilies.rows, key, as: StoredResult.self) {
                if stored.sequence == identity.sequence { return .answered(stored.result) }
                if stored.sequence > identity.sequence { return .refused(.sessionUnknown) }
            }
        }
        guard identity.sequence >= session.firstUnacknowledged else {
            return .refused(.sessionUnknown)
        }
        self.advance(&session, past: identity)
        self.touch(identity.session, session)
        return .new
    }

    private mutating func advance(_ session: inout Session, past identity: CommandIdentity) {
        session.firstUnacknowledged = max(
            session.firstUnacknowledged, identity.firstUnacknowledged)
        session.firstUnused = max(session.firstUnused, identity.sequence + 1)
        self.sessions[identity.session] = SessionState(session: session, isChanged: true)
    }

    mutating func remember(_ result: CommandResult, of identity: CommandIdentity) {
        let key = CatalogKeys.result(of: identity.session, sequence: identity.sequence)
        let stored = StoredResult(sequence: identity.sequence, result: result)
        self.put(CatalogFamilies.rows, key, stored.row)
    }

    mutating func openSession(_ id: SessionID) throws(StoreFault) -> CommandResult {
        if let session = try self.session(id) {
            return .sessionOpened(firstSequence: session.firstSequence)
        }
        try self.makeRoomForSession()
        let first = self.position.index.rawValue << CatalogLimits.sequenceBitsPerIndex
        let session = Session(
            firstSequence: first, firstUnacknowledged: first, firstUnused: first, lastUsed: self.now
        )
        self.sessions[id] = SessionState(session: session, isChanged: true)
        self.put(
            CatalogFamilies.rows, CatalogKeys.sessionAge(id, lastUsed: session.lastUsed), [])
        try self.countSessions(adding: 1)
        return .sessionOpened(firstSequence: first)
    }

    /// Writes the sessions that changed, in the order of their names.
    mutating func writeSessions() {
        for id in self.sessions.keys.sorted() {
            guard let state = self.sessions[id], state.isChanged, let session = state.session else {
                continue
            }
            self.put(CatalogFamilies.rows, CatalogKeys.session(id), session.row)
        }
    }

    /// The session, unless it has been silent for too long.
    private mutating func session(_ id: SessionID) throws(StoreFault) -> Session? {
        let state: SessionState
        if let known = self.sessions[id] {
            state = known
        } else {
            state = SessionState(session: try self.view.session(id))
            self.sessions[id] = state
        }
        guard let session = state.session else { return nil }
        guard self.now - session.lastUsed <= CatalogLimits.sessionLifetime else {
            try self.removeSession(id, lastUsed: session.lastUsed)
            return nil
        }
        return session
    }

    private mutating func touch(_ id: SessionID, _ session: Session) {
        guard self.now - session.lastUsed >= CatalogLimits.sessionTouchInterval else { return }
        self.delete(
            CatalogFamilies.rows, CatalogKeys.sessionAge(id, lastUsed: session.lastUsed))
        self.put(CatalogFamilies.rows, CatalogKeys.sessionAge(id, lastUsed: self.now), [])
        var session = session
        session.lastUsed = self.now
        self.sessions[id] = SessionState(session: session, isChanged: true)
    }

    /// Removes some of the sessions that have expired, and, where the group is full, the one that
    /// was silent longest.
    private mutating func makeRoomForSession() throws(StoreFault) {
        var room = try self.view.sessionCount() < CatalogLimits.sessionsPerGroup
        for _ in 0..<CatalogLimits.sessionsSweptPerOpening {
            guard let (id, lastUsed) = try self.view.oldestSession() else { return }
            let isExpired = self.now - lastUsed > CatalogLimits.sessionLifetime
            guard isExpired || !room else { return }
            try self.removeSession(id, lastUsed: lastUsed)
            room = true
        }
    }

    private mutating func removeSession(
        _ id: SessionID, lastUsed: Timestamp
    ) throws(StoreFault) {
        self.sessions[id] = SessionState(session: nil)
        self.delete(CatalogFamilies.rows, CatalogKeys.session(id))
        self.delete(CatalogFamilies.rows, CatalogKeys.sessionAge(id, lastUsed: lastUsed))
        self.delete(
            CatalogFamilies.rows, in: KeyRange(prefix: CatalogKeys.results(of: id)))
        try self.countSessions(adding: -1)
    }

    private mutating func countSessions(adding change: Int64) throws(StoreFault) {
        let count = Int64(try self.view.sessionCount()) + change
        self.put(
            CatalogFamilies.rows, CatalogKeys.sessionCount, Counter(UInt64(max(0, count))).row)
    }
}

/// A place in the ring of a session's results.
struct StoredResult: WireMessage {
    private static let formatVersion: UInt8 = 1

    let sequence: UInt64
    let result: CommandResult

    init(sequence: UInt64, result: CommandResult) {
        self.sequence = sequence
        self.result = result
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.sequence)
        writer.write(self.result)
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        self.sequence = try reader.read()
        self.result = try CommandResult(from: &reader)
    }
}

/// A row that holds one number.
struct Counter: WireMessage {
    private static let formatVersion: UInt8 = 1

    let value: UInt64
    init(_ value: UInt64) { self.value = value }

    func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.value)
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        self.value = try reader.read()
    }
}
