import CRocksDB
import CRocksDBShim
import OrderedStorage

/// How much memory, disk and concurrency a store may take. A node holds one logged store and a few
/// unlogged ones, so an idle store must stay small.
struct RocksTuning: Equatable {
    /// Bytes of unflushed writes of one family that start its flush.
    var familyBufferBytes: Int
    /// The same for all families together.
    var storeBufferBytes: Int
    /// The unit in which a buffer takes memory.
    var bufferBlockBytes: Int
    /// Buffers of one family, those being flushed included, before writers wait.
    var familyBuffers: Int32
    /// Files held open; others are opened when they are read.
    var openFiles: Int32
    /// Bytes of log that force a flush of the families that hold it; 0 without a log.
    var logBytes: Int
    /// Whether files get their space before they are filled. It makes synced batches a tenth
    /// faster (4,480 a second against 3,960, 32 pairs of 200 bytes each).
    var isPreallocated: Bool
    /// Whether blocks go into the cache as they are flushed. What was just written is what is read
    /// next, and a lookup that misses goes to the blocking pool: without it every first read behind
    /// a flush did, at twice the processor time of one that hits.
    var isCachingFlushed: Bool
    /// Free space below which a store is not opened: it has room for a preallocated log, and for
    /// what RocksDB writes when it opens, at whose failure it aborts the process.
    var openingBytes: UInt64

    /// A Raft log: most entries die in memory, truncated before their buffer is flushed. Its own log
    /// is short, because every byte of it is a copy of what rests in the states.
    static let logged = RocksTuning(
        familyBufferBytes: 16 << 20, storeBufferBytes: 32 << 20, bufferBlockBytes: 256 << 10,
        familyBuffers: 4, openFiles: 128, logBytes: 24 << 20,
        isPreallocated: true, isCachingFlushed: false, openingBytes: 64 << 20)

    /// The state of a group: what is unflushed is replayed from the Raft log after a crash.
    static let unlogged = RocksTuning(
        familyBufferBytes: 8 << 20, storeBufferBytes: 16 << 20, bufferBlockBytes: 64 << 10,
        familyBuffers: 4, openFiles: 128, logBytes: 0,
        isPreallocated: false, isCachingFlushed: true, openingBytes: 4 << 20)

    /// In the words of RocksDB's option strings (rocksdb/table.h).
    var cacheFilling: String {
        "prepopulate_block_cache=" + (self.isCachingFlushed ? "kFlushOnly" : "kDisable")
    }

    static func of(_ options: StoreOptions) -> RocksTuning {
        options.isLogged ? .logged : .unlogged
    }

    /// Ten bits a key answer 99 % of the lookups of absent keys without a read.
    static let bloomBitsPerKey = 10.0
    static let blockBytes = 8 << 10
    static let infoLogBytes = 1 << 20
    /// Of the process, over all stores: flushes and compactions.
    static let backgroundJobs: Int32 = 2
}

/// RocksDB's options for a store, for as long as it takes to open it.
func makeRocksOptions(
    _ options: StoreOptions, sharing cache: OpaquePointer
) throws(StoreFault) -> OpaquePointer {
    let tuning = RocksTuning.of(options)
    guard let base = rocksdb_options_create(), let made = rocksdb_options_create() else {
        throw .device("no memory for options")
    }
    defer { rocksdb_options_destroy(base) }
    setTables(base, isLogged: options.isLogged, cache: cache)
    // What the C API has no function for. RocksDB must not resume by itself after a fault: a failed
    // fsync leaves the page cache lying about the disk, and the process is to end.
    do throws(StoreFault) {
        try rocksCall {
            rocksdb_get_options_from_string(
                base,
                "max_bgerror_resume_count=0;allow_fallocate=\(tuning.isPreallocated);"
                    + "block_based_table_factory={\(tuning.cacheFilling)}",
                made, $0)
        }
    } catch {
        rocksdb_options_destroy(made)
        throw error
    }
    rocksdb_options_set_create_if_missing(made, 1)
    rocksdb_options_set_create_missing_column_families(made, 1)
    rocksdb_options_set_paranoid_checks(made, 1)
    setDurability(made, isLogged: options.isLogged, logBytes: tuning.logBytes)
    setMemory(made, tuning)
    setCompression(made, isLogged: options.isLogged)
    setBackground(made)
    return made
}

private func setDurability(_ made: OpaquePointer, isLogged: Bool, logBytes: Int) {
    // Mode 0 opens a log with a torn tail, which was never acknowledged, and refuses one that is
    // damaged in the middle. (The default cuts the log there: it drops synced batches in silence.)
    rocksdb_options_set_wal_recovery_mode(
        made, Int32(rocksdb_tolerate_corrupted_tail_records_recovery))
    // A recycled log holds old records behind its tail, which mode 0 could not tell from damage.
    rocksdb_options_set_recycle_log_file_num(made, 0)
    rocksdb_options_set_max_total_wal_size(made, UInt64(logBytes))
    // Without a log nothing else keeps the families of one batch together.
    rocksdb_options_set_atomic_flush(made, isLogged ? 0 : 1)
}

private func setMemory(_ made: OpaquePointer, _ tuning: RocksTuning) {
    rocksdb_options_set_write_buffer_size(made, tuning.familyBufferBytes)
    rocksdb_options_set_db_write_buffer_size(made, tuning.storeBufferBytes)
    rocksdb_options_set_arena_block_size(made, tuning.bufferBlockBytes)
    rocksdb_options_set_max_write_buffer_number(made, tuning.familyBuffers)
    rocksdb_options_set_max_open_files(made, tuning.openFiles)
    rocksdb_options_set_level_compaction_dynamic_level_bytes(made, 1)
}

private func setTables(_ made: OpaquePointer, isLogged: Bool, cache: OpaquePointer) {
    let tables = rocksdb_block_based_options_create()
    defer { rocksdb_block_based_options_destroy(tables) }
    rocksdb_block_based_options_set_block_cache(tables, cache)
    rocksdb_block_based_options_set_block_size(tables, RocksTuning.blockBytes)
    // Indexes and filters count against the cache, or memory would grow with the data.
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(tables, 1)
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(tables, 1)
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(tables, 1)
    rocksdb_block_based_options_set_format_version(tables, 5)
    rocksdb_block_based_options_set_filter_policy(
        tables, rocksdb_filterpolicy_create_bloom_full(RocksTuning.bloomBitsPerKey))
    rocksdb_options_set_block_based_table_factory(made, tables)
}

private func setCompression(_ made: OpaquePointer, isLogged: Bool) {
    // Log entries are short-lived, and carry what is compressed or sealed already.
    let isCompressed = !isLogged && holdfast_rocksdb_supports_lz4() != 0
    rocksdb_options_set_compression(
        made, Int32(isCompressed ? rocksdb_lz4_compression : rocksdb_no_compression))
}

private func setBackground(_ made: OpaquePointer) {
    rocksdb_options_set_max_background_jobs(made, RocksTuning.backgroundJobs)
    // Files that a cursor kept alive are removed by a background thread, not by who drops it.
    rocksdb_options_set_avoid_unnecessary_blocking_io(made, 1)
    rocksdb_options_set_stats_dump_period_sec(made, 0)
    rocksdb_options_set_stats_persist_period_sec(made, 0)
    rocksdb_options_set_info_log_level(made, 2)
    rocksdb_options_set_max_log_file_size(made, RocksTuning.infoLogBytes)
    rocksdb_options_set_keep_log_file_num(made, 2)
}
