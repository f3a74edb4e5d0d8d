import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Signing
import Synchronization

extension FileClient {
    /// Puts files and the content of folders below `destination`, several at once, and makes the
    /// bucket where it is missing.
    ///
    /// A file that cannot be stored is reported, counted in `progress.filesFailed`, and the others
    /// go on; a fault that would befall all of them ends the transfer and is thrown. Nothing is sent
    /// when two files would become one object.
    package func put(
        _ sources: [String], to destination: RemotePath,
        options: TransferOptions = TransferOptions(), progress: TransferProgress,
        report: @escaping @Sendable (TransferEvent) -> Void
    ) async throws(FileClientFault) {
        let walk = FolderWalk(
            environment: self.environment, filter: options.filter, progress: progress,
            report: report)
        let plan = try await walk.plan(sources, to: destination)
        try await self.ensureBucket(destination.bucket)
        let stop = TransferStop()
        await self.inParallel(plan.uploads, until: stop) { upload in
            do throws(FileClientFault) {
                let isBrought = try await self.put(
                    upload, as: destination.with(key: upload.key), options, progress)
                if isBrought { progress.finished() }
            } catch {
                progress.failed(bytes: upload.sizeBytes)
                if error.befallsAll { stop.end(with: error) } else { report(.failed(error)) }
            }
        }
        if let fault = stop.fault { throw fault }
    }

    /// False when the object is there already, and is to be left alone then.
    private func put(
        _ upload: PlannedUpload, as object: RemotePath, _ options: TransferOptions,
        _ progress: TransferProgress
    ) async throws(FileClientFault) -> Bool {
        if options.skipsSame, let facts = try await self.facts(object),
            try await self.isSame(upload.path, as: facts)
        {
            progress.foundSame(bytes: facts.sizeBytes)
            return false
        }
        try await self.put(upload.path, as: object, progress: progress)
        if options.verifies { try await self.verify(upload.path, as: object) }
        return true
    }

    /// Reads an object back through an edge, and holds it and the file against its checksum.
    private func verify(_ path: String, as object: RemotePath) async throws(FileClientFault) {
        guard let facts = try await self.facts(object) else { throw .nothingThere(object) }
        guard !facts.check.isNone else { throw .uncheckable(object) }
        var check = facts.check
        try await self.slots.holding { () async throws(FileClientFault) in
            try await self.read(0..<facts.sizeBytes, of: facts) {
                (bytes, _) async throws(FileClientFault) -> Bool in
                check = check.updated(with: bytes)
                return true
            }
        }
        let isSame = try await self.isSame(path, as: facts)
        guard check.mismatch == nil, isSame else { throw .differs(path: path, object) }
    }

    /// Puts one file, whatever its size, in constant memory. Returns when an edge has confirmed it.
    package func put(
        _ path: String, as object: RemotePath, progress: TransferProgress = TransferProgress()
    ) async throws(FileClientFault) {
        let source: UploadSource
        do throws(FileFault) {
            source = try await UploadSource(path, self.environment, progress)
        } catch {
            throw .file(error)
        }
        if source.sizeBytes > self.options.partBytes ?? PartPlan.wholeLimitBytes {
            let upload = await PartUpload(
                self, object, path: path, source.file, source.status, progress)
            return try await upload.run()
        }
        do throws(FileClientFault) {
            try await self.slots.holding { () async throws(FileClientFault) in
                try await self.send(source, path: path, as: object)
            }
        } catch {
            source.abandon()
            if let fault = source.fault { throw .file(fault) }
            throw error
        }
    }

    private func send(
        _ source: UploadSource, path: String, as object: RemotePath
    ) async throws(FileClientFault) {
        var request = EdgeRequest(.put, object)
        request.subject = path
        // In clear text anybody could change the body, so its hash is signed always; TLS guards it
        // already, and a large file is then read once only.
        let isGuarded = self.options.edges.allSatisfy(\.isSecure)
        if isGuarded, source.sizeBytes > TransferBounds.readTwiceBytes {
            request.payload = .unsigned
        } else {
            do throws(FileFault) { request.payload = .hash(try await source.hash()) } catch {
                throw .file(error)
            }
        }
        var attempts = self.attempts()
        let response = try await self.sendFile(
            request, &attempts, source, path: path)
        try await Self.confirm(
            response, hash: source.sentHash, md5: source.sentMD5, object)
    }

    /// Compares what the edge says that it stored with what was sent: by SHA-256 where it states
    /// one, else by the MD5 that is in its ETag.
    static func confirm(
        _ response: HTTPClientResponse, hash: [UInt8]?, md5: [UInt8]?, _ object: RemotePath
    ) async throws(FileClientFault) {
        let fields = response.head.fields
        let stored = fields.text("x-holdfast-sha256")?.lowercased()
        let storedMD5 = fields.text("etag").flatMap(Self.md5(inETag:))
        let pairs = [(hash, stored), (stored == nil ? md5 : nil, storedMD5)]
        for case (let sent?, let stored?) in pairs where Hex.encode(sent) != stored {
            throw .storedDifferently(
                subject: object.description, sent: Hex.encode(sent), stored: stored)
        }
        await Self.readAway(response)
    }

    private func sendFile(
        _ request: EdgeRequest, _ attempts: inout EdgeAttempts, _ source: UploadSource,
        path: String
    ) async throws(FileClientFault) -> HTTPClientResponse {
        do throws(FileClientFault) {
            return try await self.send(request, &attempts, bodyBytes: source.sizeBytes) {
                source.body()
            }
        } catch .refused(let refusal, _) where refusal.code == "XAmzContentSHA256Mismatch" {
            throw .changedWhileSent(path: path)
        }
    }

    /// The MD5 that an ETag is for an object put in one piece; nil for any other ETag.
    static func md5(inETag etag: String) -> String? {
        let digits = etag.utf8.filter { $0 != UInt8(ascii: "\"") }
        let text = String(decoding: digits, as: UTF8.self).lowercased()
        return text.utf8.count == 32 && Hex.decode(text) != nil ? text : nil
    }

    /// Does `work` for each item, at most `options.jobs` at once, until all are done or stopped.
    func inParallel<Item: Sendable>(
        _ items: [Item], until stop: TransferStop,
        _ work: @escaping @Sendable (Item) async -> Void
    ) async {
        await withTaskGroup(of: Void.self) { group in
            for (index, item) in items.enumerated() {
                if index >= self.options.jobs { await group.next() }
                if stop.fault != nil { break }
                group.addTask { await work(item) }
            }
        }
    }
}

/// Ends a transfer of many files for a reason that all of them share.
final class TransferStop: Sendable {
    private let state = Mutex<FileClientFault?>(nil)

    var fault: FileClientFault? { self.state.withLock { $0 } }

    /// The first reason stands.
    func end(with fault: FileClientFault) { self.state.withLock { $0 = $0 ?? fault } }
}

extension FileClientFault {
    /// Whether going on with other files would only repeat this.
    var befallsAll: Bool {
        switch self {
        case .noEdgeAnswered, .noSecurity, .cancelled, .file(.full): true
        case .refused(let refusal, _):
            ["InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "NoSuchBucket"]
                .contains(refusal.code)
        case .file, .notUploadable, .noSuchFile, .noUploadPlace, .changedWhileSent,
            .storedDifferently, .corrupted, .noDownloadPlace, .blockedByEntry, .nothingThere,
            .changedWhileRead, .uncheckable, .differs, .busy, .copyOntoItself, .copyIntoItself,
            .keyTooLong,
            .malformedAnswer, .answerTooLarge, .unsendable:
            false
        }
    }
}
