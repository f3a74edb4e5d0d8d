import Telemetry

extension ChunkStore {
    package struct Counters: Sendable {
        package let chunksStored: Counter
        package let bytesStored: Counter
        package let syncs: Counter
        package let framesRead: Counter
        package let badFrames: Counter
        package let refusedFull: Counter
        package let refusedOverloaded: Counter
        /// Records entered into the index from the segments at a start.
        package let recordsRecovered: Counter
        package let recordsTorn: Counter
        package let indexRebuilds: Counter
        package let chunksDeleted: Counter
        /// Bytes on the disk that void records gave back.
        package let bytesGivenBack: Counter
        package let segmentsEmptied: Counter
        /// Live bytes copied out of segments that were emptied.
        package let bytesMoved: Counter

        package init(_ registry: MetricsRegistry) {
            self.chunksStored = registry.counter(
                "holdfast_store_chunks_stored_total", help: "Chunks stored durably.")
            self.bytesStored = registry.counter(
                "holdfast_store_bytes_stored_total", help: "Sealed bytes stored durably.")
            self.syncs = registry.counter(
                "holdfast_store_syncs_total", help: "Synced writes of segments.")
            self.framesRead = registry.counter(
                "holdfast_store_frames_read_total", help: "Sealed frames read and checked.")
            self.badFrames = registry.counter(
                "holdfast_store_bad_frames_total",
                help: "Frames read whose checksum did not hold.")
            self.refusedFull = registry.counter(
                "holdfast_store_refused_full_total", help: "Chunks refused for want of disk space.")
            self.refusedOverloaded = registry.counter(
                "holdfast_store_refused_overloaded_total",
                help: "Chunks refused for want of memory.")
            self.recordsRecovered = registry.counter(
                "holdfast_store_records_recovered_total",
                help: "Records entered into the index from segments at starts.")
            self.recordsTorn = registry.counter(
                "holdfast_store_records_torn_total",
                help: "Records with a bad frame met at starts.")
            self.indexRebuilds = registry.counter(
                "holdfast_store_index_rebuilds_total",
                help: "Indexes made anew from the segments at starts.")
            self.chunksDeleted = registry.counter(
                "holdfast_store_chunks_deleted_total", help: "Chunks deleted durably.")
            self.bytesGivenBack = registry.counter(
                "holdfast_store_bytes_given_back_total",
                help: "Bytes of void records given back to the disk.")
            self.segmentsEmptied = registry.counter(
                "holdfast_store_segments_emptied_total",
                help: "Sparse segments whose live records were copied, and which are gone.")
            self.bytesMoved = registry.counter(
                "holdfast_store_bytes_moved_total",
                help: "Bytes of live records copied out of sparse segments.")
        }
    }
}
