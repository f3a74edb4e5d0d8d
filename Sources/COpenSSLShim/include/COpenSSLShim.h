// What Swift cannot reach of OpenSSL 3.0: macros, thread-local contexts, and a BIO over memory that
// the caller owns. Functions return 1 for success and 0 for failure unless they say otherwise.
#ifndef HOLDFAST_OPENSSL_SHIM_H
#define HOLDFAST_OPENSSL_SHIM_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

// Digests. Each is fetched once for the process: a fetch costs more than hashing a short message.
const EVP_MD *holdfast_sha256(void);
const EVP_MD *holdfast_sha1(void);
const EVP_MD *holdfast_md5(void);

/// Digests one message with this thread's own context; `out` takes the digest's size.
int holdfast_digest(const EVP_MD *digest, const void *bytes, size_t count, uint8_t *out);

/// MD5 and SHA-256 of the same bytes, computed together in little more than the time of MD5. A plain
/// value: a copy goes its own way.
typedef struct {
    uint32_t md5[4];
    uint32_t sha256[8];
    uint64_t count;
    uint8_t rest[64];
} holdfast_twin_digest;

/// 0 where this processor cannot do it: nothing else of it may be called then.
int holdfast_twin_digest_begin(holdfast_twin_digest *digest);
void holdfast_twin_digest_update(holdfast_twin_digest *digest, const void *bytes, size_t count);
/// The digests of all bytes so far: 16 and 32 bytes. More may follow.
void holdfast_twin_digest_end(const holdfast_twin_digest *digest, uint8_t *md5, uint8_t *sha256);

/// HMAC-SHA256 (RFC 2104) with this thread's own context; `out` takes 32 bytes.
int holdfast_hmac_sha256(const void *key, size_t key_count, const void *bytes, size_t count,
                         uint8_t *out);

/// AES-256-GCM (NIST SP 800-38D): 32-byte key, 12-byte nonce. Writes `count` bytes and then the
/// 16-byte tag to `out`, which may be `bytes` itself.
int holdfast_gcm_seal(const uint8_t *key, const uint8_t *nonce, const void *associated,
                      size_t associated_count, const void *bytes, size_t count, uint8_t *out);

/// The inverse: `count` counts without the tag, which follows the bytes. 0 when the tag does not
/// hold; `out` must not be read then.
int holdfast_gcm_open(const uint8_t *key, const uint8_t *nonce, const void *associated,
                      size_t associated_count, const void *bytes, size_t count, uint8_t *out);

/// What stands between OpenSSL and a socket. OpenSSL takes what has arrived by `pull`, straight into
/// memory of its own, and appends to `out` at `out_end`; the caller sends `out[out_start..<out_end]`.
typedef struct {
    /// Puts up to `count` bytes that have arrived at `bytes` and returns how many; 0 when there are
    /// none now.
    size_t (*pull)(void *source, uint8_t *bytes, size_t count);
    void *source;
    uint8_t *out;
    size_t out_start, out_end, out_capacity;
} holdfast_tls_buffers;

/// A BIO over `buffers`, which must outlive it. Null when memory is short.
BIO *holdfast_tls_bio(holdfast_tls_buffers *buffers);

// Macros of OpenSSL, as functions.
int holdfast_ssl_ctx_only_tls13(SSL_CTX *context);
void holdfast_ssl_ctx_set_modes(SSL_CTX *context);
/// Has each connection take in as much ciphertext at a time as a record may have, instead of first
/// its head and then the rest.
void holdfast_ssl_ctx_read_ahead(SSL_CTX *context);
void holdfast_ssl_ctx_without_session_cache(SSL_CTX *context);
int holdfast_ssl_set_server_name(SSL *ssl, const char *name);
int holdfast_ssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate);
long holdfast_bio_contents(BIO *bio, const char **bytes);
EVP_PKEY *holdfast_make_p256_key(void);

/// The only URI among a certificate's subject alternative names, not ended by zero; its length, or
/// -1 when there is none, more than one, or no room.
long holdfast_certificate_uri(X509 *certificate, char *out, size_t capacity);

#endif
