// zstd (RFC 8878) for pieces that fit memory, with one context of each kind a thread: making a
// context costs more than compressing a frame of ours.
#ifndef HOLDFAST_ZSTD_SHIM_H
#define HOLDFAST_ZSTD_SHIM_H

#include <stddef.h>

/// Compresses into one zstd frame that states its content's size and carries no checksum. The size
/// of the frame, or 0 when it has no room in `capacity` bytes. `out` must not overlap `bytes`.
size_t holdfast_zstd_compress(int level, const void *bytes, size_t count, void *out,
                              size_t capacity);

/// The inverse: 1 only when `bytes` are one whole zstd frame, with nothing behind it, whose content
/// is just `content_count` bytes. Never writes more than those, whatever the frame says, and takes
/// no memory in proportion to what it says; `out` must not be read when it fails.
int holdfast_zstd_decompress(const void *bytes, size_t count, void *out, size_t content_count);

#endif
