import FileClient
import HTTPSyntax
import IORuntime
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

/// Large files travel in parts, and an interrupted transfer goes on where it stopped.
@Suite struct PartTransferTests {
    private static let partBytes: UInt64 = 5 << 20
    /// Three parts, the last of them short.
    private static let content = noise((10 << 20) + 12_345)
    private static let object = RemotePath(bucket: "box", key: "large")

    private static func configure(_ options: inout FileClientOptions) {
        options.partBytes = Self.partBytes
        options.stateDirectory = "/state"
        options.jobs = 2
    }

    private func parts(_ world: EdgeWorld) -> Int {
        world.store.requests.count { $0.contains(" PUT /box/large?partNumber=") }
    }

    @Test func `a large file goes up and comes down in parts through several edges`() {
        let world = EdgeWorld(troubles: [[], []])
        world.store.set("box", "other", [])
        world.run(configure: Self.configure) { client, environment in
            try await environment.write("/f", Self.content)
            try await client.put("/f", as: Self.object)
            #expect(try await environment.names("/state/uploads") == [])
            let progress = TransferProgress()
            try await client.get(Self.object, into: "/out", progress: progress) {
                Issue.record("\($0)")
            }
            #expect(try await environment.read("/out/large") == Self.content)
            #expect(try await environment.names("/out") == ["large"])
            #expect(progress.counts.bytesDone == UInt64(Self.content.count))
            #expect(progress.counts.bytesStanding == 0)
        }
        #expect(world.store.content("box", "large") == Self.content)
        #expect(self.parts(world) == 3)
        for edge in ["0", "1"] {
            #expect(world.store.requests.contains { $0.hasPrefix("\(edge) PUT /box/large?part") })
            #expect(world.store.requests.contains { $0.hasPrefix("\(edge) GET /box/large") })
        }
        #expect(world.store.state.withLock { $0.mostAtOnce } <= 2)
    }

    @Test func `an interrupted put sends only what is missing`() {
        let world = EdgeWorld(troubles: [[], []])
        world.store.set("box", "other", [])
        world.store.state.withLock { $0.partLimit = 1 }
        world.run(configure: Self.configure) { client, environment in
            try await environment.write("/f", Self.content)
            let first = TransferProgress()
            await #expect(throws: FileClientFault.self) {
                try await client.put("/f", as: Self.object, progress: first)
            }
            #expect(first.counts.bytesStanding == Self.partBytes)
            #expect(first.counts.bytesDone == 0)
            world.store.state.withLock { $0.partLimit = nil }
            let before = self.parts(world)
            let second = TransferProgress()
            try await client.put("/f", as: Self.object, progress: second)
            #expect(self.parts(world) == before + 2)
            #expect(second.counts.bytesKept == Self.partBytes)
            #expect(
                second.counts.bytesDone == UInt64(Self.content.count) - Self.partBytes)
        }
        #expect(world.store.content("box", "large") == Self.content)
        #expect(world.store.state.withLock { $0.uploads.isEmpty })
    }

    @Test func `a file that changed begins anew, and the old upload is given up`() {
        let world = EdgeWorld()
        world.store.set("box", "other", [])
        world.store.state.withLock { $0.partLimit = 1 }
        let other = Array(Self.content.dropLast(10))
        world.run(configure: Self.configure) { client, environment in
            try await environment.write("/f", Self.content)
            await #expect(throws: FileClientFault.self) {
                try await client.put("/f", as: Self.object)
            }
            try await environment.write("/f", other)
            world.store.state.withLock { $0.partLimit = nil }
            let progress = TransferProgress()
            try await client.put("/f", as: Self.object, progress: progress)
            #expect(progress.counts.bytesKept == 0)
        }
        #expect(world.store.content("box", "large") == other)
        #expect(world.store.state.withLock { $0.uploads.isEmpty })
        #expect(world.store.requests.contains { $0.hasPrefix("0 DELETE /box/large?uploadId=1") })
    }

    @Test func `a part that is there with other bytes is sent again`() {
        let world = EdgeWorld()
        world.store.set("box", "other", [])
        world.store.state.withLock { $0.partLimit = 1 }
        world.run(configure: Self.configure) { client, environment in
            try await environment.write("/f", Self.content)
            await #expect(throws: FileClientFault.self) {
                try await client.put("/f", as: Self.object)
            }
            world.store.state.withLock { state in
                state.partLimit = nil
                if let number = state.uploads["1"]?.parts.keys.min() {
                    state.uploads["1"]?.parts[number]?[7] ^= 1
                }
            }
            try await client.put("/f", as: Self.object)
        }
        #expect(world.store.content("box", "large") == Self.content)
    }

    @Test func `without a place to note it down an upload that fails leaves nothing`() {
        let world = EdgeWorld()
        world.store.set("box", "other", [])
        world.store.state.withLock { $0.partLimit = 1 }
        world.run(
            configure: {
                Self.configure(&$0)
                $0.stateDirectory = nil
            }
        ) { client, environment in
            try await environment.write("/f", Self.content)
            let progress = TransferProgress()
            await #expect(throws: FileClientFault.self) {
                try await client.put("/f", as: Self.object, progress: progress)
            }
            #expect(progress.counts == TransferProgress.Counts())
        }
        #expect(world.store.state.withLock { $0.uploads.isEmpty })
    }

    @Test func `an interrupted get fetches only what is missing`() {
        // One range is served, and what comes then is refused.
        let world = EdgeWorld(troubles: [[.none, .status(.forbidden, retryAfter: nil)]])
        world.store.set("box", "large", Self.content)
        world.run(
            configure: {
                Self.configure(&$0)
                $0.jobs = 1
            }
        ) { client, environment in
            let first = TransferProgress()
            let reports = Reports()
            try await client.get(
                Self.object, into: "/out", progress: first, report: reports.sink)
            #expect(first.counts.filesFailed == 1)
            #expect(first.counts.bytesStanding == Self.partBytes)
            #expect(try await environment.names("/out").allSatisfy { $0.hasSuffix(".part") })
            let sent = world.store.state.withLock { $0.sentBytes }
            let second = TransferProgress()
            try await client.get(Self.object, into: "/out", progress: second) {
                Issue.record("\($0)")
            }
            #expect(
                world.store.state.withLock { $0.sentBytes } - sent
                    == Self.content.count - Int(Self.partBytes))
            #expect(second.counts.bytesKept == Self.partBytes)
            #expect(try await environment.read("/out/large") == Self.content)
            #expect(try await environment.names("/out") == ["large"])
        }
    }

    @Test func `bytes that arrive wrong are fetched anew, and then refused`() {
        let world = EdgeWorld(troubles: [[.corrupt]])
        world.store.set("box", "large", Self.content)
        world.run(configure: Self.configure) { client, environment in
            try await client.get(Self.object, into: "/out", progress: TransferProgress()) {
                Issue.record("\($0)")
            }
            #expect(try await environment.read("/out/large") == Self.content)
        }
        #expect(world.store.state.withLock { $0.sentBytes } == 2 * Self.content.count)
    }

    @Test func `what the other side has is left alone when that is wanted`() {
        let world = EdgeWorld()
        world.run(configure: Self.configure) { client, environment in
            try await environment.write("/in/large", Self.content)
            try await environment.write("/in/small", [1, 2, 3])
            var options = TransferOptions()
            options.skipsSame = true
            options.verifies = true
            let box = RemotePath(bucket: "box")
            var counts: [TransferProgress.Counts] = []
            for _ in 0..<2 {
                let progress = TransferProgress()
                try await client.put(["/in"], to: box, options: options, progress: progress) {
                    Issue.record("\($0)")
                }
                counts.append(progress.counts)
            }
            #expect(counts.map(\.filesDone) == [2, 0])
            #expect(counts.map(\.filesSame) == [0, 2])
            try await environment.write("/in/small", [1, 2, 4])
            let progress = TransferProgress()
            try await client.get(box, into: "/in", options: options, progress: progress) {
                Issue.record("\($0)")
            }
            #expect(progress.counts.filesDone == 1)
            #expect(progress.counts.filesSame == 1)
            #expect(try await environment.read("/in/small") == [1, 2, 3])
        }
    }

    @Test func `only files that the filter wants travel`() throws {
        let filter = PathFilter([
            PathFilter.Rule(try PathPattern("skipped"), includes: false),
            PathFilter.Rule(try PathPattern("*.txt"), includes: true),
        ])
        var wanted = TransferOptions()
        wanted.filter = filter
        let options = wanted
        let world = EdgeWorld()
        world.run { client, environment in
            for name in ["a.txt", "b.bin", "skipped/c.txt", "deep/d.txt"] {
                try await environment.write("/in/\(name)", Array(name.utf8))
            }
            let box = RemotePath(bucket: "box", key: "p")
            try await client.put(
                ["/in"], to: box, options: options, progress: TransferProgress()
            ) { Issue.record("\($0)") }
            #expect(world.store.keys("box") == ["p/a.txt", "p/deep/d.txt"])
            world.store.set("box", "p/e.bin", [1])
            try await client.get(
                box, into: "/out", options: options, progress: TransferProgress()
            ) { Issue.record("\($0)") }
            #expect(try await environment.names("/out") == ["a.txt", "deep"])
        }
    }

    @Test func `objects are copied and moved inside the cluster`() {
        let world = EdgeWorld(pageKeys: 2)
        for key in ["a", "a/1", "a/2", "a/x/3", "b"] {
            world.store.set("box", key, Array("<\(key)>".utf8))
        }
        world.run { client, _ in
            let progress = TransferProgress()
            try await client.copy(
                CopyPlan(
                    from: RemotePath(bucket: "box", key: "a"),
                    to: RemotePath(bucket: "new", key: "c")),
                removing: false, progress: progress
            ) { Issue.record("\($0)") }
            #expect(world.store.keys("new") == ["c", "c/1", "c/2", "c/x/3"])
            #expect(world.store.keys("box").count == 5)
            #expect(progress.counts.filesDone == 4)
            try await client.copy(
                CopyPlan(
                    from: RemotePath(bucket: "box", key: "a/"),
                    to: RemotePath(bucket: "box", key: "m")),
                removing: true, progress: TransferProgress()
            ) { Issue.record("\($0)") }
            await #expect(throws: FileClientFault.self) {
                try await client.copy(
                    CopyPlan(
                        from: RemotePath(bucket: "box", key: "m"),
                        to: RemotePath(bucket: "box", key: "m/n")),
                    removing: false, progress: TransferProgress()
                ) { Issue.record("\($0)") }
            }
        }
        #expect(world.store.keys("box") == ["a", "b", "m/1", "m/2", "m/x/3"])
        #expect(world.store.content("box", "m/x/3") == Array("<a/x/3>".utf8))
    }

    @Test func `an object is streamed as it is, over a cut connection too`() {
        let world = EdgeWorld(troubles: [[.cutAfter(1000)], []])
        world.store.set("box", "large", Self.content)
        world.run { client, _ in
            var bytes: [UInt8] = []
            let isWhole = try await client.stream(Self.object) { piece in
                bytes += piece
                return true
            }
            #expect(isWhole)
            #expect(bytes == Self.content)
            let isTaken = try await client.stream(Self.object) { _ in false }
            #expect(!isTaken)
            await #expect(throws: FileClientFault.self) {
                _ = try await client.stream(RemotePath(bucket: "box", key: "no")) { _ in true }
            }
        }
    }
}
