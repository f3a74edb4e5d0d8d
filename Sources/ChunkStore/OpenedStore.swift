import IORuntime
import OrderedStorage
import Primitives

/// The directory of a store, locked, with its index brought up to its segments. Blocking.
struct OpenedStore: Sendable {
    let files: SegmentFiles
    let index: ChunkIndex
    let lock: any File
    let findings: SegmentScan.Findings

    init(
        _ settings: ChunkStoreSettings, _ fileSystem: any FileSystem, _ stores: any StoreFactory
    ) throws(ChunkStoreFault) {
        let segments = settings.directory + "/segments"
        let isLocked: Bool
        do throws(FileFault) {
            for path in [segments, settings.directory + "/index"] {
                try fileSystem.makeDirectoryDurably(path)
            }
            self.lock = try fileSystem.open(settings.directory + "/lock", .openOrCreate)
            isLocked = try self.lock.tryLock()
            try fileSystem.syncDirectory(segments)
            try fileSystem.syncDirectory(settings.directory)
            try fileSystem.syncDirectory(settings.directory + "/..")
        } catch { throw .file("\(error)") }
        guard isLocked else { throw .inUse(directory: settings.directory) }
        self.files = SegmentFiles(files: fileSystem, directory: segments)
        let directory = settings.directory + "/index"
        do throws(SegmentScan.Fault) {
            do throws(SegmentScan.Fault) {
                (self.index, self.findings) = try Self.index(
                    directory, settings, stores, self.files)
            } catch {
                guard case .index(.corrupt) = error else { throw error }
                // Everything in it stands in the segments as well.
                do throws(FileFault) { try fileSystem.removeTree(directory) } catch {
                    throw .file(error)
                }
                (self.index, self.findings) = try Self.index(
                    directory, settings, stores, self.files)
            }
        } catch {
            switch error {
            case .file(let fault): throw .file("\(fault)")
            case .index(let fault): throw .index("\(fault)")
            }
        }
    }

    /// The index, brought up to the segments.
    private static func index(
        _ directory: String, _ settings: ChunkStoreSettings, _ stores: any StoreFactory,
        _ files: SegmentFiles
    ) throws(SegmentScan.Fault) -> (ChunkIndex, SegmentScan.Findings) {
        let store: any OrderedStore
        do throws(StoreFault) { store = try stores.open(directory, ChunkIndex.options) } catch {
            throw .index(error)
        }
        let index = ChunkIndex(store: store)
        do throws(SegmentScan.Fault) {
            let scan = SegmentScan(
                files: files, index: index, readsDevice: settings.mustReadDevice)
            return (index, try scan.run())
        } catch {
            store.close()
            throw error
        }
    }
}
