import IORuntime
import Primitives
import SimulatedRuntime
import Testing

/// One machine, and its files as the process that runs there sees them. The calls are made outside
/// of the run, where nothing else happens between them.
private struct Machine {
    let node: SimulatedNode
    let simulator: Simulator
    var files: any FileSystem { self.node.environment.files }

    init(seed: UInt64 = 1, capacityBytes: UInt64 = 1 << 30) {
        self.simulator = Simulator(seed: seed)
        self.node = self.simulator.makeNode("a", host: "10.0.0.1", capacityBytes: capacityBytes)
    }

    func make(_ path: String, _ bytes: [UInt8], isSynced: Bool) throws(FileFault) {
        let file = try self.files.open(path, .openOrCreate)
        try file.write(bytes, at: 0)
        if isSynced { try file.sync() }
        file.close()
    }

    /// The bytes of a file, or nil where it is not.
    func bytes(_ path: String) throws(FileFault) -> [UInt8]? {
        try self.files.status(path) == nil ? nil : try self.files.contents(of: path)
    }

    func cutPower() {
        self.node.powerCut()
        self.node.restart()
    }

    func kill() {
        self.node.crash()
        self.node.restart()
    }
}

private func expect<Fault: Error & Equatable>(
    _ fault: Fault, sourceLocation: SourceLocation = #_sourceLocation, _ call: () throws -> Void
) {
    #expect(throws: fault, sourceLocation: sourceLocation, performing: call)
}

struct SimulatedFilesTests {
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `what was synced survives a power cut, name and bytes`(seed: UInt64) throws {
        let machine = Machine(seed: seed)
        try machine.files.makeDirectory("/data/log")
        try machine.make("/data/log/1", [1, 2, 3], isSynced: true)
        for directory in ["/", "/data", "/data/log"] {
            try machine.files.syncDirectory(directory)
        }
        machine.cutPower()
        #expect(try machine.files.list("/data/log") == ["1"])
        #expect(try machine.bytes("/data/log/1") == [1, 2, 3])
    }

    @Test func `a power cut leaves of unsynced bytes nothing, all, a beginning or a mixture`()
        throws
    {
        var outcomes: Set<String> = []
        for seed in 1...200 as ClosedRange<UInt64> {
            let machine = Machine(seed: seed)
            try machine.make("/f", [UInt8](repeating: 1, count: 2048), isSynced: true)
            try machine.files.syncDirectory("/")
            let file = try machine.files.open("/f", .update)
            for part in 0..<4 as Range<UInt64> {
                try file.write([UInt8](repeating: 2, count: 512), at: part * 512)
            }
            machine.cutPower()
            let bytes = try machine.bytes("/f") ?? []
            let sectors = (0..<4).map { Array(bytes[$0 * 512..<$0 * 512 + 512]) }
            for sector in sectors { #expect(Set(sector).count == 1, "a sector is written whole") }
            outcomes.insert(sectors.map { "\($0[0])" }.joined())
        }
        #expect(outcomes.contains("1111"))
        #expect(outcomes.contains("2222"))
        #expect(outcomes.contains("2211"))
        #expect(outcomes.contains("1212"))
    }

    @Test func `a file that grew without a sync may be short after a power cut, never padded`()
        throws
    {
        var sizes: Set<Int> = []
        for seed in 1...100 as ClosedRange<UInt64> {
            let machine = Machine(seed: seed)
            try machine.make("/f", [1], isSynced: true)
            try machine.files.syncDirectory("/")
            try machine.make("/f", [1, 1, 1], isSynced: false)
            machine.cutPower()
            let bytes = try machine.bytes("/f") ?? []
            #expect(bytes.allSatisfy { $0 == 1 })
            sizes.insert(bytes.count)
        }
        #expect(sizes == [1, 3])
    }

    @Test func `a kill loses no byte that was written`() throws {
        let machine = Machine()
        try machine.make("/f", [1, 2, 3], isSynced: false)
        machine.kill()
        #expect(try machine.bytes("/f") == [1, 2, 3])
    }

    @Test func `a name without a sync of its directory may be lost with its bytes`() throws {
        var wasLost = false
        var wasKept = false
        for seed in 1...50 as ClosedRange<UInt64> {
            let machine = Machine(seed: seed)
            try machine.make("/f", [1], isSynced: true)
            machine.cutPower()
            switch try machine.bytes("/f") {
            case nil: wasLost = true
            case [1]?: wasKept = true
            case let other?: Issue.record("neither there nor away: \(other)")
            }
        }
        #expect(wasLost && wasKept)
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `a replaced file is the old one or the new one, never a mixture`(seed: UInt64) throws {
        let machine = Machine(seed: seed)
        let old = [UInt8](repeating: 1, count: 5000)
        let new = [UInt8](repeating: 2, count: 6000)
        try machine.files.replace("/f", with: old)
        // The power goes at every point of the second replacement.
        machine.node.die(.powerCut, afterDiskOperations: Int(seed % 12))
        do throws(FileFault) { try machine.files.replace("/f", with: new) } catch {
            #expect(!machine.node.isRunning)
        }
        if machine.node.isRunning { machine.node.powerCut() }
        machine.node.restart()
        let left = try machine.bytes("/f")
        #expect(left == old || left == new)
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `a file moved between directories is never in neither`(seed: UInt64) throws {
        let machine = Machine(seed: seed)
        try machine.files.makeDirectory("/from")
        try machine.files.makeDirectory("/to")
        try machine.make("/from/f", [1], isSynced: true)
        for directory in ["/", "/from"] { try machine.files.syncDirectory(directory) }
        try machine.files.rename("/from/f", to: "/to/f")
        machine.cutPower()
        let places = try ["/from/f", "/to/f"].filter { try machine.bytes($0) == [1] }
        #expect(places.count == 1)
    }

    @Test func `a process that died cannot write any more`() throws {
        let machine = Machine()
        try machine.make("/f", [1], isSynced: true)
        let file = try machine.files.open("/f", .update)
        let files = machine.files
        machine.kill()
        expect(FileFault.system(call: "pwrite", path: "/f", errno: 5)) {
            try file.write([9], at: 0)
        }
        expect(FileFault.system(call: "unlink", path: "/f", errno: 5)) { try files.remove("/f") }
        #expect(try machine.bytes("/f") == [1])
    }

    @Test func `a crash point strikes inside the work it was set for`() throws {
        let world = World(nodes: 1)
        let node = world[0]
        node.die(.killed, afterDiskOperations: 2)
        let outcome = world.run { environment in
            await environment.blocking(.disk) {
                for name in ["/1", "/2", "/3", "/4"] {
                    _ = try? environment.files.open(name, .create)
                }
            }
        }
        #expect(outcome.ending == .finished)
        node.restart()
        #expect(try node.environment.files.list("/") == ["1", "2"])
    }

    @Test func `a lock ends with its file and with its process`() throws {
        let machine = Machine()
        let first = try machine.files.open("/lock", .openOrCreate)
        let second = try machine.files.open("/lock", .openOrCreate)
        #expect(try first.tryLock())
        #expect(try !second.tryLock())
        first.close()
        #expect(try second.tryLock())
        machine.kill()
        #expect(try machine.files.open("/lock", .openOrCreate).tryLock())
    }

    @Test func `a full disk takes what fits and says so, and removing makes room`() throws {
        let machine = Machine(capacityBytes: 16 * 4096)
        let file = try machine.files.open("/f", .create)
        expect(FileFault.full(path: "/f")) {
            try file.write([UInt8](repeating: 1, count: 20 * 4096), at: 0)
        }
        #expect(try machine.files.space("/").freeBytes == 0)
        expect(FileFault.full(path: "/g")) { _ = try machine.files.open("/g", .create) }
        try machine.files.remove("/f")
        #expect(try machine.files.space("/").freeBytes == 0, "an open file keeps its room")
        file.close()
        #expect(try machine.files.space("/").freeBytes == 16 * 4096)
    }

    @Test func `preallocated room is taken at once and holes give theirs back`() throws {
        let machine = Machine(capacityBytes: 64 * 4096)
        let file = try machine.files.open("/f", .create)
        try file.preallocate(0..<32 * 4096)
        #expect(try file.sizeBytes() == 0)
        #expect(try machine.files.space("/").freeBytes == 32 * 4096)
        try file.write([UInt8](repeating: 7, count: 8 * 4096), at: 0)
        #expect(try machine.files.space("/").freeBytes == 32 * 4096)
        try file.punchHole(4096..<3 * 4096)
        #expect(try machine.files.space("/").freeBytes == 34 * 4096)
        #expect(try file.read(2, at: 4095) == [7, 0])
        #expect(try file.read(2, at: 3 * 4096 - 1) == [0, 7])
        expect(FileFault.full(path: "/f")) { try file.preallocate(0..<128 * 4096) }
        try file.truncate(to: 5)
        #expect(try file.read(100, at: 0) == [7, 7, 7, 7, 7])
        try file.truncate(to: 10)
        #expect(try file.read(100, at: 0) == [7, 7, 7, 7, 7, 0, 0, 0, 0, 0])
    }

    @Test func `a sync that failed is not made up for by one that succeeds`() throws {
        var losses = 0
        for seed in 1...40 as ClosedRange<UInt64> {
            let machine = Machine(seed: seed)
            try machine.make("/f", [1], isSynced: true)
            try machine.files.syncDirectory("/")
            let file = try machine.files.open("/f", .update)
            try file.write([2], at: 0)
            machine.node.disk.failingSync = 0
            expect(FileFault.system(call: "fdatasync", path: "/f", errno: 5)) { try file.sync() }
            try file.sync()
            #expect(try file.read(1, at: 0) == [2])
            let onDevice = try file.readDirectly(1, at: 0)
            machine.cutPower()
            #expect(try machine.bytes("/f") == onDevice, "the device was asked")
            if try machine.bytes("/f") == [1] { losses += 1 }
        }
        #expect((1..<40).contains(losses))
    }

    @Test func `a flipped bit at rest survives syncs and power cuts`() throws {
        let machine = Machine()
        try machine.make("/f", [1, 2, 3], isSynced: true)
        try machine.files.syncDirectory("/")
        #expect(machine.node.disk.flipBits(0x80, in: "/f", at: 1))
        machine.cutPower()
        #expect(try machine.bytes("/f") == [1, 0x82, 3])
        #expect(!machine.node.disk.flipBits(1, in: "/f", at: 3))
    }

    @Test func `removed trees are gone and lost disks are empty`() throws {
        let machine = Machine()
        try machine.files.makeDirectory("/a/b/c")
        try machine.make("/a/b/f", [1], isSynced: true)
        try machine.files.removeTree("/a/b")
        try machine.files.removeTree("/a/b")
        #expect(try machine.files.list("/a") == [])
        #expect(machine.node.disk.usedBytes == 0)
        machine.node.crash()
        machine.node.loseDisk()
        machine.node.restart()
        #expect(try machine.files.list("/") == [])
    }
}
