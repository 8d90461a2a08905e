/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive doubly linked list: embed struct list, recover the owner with
 * ox_container_of. A node that is on no list points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

struct list {
    struct list *prev, *next;
};

static inline void
ox_list_init(struct list *node)
{
    node->prev = node->next = node;
}

static inline bool
ox_list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void
ox_list_add_after(struct list *at, struct list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}

static inline void
ox_list_push(struct list *head, struct list *node) /* at the end */
{
    ox_list_add_after(head->prev, node);
}

static inline void
ox_list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    ox_list_init(node);
}

static inline struct list *
ox_list_pop(struct list *head) /* from the front; NULL if empty */
{
    struct list *node = head->next;
    if (node == head)
        return 0;
    ox_list_remove(node);
    return node;
}

#define ox_list_each(node, head) \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

#endif
