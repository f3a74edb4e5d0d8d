import OrderedStorage
import Primitives

extension OrderedStoreContract {
    func checkEmptyAtFirst() throws {
        try self.onEachKind { open in
            for family in OpenStore.families {
                try self.expect(open.store.get(family, [1]), is: nil, "get in \(family)")
                try self.expect(open.pairs(family), is: [], "scan of \(family)")
            }
            try open.store.write(WriteBatch(), open.durability)
            try self.expect(open.pairs(open.rows), is: [], "scan behind an empty batch")
        }
    }

    func checkOrderInsideBatch() throws {
        try self.onEachKind { open in
            try open.write { batch in
                batch.put(open.rows, [1], [1])
                batch.put(open.rows, [1], [2])
                batch.put(open.rows, [2], [1])
                batch.delete(open.rows, [2])
                batch.delete(open.rows, [3])
                batch.put(open.rows, [3], [1])
                batch.put(open.rows, [4], [1])
                batch.delete(open.rows, in: KeyRange(start: [4], end: [6]))
                batch.put(open.rows, [5], [1])
            }
            let expected = [([1], [2]), ([3], [1]), ([5], [1])] as [([UInt8], [UInt8])]
            try self.expect(
                open.pairs(open.rows), is: expected.map { KeyValue(key: $0.0, value: $0.1) },
                "pairs behind a batch that contradicts itself")
        }
    }

    func checkRangeDeletes() throws {
        try self.onEachKind { open in
            func fill() throws {
                try open.write { batch in
                    for key in 0..<10 as Range<UInt8> { batch.put(open.rows, [key], [key]) }
                    batch.put(open.rows, [0xff, 0xff], [1])
                    batch.put(open.index, [5], [5])
                }
            }
            func keysLeft(by ranges: KeyRange...) throws -> [[UInt8]] {
                try open.write { batch in for range in ranges { batch.delete(open.rows, in: range) }
                }
                return try open.pairs(open.rows).map(\.key)
            }
            try fill()
            try self.expect(
                keysLeft(by: KeyRange(start: [2], end: [9])), is: [[0], [1], [9], [0xff, 0xff]],
                "keys behind a range delete")
            try self.expect(open.store.get(open.rows, [2]), is: nil, "get in the range")
            try self.expect(open.store.get(open.rows, [9]), is: [9], "get at the range's end")
            try self.expect(
                keysLeft(by: KeyRange(start: [1], end: [1]), KeyRange(start: [9], end: [0])),
                is: [[0], [1], [9], [0xff, 0xff]], "keys behind the delete of empty ranges")
            try self.expect(
                keysLeft(by: KeyRange(start: [1], end: nil)), is: [[0]],
                "keys behind a range delete without an end")
            try fill()
            try self.expect(open.pairs(open.rows).count, is: 11, "pairs put behind a range delete")
            try self.expect(keysLeft(by: .all), is: [], "keys behind the delete of everything")
            try self.expect(open.store.get(open.index, [5]), is: [5], "another family")
        }
    }

    func checkFamiliesApart() throws {
        try self.onEachKind { open in
            try open.write { batch in
                for family in OpenStore.families {
                    batch.put(family, [1], Array(family.name.utf8))
                }
            }
            try open.write { batch in batch.delete(open.index, [1]) }
            try self.expect(open.store.get(open.rows, [1]), is: Array("rows".utf8), "rows")
            try self.expect(open.store.get(open.index, [1]), is: nil, "index")
            try self.expect(open.store.get(open.applied, [1]), is: Array("applied".utf8), "applied")
        }
    }

    func checkExtremeSizes() throws {
        let long = [UInt8](repeating: 0xff, count: WriteBatch.maximumKeyBytes)
        let large = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try self.onEachKind { open in
            try open.write { batch in
                batch.put(open.rows, [], [7])
                batch.put(open.rows, [0], [])
                batch.put(open.rows, long, large)
            }
            let expected = [
                KeyValue(key: [], value: [7]), KeyValue(key: [0], value: []),
                KeyValue(key: long, value: large),
            ]
            try self.expect(open.store.get(open.rows, []), is: [7], "the empty key")
            try self.expect(open.store.get(open.rows, [0]), is: [], "the empty value")
            try self.expect(open.pairs(open.rows) == expected, "a scan misses extreme pairs")
            try open.store.flush()
            try self.expect(open.pairs(open.rows) == expected, "a flush loses extreme pairs")
            try open.write { batch in batch.delete(open.rows, in: .all) }
            try self.expect(open.pairs(open.rows).isEmpty, "extreme keys escape a range delete")
        }
    }

    func checkScans() throws {
        let keys: [[UInt8]] = [
            [], [0], [0, 0], [1], [1, 0], [1, 0xff], [2], [0xff], [0xff, 0xff],
        ]
        try self.onEachKind { open in
            try open.write { batch in
                for key in keys.reversed() { batch.put(open.rows, key, key) }
            }
            let bounds: [[UInt8]] = keys + [[0, 1], [1, 1], [3]]
            for start in bounds {
                for end in bounds.map(Optional.some) + [nil] {
                    let range = KeyRange(start: start, end: end)
                    try self.expect(
                        open.pairs(open.rows, range).map(\.key), is: keys.filter(range.contains),
                        "keys of \(start)..<\(String(describing: end))")
                }
            }
            for prefix in [[], [1], [0xff]] as [[UInt8]] {
                try self.expect(
                    open.pairs(open.rows, KeyRange(prefix: prefix)).map(\.key),
                    is: keys.filter { $0.starts(with: prefix) }, "keys that begin with \(prefix)")
            }
        }
    }

    func checkSeeks() throws {
        try self.onEachKind { open in
            try open.write { batch in
                for key in stride(from: 0, to: 100, by: 10) as StrideTo<UInt8> {
                    batch.put(open.rows, [key], [key])
                }
            }
            let cursor = open.store.scan(open.rows, KeyRange(start: [15], end: [65]))
            func next(behind key: [UInt8]) throws -> UInt8? {
                cursor.seek(key)
                return try cursor.next()?.key[0]
            }
            try self.expect(next(behind: [30]), is: 30, "seek to a key")
            try self.expect(cursor.next()?.key, is: [40], "next behind a seek")
            try self.expect(next(behind: [21]), is: 30, "seek back between keys")
            try self.expect(next(behind: [0]), is: 20, "seek below the range")
            try self.expect(next(behind: []), is: 20, "seek to the empty key")
            try self.expect(next(behind: [61]), is: nil, "seek behind the last key of the range")
            try self.expect(next(behind: [70]), is: nil, "seek above the range")
            try self.expect(cursor.next(), is: nil, "next at the end")
            try self.expect(cursor.next(), is: nil, "next at the end, again")
            try self.expect(next(behind: [60]), is: 60, "seek back from the end")
            try self.expect(cursor.next(), is: nil, "next at the end of the range")
        }
    }

    func checkCursors() throws {
        try self.onEachKind { open in
            func put(_ keys: Range<UInt8>, _ value: UInt8) throws {
                try open.write { batch in
                    for key in keys { batch.put(open.rows, [key], [value]) }
                }
            }
            try put(0..<100, 1)
            let untouched = open.store.scan(open.rows, .all)
            let moving = open.store.scan(open.rows, .all)
            _ = try moving.next()
            try put(50..<150, 2)
            try open.write { batch in
                batch.delete(open.rows, [20])
                batch.delete(open.rows, in: KeyRange(start: [30], end: [40]))
            }
            try open.store.flush()
            let expected = (0..<100 as Range<UInt8>).map { KeyValue(key: [$0], value: [1]) }
            try self.expect(OpenStore.rest(of: untouched), is: expected, "a cursor made before")
            try self.expect(
                OpenStore.rest(of: moving), is: Array(expected.dropFirst()), "a cursor under way")
            moving.seek([35])
            try self.expect(moving.next(), is: expected[35], "a cursor that seeks")
        }
    }

    func checkSnapshots() throws {
        try self.onEachKind { open in
            try open.write { batch in
                for key in 0..<10 as Range<UInt8> { batch.put(open.rows, [key], [1]) }
            }
            let snapshot = open.store.snapshot()
            try open.write { batch in
                batch.put(open.rows, [3], [2])
                batch.put(open.rows, [30], [2])
                batch.put(open.index, [3], [2])
                batch.delete(open.rows, in: KeyRange(start: [5], end: nil))
            }
            try open.store.flush()
            let expected = (0..<10 as Range<UInt8>).map { KeyValue(key: [$0], value: [1]) }
            try self.expect(snapshot.get(open.rows, [3]), is: [1], "an overwritten key")
            try self.expect(snapshot.get(open.rows, [7]), is: [1], "a deleted key")
            try self.expect(snapshot.get(open.rows, [30]), is: nil, "a later key")
            try self.expect(snapshot.get(open.index, [3]), is: nil, "another family")
            try self.expect(
                OpenStore.rest(of: snapshot.scan(open.rows, .all)), is: expected, "its scan")
            try self.expect(
                OpenStore.rest(of: open.store.snapshot().scan(open.rows, .all)).map(\.key),
                is: [[0], [1], [2], [3], [4]], "the scan of a later snapshot")
        }
    }

    func checkCachedLookups() throws {
        try self.onEachKind { open in
            var random = SeededGenerator(seed: 11)
            var model: [UInt8: UInt8] = [:]
            for step in 0..<400 {
                let key = UInt8.random(in: 0..<60, using: &random)
                let value = UInt8.random(in: 0...255, using: &random)
                if step % 4 == 3 {
                    try open.write { $0.delete(open.rows, [key]) }
                    model[key] = nil
                } else {
                    try open.write { $0.put(open.rows, [key], [value]) }
                    model[key] = value
                }
                if step % 50 == 49 { try open.store.flush() }
                let probe = UInt8.random(in: 0..<60, using: &random)
                switch open.store.getIfCached(open.rows, [probe]) {
                case .found(let found): try self.expect(found.first, is: model[probe], "found")
                case .absent: try self.expect(nil, is: model[probe], "absent")
                case .unknown: break
                }
            }
        }
    }
}
