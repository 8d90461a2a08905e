/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose memory it is. Arenas and counted buffers are where memory goes that
 * depends on input; each belongs to the class of the folder whose code made it
 * (MEM_HERE, decided when it is compiled), and free buffers to MEM_CACHE. The
 * rest of the heap (structs, maps, libraries) is known as a sum only.
 *
 * The budget is asked where much can be taken at once: large requests wait,
 * statements fail. Small things never fail. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mem_class {
    MEM_OTHER,
    MEM_CONNECTIONS, /* input and output of connections */
    MEM_REQUESTS,    /* requests and messages that are worked on */
    MEM_STATEMENTS,  /* SQL: trees, plans, rows, what sorts and joins keep */
    MEM_COORDINATORS,
    MEM_LOGS,
    MEM_METADATA,
    MEM_CACHE, /* free buffers */
    MEM_CLASS_COUNT
};

#define MEM_IN(folder) (__builtin_strstr(__FILE__, "src/" folder "/") != NULL)
#define MEM_HERE \
    (MEM_IN("exec") || MEM_IN("sql") ? MEM_STATEMENTS \
        : MEM_IN("net") ? MEM_CONNECTIONS \
        : MEM_IN("kafka") || MEM_IN("pgwire") ? MEM_REQUESTS \
        : MEM_IN("coord") || MEM_IN("share") ? MEM_COORDINATORS \
        : MEM_IN("log") || MEM_IN("replica") ? MEM_LOGS \
        : MEM_IN("meta") || MEM_IN("auth") ? MEM_METADATA \
                                             : MEM_OTHER)

const char *mem_class_name(enum mem_class class);
void mem_add(enum mem_class class, size_t bytes);
void mem_sub(enum mem_class class, size_t bytes);
size_t mem_used(enum mem_class class);
/* All that malloc has given and not got back, libraries' too, and the mappings that
 * mem_mapped() counts; 0: not known. */
size_t mem_heap(void);
/* A buffer's mapping of its own has come, or (negative) has gone. */
void mem_mapped(int64_t bytes);

/* What the system says the process holds; 0: not known. */
size_t mem_resident(void);

/* Clean read-only pages of program and libraries, which the kernel keeps in its cache
 * anyway, leave the process; what is still needed of them comes back by itself, 64 KiB
 * a fault. Returns how many bytes that were. Costs a millisecond. */
size_t mem_forget_code(void);
/* Called once a second by one thread, it does that when the process has been quiet for
 * some seconds, once: what only starting or a load that is over needed goes. */
void mem_tend(void);

/* Of arenas and buffers in use, all classes together; 0 is without limit. */
void mem_set_limit(uint64_t bytes);
uint64_t mem_limit(void);
bool mem_over(void);
/* Half of the memory that this process may have: of the machine or its cgroup. */
uint64_t mem_default_limit(void);

#endif
