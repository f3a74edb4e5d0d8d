import IORuntime
import OrderedStorage
import Primitives
import SimulatedRuntime
import Testing

private let families = [Family(index: 0, name: "rows"), Family(index: 1, name: "applied")]

private func open(_ node: SimulatedNode, _ path: String, isLogged: Bool) throws -> any OrderedStore
{
    try SimulatedStoreFactory(node).open(
        path, StoreOptions(families: families, isLogged: isLogged))
}

/// Writes batches 1...count, each with the same number in both families.
private func count(
    _ store: any OrderedStore, _ numbers: ClosedRange<UInt8>, _ durability: WriteDurability
) throws {
    for number in numbers {
        var batch = WriteBatch()
        batch.put(families[0], [number], [number])
        batch.put(families[1], [], [number])
        try store.write(batch, durability)
    }
}

/// The last batch that is there, having checked that all before it are, whole.
private func lastBatch(_ store: any OrderedStore) throws -> Int {
    let applied = try store.get(families[1], [])?.first ?? 0
    let cursor = store.scan(families[0], .all)
    var rows: [UInt8] = []
    while let pair = try cursor.next() { rows += pair.value }
    #expect(rows == (applied > 0 ? Array(1...applied) : []))
    return Int(applied)
}

struct SimulatedStoreTests {
    @Test func `buffered batches survive a kill and a power cut leaves a first part`() throws {
        var left: Set<Int> = []
        for seed in 1...60 as ClosedRange<UInt64> {
            let node = World(seed: seed, nodes: 1)[0]
            let store = try open(node, "/raft", isLogged: true)
            try node.environment.files.syncDirectory("/")
            try count(store, 1...5, .synced)
            try count(store, 6...9, .buffered)
            node.crash()
            node.restart()
            #expect(try lastBatch(open(node, "/raft", isLogged: true)) == 9)
            node.powerCut()
            node.restart()
            left.insert(try lastBatch(open(node, "/raft", isLogged: true)))
        }
        #expect(left == [5, 6, 7, 8, 9])
    }

    @Test func `unlogged batches go with the process, but for a first part and what was flushed`()
        throws
    {
        var left: Set<Int> = []
        for seed in 1...60 as ClosedRange<UInt64> {
            let node = World(seed: seed, nodes: 1)[0]
            let store = try open(node, "/state", isLogged: false)
            try count(store, 1...3, .unlogged)
            try store.flush()
            try count(store, 4...6, .unlogged)
            #expect(try store.getDurable(families[1], []) == [3])
            node.crash()
            node.restart()
            left.insert(try lastBatch(open(node, "/state", isLogged: false)))
        }
        #expect(left == [3, 4, 5, 6])
    }

    @Test func `a checkpoint can be carried to another machine file by file`() throws {
        let world = World()
        let store = try open(world[0], "/state", isLogged: false)
        try count(store, 1...200, .unlogged)
        try store.checkpoint(into: "/copy")
        let (from, to) = (world[0].environment.files, world[1].environment.files)
        try to.makeDirectory("/state")
        for name in try from.list("/copy") {
            try to.replace("/state/\(name)", with: from.contents(of: "/copy/\(name)"))
        }
        let copy = try open(world[1], "/state", isLogged: false)
        #expect(try lastBatch(copy) == 200)
    }

    @Test func `a carried checkpoint that was not synced may be found torn`() throws {
        var found: Set<String> = []
        for seed in 1...60 as ClosedRange<UInt64> {
            let world = World(seed: seed, nodes: 1)
            let files = world[0].environment.files
            let store = try open(world[0], "/state", isLogged: false)
            try count(store, 1...100, .unlogged)
            try store.checkpoint(into: "/copy")
            try files.makeDirectory("/torn")
            for name in try files.list("/copy") {
                let file = try files.open("/torn/\(name)", .create)
                try file.write(try files.contents(of: "/copy/\(name)"), at: 0)
                file.close()
            }
            try files.syncDirectory("/torn")
            try files.syncDirectory("/")
            #expect(try lastBatch(open(world[0], "/torn", isLogged: false)) == 100)
            world[0].powerCut()
            world[0].restart()
            do {
                let again = try open(world[0], "/torn", isLogged: false)
                found.insert("\(try lastBatch(again))")
            } catch StoreFault.corrupt { found.insert("corrupt") }
        }
        #expect(found == ["100", "corrupt"])
    }

    @Test func `a damaged checkpoint is refused`() throws {
        let node = World(nodes: 1)[0]
        let store = try open(node, "/state", isLogged: false)
        try count(store, 1...9, .unlogged)
        try store.checkpoint(into: "/copy")
        #expect(node.disk.flipRandomBit(in: "/copy/PAIRS") != nil)
        do {
            _ = try open(node, "/copy", isLogged: false)
            Issue.record("a damaged checkpoint was opened")
        } catch StoreFault.corrupt {}
    }

    @Test func `a checkpoint has these bytes`() throws {
        let node = World(nodes: 1)[0]
        let store = try open(node, "/s", isLogged: false)
        try count(store, 1...1, .unlogged)
        try store.checkpoint(into: "/copy")
        let bytes = try node.environment.files.contents(of: "/copy/PAIRS")
        #expect(
            Hex.encode(bytes)
                == "686673696d6b7600" + "0100" + "02000000"
                + "04000000726f7773" + "0100000000000000" + "0100000001" + "0100000001"
                + "070000006170706c696564" + "0100000000000000" + "00000000" + "0100000001"
                + "17ef538a")
    }

    @Test func `mutated checkpoints are refused and never trap`() throws {
        let node = World(nodes: 1)[0]
        let store = try open(node, "/s", isLogged: false)
        try count(store, 1...20, .unlogged)
        try store.checkpoint(into: "/copy")
        let files = node.environment.files
        let good = try files.contents(of: "/copy/PAIRS")
        var generator = SeededGenerator(seed: 5)
        for round in 0..<1000 {
            var bytes = good
            if generator.chance(0.3) { bytes.removeLast(generator.below(bytes.count)) }
            for _ in 0...generator.below(4) where !bytes.isEmpty {
                bytes[generator.below(bytes.count)] = UInt8(generator.below(256))
            }
            // Half of them with a checksum that is right, so that the fields are looked at.
            if generator.chance(0.5), bytes.count > 4 {
                bytes.removeLast(4)
                var writer = ByteWriter()
                writer.writeRaw(bytes)
                writer.write(CRC32C.of(bytes))
                bytes = writer.bytes
            }
            try files.makeDirectory("/m\(round)")
            let file = try files.open("/m\(round)/PAIRS", .create)
            try file.write(bytes, at: 0)
            file.close()
            do { _ = try open(node, "/m\(round)", isLogged: false) } catch {
                guard case StoreFault.corrupt = error else {
                    Issue.record("\(error)")
                    return
                }
            }
            try files.removeTree("/m\(round)")
        }
    }

    @Test func `a store is open once, and fails for good with its first failed sync`() throws {
        let node = World(nodes: 1)[0]
        let store = try open(node, "/raft", isLogged: true)
        #expect(throws: StoreFault.self) { _ = try open(node, "/raft", isLogged: true) }
        node.disk.failingSync = 0
        #expect(throws: StoreFault.device("sync failed (EIO)")) {
            try count(store, 1...1, .synced)
        }
        #expect(throws: StoreFault.device("a write failed (EIO)")) {
            try count(store, 1...1, .synced)
        }
    }

    @Test func `a full disk refuses puts and takes deletes`() throws {
        let simulator = Simulator(seed: 1)
        let node = simulator.makeNode("a", host: "10.0.0.1", capacityBytes: 16_384)
        let store = try open(node, "/raft", isLogged: true)
        var batch = WriteBatch()
        batch.put(families[0], [1], [UInt8](repeating: 0, count: 10_000))
        try store.write(batch, .synced)
        #expect(throws: StoreFault.full("10001 bytes do not fit")) {
            try store.write(batch, .synced)
        }
        var removal = WriteBatch()
        removal.delete(families[0], [1])
        try store.write(removal, .synced)
        try store.write(batch, .synced)
    }

    @Test func `a cached lookup now and then does not know`() throws {
        let node = World(nodes: 1)[0]
        node.disk.conditions.uncachedLookupProbability = 0.5
        let store = try open(node, "/s", isLogged: true)
        try count(store, 1...1, .synced)
        let answers = (0..<200).map { _ in store.getIfCached(families[0], [1]) }
        #expect(answers.contains(.unknown))
        #expect(answers.contains(.found([1])))
        #expect(!answers.contains(.absent))
    }
}
