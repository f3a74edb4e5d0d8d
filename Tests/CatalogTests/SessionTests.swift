import Catalog
import OrderedStorage
import Primitives
import Testing

@Suite struct SessionTests {
    @Test func `a repeated command is answered with its first result and changes nothing`() throws {
        let group = try CatalogGroup.withBucket()
        let command = group.command(put("a"))
        let first = try group.apply([command])
        let version = try group.view.head(key("a"), in: photos)?.version
        try group.send(put("b"))
        let again = try group.apply([command])
        #expect(again.results == first.results)
        #expect(try group.view.head(key("a"), in: photos)?.version == version)
        #expect(again.invalidations.isEmpty)
        // The applied position alone.
        #expect(again.batch.changes.count == 1)
    }

    @Test func `a command twice in one entry is applied once`() throws {
        let group = try CatalogGroup.withBucket()
        let command = group.command(put("a", if: .absent))
        let results = try group.apply([command, command]).results
        #expect(results.count == 2)
        #expect(results.first == results.last)
    }

    @Test func `a refusal is repeated too, though the world has changed since`() throws {
        let group = try CatalogGroup.withBucket()
        let command = group.command(put("a", if: .present))
        #expect(try group.apply([command]).results == [.noSuchKey])
        try group.send(put("a"))
        #expect(try group.apply([command]).results == [.noSuchKey])
    }

    @Test func `a repeat is known after the slot has moved away`() throws {
        let group = try CatalogGroup.withBucket()
        let command = group.command(put("a"))
        let first = try group.apply([command]).results
        try group.apply(operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(2))))
        #expect(try group.apply([command]).results == first)
        #expect(try group.send(put("b")) == .slotNotOwned(Epoch(2)))
    }

    @Test func `a client without a session is refused`() throws {
        let group = try CatalogGroup.withBucket()
        let identity = CommandIdentity(
            session: SessionID(99), sequence: 1 << 20, firstUnacknowledged: 1 << 20)
        let command = CatalogCommand(identity: identity, operation: put("a"))
        #expect(try group.apply([command]).results == [.sessionUnknown])
        #expect(try group.view.head(key("a"), in: photos) == nil)
    }

    @Test func `a late copy of an acknowledged command is not taken for a new one`() throws {
        let group = try CatalogGroup.withBucket()
        let late = group.command(put("a", tag: "old"))
        try group.send(put("a", tag: "new"))
        #expect(try group.apply([late]).results == [.sessionUnknown])
        #expect(try group.view.head(key("a"), in: photos)?.entityTag == tag("new"))
    }

    @Test func `the window holds 1,024 results and no more`() throws {
        let group = try CatalogGroup.withBucket()
        let first = group.command(put("a"))
        let result = try group.apply([first]).results
        for _ in 0..<1_023 { try group.send(put("b")) }
        #expect(try group.apply([first]).results == result)
        try group.send(put("b"))
        #expect(try group.apply([first]).results == [.sessionUnknown])
    }

    @Test func `commands out of order are applied each once`() throws {
        let group = try CatalogGroup.withBucket()
        let start = unwrap(group.command(put("x")).identity).sequence
        func command(_ number: UInt64) -> CatalogCommand {
            CatalogCommand(
                identity: CommandIdentity(
                    session: client, sequence: start + number, firstUnacknowledged: start),
                operation: put("key-\(number)"))
        }
        for number in [3, 0, 2, 1] as [UInt64] {
            guard case .stored = try group.apply([command(number)]).results.first else {
                Issue.record("command \(number) was refused")
                continue
            }
        }
        let again = try group.apply([command(1), command(3)])
        #expect(again.invalidations.isEmpty)
    }

    @Test
    func
        `a session that was silent for an hour of log time is gone, and a new one begins above it`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let late = group.command(put("a", tag: "late"))
        group.pass(.seconds(3_601))
        #expect(try group.send(put("b")) == .sessionUnknown)
        try group.open(client)
        #expect(try group.apply([late]).results == [.sessionUnknown])
        guard case .stored = try group.send(put("b")) else {
            Issue.record("the new session does not work")
            return
        }
    }

    @Test func `a session in use lives on`() throws {
        let group = try CatalogGroup.withBucket()
        for _ in 0..<10 {
            group.pass(.seconds(1_800))
            #expect(try group.send(delete("a")) == .objectDeleted(existed: false))
        }
        #expect(try group.view.sessionCount() == 1)
    }

    @Test func `opening a session twice answers the same`() throws {
        let group = CatalogGroup()
        let first = try group.apply(operation: .openSession(client))
        #expect(try group.apply(operation: .openSession(client)) == first)
        #expect(try group.view.sessionCount() == 1)
    }

    @Test func `expired sessions are swept as others open`() throws {
        let group = CatalogGroup()
        for number in 1...40 { try group.open(SessionID(UInt64(number))) }
        #expect(try group.view.sessionCount() == 40)
        group.pass(.seconds(3_601))
        try group.open(SessionID(100))
        #expect(try group.view.sessionCount() == 25)
        try group.open(SessionID(101))
        try group.open(SessionID(102))
        #expect(try group.view.sessionCount() == 3)
        #expect(try group.view.session(SessionID(1)) == nil)
    }

    @Test func `a full group makes room by ending the session that was silent longest`() throws {
        let group = CatalogGroup()
        let limit = CatalogLimits.sessionsPerGroup
        let opening = (1...limit).map {
            CatalogCommand(operation: .openSession(SessionID($0)))
        }
        for start in stride(from: 0, to: opening.count, by: 4_096) {
            group.pass(.milliseconds(1))
            try group.apply(Array(opening[start..<start + 4_096]))
        }
        #expect(try group.view.sessionCount() == limit)
        try group.open(SessionID(limit + 1))
        #expect(try group.view.sessionCount() == limit)
        #expect(try group.view.session(SessionID(1)) == nil)
        #expect(try group.view.session(SessionID(2)) != nil)
    }
}
