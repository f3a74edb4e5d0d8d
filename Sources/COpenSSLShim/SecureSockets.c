#include "COpenSSLShim.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>

static int buffers_write(BIO *bio, const char *bytes, int count) {
    holdfast_tls_buffers *buffers = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t room = buffers->out_capacity - buffers->out_end;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t taken = (size_t)count < room ? (size_t)count : room;
    memcpy(buffers->out + buffers->out_end, bytes, taken);
    buffers->out_end += taken;
    return (int)taken;
}

static int buffers_read(BIO *bio, char *bytes, int count) {
    holdfast_tls_buffers *buffers = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t taken = 0;
    if (count > 0) taken = buffers->pull(buffers->source, (uint8_t *)bytes, (size_t)count);
    if (taken > 0) return (int)taken;
    BIO_set_retry_read(bio);
    return -1;
}

static long buffers_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int buffers_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *buffers_method;
static pthread_once_t buffers_once = PTHREAD_ONCE_INIT;

static void make_buffers_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
    if (!method) return;
    BIO_meth_set_write(method, buffers_write);
    BIO_meth_set_read(method, buffers_read);
    BIO_meth_set_ctrl(method, buffers_control);
    BIO_meth_set_create(method, buffers_create);
    buffers_method = method;
}

BIO *holdfast_tls_bio(holdfast_tls_buffers *buffers) {
    pthread_once(&buffers_once, make_buffers_method);
    BIO *bio = buffers_method ? BIO_new(buffers_method) : NULL;
    if (bio) BIO_set_data(bio, buffers);
    return bio;
}

int holdfast_ssl_ctx_only_tls13(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
}

void holdfast_ssl_ctx_set_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
}

// No larger buffer than for one record: OpenSSL 3.0 moves all that follows a record to the front of
// the buffer before it decrypts the next (ssl3_read_n, for alignment).
void holdfast_ssl_ctx_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }

void holdfast_ssl_ctx_without_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

int holdfast_ssl_set_server_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

int holdfast_ssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

long holdfast_bio_contents(BIO *bio, const char **bytes) {
    return BIO_get_mem_data(bio, (char **)bytes);
}

EVP_PKEY *holdfast_make_p256_key(void) { return EVP_EC_gen("P-256"); }

long holdfast_certificate_uri(X509 *certificate, char *out, size_t capacity) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    if (!names) return -1;
    long length = -1;
    int uris = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        int count = ASN1_STRING_length(uri);
        uris++;
        if (count < 0 || (size_t)count > capacity) continue;
        memcpy(out, ASN1_STRING_get0_data(uri), (size_t)count);
        length = count;
    }
    GENERAL_NAMES_free(names);
    return uris == 1 ? length : -1;
}
