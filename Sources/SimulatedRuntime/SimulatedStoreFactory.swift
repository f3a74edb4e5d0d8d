import IORuntime
import OrderedStorage
import Primitives

/// Opens simulated stores on the disk of a machine, for the process that runs there.
package struct SimulatedStoreFactory: StoreFactory {
    private let node: SimulatedNode
    private var files: SimulatedFileSystem { self.node.environment.fileSystem }

    package init(_ node: SimulatedNode) { self.node = node }

    package func open(
        _ directory: String, _ options: StoreOptions
    ) throws(StoreFault) -> any OrderedStore {
        try options.check()
        let medium = try self.medium(in: directory)
        if medium.holderGeneration == self.files.generation {
            throw .device("the store in \(directory) is open already")
        }
        return SimulatedStore(self.files, medium, options)
    }

    /// The store that rests in the directory, one read from a checkpoint's files, or a new one.
    private func medium(in directory: String) throws(StoreFault) -> StoreMedium {
        let hadMarker = try self.prepare(directory)
        guard let place = self.files.disk.tree.directory(directory) else {
            throw .device("\(directory) is gone")
        }
        // Without its marker a directory is no store, whatever is left in it.
        if let medium = place.store, hadMarker {
            // A power cut may have torn the files that the pairs were read from.
            if medium.mustCheckFiles, try self.contents(of: directory) == nil {
                throw .corrupt("\(directory) has lost its pairs")
            }
            return medium
        }
        let contents = try self.contents(of: directory)
        let medium = contents.map { StoreMedium($0) } ?? StoreMedium()
        self.files.disk.tree.storeChanged(
            fromBytes: place.store?.sizeBytes ?? 0, toBytes: medium.sizeBytes)
        place.store = medium
        return medium
    }

    /// Makes the directory and its marker where they are missing; says whether the marker was.
    private func prepare(_ directory: String) throws(StoreFault) -> Bool {
        do throws(FileFault) {
            try self.files.makeDirectory(directory)
            if try self.files.status("\(directory)/\(StoreFormat.markerName)") != nil {
                return true
            }
            try self.files.writeStoreMarker(in: directory)
            return false
        } catch {
            throw StoreFault(error)
        }
    }

    /// The pairs of a checkpoint's files; nil where the directory is not from a checkpoint.
    private func contents(of directory: String) throws(StoreFault) -> StoreContents? {
        let path = "\(directory)/\(StoreFormat.pairsName)"
        let bytes: [UInt8]
        do throws(FileFault) {
            if try self.files.status(path) == nil { return nil }
            bytes = try self.files.contents(of: path, limit: .max)
        } catch {
            throw StoreFault(error)
        }
        do throws(FormatFault) {
            return try StoreFormat.decode(bytes)
        } catch {
            throw .corrupt("\(path): \(error)")
        }
    }
}
