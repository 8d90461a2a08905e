/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS over real sockets, one loop for all connections: messages come and go, a peer that
 * sends without end leaves room for others, one that reads nothing or sends half of a
 * message costs little.
 *
 * A message is as long as its first 4 bytes say (themselves included): 8 bytes are sent
 * back, longer ones take the server half a millisecond. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/env.h"
#include "base/wire.h"
#include "net/net.h"
#include "tap.h"

enum { WORK_LEN = 16000 };
#define WORK_NS 500000

static struct loop_group *group;
static struct net *net;
static struct net_tls *certificate;
static SSL_CTX *client;
static int tls_port, plain_port;
static _Atomic int closed_count;
static _Atomic bool enough;

/* ---- the server ---- */

static void
opened(struct conn *conn, void *arg)
{
    conn_set_idle_limit(conn, 0);
}

static void
closed(struct conn *conn)
{
    atomic_fetch_add(&closed_count, 1);
}

static ptrdiff_t
frame_len(struct conn *conn, const uint8_t *bytes, size_t have)
{
    return have < 4 ? 0 : (ptrdiff_t)wire_load32(bytes);
}

static void
frame(struct conn *conn, const struct slice *message)
{
    if (message->len == 8) {
        conn_write(conn, ox_slice_ptr(message), 8);
        return;
    }
    uint64_t until = env_mono_ns(env_os()) + WORK_NS;
    while (env_mono_ns(env_os()) < until)
        continue;
}

static const struct conn_handler handler = {.protocol = "test", .opened = opened,
    .frame_len = frame_len, .frame = frame, .closed = closed};

static struct str
pem_text(BIO *bio)
{
    char *ptr;
    long len = BIO_get_mem_data(bio, &ptr);
    return ox_str_n(ptr, (size_t)len);
}

/* A key and a certificate that it signed itself. */
static ox_code
make_certificate(struct ox_err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
        (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());
    PEM_write_bio_X509(cert_pem, cert);
    PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
    const struct net_tls_config config = {.chain = pem_text(cert_pem), .key = pem_text(key_pem),
        .protocols = "TLSv1.3"};
    ox_code code = net_tls_new(&config, NULL, &certificate, err);
    BIO_free(cert_pem);
    BIO_free(key_pem);
    X509_free(cert);
    EVP_PKEY_free(key);
    return code;
}

static int
listen_with(struct net_tls *tls)
{
    struct listener *listener;
    struct ox_err err;
    if (net_listen(net, "127.0.0.1", 0, &handler, NULL, tls, &listener, &err) != OX_OK)
        abort();
    net_listener_sockets(listener, 0, 8192, tls != NULL ? 0 : 8192);
    return net_listener_port(listener);
}

/* ---- the peer ---- */

static int
dial(int port, int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {30, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        abort();
    return fd;
}

static SSL *
dial_tls(int receive_bytes)
{
    SSL *ssl = SSL_new(client);
    SSL_set_fd(ssl, dial(tls_port, receive_bytes));
    if (SSL_connect(ssl) != 1)
        abort();
    return ssl;
}

static void
hang_up(SSL *ssl)
{
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
}

/* ---- tests ---- */

static void
test_echo(void)
{
    uint8_t out[8] = {0, 0, 0, 8, 'e', 'c', 'h', 'o'}, in[8] = "";
    SSL *ssl = dial_tls(0);
    SSL_write(ssl, out, sizeof(out));
    ok(SSL_read(ssl, in, sizeof(in)) == 8 && memcmp(in, out, 8) == 0, "a message comes back");
    hang_up(ssl);
}

static void *
send_without_end(void *arg)
{
    uint8_t *work = calloc(1, WORK_LEN);
    SSL *ssl = arg;
    wire_store32(work, WORK_LEN);
    for (uint64_t until = env_mono_ns(env_os()) + UINT64_C(5000000000);
         !atomic_load(&enough) && env_mono_ns(env_os()) < until;)
        SSL_write(ssl, work, WORK_LEN);
    free(work);
    return NULL;
}

/* It sends faster than the server works. */
static void
test_busy_peer(void)
{
    uint8_t out[8] = {0, 0, 0, 8, 'e', 'c', 'h', 'o'}, in[8];
    uint64_t slowest = 0;
    pthread_t thread;
    SSL *ssl = dial_tls(0);
    int other = dial(plain_port, 0);
    pthread_create(&thread, NULL, send_without_end, ssl);
    usleep(200000);
    for (int i = 0; i < 5; i++) {
        uint64_t begun = env_mono_ns(env_os());
        send(other, out, sizeof(out), 0);
        if (recv(other, in, sizeof(in), MSG_WAITALL) != 8)
            slowest = UINT64_MAX;
        slowest = OX_MAX(slowest, env_mono_ns(env_os()) - begun);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    printf("# %llu ms\n", (unsigned long long)slowest / 1000000);
    ok(slowest < UINT64_C(1500000000), "while one peer sends without end others are answered");
    close(other);
    hang_up(ssl);
}

/* The library answers each wish for new keys; nobody reads that. */
static void
test_many_keys(void)
{
    SSL *ssl = dial_tls(4096);
    int before = atomic_load(&closed_count), sent = 0;
    while (sent < 100000 && atomic_load(&closed_count) == before &&
           SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
        sent++;
    for (int i = 0; i < 1000 && atomic_load(&closed_count) == before; i++)
        usleep(2000);
    printf("# %d\n", sent);
    is_int(atomic_load(&closed_count), before + 1,
        "who wishes new keys for ever and reads no answer is cut off");
    hang_up(ssl);
}

/* ---- records of our own making ---- */

static uint8_t secret[32]; /* of the client's traffic, TLS_AES_128_GCM_SHA256 */

static void
take_secret(const SSL *ssl, const char *line)
{
    const char *hex = strrchr(line, ' ') + 1;
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        for (size_t i = 0; i < sizeof(secret); i++)
            sscanf(hex + 2 * i, "%2hhx", &secret[i]);
}

/* HKDF-Expand-Label of RFC 8446, of at most one block. */
static void
derive(const char *label, uint8_t *to, uint8_t len)
{
    uint8_t info[32] = {0, len, (uint8_t)(6 + strlen(label))}, block[32];
    size_t at = 3;
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, strlen(label));
    at += 6 + strlen(label);
    info[at + 1] = 1; /* behind an empty context: the first block */
    HMAC(EVP_sha256(), secret, sizeof(secret), info, at + 2, block, NULL);
    memcpy(to, block, len);
}

/* The number-th record with these bytes of that type; its length. */
static size_t
seal(uint8_t *to, uint8_t number, uint8_t type, const void *bytes, size_t len)
{
    uint8_t key[16], iv[12], plain[64];
    int part;
    memcpy(plain, bytes, len);
    plain[len++] = type;
    derive("key", key, sizeof(key));
    derive("iv", iv, sizeof(iv));
    iv[11] ^= number;
    memcpy(to, (uint8_t[]){23, 3, 3, 0, (uint8_t)(len + 16)}, 5);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv);
    EVP_EncryptUpdate(ctx, NULL, &part, to, 5);
    EVP_EncryptUpdate(ctx, to + 5, &part, plain, (int)len);
    EVP_EncryptFinal_ex(ctx, to + 5 + len, &part);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, to + 5 + len);
    EVP_CIPHER_CTX_free(ctx);
    return 5 + len + 16;
}

static double
cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Nothing can be sealed until the other half has come. */
static void
test_half_a_message(void)
{
    static const uint8_t echo[8] = {0, 0, 0, 8, 'e', 'c', 'h', 'o'}, update[4] = {24, 0, 0, 1};
    uint8_t out[256], in[8] = "";
    SSL *ssl = dial_tls(0);
    size_t len = seal(out, 0, 23, echo, sizeof(echo));
    len += seal(out + len, 1, 22, update, sizeof(update));
    send(SSL_get_fd(ssl), out, len, 0);
    usleep(100000);
    double before = cpu_seconds();
    usleep(500000);
    double used = cpu_seconds() - before;
    ok(used < 0.25, "who sends half a message of the handshake keeps nobody busy");
    send(SSL_get_fd(ssl), out, seal(out, 2, 22, "", 1), 0);
    ok(SSL_read(ssl, in, sizeof(in)) == 8 && memcmp(in, echo, 8) == 0,
        "and is answered when the rest has come");
    hang_up(ssl);
}

int
main(void)
{
    const struct loop_config config = {.count = 1, .pool_threads = 1};
    const uint64_t minute = UINT64_C(60000000000);
    const struct net_limits limits = {.conns_max = 100, .conns_per_ip_max = 100,
        .idle_ns = minute, .frame_ns = minute, .write_stall_ns = minute, .out_max = 1 << 20};
    struct ox_err err;
    signal(SIGPIPE, SIG_IGN);
    client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_ciphersuites(client, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_keylog_callback(client, take_secret);
    ok(loop_group_start(&config, env_os(), &group, &err) == OX_OK, "a loop starts");
    is_int(make_certificate(&err), OX_OK, "a certificate");
    net = net_new(group, &limits);
    tls_port = listen_with(certificate);
    plain_port = listen_with(NULL);
    net_start_accepting(net);
    test_echo();
    test_busy_peer();
    test_many_keys();
    test_half_a_message();
    net_free(net);
    net_tls_free(certificate);
    loop_group_stop(group);
    SSL_CTX_free(client);
    return done();
}
