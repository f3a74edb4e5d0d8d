import HTTPSyntax
import Primitives

extension FileClient {
    /// Removes the object of the key `path.key` and all objects in the folder of that name; for a
    /// bucket alone, all it holds and then the bucket.
    ///
    /// An object that cannot be removed is reported and counted, and the others go on; a bucket in
    /// which any is left stays.
    package func removeFolder(
        _ path: RemotePath, progress: TransferProgress,
        report: @escaping @Sendable (TransferEvent) -> Void
    ) async throws(FileClientFault) {
        let stop = TransferStop()
        let remove: @Sendable (String) async -> Void = { key in
            do throws(FileClientFault) {
                try await self.remove(path.with(key: key))
                progress.finished()
            } catch {
                progress.failed(bytes: 0)
                if error.befallsAll { stop.end(with: error) } else { report(.failed(error)) }
            }
        }
        if !path.isBucket, !path.isFolder, try await self.head(path) != nil {
            progress.found(files: 1, bytes: 0)
            await remove(path.key)
        }
        var token: String?
        repeat {
            let page = try await self.list(path.with(key: path.folderPrefix), after: token)
            token = page.next
            progress.found(files: page.objects.count, bytes: 0)
            if token == nil { progress.foundAll() }
            await self.inParallel(page.objects.map(\.key), until: stop, remove)
            if let fault = stop.fault { throw fault }
        } while token != nil
        if path.isBucket, progress.counts.filesFailed == 0 { try await self.remove(path) }
    }
}
