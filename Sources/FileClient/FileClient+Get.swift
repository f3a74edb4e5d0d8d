import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives

extension FileClient {
    /// Gets the object of the key `path.key`, and all objects in the folder of that name, into
    /// `directory`, several at once. Nothing is ever written outside it.
    ///
    /// An object that cannot be fetched is reported, counted in `progress.filesFailed`, and the
    /// others go on; a fault that would befall all of them ends the transfer and is thrown.
    ///
    package func get(
        _ path: RemotePath, into directory: String, options: TransferOptions = TransferOptions(),
        progress: TransferProgress, report: @escaping @Sendable (TransferEvent) -> Void
    ) async throws(FileClientFault) {
        let stop = TransferStop()
        let fetch: @Sendable (ListedObject) async -> Void = { object in
            do throws(FileClientFault) {
                let isBrought = try await self.get(
                    object, askedFor: path, into: directory, options, progress)
                if isBrought { progress.finished() }
            } catch {
                progress.failed(bytes: object.sizeBytes)
                if error.befallsAll { stop.end(with: error) } else { report(.failed(error)) }
            }
        }
        var foundAny = false
        if !path.isBucket, !path.isFolder, let object = try await self.head(path) {
            foundAny = true
            if options.filter.wants(CopyPlan.filteredName(of: object.key, below: path)) {
                progress.found(files: 1, bytes: object.sizeBytes)
                await fetch(object)
            }
        }
        var token: String?
        repeat {
            let page = try await self.list(path.with(key: path.folderPrefix), after: token)
            token = page.next
            let wanted = page.objects.filter {
                options.filter.wants(CopyPlan.filteredName(of: $0.key, below: path))
            }
            progress.found(files: wanted.count, bytes: wanted.reduce(0) { $0 + $1.sizeBytes })
            if token == nil { progress.foundAll() }
            foundAny = foundAny || !page.objects.isEmpty
            await self.inParallel(wanted, until: stop, fetch)
            if let fault = stop.fault { throw fault }
        } while token != nil
        // An empty bucket is a sound answer; a misspelt name is not.
        if !foundAny, !path.isBucket { throw .nothingThere(path) }
    }

    /// False when the file is there already, and is to be left alone then.
    private func get(
        _ object: ListedObject, askedFor path: RemotePath, into directory: String,
        _ options: TransferOptions, _ progress: TransferProgress
    ) async throws(FileClientFault) -> Bool {
        let remote = path.with(key: object.key)
        let place: DownloadName.Place
        do throws(DownloadName.Refusal) {
            place = try DownloadName.place(of: object.key, askedFor: path)
        } catch {
            throw .noDownloadPlace(subject: remote.description, error)
        }
        switch place {
        case .file(let name):
            return try await self.get(
                remote, sizeBytes: object.sizeBytes, as: name, in: directory, options, progress)
        case .folder(let name):
            try await PartialDownload.makeFolders(
                PartialDownload.folders(of: name + "/"), in: directory, self.environment)
            return true
        }
    }

    private func get(
        _ remote: RemotePath, sizeBytes: UInt64, as name: String, in directory: String,
        _ options: TransferOptions, _ progress: TransferProgress
    ) async throws(FileClientFault) -> Bool {
        let isLarge = sizeBytes > self.options.partBytes ?? PartPlan.wholeLimitBytes
        guard isLarge || options.verifies || options.skipsSame else {
            try await self.slots.holding { () async throws(FileClientFault) in
                try await self.get(
                    remote, as: name, in: directory, sync: options.syncs, progress: progress)
            }
            return true
        }
        guard let facts = try await self.facts(remote) else { throw .nothingThere(remote) }
        let path = "\(directory)/\(name)"
        if options.skipsSame, try await self.isSame(path, as: facts) {
            progress.foundSame(bytes: facts.sizeBytes)
            return false
        }
        if options.verifies, facts.check.isNone { throw .uncheckable(remote) }
        if isLarge {
            try await PartDownload(self, facts, as: name, in: directory, progress)
                .run(sync: options.syncs)
        } else {
            try await self.slots.holding { () async throws(FileClientFault) in
                try await self.get(
                    remote, as: name, in: directory, sync: options.syncs, progress: progress)
            }
        }
        if options.verifies, try await !self.isSame(path, as: facts) {
            throw .differs(path: path, remote)
        }
        return true
    }

    /// Gets one object in constant memory and checks it against the checksum that the edge
    /// announces. When an edge fails in the middle, the next one goes on where it stopped.
    ///
    /// - Parameter name: the path below `directory`; must have been checked by `DownloadName`.
    package func get(
        _ object: RemotePath, as name: String, in directory: String, sync: Bool = false,
        progress: TransferProgress = TransferProgress()
    ) async throws(FileClientFault) {
        let partial = PartialDownload(
            name, in: directory, self.environment, progress, self.partialFiles)
        do throws(FileClientFault) {
            try await self.fill(partial, from: object)
            try await partial.finish(sync: sync)
        } catch {
            await partial.abandon()
            throw error
        }
    }

    /// Removes what downloads that are under way have written so far: the last act of a program that
    /// is told to end.
    package func removePartialFiles() async {
        let (files, paths) = (self.environment.files, self.partialFiles.paths)
        await self.environment.blocking(.disk) {
            for path in paths {
                do throws(FileFault) { try files.remove(path) } catch {
                    // It has just got its name, or was never made.
                }
            }
        }
    }

    /// What became of one answer's body.
    private enum Reading {
        case complete
        case cut(HTTPClientFault)
        /// The object is not the version any more whose beginning we have.
        case outdated
    }

    /// Reads the object into `partial` until all bytes are there and right.
    private func fill(
        _ partial: PartialDownload, from object: RemotePath
    ) async throws(FileClientFault) {
        var attempts = self.attempts()
        var corruptedAnswers = 0
        while true {
            let before = partial.offset
            let request = Self.request(for: object, goingOnWith: partial)
            let response = try await self.send(request, &attempts)
            var failure = EdgeFailure.corrupted
            switch try await self.read(response, into: partial) {
            case .complete:
                guard let mismatch = partial.mismatch else { return }
                corruptedAnswers += 1
                guard corruptedAnswers < TransferBounds.mostCorruptedAnswers else {
                    throw .corrupted(
                        subject: object.description, expected: mismatch.expected,
                        received: mismatch.received)
                }
                partial.restart(etag: nil, check: .none)
            case .outdated:
                partial.restart(etag: nil, check: .none)
                failure = .broken
            case .cut(let fault):
                failure = try Self.failure(
                    of: fault, request, self.options.edges[attempts.edge])
                if partial.offset > before { attempts.progressed() }
            }
            try await self.prepareNext(&attempts, after: failure, subject: object.description)
        }
    }

    private static func request(
        for object: RemotePath, goingOnWith partial: PartialDownload
    ) -> EdgeRequest {
        var request = EdgeRequest(.get, object)
        request.fields = [Self.tellChecksums]
        // Without a version to hold on to, two halves could be of two versions.
        if partial.offset > 0, let etag = partial.etag {
            request.fields += [("range", "bytes=\(partial.offset)-"), ("if-match", etag)]
            request.acceptedRefusals = [.preconditionFailed, .rangeNotSatisfiable]
        }
        return request
    }

    private func read(
        _ response: HTTPClientResponse, into partial: PartialDownload
    ) async throws(FileClientFault) -> Reading {
        let head = response.head
        switch head.status {
        case .ok:
            partial.restart(
                etag: head.fields.text("etag"), check: ContentCheck(announcedBy: head.fields))
        case .partialContent:
            guard let range = head.fields.first("content-range").flatMap(ContentRange.init),
                case .bytes(let bytes, _) = range, bytes.lowerBound == partial.offset
            else { return .outdated }
        default: return .outdated
        }
        var piece: [UInt8] = []
        while true {
            do throws(HTTPClientFault) {
                let room = TransferBounds.pieceBytes - piece.count
                let bytes = try await response.read(upTo: min(room, TransferBounds.readBytes))
                piece += bytes
                if !bytes.isEmpty, piece.count < TransferBounds.pieceBytes { continue }
            } catch {
                // What has come is kept: the next edge goes on behind it.
                if !piece.isEmpty { try await partial.append(piece) }
                return .cut(error)
            }
            guard !piece.isEmpty else { return .complete }
            let isLast = piece.count < TransferBounds.pieceBytes
            try await partial.append(piece)
            if isLast { return .complete }
            piece.removeAll(keepingCapacity: true)
        }
    }
}
