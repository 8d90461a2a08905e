/* SPDX-License-Identifier: Apache-2.0
 *
 * Aggregate functions: how a state starts, takes rows, merges and ends. The
 * operator owns the states (state_size bytes each, 16-byte aligned, zeroed
 * by init) and the arena they may grow in; nothing needs freeing. FILTER, DISTINCT and ORDER
 * BY inside the call are the operator's work: it feeds what remains, in order. */
#ifndef EXEC_AGG_H
#define EXEC_AGG_H

#include "exec/expr.h"

struct agg_call {
    const struct func *func;  /* func->agg is the agg_func */
    const struct type *types; /* of the arguments */
    uint32_t nargs;
    struct type type;    /* of the result */
    struct eval *eval;   /* format, arena for results of final */
    struct arena *arena; /* of the states: life of the group table */
    bool descending;     /* ordered-set aggregates: WITHIN GROUP (ORDER BY x DESC) */
};

struct agg_func {
    size_t state_size;
    void (*init)(struct agg_call *call, void *state);
    /* Row sel[k] goes to states[k]. Ordered-set aggregates: direct arguments first, then the
     * ordered one. Strict ones skip rows with a null themselves. */
    ox_code (*step)(struct agg_call *call, void *const *states, const struct vector *args,
        const uint32_t *sel, uint32_t n, struct ox_err *err);
    /* All rows to one state: the fast path without GROUP BY. NULL: use step. */
    ox_code (*step_one)(struct agg_call *call, void *state, const struct vector *args,
        const uint32_t *sel, uint32_t n, struct ox_err *err);
    /* into += from (of the same call, maybe from another arena: copies). */
    ox_code (*combine)(struct agg_call *call, void *into, const void *from, struct ox_err *err);
    /* The result, in call->eval->arena. Leaves the state usable (window frames go on). */
    ox_code (*final)(
        struct agg_call *call, const void *state, struct datum *out, struct ox_err *err);
    /* Bytes of a state for a spill file, and back (the state was init'ed). */
    void (*save)(struct agg_call *call, const void *state, struct wire_out *out);
    ox_code (*load)(struct agg_call *call, void *state, struct wire_in *in, struct ox_err *err);
    bool ordered_set;
};

/* step or step_one for a state that takes all rows. */
ox_code agg_step_one(struct agg_call *call, void *state, const struct vector *args,
    const uint32_t *sel, uint32_t n, struct ox_err *err);

#endif
