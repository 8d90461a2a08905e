/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings. Each is a row of catalog/params.tbl; from it come the structs that
 * code obeys (struct server_config, topic_config, group_config, session_config
 * in params.gen.h, one typed field a row), and this API, which looks up, parses,
 * checks and prints values by name: SHOW, SET, DescribeConfigs, AlterConfigs,
 * the configuration file.
 *
 * A setting has two names: Oxbow's (retention_ms) and Kafka's (retention.ms).
 * Either is accepted wherever a name is; a name without a Kafka meaning has
 * none. Values travel as text in Kafka's spelling ("604800000", "true",
 * "compact,delete"): that is the canonical form, which is stored, compared and
 * shown. People may write units ("7 days", "1GiB", "on"); param_canonical()
 * turns them into it. */
#ifndef BASE_PARAM_H
#define BASE_PARAM_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/params.gen.h"
#include "base/str.h"

enum param_type {
    PARAM_BOOL,     /* bool */
    PARAM_INT,      /* int32_t */
    PARAM_LONG,     /* int64_t */
    PARAM_DOUBLE,   /* double */
    PARAM_STRING,   /* const char * */
    PARAM_LIST,     /* const char *, items joined by commas */
    PARAM_PASSWORD, /* const char *, never shown */
    PARAM_ENUM,     /* int, index of the choice */
    PARAM_SET,      /* uint32_t, one bit a choice; a list of choices in text */
};

enum param_unit { PARAM_PLAIN, PARAM_BYTES, PARAM_MS, PARAM_SECONDS };

/* May it be set while the server runs? */
enum param_change {
    PARAM_LIVE,
    PARAM_SQL, /* yes, but not by Kafka's clients */
    PARAM_RESTART,
};

/* A server setting that gives a topic setting its default; the first of a
 * chain that is set wins. value = factor * the server's. */
struct param_synonym {
    int server; /* enum param_server */
    int64_t factor;
};

struct param {
    const char *name;       /* retention_ms */
    const char *kafka_name; /* retention.ms, or NULL */
    enum param_scope scope;
    int index; /* in its scope: enum param_topic, param_server, ... */
    enum param_type type;
    enum param_unit unit;
    enum param_change change;
    const char *fallback; /* the default in canonical form; NULL: unset */
    bool has_min, has_max, has_also;
    double min, max; /* numbers; inclusive */
    double also;     /* a number outside min..max that is allowed, too */
    const char *range; /* as the table has it, for messages and pg_settings */
    const char *const *aliases; /* other names of Kafka's; NULL-terminated, or NULL */
    const char *const *choices; /* ENUM and SET; NULL-terminated */
    const struct param_synonym *synonyms;
    int synonym_count;
    size_t field; /* offset in the scope's struct */
    const char *doc;
};

/* All rows of a scope. */
struct param_table {
    const struct param *rows;
    int count;
    size_t config_len; /* of the scope's struct */
};

extern const struct param_table param_tables[PARAM_SCOPE_COUNT];

/* The row, or NULL. name is compared without case, '.', '-' and '_' alike;
 * Kafka's alternative names of the same setting (broker.id) are found too. */
const struct param *param_find(enum param_scope scope, struct str name);

/* By index in the scope (enum param_topic ...), in table order. */
const struct param *param_at(enum param_scope scope, int index);
int param_count(enum param_scope scope);

/* Number of DescribeConfigs' config_type. */
int param_kafka_type(const struct param *param);

/* The name a Kafka client knows it by: kafka_name, else name. */
const char *param_wire_name(const struct param *param);

enum param_syntax {
    PARAM_KAFKA,  /* canonical spelling only, as a Kafka broker checks it */
    PARAM_PEOPLE, /* units and synonyms of true and false too */
};

/* Check value and give its canonical form, in the arena.
 * Fails:  OX_INVALID_CONFIG, with the setting's name, the value and what is
 *         allowed in the message */
ox_code param_canonical(const struct param *param, enum param_syntax syntax, struct str value,
    struct arena *arena, struct str *out, struct ox_err *err);

/* Store a canonical value into the scope's struct (config points to a
 * topic_config for a topic setting, ...). Strings are borrowed from value,
 * which must be NUL-terminated. A null value stores "unset": NULL for strings,
 * the type's lowest number otherwise.
 * Fails:  OX_INVALID_CONFIG */
ox_code param_store(const struct param *param, struct str value, void *config, struct ox_err *err);

/* The field of config as canonical text. */
struct str param_load(const struct param *param, const void *config, struct arena *arena);

/* Fill a scope's struct with the defaults of the table. */
void param_defaults(enum param_scope scope, void *config);

/* Items of a list value, without surrounding blanks. An empty value has none. */
size_t param_list_items(struct str value, struct arena *arena, struct str **out);

#endif
