/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte streams as a table of functions: what a simulated network gives to net/
 * in place of the operating system's sockets, which net/ calls directly when
 * env.net is NULL. A stream is a small number, as a descriptor is; calls fail as
 * system calls do, with -1 and errno. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { STREAM_READABLE = 1, STREAM_WRITABLE = 2, STREAM_DISCONNECT = 4 };

struct stream_system {
    /* Port 0 takes a free one. EADDRINUSE. */
    int (*listen)(void *self, int port);
    int (*port)(void *self, int stream);
    /* EAGAIN: nobody waits. */
    int (*accept)(void *self, int listener, int *peer_port);
    /* 0 is the end. EAGAIN, EINTR, ECONNRESET. */
    ssize_t (*recv)(void *self, int stream, void *to, size_t len);
    /* EAGAIN, EINTR, EPIPE, ECONNRESET. */
    ssize_t (*send)(void *self, int stream, const struct iovec *iov, int count);
    void (*shutdown)(void *self, int stream); /* no more is written */
    void (*close)(void *self, int stream);
    /* From now on ready(arg, events) when one of the events is there, again and
     * again while it is; 0 is none. A stream has one watcher. */
    void (*watch)(void *self, int stream, int events, void (*ready)(void *arg, int events),
        void *arg);
    void *self;
};

#endif
