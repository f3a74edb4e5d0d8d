#include "COpenSSLShim.h"

#include <string.h>

// MD5 waits for itself: each of its 64 steps needs the result of the one before, and most of the
// processor idles meanwhile. The instructions for SHA-256 (x86 SHA extensions) work in other
// registers, so both are woven into one stream of instructions here, and SHA-256 costs little more
// than nothing (Gopal et al., "Fast Cryptographic Computation on Intel Architecture Processors Via
// Function Stitching", Intel 2010).
//
// Nothing here is secret, and no branch or address depends on the bytes.

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>

static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t word(const uint8_t *block, int number) {
    uint32_t value;
    memcpy(&value, block + 4 * number, 4);
    return value;
}

static inline uint32_t rotated(uint32_t value, int bits) {
    return value << bits | value >> (32 - bits);
}

// Keeps the compiler from moving work that can be done early behind the value it will wait for.
#define EARLY(value) __asm__("" : "+r"(value))
// Keeps the two algorithms interleaved as they are written.
#define WEAVE __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+x"(abef), "+x"(cdgh))

// The four kinds of steps of MD5 (RFC 1321 §3.4). In the second, its two terms have no bit in common,
// so they can be added one by one, and the one that does not need `b` is added early.
#define STEP_F(a, b, c, d, number, bits, sine)                                                     \
    a += sine + word(block, number);                                                               \
    EARLY(a);                                                                                      \
    a = b + rotated(a + (d ^ (b & (c ^ d))), bits);
#define STEP_G(a, b, c, d, number, bits, sine)                                                     \
    a += sine + word(block, number) + (c & ~d);                                                    \
    EARLY(a);                                                                                      \
    a = b + rotated(a + (b & d), bits);
#define STEP_H(a, b, c, d, number, bits, sine)                                                     \
    {                                                                                              \
        uint32_t early = c ^ d;                                                                    \
        a += sine + word(block, number);                                                           \
        EARLY(a);                                                                                  \
        EARLY(early);                                                                              \
        a = b + rotated(a + (b ^ early), bits);                                                    \
    }
#define STEP_I(a, b, c, d, number, bits, sine)                                                     \
    a += sine + word(block, number);                                                               \
    EARLY(a);                                                                                      \
    a = b + rotated(a + (c ^ (b | ~d)), bits);

// Four steps of one kind, with the numbers of their words and their constants.
#define F(n, t0, t1, t2, t3)                                                                       \
    STEP_F(a, b, c, d, n, 7, t0) STEP_F(d, a, b, c, n + 1, 12, t1)                                 \
    STEP_F(c, d, a, b, n + 2, 17, t2) STEP_F(b, c, d, a, n + 3, 22, t3)
#define G(n0, n1, n2, n3, t0, t1, t2, t3)                                                          \
    STEP_G(a, b, c, d, n0, 5, t0) STEP_G(d, a, b, c, n1, 9, t1)                                    \
    STEP_G(c, d, a, b, n2, 14, t2) STEP_G(b, c, d, a, n3, 20, t3)
#define H(n0, n1, n2, n3, t0, t1, t2, t3)                                                          \
    STEP_H(a, b, c, d, n0, 4, t0) STEP_H(d, a, b, c, n1, 11, t1)                                   \
    STEP_H(c, d, a, b, n2, 16, t2) STEP_H(b, c, d, a, n3, 23, t3)
#define I(n0, n1, n2, n3, t0, t1, t2, t3)                                                          \
    STEP_I(a, b, c, d, n0, 6, t0) STEP_I(d, a, b, c, n1, 10, t1)                                   \
    STEP_I(c, d, a, b, n2, 15, t2) STEP_I(b, c, d, a, n3, 21, t3)

// Four rounds of SHA-256 (FIPS 180-4 §6.2.2) with the message words `m`.
#define ROUNDS(n, m)                                                                               \
    {                                                                                              \
        __m128i sum = _mm_add_epi32(                                                               \
            m, _mm_load_si128((const __m128i *)(round_constants + 4 * (n))));                      \
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);                                             \
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));                    \
    }
#define FIRST(n, m)                                                                                \
    m = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * (n))), swapped);           \
    ROUNDS(n, m)
// The next four words of the message schedule take the place of the oldest.
#define NEXT(n, m0, m1, m2, m3)                                                                    \
    m0 = _mm_sha256msg2_epu32(                                                                     \
        _mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4)), m3);              \
    ROUNDS(n, m0)

__attribute__((target("sha,sse4.1")))
static void digest_blocks(holdfast_twin_digest *digest, const uint8_t *block, size_t blocks) {
    const __m128i swapped = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
    uint32_t a = digest->md5[0], b = digest->md5[1], c = digest->md5[2], d = digest->md5[3];
    // The instructions want the eight words of the state in this order.
    __m128i low = _mm_loadu_si128((const __m128i *)digest->sha256);
    __m128i high = _mm_loadu_si128((const __m128i *)(digest->sha256 + 4));
    low = _mm_shuffle_epi32(low, 0xb1);
    high = _mm_shuffle_epi32(high, 0x1b);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);
    __m128i m0, m1, m2, m3;
    for (; blocks > 0; blocks--, block += 64) {
        const uint32_t a0 = a, b0 = b, c0 = c, d0 = d;
        const __m128i abef0 = abef, cdgh0 = cdgh;
        FIRST(0, m0) F(0, 0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee) WEAVE;
        FIRST(1, m1) F(4, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501) WEAVE;
        FIRST(2, m2) F(8, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be) WEAVE;
        FIRST(3, m3) F(12, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821) WEAVE;
        NEXT(4, m0, m1, m2, m3)
        G(1, 6, 11, 0, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa) WEAVE;
        NEXT(5, m1, m2, m3, m0)
        G(5, 10, 15, 4, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8) WEAVE;
        NEXT(6, m2, m3, m0, m1)
        G(9, 14, 3, 8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed) WEAVE;
        NEXT(7, m3, m0, m1, m2)
        G(13, 2, 7, 12, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a) WEAVE;
        NEXT(8, m0, m1, m2, m3)
        H(5, 8, 11, 14, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c) WEAVE;
        NEXT(9, m1, m2, m3, m0)
        H(1, 4, 7, 10, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70) WEAVE;
        NEXT(10, m2, m3, m0, m1)
        H(13, 0, 3, 6, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05) WEAVE;
        NEXT(11, m3, m0, m1, m2)
        H(9, 12, 15, 2, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665) WEAVE;
        NEXT(12, m0, m1, m2, m3)
        I(0, 7, 14, 5, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039) WEAVE;
        NEXT(13, m1, m2, m3, m0)
        I(12, 3, 10, 1, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1) WEAVE;
        NEXT(14, m2, m3, m0, m1)
        I(8, 15, 6, 13, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1) WEAVE;
        NEXT(15, m3, m0, m1, m2)
        I(4, 11, 2, 9, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391) WEAVE;
        a += a0, b += b0, c += c0, d += d0;
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    digest->md5[0] = a, digest->md5[1] = b, digest->md5[2] = c, digest->md5[3] = d;
    low = _mm_shuffle_epi32(abef, 0x1b);
    high = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)digest->sha256, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(digest->sha256 + 4), _mm_alignr_epi8(high, low, 8));
}

static pthread_once_t instructions_once = PTHREAD_ONCE_INIT;
static int has_instructions;

// CPUID leaf 7, EBX bit 29.
static void look_for_instructions(void) {
    uint32_t eax, ebx, ecx, edx;
    has_instructions = __builtin_cpu_supports("sse4.1") &&
                       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx >> 29 & 1);
}

int holdfast_twin_digest_begin(holdfast_twin_digest *digest) {
    static const holdfast_twin_digest start = {
        .md5 = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476},
        .sha256 = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                   0x1f83d9ab, 0x5be0cd19},
    };
    *digest = start;
    pthread_once(&instructions_once, look_for_instructions);
    return has_instructions;
}
#else
static void digest_blocks(holdfast_twin_digest *digest, const uint8_t *block, size_t blocks) {
    (void)digest, (void)block, (void)blocks;
}

int holdfast_twin_digest_begin(holdfast_twin_digest *digest) {
    memset(digest, 0, sizeof *digest);
    return 0;
}
#endif

void holdfast_twin_digest_update(holdfast_twin_digest *digest, const void *bytes, size_t count) {
    const uint8_t *next = bytes;
    size_t held = digest->count % 64;
    digest->count += count;
    if (held > 0) {
        size_t taken = count < 64 - held ? count : 64 - held;
        if (taken > 0) memcpy(digest->rest + held, next, taken);
        next += taken;
        count -= taken;
        if (held + taken < 64) return;
        digest_blocks(digest, digest->rest, 1);
    }
    digest_blocks(digest, next, count / 64);
    if (count % 64 > 0) memcpy(digest->rest, next + count / 64 * 64, count % 64);
}

// Both algorithms pad alike but for the byte order of the length (RFC 1321 §3.2, FIPS 180-4 §5.1.1).
void holdfast_twin_digest_end(const holdfast_twin_digest *digest, uint8_t *md5, uint8_t *sha256) {
    const size_t held = digest->count % 64, size = held < 56 ? 64 : 128;
    const uint64_t bits = digest->count * 8;
    uint8_t padded[128] = {0};
    memcpy(padded, digest->rest, held);
    padded[held] = 0x80;
    holdfast_twin_digest ended = *digest;
    for (int byte = 0; byte < 8; byte++) padded[size - 8 + byte] = (uint8_t)(bits >> (8 * byte));
    digest_blocks(&ended, padded, size / 64);
    for (int byte = 0; byte < 16; byte++)
        md5[byte] = (uint8_t)(ended.md5[byte / 4] >> (8 * (byte % 4)));
    ended = *digest;
    for (int byte = 0; byte < 8; byte++) padded[size - 1 - byte] = (uint8_t)(bits >> (8 * byte));
    digest_blocks(&ended, padded, size / 64);
    for (int byte = 0; byte < 32; byte++)
        sha256[byte] = (uint8_t)(ended.sha256[byte / 4] >> (8 * (3 - byte % 4)));
}
