/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP door: /metrics in Prometheus' text format and /healthz. libmicrohttpd
 * serves it on a thread of its own, which reads counters and immutable views
 * only. Until the first connection comes there is the listening socket and a
 * thread that waits for it: most servers are never asked, and the library brings
 * GnuTLS along. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/check.h"
#include "base/diag.h"
#include "base/late.h"
#include "engine/metrics.h"
#include "server/server.h"

enum { BACKLOG = 64, IDLE_SECONDS = 10, AGAIN_MS = 1000 };

struct http_door {
    struct engine *engine;
    int listen_fd;
    int wake[2]; /* closing [1] ends the thread that waits */
    pthread_t first;
    struct MHD_Daemon *daemon; /* set by that thread, if a connection came */
};

static struct {
    typeof(MHD_create_response_from_buffer) *create_response_from_buffer;
    typeof(MHD_add_response_header) *add_response_header;
    typeof(MHD_queue_response) *queue_response;
    typeof(MHD_destroy_response) *destroy_response;
    typeof(MHD_start_daemon) *start_daemon;
    typeof(MHD_stop_daemon) *stop_daemon;
} mhd;

static const struct late_symbol symbols[] = {
    {"MHD_create_response_from_buffer", &mhd.create_response_from_buffer},
    {"MHD_add_response_header", &mhd.add_response_header},
    {"MHD_queue_response", &mhd.queue_response},
    {"MHD_destroy_response", &mhd.destroy_response},
    {"MHD_start_daemon", &mhd.start_daemon},
    {"MHD_stop_daemon", &mhd.stop_daemon},
};

static struct late_library library = {OX_LATE_MICROHTTPD, symbols, ox_count(symbols), NULL};

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type, struct str body)
{
    struct MHD_Response *response =
        mhd.create_response_from_buffer(body.len, (void *)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    mhd.add_response_header(response, "Content-Type", type);
    enum MHD_Result result = mhd.queue_response(connection, status, response);
    mhd.destroy_response(response);
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

/* ---- waiting for the first request ---- */

static ox_code
listen_at(const char *address, const struct sockaddr_in *at, int *out, int *bound_port,
    struct ox_err *err)
{
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ox_fail_errno(err, errno, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        int failed = errno;
        close(fd);
        return ox_fail_errno(err, failed, "cannot listen on %s port %d", address,
            ntohs(at->sin_port));
    }
    *bound_port = ntohs(bound.sin_port);
    *out = fd;
    return OX_OK;
}

/* The library's own thread takes over the socket, and what waits there. */
static ox_code
serve(struct http_door *door, struct ox_err *err)
{
    ox_code code = ox_late_load(&library, err);
    if (code != OX_OK)
        return code;
    door->daemon = mhd.start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, door,
        MHD_OPTION_LISTEN_SOCKET, door->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)LIMIT_HTTP_CONNECTIONS_VALUE,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    return door->daemon != NULL
        ? OX_OK
        : ox_fail(err, OX_UNKNOWN_SERVER_ERROR, "libmicrohttpd does not start");
}

static void
turn_away(int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
}

/* Where it cannot be served, descriptors may have run out: the next who comes is. */
static void *
wait_for_first(void *arg)
{
    struct http_door *door = arg;
    struct pollfd fds[2] = {{.fd = door->listen_fd, .events = POLLIN},
        {.fd = door->wake[0], .events = POLLIN}};
    struct ox_err err;
    for (bool told = false;; told = true) {
        while (poll(fds, 2, -1) < 0 && errno == EINTR)
            ;
        if (fds[1].revents != 0)
            break;
        if (serve(door, &err) == OX_OK)
            return NULL;
        if (!told)
            ox_diag_err(OX_DIAG_ERROR, "HTTP is not served", &err);
        turn_away(door->listen_fd);
        poll(&fds[1], 1, AGAIN_MS);
    }
    close(door->listen_fd);
    return NULL;
}

static ox_code
start_waiting(struct http_door *door, struct ox_err *err)
{
    if (pipe2(door->wake, O_CLOEXEC) != 0)
        return ox_fail_errno(err, errno, "making a pipe for HTTP");
    int failed = pthread_create(&door->first, NULL, wait_for_first, door);
    if (failed == 0)
        return OX_OK;
    close(door->wake[0]);
    close(door->wake[1]);
    return ox_fail_errno(err, failed, "starting the thread of HTTP");
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
    ox_code code = listen_at(address, &at, &door->listen_fd, bound_port, err);
    if (code == OX_OK) {
        code = start_waiting(door, err);
        if (code != OX_OK)
            close(door->listen_fd);
    }
    if (code != OX_OK) {
        ox_free(door);
        return code;
    }
    *out = door;
    return OX_OK;
}

void
http_door_free(struct http_door *door)
{
    if (door == NULL)
        return;
    close(door->wake[1]);
    pthread_join(door->first, NULL);
    close(door->wake[0]);
    if (door->daemon != NULL)
        mhd.stop_daemon(door->daemon); /* closes the socket */
    ox_free(door);
}
