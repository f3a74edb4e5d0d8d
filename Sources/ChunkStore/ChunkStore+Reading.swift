import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives
import Telemetry

/// One chunk of a store, as a walk over all of them shows it.
package struct InventoryRow: Equatable, Sendable {
    package let name: ChunkName
    package let slot: Slot
    /// By the store's wall clock.
    package let storedAt: Timestamp
    package let sealedBytes: UInt32
}

/// What a re-read of a chunk's record found, by its checksums alone.
package enum ChunkCheck: Equatable, Sendable {
    /// Every frame is what was written.
    case sound(sealedBytes: UInt32)
    /// These frames are not; all of them where the record's header is not.
    case bad(frames: [Int])
    case missing
    case device(String)
}

extension ChunkStore {
    /// How often a read looks the chunk up again, because its record was moved or deleted meanwhile.
    private static let mostLookups = 4

    /// Reads a run of a chunk's sealed frames, each checked by its checksum at rest.
    package nonisolated func read(
        _ request: ReadChunkRequest
    ) async -> (ReadChunkAnswer, [UInt8]) {
        let (answer, frames) = await self.look(request.name) {
            reader, place throws(SegmentReader.Fault) -> (ReadChunkAnswer, [UInt8]) in
            guard request.frames.upperBound <= Int(place.frameCount) else {
                return (.device("the chunk has \(place.frameCount) frames"), [])
            }
            let (lengths, frames) = try reader.frames(
                request.frames, of: request.name, at: place)
            return (.found(chunkSealedBytes: place.sealedBytes, frameLengths: lengths), frames)
        } isBad: {
            guard case .found(_, let lengths) = $0.0 else { return false }
            return lengths.contains(0)
        } onFault: { fault in
            switch fault {
            case .none: (.missing, [])
            case .unreadable(let place):
                (
                    .found(
                        chunkSealedBytes: place.sealedBytes,
                        frameLengths: [UInt32](repeating: 0, count: request.frames.count)), []
                )
            case .device(let reason): (.device(reason), [])
            }
        }
        switch answer {
        case .found(_, let lengths):
            let bad = lengths.count { $0 == 0 }
            self.counters.framesRead.add(UInt64(lengths.count - bad))
            self.counters.badFrames.add(UInt64(bad))
        case .missing, .device: break
        }
        return (answer, frames)
    }

    /// Re-reads a chunk's whole record by its checksums.
    package nonisolated func check(_ name: ChunkName) async -> ChunkCheck {
        await self.look(name) {
            reader, place throws(SegmentReader.Fault) -> ChunkCheck in
            let frames = try reader.frames(0..<Int(place.frameCount), of: name, at: place)
            let bad = frames.lengths.indices.filter { frames.lengths[$0] == 0 }
            return bad.isEmpty ? .sound(sealedBytes: place.sealedBytes) : .bad(frames: bad)
        } isBad: {
            if case .bad = $0 { true } else { false }
        } onFault: { fault in
            switch fault {
            case .none: .missing
            case .unreadable(let place): .bad(frames: Array(0..<Int(place.frameCount)))
            case .device(let reason): .device(reason)
            }
        }
    }

    /// What the store holds behind a name, in the order of names, at most `limit`.
    package nonisolated func inventory(
        after name: ChunkName?, limit: Int
    ) async throws(ChunkStoreFault) -> [InventoryRow] {
        let index = self.index
        do throws(StoreFault) {
            return try await self.environment.blocking(.disk) { () throws(StoreFault) in
                try index.places(behind: name, limit: limit).map {
                    InventoryRow(
                        name: $0.name, slot: $0.place.slot, storedAt: $0.place.storedAt,
                        sealedBytes: $0.place.sealedBytes)
                }
            }
        } catch { throw .index("\(error)") }
    }

    /// What of each segment is wanted, in the order of their numbers.
    package nonisolated func usages() async throws(ChunkStoreFault) -> [SegmentUsage] {
        let index = self.index
        do throws(StoreFault) {
            return try await self.environment.blocking(.disk) { () throws(StoreFault) in
                try index.usages()
            }
        } catch { throw .index("\(error)") }
    }

    private enum LookFault {
        case none
        /// Its header is not what was written, or the segment is not there.
        case unreadable(ChunkIndex.Place)
        case device(String)
    }

    /// Reads at the place of a chunk. Where nothing of it stands there, or something bad, the chunk
    /// is looked up again: between the two it may have been deleted, or moved out of a sparse
    /// segment.
    private nonisolated func look<Value: Sendable>(
        _ name: ChunkName,
        _ read:
            @escaping @Sendable (SegmentReader, ChunkIndex.Place) throws(SegmentReader.Fault)
            -> Value,
        isBad: @escaping @Sendable (Value) -> Bool,
        onFault: @escaping @Sendable (LookFault) -> Value
    ) async -> Value {
        let index = self.index
        let reader = SegmentReader(files: self.files)
        return await self.environment.blocking(.disk) {
            do throws(StoreFault) {
                var last: (place: ChunkIndex.Place, found: Value)?
                for _ in 0..<Self.mostLookups {
                    guard let place = try index.place(of: name) else { return onFault(.none) }
                    if let last, last.place == place { return last.found }
                    do throws(SegmentReader.Fault) {
                        let value = try read(reader, place)
                        guard isBad(value) else { return value }
                        last = (place, value)
                    } catch {
                        switch error {
                        case .noRecord, .file(.notFound):
                            last = (place, onFault(.unreadable(place)))
                        case .file(let fault): return onFault(.device("\(fault)"))
                        }
                    }
                }
                return onFault(.device("the chunk is moved faster than it can be read"))
            } catch {
                return onFault(.device("\(error)"))
            }
        }
    }
}
