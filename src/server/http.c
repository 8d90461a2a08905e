/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP door: /metrics in Prometheus' text format and /healthz. libmicrohttpd
 * serves it on a thread of its own, which reads counters and immutable views
 * only. */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <string.h>

#include "base/check.h"
#include "engine/metrics.h"
#include "server/server.h"

struct http_door {
    struct engine *engine;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type, struct str body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.len, (void *)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result
answer_metrics(struct http_door *door, struct MHD_Connection *connection)
{
    struct text text;
    ox_text_init(&text, NULL);
    engine_metrics_text(door->engine, &text);
    enum MHD_Result result = answer(connection, MHD_HTTP_OK,
        "text/plain; version=0.0.4; charset=utf-8", ox_text_str(&text));
    ox_text_fini(&text);
    return result;
}

static enum MHD_Result
answer_health(struct http_door *door, struct MHD_Connection *connection)
{
    struct ox_err err;
    if (meta_health(engine_meta(door->engine), &err) == OX_OK)
        return answer(connection, MHD_HTTP_OK, "text/plain", OX_STR("ok\n"));
    return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", ox_str(err.message));
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_len, void **state)
{
    struct http_door *door = arg;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
            OX_STR("only GET is served here\n"));
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(door, connection);
    if (strcmp(url, "/healthz") == 0)
        return answer_health(door, connection);
    return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain",
        OX_STR("there are /metrics and /healthz\n"));
}

ox_code
http_door_open(struct engine *engine, const char *address, int port, struct http_door **out,
    int *bound_port, struct ox_err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, strcmp(address, "localhost") == 0 ? "127.0.0.1" : address,
            &at.sin_addr) != 1)
        return ox_fail(err, OX_INVALID_PARAMETER_VALUE,
            "listen_address \"%s\" is not an IPv4 address", address);
    struct http_door *door = ox_calloc(1, sizeof(*door));
    door->engine = engine;
    door->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)port, NULL, NULL,
        on_request, door, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT, 64u,
        MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
        MHD_OPTION_END);
    if (door->daemon == NULL) {
        ox_free(door);
        return ox_fail_errno(err, errno ? errno : EADDRINUSE, "cannot listen on %s port %d",
            address, port);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_BIND_PORT);
    *bound_port = info != NULL ? info->port : port;
    *out = door;
    return OX_OK;
}

void
http_door_free(struct http_door *door)
{
    if (door == NULL)
        return;
    MHD_stop_daemon(door->daemon);
    ox_free(door);
}
