/* SPDX-License-Identifier: Apache-2.0
 *
 * The image, which the meta thread changes, and the views that everybody else
 * reads.
 *
 *     image (private)              views (published, immutable, counted)
 *     slots -----------+---------> slots of the newest view, until a topic changes
 *     index -----------+---------> index of it, until a topic comes or goes
 *     brokers, configs, settings   one small array each, replaced whole
 *
 * Topics, partitions, brokers and config sets are immutable objects with one
 * owner and no counts: publishing a view of ten thousand topics must not touch
 * ten thousand counters. What a change replaces is retired: the list of retired
 * objects hangs on the last view that shows them, and is freed when that view
 * and all older ones are gone.
 *
 * Invariants
 * 1. An object reached from a view is not freed while the view is held.
 * 2. A table (slots, index) with more than one reference is never written; the
 *    image copies it first.
 * 3. chain->views is in order of publication; retired objects of a view are
 *    freed only when no older view is left.
 * 4. Slot s of a topic in slots->at[s] is the one in order, by_name and by_id. */
#include <stdlib.h>

#include "meta/meta_int.h"

static inline struct view *
view_of(const struct meta_view *pub)
{
    return ox_container_of((struct meta_view *)(uintptr_t)pub, struct view, pub);
}

/* ---- Tables -------------------------------------------------------------- */

static struct view_slots *
slots_new(uint32_t cap)
{
    struct view_slots *slots = ox_calloc(1, sizeof(*slots) + ox_size_mul(cap, sizeof(void *)));
    atomic_store(&slots->refs, 1);
    slots->cap = cap;
    return slots;
}

static void
slots_put(struct view_slots *slots)
{
    if (slots != NULL && atomic_fetch_sub(&slots->refs, 1) == 1)
        ox_free(slots);
}

static struct view_index *
index_new(uint32_t cap)
{
    uint32_t cells = 16;
    while (cells < cap * 2)
        cells *= 2;
    size_t order_len = ox_size_mul(cap, sizeof(uint32_t)) + 7;
    order_len &= ~(size_t)7;
    size_t cells_len = ox_size_mul(cells, sizeof(struct view_cell));
    char *at = ox_calloc(1, sizeof(struct view_index) + order_len + 2 * cells_len);
    struct view_index *index = (void *)at;
    atomic_store(&index->refs, 1);
    index->cap = cap;
    index->mask = cells - 1;
    index->order = (void *)(at + sizeof(*index));
    index->by_name = (void *)(at + sizeof(*index) + order_len);
    index->by_id = index->by_name + cells;
    return index;
}

static void
index_put(struct view_index *index)
{
    if (index != NULL && atomic_fetch_sub(&index->refs, 1) == 1)
        ox_free(index);
}

/* '.' hashes as '_', so that names which collide in Kafka's metrics meet in the
 * same place; see meta_view_topic_collides(). */
static uint64_t
name_hash(struct str name)
{
    char folded[256];
    if (name.len > sizeof(folded) || memchr(name.ptr, '.', name.len) == NULL)
        return ox_hash(name.ptr, name.len, 1);
    for (size_t i = 0; i < name.len; i++)
        folded[i] = name.ptr[i] == '.' ? '_' : name.ptr[i];
    return ox_hash(folded, name.len, 1);
}

static uint64_t
id_hash(const struct uuid *id)
{
    return ox_hash(id->bytes, sizeof(id->bytes), 2);
}

static void
cells_add(struct view_cell *cells, uint32_t mask, uint64_t hash, uint32_t slot)
{
    uint32_t at = (uint32_t)hash & mask;
    while (cells[at].slot != 0)
        at = (at + 1) & mask;
    cells[at] = (struct view_cell){(uint32_t)(hash >> 32), slot + 1};
}

/* Rank of the first topic whose name is >= name. */
static uint32_t
order_rank(const struct view_slots *slots, const struct view_index *index, struct str name)
{
    uint32_t low = 0, high = index->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (ox_str_cmp(slots->at[index->order[mid]]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* ---- Reading ------------------------------------------------------------- */

static const struct meta_topic *
find_by_name(const struct view *view, struct str name, uint32_t *slot)
{
    const struct view_index *index = view->index;
    uint64_t hash = name_hash(name);
    for (uint32_t at = (uint32_t)hash & index->mask; index->by_name[at].slot != 0;
         at = (at + 1) & index->mask) {
        if (index->by_name[at].tag != (uint32_t)(hash >> 32))
            continue;
        const struct meta_topic *topic = view->slots->at[index->by_name[at].slot - 1];
        if (ox_str_eq(topic->name, name)) {
            *slot = index->by_name[at].slot - 1;
            return topic;
        }
    }
    return NULL;
}

const struct meta_topic *
meta_view_topic(const struct meta_view *view, struct str name)
{
    uint32_t slot;
    return name.ptr != NULL ? find_by_name(view_of(view), name, &slot) : NULL;
}

static bool
names_collide(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = a.ptr[i] == '.' ? '_' : a.ptr[i], y = b.ptr[i] == '.' ? '_' : b.ptr[i];
        if (x != y)
            return false;
    }
    return true;
}

const struct meta_topic *
meta_view_topic_collides(const struct view *view, struct str name)
{
    const struct view_index *index = view->index;
    uint64_t hash = name_hash(name);
    for (uint32_t at = (uint32_t)hash & index->mask; index->by_name[at].slot != 0;
         at = (at + 1) & index->mask) {
        const struct meta_topic *topic = view->slots->at[index->by_name[at].slot - 1];
        if (index->by_name[at].tag == (uint32_t)(hash >> 32) && names_collide(topic->name, name))
            return topic;
    }
    return NULL;
}

const struct meta_topic *
meta_view_topic_by_id(const struct meta_view *pub, const struct uuid *id)
{
    const struct view *view = view_of(pub);
    const struct view_index *index = view->index;
    uint64_t hash = id_hash(id);
    for (uint32_t at = (uint32_t)hash & index->mask; index->by_id[at].slot != 0;
         at = (at + 1) & index->mask) {
        if (index->by_id[at].tag != (uint32_t)(hash >> 32))
            continue;
        const struct meta_topic *topic = view->slots->at[index->by_id[at].slot - 1];
        if (ox_uuid_eq(&topic->id, id))
            return topic;
    }
    return NULL;
}

const struct meta_topic *
meta_view_topic_at(const struct meta_view *pub, uint32_t rank)
{
    const struct view *view = view_of(pub);
    ox_assert(rank < view->index->count);
    return view->slots->at[view->index->order[rank]];
}

uint32_t
meta_view_topic_rank(const struct meta_view *pub, struct str name)
{
    const struct view *view = view_of(pub);
    return order_rank(view->slots, view->index, name);
}

const struct meta_broker *
meta_view_broker(const struct meta_view *view, int32_t node_id)
{
    for (uint32_t i = 0; i < view->broker_count; i++)
        if (view->brokers[i]->node_id == node_id)
            return view->brokers[i];
    return NULL;
}

static int
config_cmp(const struct meta_config_set *set, int resource, struct str name)
{
    if (set->resource != resource)
        return set->resource < resource ? -1 : 1;
    return ox_str_cmp(set->name, name);
}

/* Where the resource's set is, or would be. */
static uint32_t
config_rank(const struct meta_view *view, int resource, struct str name)
{
    uint32_t low = 0, high = view->config_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (config_cmp(view->configs[mid], resource, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct meta_config_set *
meta_view_config(const struct meta_view *view, int resource, struct str name)
{
    if (resource == META_RESOURCE_TOPIC) {
        const struct meta_topic *topic = meta_view_topic(view, name);
        return topic != NULL ? topic->own : NULL;
    }
    uint32_t rank = config_rank(view, resource, name);
    if (rank < view->config_count && config_cmp(view->configs[rank], resource, name) == 0)
        return view->configs[rank];
    return NULL;
}

const struct meta_listener *
meta_broker_listener(const struct meta_broker *broker, struct str name)
{
    for (uint32_t i = 0; i < broker->listener_count; i++)
        if (ox_str_eq(broker->listeners[i].name, name))
            return &broker->listeners[i];
    return NULL;
}

/* ---- Life of views ------------------------------------------------------- */

struct view_chain *
meta_view_chain_new(void)
{
    struct view_chain *chain = ox_calloc(1, sizeof(*chain));
    ox_lock_init(&chain->lock, LOCK_META_VIEW);
    atomic_store(&chain->refs, 1);
    ox_list_init(&chain->views);
    return chain;
}

static void
retired_free(struct retired *retired)
{
    for (size_t i = 0; i < retired->count; i++)
        ox_free(retired->at[i]);
    ox_free(retired->at);
    *retired = (struct retired){NULL, 0, 0};
}

static void
chain_unref(struct view_chain *chain)
{
    if (atomic_fetch_sub(&chain->refs, 1) != 1)
        return;
    ox_lock_fini(&chain->lock);
    ox_free(chain);
}

/* Views that nobody holds, from the oldest on: invariant 3. */
static void
chain_reap(struct view_chain *chain)
{
    struct list dead;
    ox_list_init(&dead);
    ox_lock(&chain->lock);
    while (!ox_list_empty(&chain->views)) {
        struct view *oldest = ox_container_of(chain->views.next, struct view, link);
        if (atomic_load(&oldest->refs) != 0)
            break;
        ox_list_remove(&oldest->link);
        ox_list_push(&dead, &oldest->link);
    }
    ox_unlock(&chain->lock);
    ox_list_each(node, &dead) {
        struct view *view = ox_container_of(node, struct view, link);
        retired_free(&view->retired);
        ox_free(view);
        chain_unref(chain);
    }
}

static void
view_unref(struct view *view)
{
    struct view_chain *chain = view->chain;
    struct view_slots *slots = view->slots;
    struct view_index *index = view->index;
    atomic_fetch_add(&chain->refs, 1);
    if (atomic_fetch_sub(&view->refs, 1) == 1) {
        /* The shell may wait for older views; its tables need not. From here on
         * another thread may reap the shell: only what was read above is used. */
        slots_put(slots);
        index_put(index);
        chain_reap(chain);
    }
    chain_unref(chain);
}

const struct meta_view *
meta_view_get(struct meta *meta)
{
    struct view_chain *chain = meta->chain;
    ox_lock(&chain->lock);
    struct view *view = chain->current;
    atomic_fetch_add(&view->refs, 1);
    ox_unlock(&chain->lock);
    return &view->pub;
}

const struct meta_view *
meta_view_hold(const struct meta_view *view)
{
    atomic_fetch_add(&view_of(view)->refs, 1);
    return view;
}

void
meta_view_put(const struct meta_view *view)
{
    if (view != NULL)
        view_unref(view_of(view));
}

void
meta_view_chain_put(struct view_chain *chain)
{
    if (chain == NULL)
        return;
    struct view *current = chain->current;
    chain->current = NULL;
    if (current != NULL)
        view_unref(current);
    chain_unref(chain);
}

struct view *
meta_view_publish(struct view_chain *chain, struct image *image)
{
    struct view *view = ox_malloc(sizeof(*view));
    struct view *before = chain->current;
    image->view.pub.generation++;
    *view = image->view;
    atomic_init(&view->refs, 1);
    atomic_fetch_add(&view->slots->refs, 1);
    atomic_fetch_add(&view->index->refs, 1);
    view->chain = chain;
    atomic_fetch_add(&chain->refs, 1);
    view->retired = (struct retired){NULL, 0, 0};
    ox_lock(&chain->lock);
    if (before != NULL) {
        before->retired = image->retired;
        image->retired = (struct retired){NULL, 0, 0};
    }
    ox_list_push(&chain->views, &view->link);
    chain->current = view;
    ox_unlock(&chain->lock);
    if (before != NULL)
        view_unref(before);
    else
        retired_free(&image->retired); /* nobody ever saw them */
    image->changed = false;
    return view;
}

/* ---- The image ----------------------------------------------------------- */

void
meta_image_retire(struct image *image, const void *ptr)
{
    struct retired *retired = &image->retired;
    if (ptr == NULL)
        return;
    if (retired->count == retired->cap) {
        retired->cap = retired->cap ? retired->cap * 2 : 16;
        retired->at = ox_realloc(retired->at, ox_size_mul(retired->cap, sizeof(void *)));
    }
    retired->at[retired->count++] = (void *)(uintptr_t)ptr;
    image->changed = true;
}

static void
retire_settings(struct image *image)
{
    meta_image_retire(image, image->view.pub.settings);
    meta_image_retire(image, image->view.pub.topic_default);
}

static void
make_settings(struct image *image)
{
    struct view *view = &image->view;
    view->pub.settings = meta_settings_server_new(view);
    view->pub.topic_default = meta_settings_topic_new(view, NULL);
}

static void
image_begin(struct image *image)
{
    image->view.slots = slots_new(16);
    image->view.index = index_new(16);
    image->view.pub.controller_id = -1;
    image->view.pub.cluster_id = OX_STR("");
    image->view.pub.security = meta_security_new(&(struct meta_security){0});
    image->oid_next = 16384; /* PostgreSQL's first for user objects */
    make_settings(image);
}

void
meta_image_init(struct image *image, const struct statics *statics, int32_t node_id)
{
    memset(image, 0, sizeof(*image));
    image->view.pub.node_id = node_id;
    image->view.statics = statics;
    image_begin(image);
}

static void
retire_topic(struct image *image, const struct meta_topic *topic, bool partitions)
{
    for (uint32_t i = 0; partitions && i < topic->partition_count; i++)
        meta_image_retire(image, topic->partitions[i]);
    if (topic->config != image->view.pub.topic_default)
        meta_image_retire(image, topic->config);
    meta_image_retire(image, topic);
}

static void
retire_all(struct image *image)
{
    struct meta_view *pub = &image->view.pub;
    for (uint32_t i = 0; i < image->view.slots->count; i++) {
        const struct meta_topic *topic = image->view.slots->at[i];
        if (topic == NULL)
            continue;
        meta_image_retire(image, topic->own);
        retire_topic(image, topic, true);
    }
    for (uint32_t i = 0; i < pub->broker_count; i++)
        meta_image_retire(image, pub->brokers[i]);
    for (uint32_t i = 0; i < pub->config_count; i++)
        meta_image_retire(image, pub->configs[i]);
    meta_image_retire(image, pub->brokers);
    meta_image_retire(image, pub->configs);
    meta_image_retire(image, pub->security);
    retire_settings(image);
    if (pub->cluster_id.len > 0)
        meta_image_retire(image, pub->cluster_id.ptr);
    slots_put(image->view.slots);
    index_put(image->view.index);
}

void
meta_image_reset(struct image *image)
{
    uint64_t generation = image->view.pub.generation;
    int32_t node_id = image->view.pub.node_id;
    const struct statics *statics = image->view.statics;
    retire_all(image);
    memset(&image->view, 0, sizeof(image->view));
    image->view.pub.generation = generation;
    image->view.pub.node_id = node_id;
    image->view.statics = statics;
    image_begin(image);
    image->changed = true;
}

/* Views may still show the objects: they go with the last one. */
void
meta_image_fini(struct image *image, struct view_chain *chain)
{
    if (image->view.slots == NULL)
        return;
    retire_all(image);
    meta_image_retire(image, image->view.statics);
    image->view.slots = NULL;
    if (chain == NULL || chain->current == NULL) {
        retired_free(&image->retired);
        return;
    }
    ox_lock(&chain->lock);
    ox_assert(chain->current->retired.count == 0);
    chain->current->retired = image->retired;
    ox_unlock(&chain->lock);
}

/* ---- Objects ------------------------------------------------------------- */

/* Bytes for one object with what it points to behind it. */
struct packer {
    char *base, *at; /* base NULL: only counting */
};

static void *
pack(struct packer *packer, const void *from, size_t len)
{
    char *to = packer->at;
    packer->at += (len + 7) & ~(size_t)7;
    if (packer->base != NULL && len > 0)
        memcpy(to, from, len);
    return to;
}

static struct str
pack_str(struct packer *packer, struct str s)
{
    if (s.ptr == NULL)
        return OX_STR_NULL;
    char *to = packer->at;
    packer->at += (s.len + 8) & ~(size_t)7;
    if (packer->base != NULL) {
        memcpy(to, s.ptr, s.len);
        to[s.len] = 0;
    }
    return ox_str_n(to, s.len);
}

static void
pack_partition(struct packer *packer, const struct meta_partition *from)
{
    struct meta_partition *part = pack(packer, from, sizeof(*from));
    const int32_t *replicas = pack(packer, from->replicas, from->replica_count * sizeof(int32_t));
    const int32_t *isr = pack(packer, from->isr, from->isr_count * sizeof(int32_t));
    const struct uuid *directories = pack(packer, from->directories,
        from->replica_count * sizeof(struct uuid));
    if (packer->base == NULL)
        return;
    part->replicas = replicas;
    part->isr = isr;
    part->directories = directories;
}

const struct meta_partition *
meta_image_partition_new(const struct meta_partition *from)
{
    struct packer packer = {NULL, NULL};
    pack_partition(&packer, from);
    packer.base = ox_malloc((size_t)(uintptr_t)packer.at);
    packer.at = packer.base;
    pack_partition(&packer, from);
    return (void *)packer.base;
}

static void
pack_config(struct packer *packer, int resource, struct str name,
    const struct meta_config_item *items, uint32_t count)
{
    struct meta_config_set head = {.resource = (int8_t)resource, .count = count};
    struct meta_config_set *set = pack(packer, &head, sizeof(head));
    struct meta_config_item *copies = pack(packer, items, count * sizeof(*items));
    struct str set_name = pack_str(packer, name);
    if (packer->base != NULL) {
        set->name = set_name;
        set->items = copies;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct str item_name = pack_str(packer, items[i].name);
        struct str value = pack_str(packer, items[i].value);
        if (packer->base != NULL) {
            copies[i].name = item_name;
            copies[i].value = value;
            if (items[i].listener.ptr != NULL)
                copies[i].listener.ptr =
                    item_name.ptr + (items[i].listener.ptr - items[i].name.ptr);
        }
    }
}

const struct meta_config_set *
meta_image_config_new(int resource, struct str name, const struct meta_config_item *items,
    uint32_t count)
{
    struct packer packer = {NULL, NULL};
    if (count == 0)
        return NULL;
    pack_config(&packer, resource, name, items, count);
    packer.base = ox_malloc((size_t)(uintptr_t)packer.at);
    packer.at = packer.base;
    pack_config(&packer, resource, name, items, count);
    return (void *)packer.base;
}

static void
pack_topic(struct packer *packer, const struct image_topic *from)
{
    struct meta_topic head = {.id = from->id, .oid = from->oid,
        .internal = meta_topic_is_internal(from->name), .created_ms = from->created_ms,
        .created_index = from->created_index, .changed_index = from->changed_index,
        .partition_count = from->partition_count, .own = from->own};
    struct meta_topic *topic = pack(packer, &head, sizeof(head));
    const void *partitions = pack(packer, from->partitions,
        from->partition_count * sizeof(*from->partitions));
    struct str name = pack_str(packer, from->name);
    struct str owner = pack_str(packer, from->owner);
    struct str comment = pack_str(packer, from->comment);
    if (packer->base == NULL)
        return;
    topic->partitions = partitions;
    topic->name = name;
    topic->owner = owner;
    topic->comment = comment;
}

static const struct meta_topic *
topic_new(struct image *image, const struct image_topic *from)
{
    struct packer packer = {NULL, NULL};
    struct view *view = &image->view;
    pack_topic(&packer, from);
    packer.base = ox_malloc((size_t)(uintptr_t)packer.at);
    packer.at = packer.base;
    pack_topic(&packer, from);
    struct meta_topic *topic = (void *)packer.base;
    topic->config = from->own == NULL
        ? view->pub.topic_default
        : meta_settings_topic_new(view, from->own);
    return topic;
}

struct image_topic
meta_image_topic_of(const struct meta_topic *topic)
{
    return (struct image_topic){.name = topic->name, .id = topic->id, .oid = topic->oid,
        .created_ms = topic->created_ms, .owner = topic->owner, .comment = topic->comment,
        .created_index = topic->created_index, .changed_index = topic->changed_index,
        .partition_count = topic->partition_count, .partitions = topic->partitions,
        .own = topic->own};
}

/* ---- Changing the set of topics ------------------------------------------ */

/* Invariant 2: the image's own slots, with room for one more if asked. */
static struct view_slots *
own_slots(struct image *image, bool more)
{
    struct view_slots *slots = image->view.slots;
    bool full = more && slots->count == slots->cap;
    if (atomic_load(&slots->refs) == 1 && !full)
        return slots;
    struct view_slots *copy = slots_new(full ? slots->cap * 2 : slots->cap);
    copy->count = slots->count;
    memcpy(copy->at, slots->at, slots->count * sizeof(slots->at[0]));
    slots_put(slots);
    return image->view.slots = copy;
}

static void
index_fill(struct view_index *to, const struct view_index *from, const struct view_slots *slots)
{
    to->count = from->count;
    memcpy(to->order, from->order, from->count * sizeof(*from->order));
    if (to->mask == from->mask) {
        memcpy(to->by_name, from->by_name, (from->mask + 1) * sizeof(*from->by_name));
        memcpy(to->by_id, from->by_id, (from->mask + 1) * sizeof(*from->by_id));
        return;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        const struct meta_topic *topic = slots->at[from->order[i]];
        cells_add(to->by_name, to->mask, name_hash(topic->name), from->order[i]);
        cells_add(to->by_id, to->mask, id_hash(&topic->id), from->order[i]);
    }
}

static struct view_index *
own_index(struct image *image, bool more)
{
    struct view_index *index = image->view.index;
    bool full = more && index->count == index->cap;
    if (atomic_load(&index->refs) == 1 && !full)
        return index;
    struct view_index *copy = index_new(full ? index->cap * 2 : index->cap);
    index_fill(copy, index, image->view.slots);
    index_put(index);
    return image->view.index = copy;
}

static uint32_t
free_slot(struct view_slots *slots, uint32_t live)
{
    if (live < slots->count)
        for (uint32_t i = 0; i < slots->count; i++)
            if (slots->at[i] == NULL)
                return i;
    return slots->count++;
}

void
meta_image_topic_add(struct image *image, const struct image_topic *from)
{
    struct view_slots *slots = own_slots(image, true);
    struct view_index *index = own_index(image, true);
    const struct meta_topic *topic = topic_new(image, from);
    uint32_t slot = free_slot(slots, index->count);
    uint32_t rank = order_rank(slots, index, topic->name);
    slots->at[slot] = topic;
    memmove(index->order + rank + 1, index->order + rank,
        (index->count - rank) * sizeof(*index->order));
    index->order[rank] = slot;
    index->count++;
    cells_add(index->by_name, index->mask, name_hash(topic->name), slot);
    cells_add(index->by_id, index->mask, id_hash(&topic->id), slot);
    image->view.pub.topic_count++;
    image->view.pub.partition_count += topic->partition_count;
    image->changed = true;
}

void
meta_image_topic_replace(struct image *image, const struct meta_topic *old,
    const struct image_topic *from)
{
    uint32_t slot;
    const struct meta_topic *found = find_by_name(&image->view, old->name, &slot);
    ox_assert(found == old);
    const struct meta_topic *topic = topic_new(image, from);
    if (old->own != from->own)
        meta_image_retire(image, old->own);
    image->view.pub.partition_count += topic->partition_count - old->partition_count;
    retire_topic(image, old, false);
    own_slots(image, false)->at[slot] = topic;
    image->changed = true;
}

/* Linear probing without tombstones: what follows moves up. */
static void
cells_remove(struct view_cell *cells, uint32_t mask, uint64_t hash, uint32_t slot,
    const struct view_slots *slots, bool by_id)
{
    uint32_t hole = (uint32_t)hash & mask;
    while (cells[hole].slot != slot + 1)
        hole = (hole + 1) & mask;
    for (uint32_t at = (hole + 1) & mask; cells[at].slot != 0; at = (at + 1) & mask) {
        const struct meta_topic *topic = slots->at[cells[at].slot - 1];
        uint32_t home = (uint32_t)(by_id ? id_hash(&topic->id) : name_hash(topic->name)) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            cells[hole] = cells[at];
            hole = at;
        }
    }
    cells[hole] = (struct view_cell){0, 0};
}

void
meta_image_topic_remove(struct image *image, const struct meta_topic *topic)
{
    uint32_t slot;
    const struct meta_topic *found = find_by_name(&image->view, topic->name, &slot);
    ox_assert(found == topic);
    struct view_slots *slots = own_slots(image, false);
    struct view_index *index = own_index(image, false);
    uint32_t rank = order_rank(slots, index, topic->name);
    ox_assert(index->order[rank] == slot);
    cells_remove(index->by_name, index->mask, name_hash(topic->name), slot, slots, false);
    cells_remove(index->by_id, index->mask, id_hash(&topic->id), slot, slots, true);
    memmove(index->order + rank, index->order + rank + 1,
        (index->count - rank - 1) * sizeof(*index->order));
    index->count--;
    slots->at[slot] = NULL;
    image->view.pub.topic_count--;
    image->view.pub.partition_count -= topic->partition_count;
    meta_image_retire(image, topic->own);
    retire_topic(image, topic, true);
}

/* ---- Brokers and configs ------------------------------------------------- */

static void
pack_broker(struct packer *packer, const struct meta_broker *from)
{
    struct meta_broker *broker = pack(packer, from, sizeof(*from));
    struct meta_listener *listeners = pack(packer, from->listeners,
        from->listener_count * sizeof(*from->listeners));
    struct str rack = pack_str(packer, from->rack);
    if (packer->base != NULL) {
        broker->listeners = listeners;
        broker->rack = rack;
    }
    for (uint32_t i = 0; i < from->listener_count; i++) {
        struct str name = pack_str(packer, from->listeners[i].name);
        struct str host = pack_str(packer, from->listeners[i].host);
        if (packer->base != NULL) {
            listeners[i].name = name;
            listeners[i].host = host;
        }
    }
}

void
meta_image_broker_put(struct image *image, const struct meta_broker *from)
{
    struct meta_view *pub = &image->view.pub;
    struct packer packer = {NULL, NULL};
    pack_broker(&packer, from);
    packer.base = ox_malloc((size_t)(uintptr_t)packer.at);
    packer.at = packer.base;
    pack_broker(&packer, from);
    const struct meta_broker **brokers = ox_calloc(pub->broker_count + 1, sizeof(*brokers));
    uint32_t count = 0, i = 0;
    while (i < pub->broker_count && pub->brokers[i]->node_id < from->node_id)
        brokers[count++] = pub->brokers[i++];
    brokers[count++] = (void *)packer.base;
    if (i < pub->broker_count && pub->brokers[i]->node_id == from->node_id)
        meta_image_retire(image, pub->brokers[i++]);
    while (i < pub->broker_count)
        brokers[count++] = pub->brokers[i++];
    meta_image_retire(image, pub->brokers);
    pub->brokers = brokers;
    pub->broker_count = count;
    image->changed = true;
}

/* Settings of the server give topics their defaults: all are worked out anew. */
static void
refresh_topics(struct image *image)
{
    struct view_slots *slots = own_slots(image, false);
    const struct topic_config *old_default = image->view.pub.topic_default;
    retire_settings(image);
    make_settings(image);
    for (uint32_t i = 0; i < slots->count; i++) {
        const struct meta_topic *old = slots->at[i];
        if (old == NULL)
            continue;
        struct image_topic from = meta_image_topic_of(old);
        slots->at[i] = topic_new(image, &from);
        if (old->config != old_default)
            meta_image_retire(image, old->config);
        meta_image_retire(image, old);
    }
}

void
meta_image_config_put(struct image *image, int resource, struct str name,
    const struct meta_config_set *set)
{
    struct meta_view *pub = &image->view.pub;
    uint32_t rank = config_rank(pub, resource, name);
    bool there = rank < pub->config_count && config_cmp(pub->configs[rank], resource, name) == 0;
    const struct meta_config_set **configs = ox_calloc(pub->config_count + 1, sizeof(*configs));
    uint32_t count = 0;
    for (uint32_t i = 0; i < rank; i++)
        configs[count++] = pub->configs[i];
    if (set != NULL)
        configs[count++] = set;
    for (uint32_t i = rank + there; i < pub->config_count; i++)
        configs[count++] = pub->configs[i];
    if (there)
        meta_image_retire(image, pub->configs[rank]);
    meta_image_retire(image, pub->configs);
    pub->configs = configs;
    pub->config_count = count;
    image->changed = true;
    if (resource == META_RESOURCE_BROKER)
        refresh_topics(image);
}

void
meta_image_set_statics(struct image *image, const struct statics *statics)
{
    meta_image_retire(image, image->view.statics);
    image->view.statics = statics;
    refresh_topics(image);
    image->changed = true;
}

/* ---- What would be ------------------------------------------------------- */

static void
free_settings(void *settings)
{
    ox_free(settings);
}

static const struct meta_view *
preview(struct view *view, struct arena *arena)
{
    struct server_config *settings = meta_settings_server_new(view);
    view->pub.settings = settings;
    ox_arena_on_free(arena, free_settings, settings);
    return &view->pub;
}

static struct view *
preview_of(const struct meta_view *pub, struct arena *arena)
{
    static const struct statics none;
    struct view *view = ox_arena_alloc0(arena, sizeof(*view));
    view->statics = &none;
    if (pub == NULL)
        return view;
    const struct view *from = ox_container_of((struct meta_view *)(uintptr_t)pub, struct view, pub);
    view->statics = from->statics;
    view->pub.node_id = pub->node_id;
    view->pub.brokers = pub->brokers;
    view->pub.broker_count = pub->broker_count;
    view->pub.configs = pub->configs;
    view->pub.config_count = pub->config_count;
    return view;
}

const struct meta_view *
meta_view_if_static(const struct meta_view *pub, const struct meta_setting *settings,
    size_t count, struct arena *arena)
{
    struct view *view = preview_of(pub, arena);
    const struct statics *file = meta_settings_statics_new(settings, count);
    if (pub != NULL) {
        const struct statics *merged = meta_settings_statics_merge(view->statics, file);
        ox_free((void *)(uintptr_t)file);
        file = merged;
    }
    view->statics = file;
    ox_arena_on_free(arena, free_settings, (void *)(uintptr_t)file);
    return preview(view, arena);
}

ox_code
meta_view_if_changed(const struct meta_view *pub, struct str name, bool replace,
    const struct meta_config_change *changes, uint32_t count, struct arena *arena,
    const struct meta_view **out, struct ox_err *err)
{
    struct view *view = preview_of(pub, arena);
    struct meta_config_set *set = ox_arena_new(arena, struct meta_config_set);
    struct meta_config_item *items;
    *set = (struct meta_config_set){.resource = META_RESOURCE_BROKER, .name = name};
    ox_code code = meta_validate_config_changes(meta_view_config(pub, META_RESOURCE_BROKER, name),
        META_RESOURCE_BROKER, replace, changes, count, arena, &items, &set->count, err);
    if (code != OX_OK)
        return code;
    set->items = items;
    const struct meta_config_set **configs =
        ox_arena_array(arena, const struct meta_config_set *, pub->config_count + 1);
    uint32_t rank = config_rank(pub, META_RESOURCE_BROKER, name), used = 0;
    for (uint32_t i = 0; i < rank; i++)
        configs[used++] = pub->configs[i];
    configs[used++] = set;
    for (uint32_t i = rank; i < pub->config_count; i++)
        if (config_cmp(pub->configs[i], META_RESOURCE_BROKER, name) != 0)
            configs[used++] = pub->configs[i];
    view->pub.configs = configs;
    view->pub.config_count = used;
    *out = preview(view, arena);
    return OX_OK;
}
