#include "CChecksum.h"

#include <pthread.h>
#include <string.h>

// Eight tables a polynomial ("slicing by 8", Kounavis and Berry 2005); built once, 8 KiB each.
typedef uint32_t crc_tables[8][256];

static crc_tables castagnoli_tables, iso_tables;

// What a CRC-32C register becomes when LANE zero bytes follow, for each of its four bytes.
#define LANE 2048
static uint32_t castagnoli_skip[4][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static int has_crc32c_instruction;

static void build(crc_tables tables, uint32_t reflected_polynomial) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? reflected_polynomial : 0);
        }
        tables[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int slice = 1; slice < 8; slice++) {
            uint32_t previous = tables[slice - 1][byte];
            tables[slice][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
        }
    }
}

// The step over zero bytes is linear, so 32 single bits tell all of it.
static void build_skip(uint32_t skip[4][256], const crc_tables tables) {
    for (int byte = 0; byte < 4; byte++) {
        skip[byte][0] = 0;
        for (int bit = 0; bit < 8; bit++) {
            uint32_t crc = 1u << (8 * byte + bit);
            for (int i = 0; i < LANE; i++) crc = (crc >> 8) ^ tables[0][crc & 0xff];
            for (int low = 0; low < 1 << bit; low++) {
                skip[byte][1 << bit | low] = skip[byte][low] ^ crc;
            }
        }
    }
}

static void build_all(void) {
    build(castagnoli_tables, 0x82f63b78u);
    build_skip(castagnoli_skip, castagnoli_tables);
    build(iso_tables, 0xedb88320u);
#if defined(__x86_64__)
    has_crc32c_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t by_tables(const crc_tables t, uint32_t crc, const uint8_t *p, size_t size) {
    crc = ~crc;
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        word ^= crc;
        crc = t[7][word & 0xff] ^ t[6][(word >> 8) & 0xff] ^ t[5][(word >> 16) & 0xff] ^
              t[4][(word >> 24) & 0xff] ^ t[3][(word >> 32) & 0xff] ^ t[2][(word >> 40) & 0xff] ^
              t[1][(word >> 48) & 0xff] ^ t[0][word >> 56];
        p += 8;
        size -= 8;
    }
    while (size--) crc = (crc >> 8) ^ t[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
static uint32_t skip_lane(uint32_t crc) {
    return castagnoli_skip[0][crc & 0xff] ^ castagnoli_skip[1][(crc >> 8) & 0xff] ^
           castagnoli_skip[2][(crc >> 16) & 0xff] ^ castagnoli_skip[3][crc >> 24];
}

// The instruction takes three cycles but one can begin in each, so three lanes run side by side
// (Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction", Intel 2011)
// and are joined: the register of a lane, moved over the zeros that stand for the next lane.
__attribute__((target("sse4.2")))
static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t size) {
    uint64_t state = (uint32_t)~crc;
    while (size >= 3 * LANE) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            uint64_t a, b, c;
            memcpy(&a, p + i, 8);
            memcpy(&b, p + LANE + i, 8);
            memcpy(&c, p + 2 * LANE + i, 8);
            state = __builtin_ia32_crc32di(state, a);
            second = __builtin_ia32_crc32di(second, b);
            third = __builtin_ia32_crc32di(third, c);
        }
        state = skip_lane((uint32_t)state) ^ second;
        state = skip_lane((uint32_t)state) ^ third;
        p += 3 * LANE;
        size -= 3 * LANE;
    }
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        state = __builtin_ia32_crc32di(state, word);
        p += 8;
        size -= 8;
    }
    uint32_t narrow = (uint32_t)state;
    while (size--) narrow = __builtin_ia32_crc32qi(narrow, *p++);
    return ~narrow;
}
#endif

uint32_t holdfast_crc32c(uint32_t crc, const void *bytes, size_t size) {
    pthread_once(&tables_once, build_all);
#if defined(__x86_64__)
    if (has_crc32c_instruction) return by_instruction(crc, bytes, size);
#endif
    return by_tables(castagnoli_tables, crc, bytes, size);
}

uint32_t holdfast_crc32(uint32_t crc, const void *bytes, size_t size) {
    pthread_once(&tables_once, build_all);
    return by_tables(iso_tables, crc, bytes, size);
}
