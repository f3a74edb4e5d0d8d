#include "COpenSSLShim.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

// Never freed: they live as long as the process.
static EVP_MD *sha256, *sha1, *md5;
static EVP_CIPHER *aes_256_gcm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void) {
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

const EVP_MD *holdfast_sha256(void) {
    pthread_once(&once, fetch);
    return sha256;
}

const EVP_MD *holdfast_sha1(void) {
    pthread_once(&once, fetch);
    return sha1;
}

const EVP_MD *holdfast_md5(void) {
    pthread_once(&once, fetch);
    return md5;
}

// One context of each kind a thread, because making one costs as much as using it. A thread that
// ends leaves its contexts behind; ours are loops and pool threads, which end with the process.
static _Thread_local EVP_MD_CTX *digest_context;
static _Thread_local EVP_CIPHER_CTX *cipher_context;

static EVP_MD_CTX *thread_digest_context(void) {
    if (!digest_context) digest_context = EVP_MD_CTX_new();
    return digest_context;
}

static EVP_CIPHER_CTX *thread_cipher_context(void) {
    pthread_once(&once, fetch);
    if (!cipher_context) cipher_context = EVP_CIPHER_CTX_new();
    return cipher_context;
}

int holdfast_digest(const EVP_MD *digest, const void *bytes, size_t count, uint8_t *out) {
    EVP_MD_CTX *context = thread_digest_context();
    return context && EVP_DigestInit_ex2(context, digest, NULL) == 1 &&
           EVP_DigestUpdate(context, bytes, count) == 1 &&
           EVP_DigestFinal_ex(context, out, NULL) == 1;
}

// One of the two passes of HMAC: the digest of the key's block, masked, and then the bytes.
static int hmac_pass(EVP_MD_CTX *context, const uint8_t key_block[64], uint8_t mask,
                     const void *bytes, size_t count, uint8_t *out) {
    uint8_t masked[64];
    for (size_t i = 0; i < sizeof masked; i++) masked[i] = key_block[i] ^ mask;
    int done = EVP_DigestInit_ex2(context, sha256, NULL) == 1 &&
               EVP_DigestUpdate(context, masked, sizeof masked) == 1 &&
               EVP_DigestUpdate(context, bytes, count) == 1 &&
               EVP_DigestFinal_ex(context, out, NULL) == 1;
    OPENSSL_cleanse(masked, sizeof masked);
    return done;
}

int holdfast_hmac_sha256(const void *key, size_t key_count, const void *bytes, size_t count,
                         uint8_t *out) {
    EVP_MD_CTX *context = thread_digest_context();
    uint8_t key_block[64] = {0}, inner[32];
    if (!context) return 0;
    if (key_count > sizeof key_block) {
        if (!holdfast_digest(holdfast_sha256(), key, key_count, key_block)) return 0;
    } else if (key_count > 0) {
        (void)holdfast_sha256();
        memcpy(key_block, key, key_count);
    }
    int done = holdfast_sha256() != NULL &&
               hmac_pass(context, key_block, 0x36, bytes, count, inner) &&
               hmac_pass(context, key_block, 0x5c, inner, sizeof inner, out);
    OPENSSL_cleanse(key_block, sizeof key_block);
    return done;
}

int holdfast_gcm_seal(const uint8_t *key, const uint8_t *nonce, const void *associated,
                      size_t associated_count, const void *bytes, size_t count, uint8_t *out) {
    EVP_CIPHER_CTX *context = thread_cipher_context();
    int written = 0;
    if (!context || count > INT_MAX || associated_count > INT_MAX) return 0;
    if (EVP_EncryptInit_ex2(context, aes_256_gcm, key, nonce, NULL) != 1) return 0;
    if (associated_count > 0 && EVP_EncryptUpdate(context, NULL, &written, associated,
                                                  (int)associated_count) != 1)
        return 0;
    if (count > 0 && EVP_EncryptUpdate(context, out, &written, bytes, (int)count) != 1) return 0;
    return EVP_EncryptFinal_ex(context, out + count, &written) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out + count) == 1;
}

int holdfast_gcm_open(const uint8_t *key, const uint8_t *nonce, const void *associated,
                      size_t associated_count, const void *bytes, size_t count, uint8_t *out) {
    EVP_CIPHER_CTX *context = thread_cipher_context();
    int written = 0;
    uint8_t tag[16], nothing[16];
    if (!context || count > INT_MAX || associated_count > INT_MAX) return 0;
    memcpy(tag, (const uint8_t *)bytes + count, sizeof tag);
    if (EVP_DecryptInit_ex2(context, aes_256_gcm, key, nonce, NULL) != 1) return 0;
    if (associated_count > 0 && EVP_DecryptUpdate(context, NULL, &written, associated,
                                                  (int)associated_count) != 1)
        return 0;
    if (count > 0 && EVP_DecryptUpdate(context, out, &written, bytes, (int)count) != 1) return 0;
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
           EVP_DecryptFinal_ex(context, nothing, &written) == 1;
}
