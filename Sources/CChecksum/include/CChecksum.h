#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `size` bytes, going on from `crc` (0 to begin).
/// Uses the processor's instruction where it has one; the choice is made once.
uint32_t holdfast_crc32c(uint32_t crc, const void *bytes, size_t size);

/// CRC-32 (ISO 3309, the one of zlib and of S3's `x-amz-checksum-crc32`), same conventions.
uint32_t holdfast_crc32(uint32_t crc, const void *bytes, size_t size);
