import IORuntime
import MetaNode
import Node
import Primitives
import Testing

@Suite struct DataDirectoryTests {
    private static let clusterBytes = [UInt8](repeating: 0xab, count: 16)

    private func directory(_ node: UInt32 = 1) throws -> DataDirectory {
        DataDirectory(
            directory: "/data", identityDirectory: "/identity",
            cluster: try #require(ClusterID(bytes: Self.clusterBytes)), node: NodeID(node))
    }

    private func disk() throws -> TestDisk {
        let disk = TestDisk()
        try disk.files.makeDirectory("/identity")
        try disk.files.syncDirectory("/")
        return disk
    }

    private var ours: String { "cluster \(Hex.encode(Self.clusterBytes)) node 1" }

    private func withParts() throws -> DataDirectory {
        DataDirectory(
            directory: "/data", identityDirectory: "/identity",
            cluster: try #require(ClusterID(bytes: Self.clusterBytes)), node: NodeID(1),
            parts: ["meta", "chunks"])
    }

    @Test func `a part of the data that has gone is not taken for one that never was`() throws {
        let disk = try self.disk()
        let data = try self.withParts()
        try data.claim(disk.files)
        try data.claim(disk.files)
        for part in ["meta", "chunks"] {
            try disk.files.removeTree("/data/\(part)")
            #expect(throws: NodeFault.dataGone(directory: "/data/\(part)")) {
                try data.claim(disk.files)
            }
            // A file system that is not mounted looks like this.
            try disk.files.makeDirectory("/data/\(part)")
            #expect(throws: NodeFault.dataGone(directory: "/data/\(part)")) {
                try data.claim(disk.files)
            }
            try disk.files.replace("/data/\(part)/node", with: Array(self.ours.utf8))
            try data.claim(disk.files)
        }
    }

    @Test func `a part that is another node's is refused`() throws {
        let disk = try self.disk()
        let data = try self.withParts()
        try data.claim(disk.files)
        try disk.files.replace("/data/meta/node", with: Array(Self.foreign.utf8))
        #expect(
            throws: NodeFault.foreignData(
                directory: "/data/meta", found: Self.foreign, expected: self.ours)
        ) { try data.claim(disk.files) }
    }

    @Test func `a role that comes later begins with a part of its own`() throws {
        let disk = try self.disk()
        try self.directory().claim(disk.files)
        try self.withParts().claim(disk.files)
        try self.withParts().claim(disk.files)
    }

    struct Case: Sendable {
        /// What the marker in the data says; nil: there is none.
        let marker: String?
        let hasBegun: Bool
        let outcome: Outcome

        init(_ marker: String?, begun: Bool, _ outcome: Outcome) {
            self.marker = marker
            self.hasBegun = begun
            self.outcome = outcome
        }
    }

    enum Outcome: Equatable, Sendable {
        case claimed
        case foreign
        case gone
    }

    private static let foreign = "cluster 00 node 1"

    @Test(arguments: [
        // A first start, a later one, and one behind a crash between the two marks.
        Case(nil, begun: false, .claimed),
        Case("ours", begun: true, .claimed),
        Case("ours", begun: false, .claimed),
        // The data is not there any more, or is another's.
        Case(nil, begun: true, .gone),
        Case(Self.foreign, begun: true, .foreign),
        Case(Self.foreign, begun: false, .foreign),
        Case("", begun: true, .foreign),
    ])
    func `a node takes data that is its own, and no other`(given: Case) throws {
        let disk = try self.disk()
        let marker = given.marker == "ours" ? self.ours : given.marker
        if let marker {
            try disk.files.makeDirectory("/data")
            try disk.files.replace("/data/node", with: Array(marker.utf8))
        }
        if given.hasBegun { try disk.files.replace("/identity/begun", with: []) }
        let outcome = try self.outcome(disk, expectedMarker: marker)
        #expect(outcome == given.outcome)
        if outcome == .claimed {
            disk.powerCut()
            #expect(try disk.files.contents(of: "/data/node") == Array(self.ours.utf8))
            #expect(try disk.files.status("/identity/begun") != nil)
            try self.directory().claim(disk.files)
        }
    }

    private func outcome(_ disk: TestDisk, expectedMarker: String?) throws -> Outcome {
        let directory = try self.directory()
        do throws(NodeFault) { try directory.claim(disk.files) } catch {
            switch error {
            case .foreignData("/data", found: expectedMarker, expected: self.ours): return .foreign
            case .dataGone("/data"): return .gone
            default: throw error
            }
        }
        return .claimed
    }

    @Test func `another node's data and data that went are told apart`() throws {
        let disk = try self.disk()
        try self.directory().claim(disk.files)
        #expect(throws: NodeFault.self) { try self.directory(2).claim(disk.files) }
        try disk.files.removeTree("/data")
        #expect(throws: NodeFault.dataGone(directory: "/data")) {
            try self.directory().claim(disk.files)
        }
    }

    private func note(_ disk: TestDisk, at seconds: Int64) throws -> DiskFailureNote? {
        try self.directory().failureToTake(
            at: Timestamp(milliseconds: seconds * 1000), disk.files)
    }

    @Test func `a node that ended for want of room starts as if nothing had been`() throws {
        let disk = try self.disk()
        try self.directory().noteEnd(MetaSettings.diskFullStatus, "no room", disk.files)
        #expect(try self.note(disk, at: 0) == nil)
    }

    @Test func `a failed disk is taken by the next start, and once`() throws {
        let disk = try self.disk()
        #expect(try self.note(disk, at: 0) == nil)
        try self.directory().noteEnd(MetaSettings.logFailureStatus, "sync\nfailed", disk.files)
        disk.powerCut()
        // Starts that end before they are through find it again.
        for _ in 1...2 {
            #expect(
                try self.note(disk, at: 10)
                    == DiskFailureNote(.open, reason: "sync\nfailed"))
        }
        let note = try #require(try self.note(disk, at: 10))
        try self.directory().tookFailure(note, at: Timestamp(milliseconds: 10_000), disk.files)
        disk.powerCut()
        #expect(try self.note(disk, at: 11) == nil)
    }

    @Test(arguments: [(-1, false), (0, false), (3599, false), (3600, true)] as [(Int64, Bool)])
    func `a disk that fails again soon is left to a person`(after: Int64, isTaken: Bool) throws {
        let disk = try self.disk()
        let data = try self.directory()
        data.noteEnd(MetaSettings.logFailureStatus, "first", disk.files)
        let first = try #require(try self.note(disk, at: 100))
        try data.tookFailure(first, at: Timestamp(milliseconds: 100_000), disk.files)
        data.noteEnd(MetaSettings.logFailureStatus, "second", disk.files)
        if isTaken {
            #expect(try self.note(disk, at: 100 + after)?.reason == "second")
        } else {
            #expect(
                throws: NodeFault.diskFailing(
                    directory: "/data", reason: "second", note: "/identity/damaged")
            ) { try self.note(disk, at: 100 + after) }
            // A person who has looked at the disk removes the note.
            try disk.files.remove("/identity/damaged")
            #expect(try self.note(disk, at: 100 + after) == nil)
        }
    }

    @Test func `a node that may have forgotten a vote never starts again`() throws {
        let disk = try self.disk()
        try self.directory().noteEnd(MetaSettings.forgottenStatus, "it went back", disk.files)
        for seconds in [0, 1_000_000] as [Int64] {
            #expect(throws: NodeFault.damaged(directory: "/data", reason: "it went back")) {
                try self.note(disk, at: seconds)
            }
        }
    }

    @Test(arguments: ["", "the disk is on fire", "open", "open\n-", "open\nsoon\nwhy"])
    func `a note that nobody understands is still one`(text: String) {
        #expect(DiskFailureNote(text: text) == DiskFailureNote(.open, reason: text))
    }
}
