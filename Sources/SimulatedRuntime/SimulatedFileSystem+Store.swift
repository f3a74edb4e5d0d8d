import IORuntime
import OrderedStorage
import Primitives

/// What stores ask of the file system they stand on.
extension SimulatedFileSystem {
    func confine() { self.simulator.confine() }

    func beginStoreOperation(_ operation: SimulatedDisk.Operation) -> Bool {
        self.simulator.noteBlockingCall()
        return self.disk.begin(operation, by: self.generation)
    }

    func drawUncachedLookup() -> Bool {
        self.disk.generator.chance(self.disk.conditions.uncachedLookupProbability)
    }

    /// Makes the directory a store, durably.
    func writeStoreMarker(in directory: String) throws(FileFault) {
        try self.writeDurably("\(directory)/\(StoreFormat.markerName)", StoreFormat.marker)
        try self.syncDirectory(directory)
    }

    /// Writes a store's pairs as files, durably, into a new directory.
    func writeStoreCheckpoint(
        _ contents: StoreContents, in directory: String
    ) throws(FileFault) {
        if try self.status(directory) != nil { throw .exists(path: directory) }
        try self.makeDirectory(directory)
        try self.writeDurably(
            "\(directory)/\(StoreFormat.pairsName)", StoreFormat.encode(contents))
        try self.writeStoreMarker(in: directory)
        let slash = directory.lastIndex(of: "/") ?? directory.startIndex
        try self.syncDirectory(slash == directory.startIndex ? "/" : String(directory[..<slash]))
    }

    private func writeDurably(_ path: String, _ bytes: [UInt8]) throws(FileFault) {
        let file = try self.open(path, .openOrCreate)
        defer { file.close() }
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        try file.sync()
    }
}

extension StoreFault {
    init(_ fault: FileFault) {
        switch fault {
        case .full(let path): self = .full(path)
        case .notFound(let path): self = .corrupt("\(path) is missing")
        case .exists(let path): self = .misuse("\(path) exists")
        case .system(let call, let path, let errno):
            self = .device("\(call) of \(path): errno \(errno)")
        }
    }
}
