import Cryptography
import FileClient
import HTTPSyntax
import IORuntime
import Primitives
import SimulatedRuntime
import Synchronization
import Testing

@Suite struct TransferTests {
    @Test func `a folder goes up below the prefix and comes down equal`() {
        let world = EdgeWorld(troubles: [[], []], pageKeys: 2)
        let large = noise(3_000_000)
        world.run { client, environment in
            try await environment.write("/home/in/a.txt", Array("a".utf8))
            try await environment.write("/home/in/empty", [])
            try await environment.write("/home/in/deep/er/é +%.bin", large)
            let progress = TransferProgress()
            try await client.put(
                ["/home/in"], to: RemotePath(bucket: "box", key: "p"), progress: progress
            ) { Issue.record("\($0)") }
            #expect(progress.counts.filesDone == 3)
            #expect(progress.counts.bytesDone == 3_000_001)

            let down = TransferProgress()
            try await client.get(
                RemotePath(bucket: "box", key: "p"), into: "/home/out", progress: down
            ) { Issue.record("\($0)") }
            #expect(down.counts.filesDone == 3)
            #expect(down.counts.bytesDone == 3_000_001)
            #expect(down.counts.isTotalKnown)
            #expect(try await environment.read("/home/out/a.txt") == Array("a".utf8))
            #expect(try await environment.read("/home/out/empty") == [])
            #expect(try await environment.read("/home/out/deep/er/é +%.bin") == large)
            #expect(try await environment.names("/home/out") == ["a.txt", "deep", "empty"])
        }
        #expect(world.store.keys("box") == ["p/a.txt", "p/deep/er/é +%.bin", "p/empty"])
    }

    @Test func `as many files travel at once as there are jobs`() {
        let world = EdgeWorld()
        for number in 0..<12 { world.store.set("box", "\(number)", noise(300_000)) }
        world.run { client, environment in
            try await client.get(
                RemotePath(bucket: "box"), into: "/out", progress: TransferProgress()
            ) { Issue.record("\($0)") }
        }
        #expect(world.store.state.withLock { $0.mostAtOnce } == 4)
    }

    @Test func `a write goes to the next edge when one is dead or silent`() {
        let world = EdgeWorld(troubles: [[], [], []])
        world.store.set("box", "k", [])
        world.edgeNodes[0].crash()
        world.edgeNodes[1].powerCut()
        world.run { client, environment in
            try await environment.write("/f", [1, 2, 3])
            for number in 0..<6 {
                try await client.put("/f", as: RemotePath(bucket: "box", key: "k\(number)"))
            }
        }
        #expect(world.store.keys("box") == ["k", "k0", "k1", "k2", "k3", "k4", "k5"])
        #expect(world.store.requests.allSatisfy { $0.hasPrefix("2 ") })
    }

    @Test func `a write that no edge confirms is a fault`() {
        let world = EdgeWorld(troubles: [[], []])
        for node in world.edgeNodes { node.crash() }
        world.run { client, environment in
            try await environment.write("/f", [1, 2, 3])
            let fault = await #expect(throws: FileClientFault.self) {
                try await client.put("/f", as: RemotePath(bucket: "box", key: "k"))
            }
            guard case .noEdgeAnswered("/f", _, .unreachable, nil, let attempts) = fault else {
                Issue.record("\(String(describing: fault))")
                return
            }
            #expect(attempts == 2 * EdgeAttempts.Limits().mostRounds)
        }
    }

    @Test func `an edge that is overloaded is asked again after its rest`() {
        let world = EdgeWorld(troubles: [
            [.status(.unavailable, retryAfter: 3), .status(.internalError, retryAfter: nil)]
        ])
        world.store.set("box", "k", [])
        world.run { client, environment in
            try await environment.write("/f", noise(2_000_000))
            let start = environment.now
            try await client.put("/f", as: RemotePath(bucket: "box", key: "k"))
            #expect(environment.now - start >= .seconds(3))
        }
        #expect(world.store.content("box", "k") == noise(2_000_000))
        #expect(world.store.requests.count == 3)
    }

    @Test func `an edge's refusal is final and says why`() {
        let world = EdgeWorld()
        world.run { client, environment in
            try await environment.write("/f", [1])
            let refusal = EdgeRefusal(
                status: 404, code: "NoSuchBucket", message: "Because & so.")
            await #expect(throws: FileClientFault.refused(refusal, subject: "/f")) {
                try await client.put("/f", as: RemotePath(bucket: "nobox", key: "k"))
            }
        }
        #expect(world.store.requests == ["0 PUT /nobox/k"])
    }

    @Test func `a large file goes through a secure channel without being read twice`() {
        let world = EdgeWorld(troubles: [[], [.storeWrongly]], isSecure: true)
        world.store.set("box", "k", [])
        let content = noise(9_000_000)
        world.run { client, environment in
            try await environment.write("/f", content)
            var faults: [FileClientFault] = []
            for number in 0..<2 {
                do throws(FileClientFault) {
                    try await client.put("/f", as: RemotePath(bucket: "box", key: "k\(number)"))
                } catch {
                    faults.append(error)
                }
            }
            // One of the two edges kept other bytes, and no signed hash could have told it so.
            #expect(faults.count == 1)
            guard case .storedDifferently(_, let sent, _) = faults.first else {
                Issue.record("\(faults)")
                return
            }
            #expect(sent == Hex.encode(SHA256.hash(content)))
        }
        #expect(world.store.payloads.contains("UNSIGNED-PAYLOAD"))
    }

    @Test func `in clear text the signature covers the bytes, however many`() {
        let world = EdgeWorld()
        world.store.set("box", "k", [])
        let content = noise(9_000_000)
        world.run { client, environment in
            try await environment.write("/f", content)
            try await client.put("/f", as: RemotePath(bucket: "box", key: "k"))
        }
        #expect(world.store.payloads == [Hex.encode(SHA256.hash(content))])
    }

    @Test func `a file that shrinks while it is sent is not stored`() {
        let world = EdgeWorld()
        world.store.set("box", "k", [])
        world.run { client, environment in
            try await environment.write("/f", noise(30_000_000))
            async let put: Void = client.put("/f", as: RemotePath(bucket: "box", key: "new"))
            while world.store.requests.isEmpty {
                try await environment.loops[0].sleep(for: .milliseconds(1))
            }
            try await environment.write("/f", noise(1_000_000))
            do {
                try await put
                Issue.record("half a file was stored")
            } catch {
                #expect(error as? FileClientFault == .changedWhileSent(path: "/f"))
            }
        }
        #expect(world.store.keys("box") == ["k"])
    }

    @Test func `an interrupted download leaves no half of a file`() {
        let world = EdgeWorld()
        world.store.set("box", "k", noise(30_000_000))
        world.run { client, environment in
            environment.loops[0].spawn {
                do throws(FileClientFault) {
                    try await client.get(
                        RemotePath(bucket: "box", key: "k"), as: "k", in: "/out")
                } catch {
                    Issue.record(error)
                }
            }
            while try await environment.isMissing("/out") {
                try await environment.loops[0].sleep(for: .milliseconds(1))
            }
            try await environment.loops[0].sleep(for: .milliseconds(10))
            #expect(try await environment.names("/out").first?.hasSuffix(".part") == true)
            await client.removePartialFiles()
            #expect(try await environment.names("/out") == [])
            world.person.crash()
        }
    }

    @Test func `a store that kept other bytes is found out`() {
        let world = EdgeWorld(troubles: [[.storeWrongly, .storeWronglyAndSaysMD5]])
        world.store.set("box", "k", [])
        world.run { client, environment in
            try await environment.write("/f", [1])
            let object = RemotePath(bucket: "box", key: "k")
            for (sent, stored) in [
                (SHA256.hash([1]), SHA256.hash([1, 0])), (MD5.hash([1]), MD5.hash([1, 0])),
            ] {
                let fault = FileClientFault.storedDifferently(
                    subject: "box/k", sent: Hex.encode(sent), stored: Hex.encode(stored))
                await #expect(throws: fault) { try await client.put("/f", as: object) }
            }
        }
    }

    @Test func `a download goes on at the next edge where the first one died`() {
        let world = EdgeWorld(troubles: [[.cutAfter(2_500_000)], [.cutAfter(100)]])
        let content = noise(6_000_000)
        world.store.set("box", "k", content)
        world.run { client, environment in
            let progress = TransferProgress()
            try await client.get(
                RemotePath(bucket: "box", key: "k"), as: "k", in: "/out", progress: progress)
            #expect(try await environment.read("/out/k") == content)
            #expect(progress.counts.bytesDone == 6_000_000)
            #expect(try await environment.names("/out") == ["k"])
        }
    }

    @Test func `bytes that were changed on the way are fetched again`() {
        let world = EdgeWorld(troubles: [[.corrupt]])
        world.store.set("box", "k", noise(50_000))
        world.run { client, environment in
            try await client.get(RemotePath(bucket: "box", key: "k"), as: "k", in: "/out")
            #expect(try await environment.read("/out/k") == noise(50_000))
        }
        #expect(world.store.requests == ["0 GET /box/k", "0 GET /box/k"])
    }

    @Test func `bytes that stay wrong are named and leave nothing behind`() {
        let world = EdgeWorld(troubles: [[.corrupt, .corrupt]])
        world.store.set("box", "p/k", noise(50_000))
        world.store.set("box", "p/l", [1])
        world.run { client, environment in
            let reports = Reports()
            let progress = TransferProgress()
            try await client.get(
                RemotePath(bucket: "box", key: "p/k"), into: "/out", progress: progress,
                report: reports.sink)
            guard case .failed(.corrupted("box/p/k", let expected, _)) = reports.events.first
            else {
                Issue.record("\(reports.events)")
                return
            }
            #expect(expected == Hex.encode(SHA256.hash(noise(50_000))))
            #expect(progress.counts.filesFailed == 1)
            #expect(progress.counts.bytesDone == 0)
            #expect(try await environment.names("/out") == [])
        }
    }

    @Test func `a key that would leave the directory is refused and the others come`() {
        let world = EdgeWorld()
        for key in ["p/../x", "p/good", "p//x", "p/a/../../x"] {
            world.store.set("box", key, [1])
        }
        world.run { client, environment in
            let reports = Reports()
            let progress = TransferProgress()
            try await client.get(
                RemotePath(bucket: "box", key: "p"), into: "/home/out", progress: progress,
                report: reports.sink)
            #expect(progress.counts.filesFailed == 3)
            #expect(
                reports.events.contains(
                    .failed(.noDownloadPlace(subject: "box/p/../x", .dotSegment))))
            #expect(try await environment.names("/home") == ["out"])
            #expect(try await environment.names("/home/out") == ["good"])
        }
    }

    @Test func `a name that nothing has is not an empty success`() {
        let world = EdgeWorld()
        world.store.set("box", "pq", [1])
        world.run { client, environment in
            let path = RemotePath(bucket: "box", key: "p")
            await #expect(throws: FileClientFault.nothingThere(path)) {
                try await client.get(path, into: "/out", progress: TransferProgress()) { _ in }
            }
        }
    }

    @Test func `removing a folder leaves its neighbours, removing a bucket leaves nothing`() {
        let world = EdgeWorld(pageKeys: 2)
        for key in ["p", "p/1", "p/2", "p/3", "pq", "z"] { world.store.set("box", key, [1]) }
        world.run { client, environment in
            try await client.removeFolder(
                RemotePath(bucket: "box", key: "p"), progress: TransferProgress()
            ) { Issue.record("\($0)") }
            #expect(world.store.keys("box") == ["pq", "z"])
            try await client.removeFolder(
                RemotePath(bucket: "box"), progress: TransferProgress()
            ) { Issue.record("\($0)") }
            #expect(try await client.buckets() == [])
        }
    }

    @Test func `two files that would become one object are not sent`() {
        let world = EdgeWorld()
        world.run { client, environment in
            try await environment.write("/a/same", [1])
            try await environment.write("/b/same", [2])
            let refusal = UploadPlan.Refusal.sameKey(
                "same", first: "/a/same", second: "/b/same")
            await #expect(throws: FileClientFault.noUploadPlace(refusal)) {
                try await client.put(
                    ["/a", "/b"], to: RemotePath(bucket: "box"), progress: TransferProgress()
                ) { _ in }
            }
        }
        #expect(world.store.requests == [])
    }

    @Test func `small objects travel between memory and the edges, checked like files`() {
        let world = EdgeWorld(troubles: [[.status(.badGateway, retryAfter: nil)]])
        world.store.set("box", "k", [])
        world.run { client, environment in
            let object = RemotePath(bucket: "box", key: "new")
            #expect(try await client.bytes(of: object, limit: 100) == nil)
            try await client.put(bytes: [1, 2, 3], as: object)
            #expect(try await client.bytes(of: object, limit: 3) == [1, 2, 3])
            let tooLarge = FileClientFault.answerTooLarge(subject: "box/new", limitBytes: 2)
            await #expect(throws: tooLarge) {
                try await client.bytes(of: object, limit: 2)
            }
            world.edges[0].troubles.withLock { $0 = [.corrupt] }
            #expect(try await client.bytes(of: object, limit: 3) == [1, 2, 3])
            world.edges[0].troubles.withLock { $0 = [.corrupt, .corrupt] }
            await #expect(throws: FileClientFault.self) {
                try await client.bytes(of: object, limit: 3)
            }
            await #expect(throws: FileClientFault.self) {
                try await client.bytes(of: RemotePath(bucket: "nobox", key: "k"), limit: 9)
            }
        }
    }

    @Test func `links come in order from the edge that made them`() {
        let world = EdgeWorld(troubles: [[], []])
        world.run { client, environment in
            let links = try await client.links(
                LinkRequest(
                    RemotePath(bucket: "box", key: "w-"), methods: ["GET", "HEAD"],
                    expiresInSeconds: 60),
                count: 6)
            #expect(
                links.map(\.target)
                    == (0..<6).map {
                        "/f/box/w-0000000\($0)?asked=expires-in=60&methods=GET%2CHEAD&scope=exact"
                    })
            #expect(links[0].url.hasPrefix("http://10.0.0."))
            for (key, path) in [("", "/f/box/"), ("p", "/f/box/p/"), ("p/", "/f/box/p/")] {
                let folder = RemotePath(bucket: "box", key: key)
                let link = try await client.link(
                    LinkRequest(folder, scope: .prefix, expiresInSeconds: 60))
                #expect(link.target.hasPrefix("\(path)?asked="))
            }
        }
    }

    @Test func `the same seed makes the same transfer`() {
        let hashes = (0..<2).map { _ in
            let world = EdgeWorld(seed: 5, troubles: [[.cutAfter(10)], []], pageKeys: 3)
            for number in 0..<10 { world.store.set("box", "p/\(number)", noise(3000)) }
            return world.run { client, environment in
                try await client.get(
                    RemotePath(bucket: "box"), into: "/out", progress: TransferProgress()
                ) { Issue.record("\($0)") }
            }.traceHash
        }
        #expect(hashes[0] == hashes[1])
    }
}
