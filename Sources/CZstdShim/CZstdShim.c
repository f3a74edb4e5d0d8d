#include "CZstdShim.h"

#include <zstd.h>

// A thread that ends leaves its contexts behind; ours are loops and pool threads, which end with
// the process.
static _Thread_local ZSTD_CCtx *compression_context;
static _Thread_local ZSTD_DCtx *decompression_context;

static ZSTD_CCtx *thread_compression_context(void) {
    if (!compression_context) {
        ZSTD_CCtx *context = ZSTD_createCCtx();
        if (!context) return NULL;
        if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0))) {
            ZSTD_freeCCtx(context);
            return NULL;
        }
        compression_context = context;
    }
    return compression_context;
}

size_t holdfast_zstd_compress(int level, const void *bytes, size_t count, void *out,
                              size_t capacity) {
    ZSTD_CCtx *context = thread_compression_context();
    if (!context) return 0;
    if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level))) return 0;
    size_t size = ZSTD_compress2(context, out, capacity, bytes, count);
    return ZSTD_isError(size) ? 0 : size;
}

int holdfast_zstd_decompress(const void *bytes, size_t count, void *out, size_t content_count) {
    // One frame and nothing else: the library would go on to frames that follow, and over
    // skippable ones, which have no content.
    if (ZSTD_getFrameContentSize(bytes, count) != content_count) return 0;
    size_t frame = ZSTD_findFrameCompressedSize(bytes, count);
    if (ZSTD_isError(frame) || frame != count) return 0;
    if (!decompression_context) decompression_context = ZSTD_createDCtx();
    if (!decompression_context) return 0;
    size_t size = ZSTD_decompressDCtx(decompression_context, out, content_count, bytes, count);
    return !ZSTD_isError(size) && size == content_count;
}
