/* SPDX-License-Identifier: Apache-2.0
 *
 * What a test cannot go on without. */
#ifndef REGRESS_MUST_H
#define REGRESS_MUST_H

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

static inline void
must(ox_code code, const struct ox_err *err, const char *what)
{
    if (code == OX_OK)
        return;
    printf("Bail out! %s: %s\n", what, err->message);
    exit(1);
}

#endif
