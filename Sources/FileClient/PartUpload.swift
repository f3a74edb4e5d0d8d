import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Signing
import Synchronization

/// A file on its way up in parts, several at once and through several edges. What an interrupted run
/// has brought there is used, as far as its checksums are those that the file's bytes have now.
final class PartUpload: Sendable {
    private let client: FileClient
    private let object: RemotePath
    private let path: String
    private let file: any File
    private let status: FileStatus
    private let progress: TransferProgress
    /// Nil when this upload is not for a later run to find.
    private let recordFile: UploadRecordFile?
    private let state = Mutex(State())

    private struct State {
        /// With their hashes, in the order in which they were done.
        var parts: [(part: UploadedPart, hash: [UInt8])] = []
        var counts = PartCounts()
    }

    private struct Opened: Sendable {
        let id: String
        let plan: PartPlan
        let there: [Int: UploadedPart]
    }

    /// - Parameter status: of the file as it was when it was opened.
    init(
        _ client: FileClient, _ object: RemotePath, path: String, _ file: any File,
        _ status: FileStatus, _ progress: TransferProgress
    ) async {
        self.client = client
        self.object = object
        self.path = path
        self.file = file
        self.status = status
        self.progress = progress
        if let directory = client.options.stateDirectory {
            self.recordFile = await UploadRecordFile.open(
                for: object, in: directory, client.environment)
        } else {
            self.recordFile = nil
        }
    }

    func run() async throws(FileClientFault) {
        let upload = try await self.open()
        do throws(FileClientFault) {
            try await self.sendParts(of: upload)
            try await self.complete(upload)
        } catch {
            let isOver = self.recordFile == nil || error.endsUpload
            self.progress.ended(self.counts, isWhole: false, waits: !isOver)
            if isOver {
                await self.abandon(upload.id)
                await self.recordFile?.remove()
            }
            throw error
        }
        self.progress.ended(self.counts, isWhole: true, waits: false)
        await self.recordFile?.remove()
    }

    private var counts: PartCounts { self.state.withLock { $0.counts } }

    /// Finds the upload of an earlier run, or opens one and notes it down.
    private func open() async throws(FileClientFault) -> Opened {
        let resumption = UploadResumption.decide(
            await self.recordFile?.read(), object: self.object, sizeBytes: self.status.sizeBytes,
            modified: self.status.modified)
        switch resumption {
        case .begin: break
        case .goOn(let record):
            let plan = PartPlan(sizeBytes: record.sizeBytes, partBytes: record.partBytes)
            if let there = try await self.client.uploadedParts(of: record.uploadID, self.object) {
                return Opened(id: record.uploadID, plan: plan, there: there)
            }
        case .beginAnew(let old):
            try await self.client.abortUpload(old.uploadID, of: self.object)
        }
        let plan = PartPlan(
            sizeBytes: self.status.sizeBytes, wanted: self.client.options.partBytes)
        let id = try await self.client.openUpload(of: self.object, partBytes: plan.partBytes)
        let record = UploadRecord(
            object: self.object, uploadID: id, sizeBytes: self.status.sizeBytes,
            modified: self.status.modified, partBytes: plan.partBytes)
        do throws(FileFault) { try await self.recordFile?.write(record) } catch {
            await self.abandon(id)
            throw .file(error)
        }
        return Opened(id: id, plan: plan, there: [:])
    }

    private func sendParts(of upload: Opened) async throws(FileClientFault) {
        let stop = TransferStop()
        await self.client.inParallel(Array(0..<upload.plan.partCount), until: stop) { index in
            do throws(FileClientFault) {
                try await self.client.slots.holding { () async throws(FileClientFault) in
                    try await self.send(index, of: upload)
                }
            } catch {
                stop.end(with: error)
            }
        }
        if let fault = stop.fault { throw fault }
    }

    /// Sends one part, or finds that its very bytes are there already.
    private func send(_ index: Int, of upload: Opened) async throws(FileClientFault) {
        let slice = FileSlice(
            self.file, upload.plan.range(index), self.client.environment, self.progress)
        let hash: [UInt8]
        do throws(FileFault) { hash = try await slice.hash() } catch { throw .file(error) }
        let sha256 = Base64.encode(hash)
        let number = index + 1
        if let there = upload.there[number], there.sha256 == sha256,
            there.sizeBytes == slice.sizeBytes
        {
            self.progress.kept(slice.sizeBytes)
            return self.stands(there, hash, isKept: true)
        }
        let etag: String
        do throws(FileClientFault) {
            etag = try await self.put(slice, hash, sha256, as: number, of: upload.id)
        } catch {
            slice.takeBack()
            if let fault = slice.fault { throw .file(fault) }
            throw error
        }
        let part = UploadedPart(
            number: number, etag: etag, sizeBytes: slice.sizeBytes, sha256: sha256)
        self.stands(part, hash, isKept: false)
    }

    private func put(
        _ slice: FileSlice, _ hash: [UInt8], _ sha256: String, as number: Int, of upload: String
    ) async throws(FileClientFault) -> String {
        var request = EdgeRequest(
            .put, self.object, query: [("partNumber", "\(number)"), ("uploadId", upload)])
        request.subject = self.path
        request.payload = .hash(hash)
        request.fields = [("x-amz-checksum-sha256", sha256)]
        var attempts = self.client.attempts()
        do throws(FileClientFault) {
            let response = try await self.client.send(
                request, &attempts, bodyBytes: slice.sizeBytes
            ) { slice.body() }
            let etag = response.head.fields.text("etag") ?? ""
            await FileClient.readAway(response)
            return etag
        } catch .refused(let refusal, _) where refusal.meansOtherBytes {
            throw .changedWhileSent(path: self.path)
        }
    }

    private func stands(_ part: UploadedPart, _ hash: [UInt8], isKept: Bool) {
        self.state.withLock { state in
            state.parts.append((part, hash))
            if isKept {
                state.counts.keptBytes += part.sizeBytes
            } else {
                state.counts.movedBytes += part.sizeBytes
            }
            if self.recordFile != nil { state.counts.standingBytes += part.sizeBytes }
        }
        if self.recordFile != nil { self.progress.stands(part.sizeBytes) }
    }

    private func complete(_ upload: Opened) async throws(FileClientFault) {
        // Parts were read one after the other: of a file that changed meanwhile they are a mixture.
        guard try await self.isUnchanged() else { throw .changedWhileSent(path: self.path) }
        let done = self.state.withLock { $0.parts }.sorted { $0.part.number < $1.part.number }
        try await self.client.completeUpload(
            upload.id, of: self.object, parts: done.map(\.part),
            checksum: PartsDigest<SHA256>.joined(done.map(\.hash), Base64.encode))
    }

    private func isUnchanged() async throws(FileClientFault) -> Bool {
        let (files, path) = (self.client.environment.files, self.path)
        do throws(FileFault) {
            let now = try await self.client.environment.blocking(.disk) {
                () throws(FileFault) in try files.status(path)
            }
            return now?.sizeBytes == self.status.sizeBytes && now?.modified == self.status.modified
        } catch { throw .file(error) }
    }

    private func abandon(_ upload: String) async {
        do throws(FileClientFault) {
            try await self.client.abortUpload(upload, of: self.object)
        } catch {
            // The transfer has failed already and says why; the store gives up by itself what
            // waits too long for its next part.
        }
    }
}

extension EdgeRefusal {
    /// The bytes that came do not have the hash that was announced.
    var meansOtherBytes: Bool {
        ["XAmzContentSHA256Mismatch", "BadDigest", "IncompleteBody"].contains(self.code)
    }
}

extension FileClientFault {
    /// Whether what was sent so far is of no use to a later run.
    fileprivate var endsUpload: Bool {
        if case .refused(let refusal, _) = self { return refusal.code == "NoSuchUpload" }
        if case .changedWhileSent = self { return true }
        return false
    }
}
