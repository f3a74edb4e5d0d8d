import OrderedStorage
import Primitives

extension OrderedStoreContract {
    func checkDurableReads() throws {
        let key: [UInt8] = [1]
        try self.onEachKind { open in
            let weak: WriteDurability = open.isLogged ? .buffered : .unlogged
            func durable() throws -> UInt8 {
                try open.store.getDurable(open.rows, key)?.first ?? 0
            }
            try self.expect(open.store.getDurable(open.rows, key), is: nil, "nothing written")
            try open.write(weak) { $0.put(open.rows, key, [1]) }
            try self.expect(durable() <= 1, "a durable read shows what was never written")
            try open.store.flush()
            try self.expect(durable(), is: 1, "what a flush made durable")
            try open.write(weak) { $0.put(open.rows, key, [2]) }
            try self.expect(open.store.get(open.rows, key), is: [2], "the last write")
            try self.expect([1, 2].contains(durable()), "a flushed value is no longer durable")
            try open.write(weak) { $0.delete(open.rows, key) }
            try open.store.flush()
            try self.expect(open.store.getDurable(open.rows, key), is: nil, "a flushed delete")
        }
        let logged = try self.open(self.freshDirectory(), isLogged: true)
        try logged.write(.synced) { $0.put(logged.rows, key, [9]) }
        try self.expect(logged.store.getDurable(logged.rows, key), is: [9], "a synced write")
        logged.store.close()

        let unlogged = try self.open(self.freshDirectory(), isLogged: false)
        try unlogged.write { $0.put(unlogged.rows, key, [1]) }
        try unlogged.store.flush()
        try unlogged.write { $0.put(unlogged.rows, key, [2]) }
        let promised = try unlogged.store.getDurable(unlogged.rows, key)?.first ?? 0
        guard let left = try self.afterCrash(unlogged) else { return unlogged.store.close() }
        let found = try left.store.get(left.rows, key)?.first ?? 0
        left.store.close()
        try self.expect(found >= promised, "a crash left \(found), durable was \(promised)")
    }

    func checkSyncedSurvives() throws {
        let open = try self.open(self.freshDirectory(), isLogged: true)
        for number in 1...20 as ClosedRange<UInt8> {
            try open.write(number % 5 == 0 ? .synced : .buffered) { batch in
                batch.put(open.rows, [number], [number])
                batch.put(open.applied, [0], [number])
            }
        }
        try open.write(.buffered) { $0.put(open.applied, [0], [21]) }
        guard let left = try self.afterCrash(open) else { return open.store.close() }
        try self.expect(left.pairs(left.rows).count, is: 20, "rows behind a crash")
        let applied = try left.store.get(left.applied, [0])?.first ?? 0
        left.store.close()
        try self.expect([20, 21].contains(applied), "a crash left \(applied), synced was 20")
    }

    func checkFlushCoversFamilies() throws {
        let open = try self.open(self.freshDirectory(), isLogged: false)
        for round in 1...3 as ClosedRange<UInt8> {
            try open.write { batch in
                for family in OpenStore.families { batch.put(family, [round], [round]) }
            }
            // The last flush finds one family unchanged, and must not be misled by that.
            if round == 3 { try open.write { $0.put(open.applied, [0], [3]) } }
            try open.store.flush()
        }
        guard let left = try self.afterCrash(open) else { return open.store.close() }
        defer { left.store.close() }
        let expected = (1...3 as ClosedRange<UInt8>).map { KeyValue(key: [$0], value: [$0]) }
        try self.expect(left.pairs(left.rows), is: expected, "rows behind flush and crash")
        try self.expect(left.pairs(left.index), is: expected, "index behind flush and crash")
        try self.expect(
            left.pairs(left.applied), is: [KeyValue(key: [0], value: [3])] + expected,
            "applied behind flush and crash")
    }

    /// Every batch carries a number into all families, as an applied index goes with its effects.
    func checkSurvivorsArePrefix() throws {
        for flushed in [0, 1, 37, 80] as [UInt8] {
            let open = try self.open(self.freshDirectory(), isLogged: false)
            for number in 1...80 as ClosedRange<UInt8> {
                try open.write { batch in
                    batch.put(open.rows, [number], [UInt8](repeating: number, count: 2_000))
                    batch.put(open.index, [number % 7], [number])
                    batch.put(open.applied, [0], [number])
                }
                if number == flushed { try open.store.flush() }
            }
            guard let left = try self.afterCrash(open) else { return open.store.close() }
            defer { left.store.close() }
            let last = try left.store.get(left.applied, [0])?.first ?? 0
            try self.expect(last >= flushed, "a crash left \(last), flushed was \(flushed)")
            let numbers = (0...last).dropFirst()
            try self.expect(
                left.pairs(left.rows).map(\.key), is: numbers.map { [$0] },
                "rows up to applied \(last)")
            let newest = (0..<7 as Range<UInt8>).compactMap { slot in
                numbers.last { $0 % 7 == slot }.map { KeyValue(key: [slot], value: [$0]) }
            }
            try self.expect(left.pairs(left.index), is: newest, "index up to applied \(last)")
        }
    }

    func checkReopening() throws {
        for isLogged in [true, false] {
            let open = try self.open(self.freshDirectory(), isLogged: isLogged)
            try open.write { batch in
                for family in OpenStore.families { batch.put(family, [1], [1]) }
                batch.put(open.rows, [2], [2])
            }
            if !isLogged { try open.store.flush() }
            open.store.close()
            let again = try self.open(open.directory, isLogged: isLogged)
            defer { again.store.close() }
            for family in OpenStore.families {
                try self.expect(again.store.get(family, [1]), is: [1], "\(family) opened again")
            }
            try again.write { $0.delete(again.rows, [1]) }
            try self.expect(again.pairs(again.rows).map(\.key), is: [[2]], "a write behind that")
        }
    }

    func checkClosingUnused() throws {
        try self.onEachKind { open in
            try open.write { $0.put(open.rows, [1], [1]) }
            do {
                let snapshot = open.store.snapshot()
                _ = open.store.closeIfUnused()
                try self.expect(snapshot.get(open.rows, [1]), is: [1], "a snapshot held meanwhile")
            }
            try self.expect(open.store.closeIfUnused(), is: true, "closed once nobody reads")
            try self.expect(open.store.closeIfUnused(), is: true, "closed already")
            try self.expectMisuse("a read behind that") { _ = try open.store.get(open.rows, [1]) }
            let again = try self.open(open.directory, isLogged: open.isLogged)
            defer { again.store.close() }
            try self.expect(again.store.get(again.rows, [1]), is: [1], "opened again")
        }
    }

    /// What was never flushed is in a checkpoint, over all families; what comes later is not.
    func checkCheckpoints() throws {
        try self.onEachKind { open in
            try self.fill(open)
            let expected = try open.pairs(open.rows)
            let directory = self.freshDirectory()
            try open.store.checkpoint(into: directory)
            try open.write { $0.delete(open.rows, in: .all) }
            try self.expectMisuse("a checkpoint into a directory that exists") {
                try open.store.checkpoint(into: directory)
            }
            let copy = try self.open(directory, isLogged: open.isLogged)
            defer { copy.store.close() }
            try self.expect(copy.pairs(copy.rows), is: expected, "rows of the copy")
            try self.expect(copy.store.get(copy.applied, [0]), is: [1], "applied of the copy")
            try copy.write { $0.put(copy.index, [1], [1]) }
            try self.expect(open.store.get(open.index, [1]), is: nil, "the original")
            try self.expect(open.pairs(open.rows), is: [], "rows of the original")
        }
    }

    func checkCheckpointsSurvive() throws {
        guard let crash = self.crash else { return }
        try self.onEachKind { open in
            try self.fill(open)
            let expected = try open.pairs(open.rows)
            let directory = self.freshDirectory()
            try open.store.checkpoint(into: directory)
            _ = try crash(open.store, open.directory)
            let copy = try self.open(directory, isLogged: open.isLogged)
            defer { copy.store.close() }
            try self.expect(copy.pairs(copy.rows), is: expected, "rows of the copy")
            try self.expect(copy.store.getDurable(copy.applied, [0]), is: [1], "applied")
        }
    }

    private func fill(_ open: OpenStore) throws {
        for key in 0..<100 as Range<UInt8> {
            try open.write { batch in
                batch.put(open.rows, [key], [key])
                batch.put(open.applied, [0], [1])
            }
        }
    }

    func checkMisuse() throws {
        let stranger = Family(index: 7, name: "stranger")
        let renamed = Family(index: 0, name: "stranger")
        try self.onEachKind { open in
            let refused: [WriteDurability] = open.isLogged ? [.unlogged] : [.synced, .buffered]
            for durability in refused {
                try self.expectMisuse("a \(durability) write") {
                    try open.write(durability) { $0.put(open.rows, [1], [1]) }
                }
            }
            for family in [stranger, renamed] {
                try self.expectMisuse("a write to an unknown family") {
                    try open.write { batch in
                        batch.put(open.rows, [1], [1])
                        batch.put(family, [1], [1])
                    }
                }
                try self.expectMisuse("a get from it") { _ = try open.store.get(family, [1]) }
                try self.expectMisuse("a durable get from it") {
                    _ = try open.store.getDurable(family, [1])
                }
                try self.expectMisuse("a scan of it") { _ = try open.pairs(family) }
                try self.expect(
                    open.store.getIfCached(family, [1]), is: .unknown, "a cached lookup in it")
            }
            let tooLong = [UInt8](repeating: 1, count: WriteBatch.maximumKeyBytes + 1)
            try self.expectMisuse("a key that is too long") {
                try open.write { $0.put(open.rows, tooLong, []) }
            }
            try self.expect(open.pairs(open.rows), is: [], "what refused batches left")
        }
        try self.checkUseAfterClose()
    }

    private func checkUseAfterClose() throws {
        let open = try self.open(self.freshDirectory(), isLogged: true)
        let (store, rows) = (open.store, open.rows)
        store.close()
        store.close()
        let calls: [(String, () throws -> Void)] = [
            ("write", { try open.write { $0.put(rows, [1], [1]) } }),
            ("get", { _ = try store.get(rows, [1]) }),
            ("getDurable", { _ = try store.getDurable(rows, [1]) }),
            ("scan", { _ = try open.pairs(rows) }),
            ("get of a snapshot", { _ = try store.snapshot().get(rows, [1]) }),
            ("scan of a snapshot", { _ = try store.snapshot().scan(rows, .all).next() }),
            ("flush", { try store.flush() }),
            ("checkpoint", { try store.checkpoint(into: self.freshDirectory()) }),
        ]
        for (name, call) in calls { try self.expectMisuse("\(name) behind close", call) }
        try self.expect(store.getIfCached(rows, [1]), is: .unknown, "cached lookup behind close")
        try self.expectMisuse("families out of order") {
            _ = try self.factory.open(
                self.freshDirectory(),
                StoreOptions(families: [Family(index: 1, name: "rows")], isLogged: true))
        }
    }
}
