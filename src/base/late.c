/* SPDX-License-Identifier: Apache-2.0 */
#include "base/late.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/check.h"

/* Held while a library is loaded: a few milliseconds, once. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static ox_code
load(struct late_library *library, struct ox_err *err)
{
    void *handle = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL);
    if (handle == NULL)
        return ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "a library is missing: %s", dlerror());
    for (size_t i = 0; i < library->count; i++) {
        void *symbol = dlsym(handle, library->symbols[i].name);
        if (symbol == NULL) {
            ox_fail(err, OX_FEATURE_NOT_SUPPORTED, "library %s has no \"%s\"", library->file,
                library->symbols[i].name);
            dlclose(handle);
            return OX_FEATURE_NOT_SUPPORTED;
        }
        memcpy(library->symbols[i].at, &symbol, sizeof(symbol));
    }
    atomic_store_explicit(&library->handle, handle, memory_order_release);
    return OX_OK;
}

ox_code
ox_late_load(struct late_library *library, struct ox_err *err)
{
    ox_code code = OX_OK;
    if (ox_likely(atomic_load_explicit(&library->handle, memory_order_acquire) != NULL))
        return OX_OK;
    pthread_mutex_lock(&loading);
    if (atomic_load(&library->handle) == NULL)
        code = load(library, err);
    pthread_mutex_unlock(&loading);
    return code;
}
