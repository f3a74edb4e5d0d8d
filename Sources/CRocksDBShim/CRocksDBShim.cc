#include "CRocksDBShim.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

// The C API hides its types, and has no way to get at what they wrap. RocksDB's c.cc defines them
// just so, in every release since the first; the flush tests fail if that ever changes.
struct rocksdb_t {
    rocksdb::DB *rep;
};
struct rocksdb_column_family_handle_t {
    rocksdb::ColumnFamilyHandle *rep;
};

namespace {

void report(const rocksdb::Status &status, char **error) {
    if (!status.ok() && *error == nullptr) *error = strdup(status.ToString().c_str());
}

}  // namespace

void holdfast_rocksdb_flush_families(
    rocksdb_t *database, rocksdb_column_family_handle_t *const *families, size_t count,
    char **error) {
    std::vector<rocksdb::ColumnFamilyHandle *> handles;
    handles.reserve(count);
    for (size_t index = 0; index < count; index += 1) handles.push_back(families[index]->rep);
    rocksdb::FlushOptions options;
    options.wait = true;
    // A flush that waits for room instead of stalling writers could wait for ever.
    options.allow_write_stall = true;
    report(database->rep->Flush(options, handles), error);
}

void holdfast_rocksdb_sync_directory(const char *path, char **error) {
    std::unique_ptr<rocksdb::Directory> directory;
    rocksdb::Status status = rocksdb::Env::Default()->NewDirectory(path, &directory);
    if (status.ok()) status = directory->Fsync();
    report(status, error);
}

uint64_t holdfast_rocksdb_free_bytes(const char *path, char **error) {
    uint64_t bytes = 0;
    report(rocksdb::Env::Default()->GetFreeSpace(path, &bytes), error);
    return bytes;
}

int holdfast_rocksdb_supports_lz4(void) {
    const auto supported = rocksdb::GetSupportedCompressions();
    const auto end = supported.end();
    return std::find(supported.begin(), end, rocksdb::kLZ4Compression) != end;
}
