/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a connection, on memory BIOs:
 *
 *     socket -> recv -> in BIO -> SSL_read -> plain bytes
 *     plain bytes -> SSL_write -> out BIO -> send -> socket
 *
 * so that conn.c stays the only one that touches the socket's readiness. With
 * kernel_tls the library reads and writes the socket itself and hands the keys to
 * the kernel where that can take them.
 *
 * Certificates hang on struct net_tls and may be replaced at any time: a
 * connection keeps what it began with. Sessions are not resumed and there is no
 * renegotiation and no early data, so nothing of a connection outlives it.
 *
 * Invariants
 *  1. out_sent <= bytes in the out BIO; it is emptied when all is sent
 *  2. after broken is set nothing is read or encrypted any more */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"
#include "net/net_int.h"

enum { RECV_LEN = 32 * 1024, RECVS_PER_READ = 16, CERTS_MAX = 1000, OUT_MAX = 512 * 1024 };

struct net_tls {
    struct lock lock; /* ctx */
    SSL_CTX *ctx;
    const char *alpn; /* a protocol that is agreed on if the client asks for any, or NULL */
    bool kernel;
    _Atomic uint64_t handshakes, failures;
};

struct tls {
    struct net_tls *server;
    SSL *ssl;
    BIO *in, *out; /* NULL with kernel TLS */
    size_t out_sent;
    bool ready, broken, said_goodbye;
    bool wants_input; /* before more can be sealed: half of a message of the handshake came */
    const char *refusal; /* why the handshake failed; NULL: it did not, or the peer went away */
    struct conn_tls facts;
};

/* The newest entry of the library's error queue. */
static ox_code
tls_fail(struct ox_err *err, const char *what)
{
    char why[160] = "no reason given";
    unsigned long code = ERR_peek_last_error();
    if (code != 0)
        ERR_error_string_n(code, why, sizeof(why));
    ERR_clear_error();
    const char *last = strrchr(why, ':');
    return ox_fail(err, OX_CONFIG_ERROR, "%s: %s", what, last != NULL ? last + 1 : why);
}

/* ---- certificates and keys ---- */

static int
give_password(char *to, int size, int writing, void *arg)
{
    const char *password = arg;
    (void)writing;
    int len = password != NULL ? (int)strlen(password) : 0;
    if (len > size)
        return -1;
    if (len > 0)
        memcpy(to, password, (size_t)len);
    return len;
}

static ox_code
use_chain(SSL_CTX *ctx, STACK_OF(X509) *chain, EVP_PKEY *key, struct ox_err *err)
{
    X509 *leaf = sk_X509_value(chain, 0);
    if (leaf == NULL || key == NULL)
        return ox_fail(err, OX_CONFIG_ERROR, "key store has no %s",
            leaf == NULL ? "certificate" : "private key");
    STACK_OF(X509) *rest = sk_X509_new_null();
    for (int i = 1; i < sk_X509_num(chain); i++)
        sk_X509_push(rest, sk_X509_value(chain, i));
    int good = SSL_CTX_use_cert_and_key(ctx, leaf, key, rest, 1);
    sk_X509_free(rest);
    if (good != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return tls_fail(err, "certificate and private key do not fit");
    return OX_OK;
}

static STACK_OF(X509) *
read_pem_certs(struct str text)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(text.len > 0 ? text.ptr : "", (int)text.len);
    X509 *cert;
    while (sk_X509_num(certs) < CERTS_MAX &&
        (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        sk_X509_push(certs, cert);
    ERR_clear_error();
    BIO_free(bio);
    return certs;
}

static void
free_certs(STACK_OF(X509) *certs)
{
    sk_X509_pop_free(certs, X509_free);
}

static ox_code
use_pem(SSL_CTX *ctx, struct str chain_text, struct str key_text, const char *password,
    struct ox_err *err)
{
    STACK_OF(X509) *chain = read_pem_certs(chain_text);
    BIO *bio = BIO_new_mem_buf(key_text.len > 0 ? key_text.ptr : "", (int)key_text.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_password,
        (void *)(uintptr_t)password);
    BIO_free(bio);
    ox_code code = key == NULL ? tls_fail(err, "private key cannot be read")
                               : use_chain(ctx, chain, key, err);
    EVP_PKEY_free(key);
    free_certs(chain);
    return code;
}

static PKCS12 *
read_pkcs12(struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    return bytes.len > 0 && bytes.len < INT_MAX ? d2i_PKCS12(NULL, &at, (long)bytes.len) : NULL;
}

static ox_code
use_pkcs12(SSL_CTX *ctx, struct str bytes, const char *password, struct ox_err *err)
{
    PKCS12 *store = read_pkcs12(bytes);
    EVP_PKEY *key = NULL;
    X509 *leaf = NULL;
    STACK_OF(X509) *chain = NULL;
    if (store == NULL || PKCS12_parse(store, password, &key, &leaf, &chain) != 1) {
        PKCS12_free(store);
        return tls_fail(err, "PKCS12 key store cannot be read");
    }
    if (chain == NULL)
        chain = sk_X509_new_null();
    if (leaf != NULL)
        sk_X509_unshift(chain, leaf);
    ox_code code = use_chain(ctx, chain, key, err);
    PKCS12_free(store);
    EVP_PKEY_free(key);
    free_certs(chain);
    return code;
}

static ox_code
trust(SSL_CTX *ctx, const struct net_tls_config *config, struct ox_err *err)
{
    STACK_OF(X509) *certs = NULL;
    if (config->truststore_pkcs12) {
        PKCS12 *store = read_pkcs12(config->truststore);
        EVP_PKEY *key = NULL;
        X509 *leaf = NULL;
        if (store == NULL ||
            PKCS12_parse(store, config->truststore_password, &key, &leaf, &certs) != 1) {
            PKCS12_free(store);
            return tls_fail(err, "PKCS12 trust store cannot be read");
        }
        PKCS12_free(store);
        EVP_PKEY_free(key);
        X509_free(leaf);
    } else {
        certs = read_pem_certs(config->truststore);
    }
    int count = certs != NULL ? sk_X509_num(certs) : 0;
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int i = 0; i < count; i++) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), sk_X509_value(certs, i));
        sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(sk_X509_value(certs, i))));
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    /* As with Java, whatever is in the store is trusted, whoever signed it. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    free_certs(certs);
    ERR_clear_error();
    return count > 0 ? OX_OK : ox_fail(err, OX_CONFIG_ERROR, "trust store has no certificate");
}

/* ---- protocols and ciphers ---- */

static ox_code
set_protocols(SSL_CTX *ctx, const char *list, struct ox_err *err)
{
    struct arena arena;
    struct str *items;
    bool old = false, new = false, other = false;
    ox_arena_init(&arena);
    size_t count = param_list_items(ox_str(list), &arena, &items);
    for (size_t i = 0; i < count; i++) {
        bool is_old = ox_str_is(items[i], "TLSv1.2"), is_new = ox_str_is(items[i], "TLSv1.3");
        old |= is_old;
        new |= is_new;
        other |= !is_old && !is_new;
    }
    ox_arena_fini(&arena);
    if (other || (!old && !new))
        return ox_fail(err, OX_CONFIG_ERROR, "\"ssl.enabled.protocols\" must name TLSv1.2, "
            "TLSv1.3 or both, not \"%s\"", list);
    SSL_CTX_set_min_proto_version(ctx, old ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(ctx, new ? TLS1_3_VERSION : TLS1_2_VERSION);
    return OX_OK;
}

/* Names as in RFCs and Java; OpenSSL's own work too. */
static ox_code
set_ciphers(SSL_CTX *ctx, const char *list, struct ox_err *err)
{
    struct arena arena;
    struct text old, new;
    struct str *items;
    if (list == NULL || list[0] == 0)
        return OX_OK;
    SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL");
    ox_arena_init(&arena);
    ox_text_init(&old, &arena);
    ox_text_init(&new, &arena);
    size_t count = param_list_items(ox_str(list), &arena, &items);
    STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < sk_SSL_CIPHER_num(all); j++) {
            const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(all, j);
            const char *standard = SSL_CIPHER_standard_name(cipher);
            if (!ox_str_is(items[i], SSL_CIPHER_get_name(cipher)) &&
                (standard == NULL || !ox_str_is(items[i], standard)))
                continue;
            bool is_new = strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0;
            struct text *to = is_new ? &new : &old;
            ox_text_addf(to, "%s%s", to->len > 0 ? ":" : "", SSL_CIPHER_get_name(cipher));
        }
    }
    ox_code code = OX_OK;
    if (old.len + new.len == 0)
        code = ox_fail(err, OX_CONFIG_ERROR, "\"ssl.cipher.suites\" names none that exists");
    else if (SSL_CTX_set_ciphersuites(ctx, new.len > 0 ? new.ptr : "") != 1 ||
        (old.len > 0 && SSL_CTX_set_cipher_list(ctx, old.ptr) != 1))
        code = tls_fail(err, "\"ssl.cipher.suites\" cannot be used");
    ox_arena_fini(&arena);
    return code;
}

/* A client that names protocols must name ours: who asks for another one has
 * been led here by somebody. */
static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned int in_len, void *arg)
{
    const struct net_tls *tls = arg;
    (void)ssl;
    if (tls->alpn == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    for (unsigned int i = 0; i < in_len; i += in[i] + 1u) {
        if (in[i] == strlen(tls->alpn) && i + in[i] < in_len &&
            memcmp(in + i + 1, tls->alpn, in[i]) == 0) {
            *out = in + i + 1;
            *out_len = in[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static ox_code
fill_ctx(struct net_tls *tls, SSL_CTX *ctx, const struct net_tls_config *config,
    struct ox_err *err)
{
    int verify = SSL_VERIFY_NONE;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
        SSL_OP_CIPHER_SERVER_PREFERENCE | (config->kernel_tls ? SSL_OP_ENABLE_KTLS : 0));
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, tls);
    ox_code code = set_protocols(ctx, config->protocols, err);
    if (code == OX_OK)
        code = set_ciphers(ctx, config->ciphers, err);
    if (code == OX_OK)
        code = config->keystore_pkcs12
                   ? use_pkcs12(ctx, config->chain, config->key_password, err)
                   : use_pem(ctx, config->chain, config->key, config->key_password, err);
    if (code == OX_OK && config->truststore.len > 0)
        code = trust(ctx, config, err);
    else if (code == OX_OK && config->client_auth == NET_TLS_REQUIRED)
        code = ox_fail(err, OX_CONFIG_ERROR, "\"ssl.client.auth\" is \"required\", but there is no "
            "trust store");
    if (config->client_auth != NET_TLS_NONE && config->truststore.len > 0)
        verify = SSL_VERIFY_PEER |
            (config->client_auth == NET_TLS_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(ctx, verify, NULL);
    return code;
}

static bool
has_name(const GENERAL_NAMES *names, GENERAL_NAME *name)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0)
            return true;
    return false;
}

/* Has the next certificate all alternative names of the present one? */
static bool
keeps_names(const X509 *now, const X509 *next)
{
    GENERAL_NAMES *old = X509_get_ext_d2i(now, NID_subject_alt_name, NULL, NULL);
    GENERAL_NAMES *new = X509_get_ext_d2i(next, NID_subject_alt_name, NULL, NULL);
    bool keeps = true;
    for (int i = 0; i < sk_GENERAL_NAME_num(old); i++)
        keeps &= has_name(new, sk_GENERAL_NAME_value(old, i));
    GENERAL_NAMES_free(old);
    GENERAL_NAMES_free(new);
    return keeps;
}

/* In Kafka's words. */
static ox_code
check_names(struct net_tls *tls, SSL_CTX *ctx, const struct net_tls_config *config,
    struct ox_err *err)
{
    char was[128], will[128];
    ox_lock(&tls->lock);
    SSL_CTX *present = tls->ctx;
    if (present != NULL)
        SSL_CTX_up_ref(present);
    ox_unlock(&tls->lock);
    const X509 *now = present != NULL ? SSL_CTX_get0_certificate(present) : NULL;
    const X509 *next = SSL_CTX_get0_certificate(ctx);
    ox_code code = OX_OK;
    if (now != NULL && next != NULL && !config->any_subject &&
        X509_NAME_cmp(X509_get_subject_name(now), X509_get_subject_name(next)) != 0) {
        X509_NAME_oneline(X509_get_subject_name(now), was, sizeof(was));
        X509_NAME_oneline(X509_get_subject_name(next), will, sizeof(will));
        code = ox_fail(err, OX_CONFIG_ERROR, "Keystore DistinguishedName does not match: "
            "existing={DN=%s}, new={DN=%s}", was, will);
        ox_hint(err, "\"ssl.allow.dn.changes\" lets it change.");
    } else if (now != NULL && next != NULL && !config->any_names && !keeps_names(now, next)) {
        code = ox_fail(err, OX_CONFIG_ERROR, "Keystore SubjectAltNames do not match: the new "
            "certificate lacks some of those of the existing one");
        ox_hint(err, "\"ssl.allow.san.changes\" lets them change.");
    }
    SSL_CTX_free(present);
    return code;
}

static ox_code
make_ctx(struct net_tls *tls, const struct net_tls_config *config, SSL_CTX **out,
    struct ox_err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return tls_fail(err, "TLS cannot be used");
    ox_code code = fill_ctx(tls, ctx, config, err);
    if (code == OX_OK)
        code = check_names(tls, ctx, config, err);
    if (code != OX_OK) {
        SSL_CTX_free(ctx);
        return code;
    }
    *out = ctx;
    return OX_OK;
}

ox_code
net_tls_try(struct net_tls *tls, const struct net_tls_config *config, struct ox_err *err)
{
    SSL_CTX *ctx;
    ox_code code = make_ctx(tls, config, &ctx, err);
    if (code == OX_OK)
        SSL_CTX_free(ctx);
    return code;
}

ox_code
net_tls_load(struct net_tls *tls, const struct net_tls_config *config, struct ox_err *err)
{
    SSL_CTX *ctx;
    ox_code code = make_ctx(tls, config, &ctx, err);
    if (code != OX_OK)
        return code;
    ox_lock(&tls->lock);
    SSL_CTX *old = tls->ctx;
    tls->ctx = ctx;
    tls->kernel = config->kernel_tls;
    ox_unlock(&tls->lock);
    SSL_CTX_free(old);
    return OX_OK;
}

ox_code
net_tls_new(const struct net_tls_config *config, const char *alpn, struct net_tls **out,
    struct ox_err *err)
{
    struct net_tls *tls = ox_calloc(1, sizeof(*tls));
    ox_lock_init(&tls->lock, LOCK_TLS);
    tls->alpn = alpn;
    ox_code code = net_tls_load(tls, config, err);
    if (code != OX_OK) {
        net_tls_free(tls);
        return code;
    }
    *out = tls;
    return OX_OK;
}

void
net_tls_free(struct net_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->ctx);
    ox_lock_fini(&tls->lock);
    ox_free(tls);
}

/* ---- a connection ---- */

struct tls *
tls_new(struct net_tls *server, int fd)
{
    struct tls *tls = ox_calloc(1, sizeof(*tls));
    tls->server = server;
    ox_lock(&server->lock);
    tls->ssl = SSL_new(server->ctx);
    bool kernel = server->kernel;
    ox_unlock(&server->lock);
    ox_assert(tls->ssl != NULL);
    SSL_set_accept_state(tls->ssl);
    if (kernel) {
        SSL_set_fd(tls->ssl, fd);
        return tls;
    }
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(tls->in, -1);
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    return tls;
}

void
tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    ox_free((void *)(uintptr_t)tls->facts.subject.ptr);
    ox_free(tls);
}

void
tls_feed(struct tls *tls, const void *bytes, size_t len)
{
    ox_assert(tls->in != NULL);
    BIO_write(tls->in, bytes, (int)len);
}

/* RFC 5929: a hash of our certificate, with the hash that signed it. */
static void
note_end_point(struct tls *tls)
{
    X509 *cert = SSL_get_certificate(tls->ssl);
    int digest = NID_undef;
    unsigned int len = 0;
    if (cert == NULL)
        return;
    OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, NULL);
    if (digest == NID_undef || digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest);
    if (md != NULL && X509_digest(cert, md, tls->facts.end_point, &len) == 1)
        tls->facts.end_point_len = len;
}

static void
note_peer(struct tls *tls)
{
    X509 *cert = SSL_get0_peer_certificate(tls->ssl);
    uint8_t *der = NULL;
    if (cert == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return;
    int len = i2d_X509_NAME(X509_get_subject_name(cert), &der);
    if (len <= 0)
        return;
    char *copy = ox_malloc((size_t)len);
    memcpy(copy, der, (size_t)len);
    tls->facts.subject = ox_str_n(copy, (size_t)len);
    OPENSSL_free(der);
}

static void
note_ready(struct tls *tls)
{
    if (tls->ready || !SSL_is_init_finished(tls->ssl))
        return;
    tls->ready = true;
    tls->facts.protocol = SSL_get_version(tls->ssl);
    tls->facts.cipher = SSL_get_cipher_name(tls->ssl);
    tls->facts.bits = SSL_get_cipher_bits(tls->ssl, NULL);
    note_end_point(tls);
    note_peer(tls);
    atomic_fetch_add(&tls->server->handshakes, 1);
}

static ssize_t
broken(struct tls *tls, int error)
{
    unsigned long code = ERR_peek_last_error();
    if (!tls->broken && !tls->ready)
        atomic_fetch_add(&tls->server->failures, 1);
    const char *why = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verified = SSL_get_verify_result(tls->ssl);
    if (why != NULL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verified != X509_V_OK)
        why = X509_verify_cert_error_string(verified);
    if (!tls->broken && !tls->ready)
        tls->refusal = why;
    tls->broken = true;
    ox_debug("TLS failed", "handshake=%s error=%d reason=\"%s\"", tls->ready ? "done" : "under way",
        error, why != NULL ? why : "connection lost");
    ERR_clear_error();
    errno = EPROTO;
    return -1;
}

/* Bytes for the library from the socket; as recv(). */
static ssize_t
receive(struct tls *tls, const struct net *net, int fd)
{
    uint8_t bytes[RECV_LEN];
    if (tls->in == NULL) { /* the library has tried */
        errno = EAGAIN;
        return -1;
    }
    ssize_t got = sock_recv(net, fd, bytes, sizeof(bytes));
    if (got > 0)
        BIO_write(tls->in, bytes, (int)got);
    return got;
}

ssize_t
tls_read(struct tls *tls, const struct net *net, int fd, void *to, size_t len)
{
    for (int i = 0; i < RECVS_PER_READ && !tls->broken;) {
        ERR_clear_error();
        errno = 0;
        /* More than is ever sealed: each wish for new keys is answered by the library, and
         * the peer reads none of the answers. */
        if (tls_out_len(tls) > OUT_MAX)
            return broken(tls, SSL_ERROR_SSL);
        int got = SSL_read(tls->ssl, to, (int)OX_MIN(len, (size_t)INT_MAX));
        tls->wants_input = false;
        note_ready(tls);
        if (got > 0)
            return got;
        int error = SSL_get_error(tls->ssl, got);
        if (error == SSL_ERROR_ZERO_RETURN)
            return 0;
        if (error == SSL_ERROR_SYSCALL && errno == 0 && tls->in == NULL)
            return 0;
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            return broken(tls, error);
        ssize_t received = receive(tls, net, fd);
        if (received == 0 && !tls->ready)
            return broken(tls, SSL_ERROR_SYSCALL);
        if (received == 0)
            return 0;
        if (received < 0 && errno != EINTR)
            return -1;
        i += received > 0;
    }
    errno = tls->broken ? EPROTO : EAGAIN;
    return -1;
}

bool
tls_has_input(const struct tls *tls)
{
    return !tls->broken && (SSL_pending(tls->ssl) > 0 ||
        (tls->in != NULL && BIO_ctrl_pending(tls->in) > 0));
}

bool
tls_ready(const struct tls *tls)
{
    return tls->ready && !tls->broken;
}

bool
tls_wants_input(const struct tls *tls)
{
    return tls->wants_input;
}

ssize_t
tls_write(struct tls *tls, const void *from, size_t len)
{
    ERR_clear_error();
    errno = 0;
    int got = SSL_write(tls->ssl, from, (int)OX_MIN(len, (size_t)INT_MAX));
    if (got > 0)
        return got;
    int error = SSL_get_error(tls->ssl, got);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        tls->wants_input = error == SSL_ERROR_WANT_READ;
        errno = EAGAIN;
        return -1;
    }
    return broken(tls, error);
}

size_t
tls_out_len(const struct tls *tls)
{
    return tls->out != NULL ? BIO_ctrl_pending(tls->out) - tls->out_sent : 0;
}

ssize_t
tls_send(struct tls *tls, const struct net *net, int fd)
{
    char *bytes;
    long len = tls->out != NULL ? BIO_get_mem_data(tls->out, &bytes) : 0;
    if ((size_t)len == tls->out_sent)
        return 0;
    struct iovec iov = {bytes + tls->out_sent, (size_t)len - tls->out_sent};
    ssize_t got = sock_send(net, fd, &iov, 1, false);
    if (got > 0)
        tls->out_sent += (size_t)got;
    if (tls->out_sent == (size_t)len) {
        BIO_reset(tls->out);
        tls->out_sent = 0;
    }
    return got;
}

void
tls_goodbye(struct tls *tls)
{
    if (tls->said_goodbye || tls->broken || !tls->ready)
        return;
    tls->said_goodbye = true;
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *
tls_refusal(const struct tls *tls)
{
    return tls->refusal;
}

const struct conn_tls *
tls_facts(const struct tls *tls)
{
    return tls->ready ? &tls->facts : NULL;
}
