// What RocksDB's C API (rocksdb/c.h, release 7.8) lacks. Faults come back as it does them: `*error`
// is set to a string that the caller frees with `rocksdb_free`, and is left alone otherwise.
#ifndef HOLDFAST_CROCKSDB_SHIM_H
#define HOLDFAST_CROCKSDB_SHIM_H

#include <rocksdb/c.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Flushes the families together: with `atomic_flush`, a crash leaves the flush of all of them or
/// of none. (`rocksdb_flush` and `rocksdb_flush_cf` flush one family, even with `atomic_flush`, and
/// what another family was to say about those rows stays behind.) Waits for the end.
void holdfast_rocksdb_flush_families(
    rocksdb_t *database, rocksdb_column_family_handle_t *const *families, size_t count,
    char **error);

/// Makes the names in a directory survive a power cut (fsync of the directory).
void holdfast_rocksdb_sync_directory(const char *path, char **error);

/// Bytes that the file system of a directory has free for us.
uint64_t holdfast_rocksdb_free_bytes(const char *path, char **error);

/// Whether the library was built with LZ4.
int holdfast_rocksdb_supports_lz4(void);

#ifdef __cplusplus
}
#endif

#endif
