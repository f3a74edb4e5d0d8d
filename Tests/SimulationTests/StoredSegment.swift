import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Testing
import Wire

/// A file of chunks on a simulated machine's disk, for stories that damage it.
enum StoredSegment {
    /// The first segment of a machine's store.
    static func path(on machine: SimulatedNode) -> String? {
        machine.disk.filePaths.first { $0.hasSuffix(".segment") }
    }

    /// Changes a byte of a record's first frame and makes the header's checksums fit.
    static func forge(on machine: SimulatedNode) async throws {
        let path = try #require(Self.path(on: machine))
        let files = machine.environment.files
        let loop = machine.environment.simulatedLoops[0]
        await withUnsafeContinuation { (done: UnsafeContinuation<Void, Never>) in
            loop.spawn {
                let error: (any Error)? = await machine.environment.blocking(.disk) {
                    do {
                        try Self.forge(try files.open(path, .update))
                        return nil
                    } catch { return error }
                }
                if let error { Issue.record(error) }
                done.resume()
            }
        }
    }

    private static func forge(_ file: any File) throws {
        let header = try file.read(SegmentFormat.mostHeaderBytes, at: 0)
        guard
            case .chunk(let record) = try SegmentFormat.readHeader(
                header[...], segment: 1, offset: 0)
        else {
            Issue.record("the first record of a segment is a chunk's")
            return
        }
        var sealed = try file.read(record.sealedBytes, at: UInt64(record.headerBytes))
        sealed[17] ^= 1
        let forged = SegmentFormat.Record(
            chunk: record.name, slot: record.slot, storedAt: record.storedAt,
            frames: FrameChecksums.of(
                [sealed], lengths: record.frames.map { Int($0.sealedBytes) }))
        try file.write(
            SegmentFormat.header(of: forged, segment: 1, offset: 0) + sealed, at: 0)
        file.close()
    }
}
