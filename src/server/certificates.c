/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and keys from the files and settings that name them. What was
 * read is kept: when a later look finds other bytes or settings, new connections
 * get those. So a renewed file is enough, as is SIGHUP or ALTER SYSTEM.
 *
 * A file may be replaced in two steps (certificate, then key): what does not fit
 * together yet is tried again at the next look, and said once. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/file.h"
#include "server/server.h"

enum { STORE_MAX = 4 * 1024 * 1024 };

struct server_certificates {
    const struct env *env;
    struct net_tls *tls;
    int client_auth; /* enum net_tls_client; -1: as the setting says */
    uint64_t seen;          /* hash of what was loaded, or failed to load */
};

bool
server_has_certificate(const struct server_config *config)
{
    return (config->ssl_keystore_location != NULL && config->ssl_keystore_location[0] != 0) ||
        (config->ssl_keystore_certificate_chain != NULL &&
            config->ssl_keystore_certificate_chain[0] != 0);
}

/* PEM text in a setting, in which \n may stand for the end of a line. */
static struct str
setting_text(const char *text, struct arena *arena)
{
    struct text out;
    if (text == NULL || text[0] == 0)
        return OX_STR_NULL;
    ox_text_init(&out, arena);
    for (; *text != 0; text++) {
        if (text[0] == '\\' && text[1] == 'n') {
            ox_text_addc(&out, '\n');
            text++;
        } else {
            ox_text_addc(&out, *text);
        }
    }
    return ox_text_str(&out);
}

static ox_code
read_store(const struct env *env, const char *path, struct arena *arena, struct str *out,
    struct ox_err *err)
{
    char *content;
    size_t len;
    if (path == NULL || path[0] == 0)
        return OX_OK;
    ox_code code = file_read_all(env->fs, path, STORE_MAX, arena, &content, &len, err);
    if (code == OX_OK)
        *out = ox_str_n(content, len);
    return code;
}

static ox_code
read_all(const struct env *env, const struct server_config *config,
    int client_auth, struct arena *arena, struct net_tls_config *out, struct ox_err *err)
{
    *out = (struct net_tls_config){.protocols = config->ssl_enabled_protocols,
        .ciphers = config->ssl_cipher_suites,
        .client_auth = (enum net_tls_client)(client_auth >= 0 ? client_auth
                                                              : config->ssl_client_auth),
        .kernel_tls = config->ssl_kernel_tls,
        .any_subject = config->ssl_allow_dn_changes,
        .any_names = config->ssl_allow_san_changes,
        .chain = setting_text(config->ssl_keystore_certificate_chain, arena),
        .key = setting_text(config->ssl_keystore_key, arena),
        .key_password = config->ssl_key_password,
        .truststore = setting_text(config->ssl_truststore_certificates, arena),
        .truststore_password = config->ssl_truststore_password};
    ox_code code = OX_OK;
    if (out->chain.ptr == NULL) {
        code = read_store(env, config->ssl_keystore_location, arena, &out->chain, err);
        out->key = out->chain;
        out->keystore_pkcs12 = config->ssl_keystore_type == SERVER_SSL_KEYSTORE_TYPE_PKCS12;
        if (out->keystore_pkcs12)
            out->key_password = config->ssl_keystore_password;
    }
    if (code == OX_OK && out->truststore.ptr == NULL) {
        code = read_store(env, config->ssl_truststore_location, arena, &out->truststore, err);
        out->truststore_pkcs12 =
            config->ssl_truststore_type == SERVER_SSL_TRUSTSTORE_TYPE_PKCS12;
    }
    return code;
}

static uint64_t
mix(uint64_t hash, struct str s)
{
    return ox_hash(s.ptr != NULL ? s.ptr : "", s.len, hash + (s.ptr != NULL));
}

static uint64_t
digest(const struct net_tls_config *config)
{
    uint64_t hash = mix(1, config->chain);
    hash = mix(hash, config->key);
    hash = mix(hash, ox_str(config->key_password));
    hash = mix(hash, config->truststore);
    hash = mix(hash, ox_str(config->truststore_password));
    hash = mix(hash, ox_str(config->protocols));
    hash = mix(hash, ox_str(config->ciphers));
    char rest[4] = {(char)config->client_auth, (char)config->kernel_tls,
        (char)(config->any_subject * 2 + config->any_names),
        (char)(config->keystore_pkcs12 * 2 + config->truststore_pkcs12)};
    return mix(hash, ox_str_n(rest, sizeof(rest)));
}

static void
wipe(struct net_tls_config *config)
{
    auth_wipe((void *)(uintptr_t)config->key.ptr, config->key.len);
}

/* Where the certificates came from that cannot be used. */
static void
name_files(const struct server_config *config, struct ox_err *err)
{
    const char *keys = config->ssl_keystore_location, *trusted = config->ssl_truststore_location;
    if (keys != NULL && trusted != NULL)
        ox_detail(err, "The key store is file \"%s\", the trust store file \"%s\".", keys, trusted);
    else if (keys != NULL)
        ox_detail(err, "The key store is file \"%s\".", keys);
}

ox_code
server_certificates_new(const struct env *env, const struct server_config *config,
    int client_auth, const char *alpn, struct server_certificates **out, struct ox_err *err)
{
    struct server_certificates *certificates = ox_calloc(1, sizeof(*certificates));
    struct net_tls_config tls;
    struct arena arena;
    ox_arena_init(&arena);
    certificates->env = env;
    certificates->client_auth = client_auth;
    ox_code code = read_all(env, config, client_auth, &arena, &tls, err);
    if (code == OX_OK) {
        certificates->seen = digest(&tls);
        code = net_tls_new(&tls, alpn, &certificates->tls, err);
        if (code != OX_OK)
            name_files(config, err);
        wipe(&tls);
    }
    ox_arena_fini(&arena);
    if (code != OX_OK) {
        server_certificates_free(certificates);
        return code;
    }
    *out = certificates;
    return OX_OK;
}

void
server_certificates_free(struct server_certificates *certificates)
{
    if (certificates == NULL)
        return;
    net_tls_free(certificates->tls);
    ox_free(certificates);
}

struct net_tls *
server_certificates_tls(struct server_certificates *certificates)
{
    return certificates != NULL ? certificates->tls : NULL;
}

ox_code
server_certificates_try(struct server_certificates *certificates,
    const struct server_config *config, struct ox_err *err)
{
    struct net_tls_config tls;
    struct arena arena;
    ox_arena_init(&arena);
    ox_code code = read_all(certificates->env, config, certificates->client_auth, &arena, &tls,
        err);
    if (code == OX_OK) {
        code = net_tls_try(certificates->tls, &tls, err);
        wipe(&tls);
    }
    ox_arena_fini(&arena);
    return code;
}

void
server_certificates_watch(struct server_certificates *certificates,
    const struct server_config *config)
{
    struct net_tls_config tls;
    struct arena arena;
    struct ox_err err;
    ox_arena_init(&arena);
    ox_code code = read_all(certificates->env, config, certificates->client_auth, &arena, &tls,
        &err);
    uint64_t now = code == OX_OK ? digest(&tls) : 0;
    if (now != certificates->seen) {
        if (code == OX_OK && (code = net_tls_load(certificates->tls, &tls, &err)) != OX_OK)
            name_files(config, &err);
        if (code == OX_OK)
            ox_info("certificates were read again", "client_auth=%d", (int)tls.client_auth);
        else
            ox_diag_err(OX_DIAG_WARN, "certificates were not read again", &err);
        certificates->seen = now;
    }
    if (code == OX_OK)
        wipe(&tls);
    ox_arena_fini(&arena);
}
