import Cryptography
import IORuntime
import Node
import Primitives
import SimulatedRuntime
import Testing

@Suite struct MasterKeyFilesTests {
    private let files: any FileSystem
    private static let directories = ["/one", "/two", "/three"]

    /// Three identities, the last without the meta role.
    init() throws {
        self.files = Simulator(seed: 1).makeNode("n", host: "10.0.0.1").environment.files
        for directory in Self.directories {
            try self.files.makeDirectoryDurably(directory)
            try self.files.replace(directory + "/node.conf", with: [])
        }
        let ring = MasterKeyRing(try self.key(1))
        for directory in Self.directories.prefix(2) { try self.put(ring, in: directory) }
    }

    private func key(_ byte: UInt8) throws -> MasterKey {
        MasterKey(try #require(SymmetricKey(bytes: [UInt8](repeating: byte, count: 32))))
    }

    private func put(_ ring: MasterKeyRing, in directory: String) throws {
        try self.files.replace(directory + "/master.keys", with: Array(ring.text.utf8))
    }

    private func ids(in directory: String) throws -> [MasterKeyID] {
        let bytes = try self.files.contents(of: directory + "/master.keys")
        return try MasterKeyRing(text: String(decoding: bytes, as: UTF8.self)).ids
    }

    private func open() throws -> MasterKeyFiles {
        try MasterKeyFiles(identityDirectories: Self.directories, self.files)
    }

    private func bytes(_ byte: UInt8) -> (Int) -> [UInt8] {
        { [UInt8](repeating: byte, count: $0) }
    }

    @Test func `a rotation adds one key to every file, and a drop takes it from all`() throws {
        var files = try self.open()
        #expect(files.paths == ["/one/master.keys", "/two/master.keys"])
        let (old, new) = (try self.key(1).id, try self.key(2).id)
        #expect(try files.rotate(randomness: self.bytes(2), self.files) == .added(new))
        for directory in Self.directories.prefix(2) {
            #expect(try self.ids(in: directory) == [old, new])
        }
        #expect(try self.files.status("/three/master.keys") == nil)
        try files.drop(old, self.files)
        for directory in Self.directories.prefix(2) {
            #expect(try self.ids(in: directory) == [new])
        }
        #expect(throws: MasterKeyFilesFault.unknownKey(old)) { try files.drop(old, self.files) }
        #expect(throws: MasterKeyFilesFault.onlyKey("/one/master.keys")) {
            try files.drop(new, self.files)
        }
    }

    @Test func `a command that stopped half-way is finished by the next, without another key`()
        throws
    {
        let (old, new) = (try self.key(1), try self.key(2))
        try self.put(try #require(MasterKeyRing([old, new])), in: "/two")
        var files = try self.open()
        #expect(files.keys.map(\.id) == [old.id, new.id])
        #expect(try files.rotate(randomness: self.bytes(3), self.files) == .completed(new.id))
        #expect(try self.ids(in: "/one") == [old.id, new.id])
        // A drop that had come to the first file alone.
        try self.put(MasterKeyRing(new), in: "/one")
        files = try self.open()
        try files.drop(old.id, self.files)
        #expect(try self.ids(in: "/two") == [new.id])
    }

    @Test func `a file that is no ring stops the command before it changes anything`() throws {
        try self.files.replace("/two/master.keys", with: Array("version = 1\n".utf8))
        #expect(throws: MasterKeyFilesFault.unreadable("/two/master.keys", .wrongKeys)) {
            _ = try self.open()
        }
        #expect(throws: MasterKeyFilesFault.noKeys) {
            _ = try MasterKeyFiles(identityDirectories: ["/three"], self.files)
        }
        #expect(throws: MasterKeyFilesFault.noIdentity("/four")) {
            _ = try MasterKeyFiles(identityDirectories: ["/four"], self.files)
        }
    }

    @Test func `a full ring takes no further key`() throws {
        var files = try self.open()
        for byte in 2...8 { _ = try files.rotate(randomness: self.bytes(UInt8(byte)), self.files) }
        #expect(throws: MasterKeyFilesFault.tooManyKeys) {
            try files.rotate(randomness: self.bytes(9), self.files)
        }
    }
}
