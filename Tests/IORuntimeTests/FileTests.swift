import Foundation
import IORuntime
import Primitives
import Testing

@Suite struct FileTests {
    private static func inDirectory(
        _ body: @escaping @Sendable (any FileSystem, String) throws -> Void
    ) async throws {
        let environment = RealEnvironment(loopCount: 1)
        defer { environment.stop() }
        try await withTemporaryDirectory(environment) { try body(environment.files, $0) }
    }

    @Test func `what was written is read back, at any offset`() async throws {
        try await Self.inDirectory { files, directory in
            let file = try files.open("\(directory)/a", .create)
            try file.write([1, 2, 3], at: 0)
            try file.write([9], at: 5)
            try file.sync()
            try file.startWriteback(0..<6)
            #expect(try file.sizeBytes() == 6)
            #expect(try file.read(100, at: 0) == [1, 2, 3, 0, 0, 9])
            #expect(try file.read(100, at: 6) == [])
            try file.truncate(to: 2)
            #expect(try file.read(100, at: 1) == [2])
            file.close()
            file.close()
        }
    }

    @Test func `buffers are written one behind the other, however many`() async throws {
        try await Self.inDirectory { files, directory in
            let file = try files.open("\(directory)/a", .openOrCreate)
            let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
            try bytes.withUnsafeBytes { all in
                try file.write(
                    (0..<5000).map { UnsafeRawBufferPointer(rebasing: all[$0..<$0 + 1]) }, at: 10)
            }
            #expect(try file.read(6000, at: 10) == bytes)
        }
    }

    @Test func `blocks written past the cache are what every read finds`() async throws {
        try await Self.inDirectory { files, directory in
            let file = try files.open("\(directory)/a", .create)
            try file.preallocate(0..<1 << 20)
            let blocks = BlockBuffer(capacityBytes: 8193)
            #expect(blocks.bytes.count == 12_288)
            // Read before, so that the cache holds something else.
            try file.write([UInt8](repeating: 1, count: 20_000), at: 0)
            #expect(try file.read(20_000, at: 0) == [UInt8](repeating: 1, count: 20_000))
            blocks.bytes.initializeMemory(as: UInt8.self, repeating: 2)
            try file.writeBlocks(UnsafeRawBufferPointer(blocks.bytes), at: 4096)
            try file.sync()
            let expected =
                [UInt8](repeating: 1, count: 4096) + [UInt8](repeating: 2, count: 12_288)
                + [UInt8](repeating: 1, count: 3616)
            #expect(try file.read(30_000, at: 0) == expected)
            // And back, from the device.
            #expect(try file.readDirectly(30_000, at: 0) == expected)
            #expect(try file.readDirectly(5000, at: 4090) == Array(expected[4090..<9090]))
            #expect(try file.readDirectly(10, at: 20_000) == [])
        }
    }

    @Test func `blocks go through the cache where nothing else can be done`() async throws {
        try await Self.inDirectory { files, _ in
            let blocks = BlockBuffer(capacityBytes: 4096)
            let bytes = UnsafeRawBufferPointer(blocks.bytes)
            // Devices of this kind refuse O_DIRECT.
            try files.open("/dev/null", .update).writeBlocks(bytes, at: 0)
            #expect(
                try files.open("/dev/zero", .read).readDirectly(10, at: 3)
                    == [UInt8](repeating: 0, count: 10))
            #expect(throws: FileFault.full(path: "/dev/full")) {
                try files.open("/dev/full", .update).writeBlocks(bytes, at: 0)
            }
        }
    }

    @Test func `names: make, list, rename over, remove, remove a tree`() async throws {
        try await Self.inDirectory { files, directory in
            let deep = "\(directory)/x/y/z"
            try files.makeDirectory(deep)
            try files.makeDirectory(deep)
            for name in ["b", "a", "c"] { try files.open("\(deep)/\(name)", .create).close() }
            #expect(try files.list(deep) == ["a", "b", "c"])
            try files.replace("\(deep)/a", with: [1])
            try files.rename("\(deep)/a", to: "\(deep)/b")
            try files.syncDirectory(deep)
            #expect(try files.list(deep) == ["b", "c"])
            #expect(try files.contents(of: "\(deep)/b") == [1])
            try files.remove("\(deep)/c")
            #expect(try files.status(deep)?.isDirectory == true)
            #expect(try files.status("\(deep)/b")?.sizeBytes == 1)
            #expect(try files.status("\(deep)/b/nothing") == nil)
            try files.removeTree("\(directory)/x")
            try files.removeTree("\(directory)/x")
            #expect(try files.list(directory) == [])
        }
    }

    @Test func `a file is replaced as a whole, also over what a crash left`() async throws {
        try await Self.inDirectory { files, directory in
            let path = "\(directory)/file"
            try files.open("\(path).new", .create).close()
            try files.replace(path, with: [1, 2])
            try files.replace(path, with: [3])
            #expect(try files.contents(of: path) == [3])
            #expect(try files.list(directory) == ["file"])
        }
    }

    @Test func `faults name the path and the reason`() async throws {
        try await Self.inDirectory { files, directory in
            let path = "\(directory)/none"
            #expect(throws: FileFault.notFound(path: path)) { try files.open(path, .read) }
            #expect(throws: FileFault.notFound(path: path)) { try files.remove(path) }
            try files.open(path, .create).close()
            #expect(throws: FileFault.exists(path: path)) { try files.open(path, .create) }
            #expect(throws: FileFault.system(call: "opendir", path: path, errno: 20)) {
                try files.list(path)
            }
            #expect(throws: FileFault.exists(path: path)) { try files.makeDirectory(path) }
            let file = try files.open(path, .read)
            #expect(throws: FileFault.system(call: "pwritev", path: path, errno: 9)) {
                try file.write([1], at: 0)
            }
            #expect(throws: FileFault.full(path: "/dev/full")) {
                try files.open("/dev/full", .update).write([1], at: 0)
            }
        }
    }

    @Test func `a lock keeps others out until its file is closed`() async throws {
        try await Self.inDirectory { files, directory in
            let path = "\(directory)/lock"
            let first = try files.open(path, .openOrCreate)
            let second = try files.open(path, .openOrCreate)
            #expect(try first.tryLock())
            #expect(try !second.tryLock())
            first.close()
            // A child process of another test holds the lock too, until it runs its program; nothing
            // tells us of that, so the lock is tried again for ten seconds and more.
            var attempts = 0
            while try !second.tryLock(), attempts < 10_000 {
                // There is no loop here to sleep on.
                usleep(1000)
                attempts += 1
            }
            #expect(attempts < 10_000)
        }
    }

    @Test func `reserved space does not change the size, and a hole reads as zeros`() async throws {
        try await Self.inDirectory { files, directory in
            let file = try files.open("\(directory)/a", .create)
            try file.preallocate(0..<1 << 20)
            #expect(try file.sizeBytes() == 0)
            try file.write([UInt8](repeating: 7, count: 12_288), at: 0)
            try file.punchHole(4096..<8192)
            #expect(try file.sizeBytes() == 12_288)
            let expected =
                [UInt8](repeating: 7, count: 4096) + [UInt8](repeating: 0, count: 4096)
                + [UInt8](repeating: 7, count: 4096)
            #expect(try file.read(20_000, at: 0) == expected)
        }
    }

    @Test func `the space of a file system is known`() async throws {
        try await Self.inDirectory { files, directory in
            let space = try files.space(directory)
            #expect(space.totalBytes > 0 && space.freeBytes <= space.totalBytes)
        }
    }
}
