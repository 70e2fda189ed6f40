/* The preloaded library in a process: its start, its forks and its end; and the functions that it stands before. */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ML_TEXT(name) #name,
static const char *const names[] = {ML_NAMES(ML_TEXT)};
static void *reals[ML_COUNT];
static const char *library = "";

const char *ml_library(void) { return library; }

void *ml_real(int number, const char *name)
{
    void *found = __atomic_load_n(&reals[number], __ATOMIC_RELAXED);
    if (LIKELY(found != NULL))
        return found;
    found = dlsym(RTLD_NEXT, name);
    __atomic_store_n(&reals[number], found, __ATOMIC_RELAXED);
    return found;
}

/* In the environment this process is named as one that is watched, so that the hook leaves its files to us. The text
 * is changed where it stands, if it is there: a new one would be memory that the program did not ask for. */
static void name_process(void)
{
    char digits[24], padded[] = "0000000000", *there = getenv("MLTRACK_WATCHED");
    size_t count = ml_number(digits, (uint64_t)ml_process());
    memcpy(padded + 10 - count, digits, count);
    if (there && strlen(there) == 10)
        memcpy(there, padded, 10);
    else
        setenv("MLTRACK_WATCHED", padded, 1);
}

static int tell_object(struct dl_phdr_info *object, size_t size, void *unused)
{
    static const char *const systems[] = {"/usr/lib", "/lib", "/usr/local/lib", NULL};
    const char *name = object->dlpi_name;
    (void)size, (void)unused;
    if (name == NULL || name[0] != '/' || !strcmp(name, library))
        return 0;
    for (const char *const *top = systems; *top; top++)
        if (!strncmp(name, *top, strlen(*top)))
            return 0;
    TAKE(event);
    if (event && ml_absolute(&event->path, AT_FDCWD, name) && !ml_known('r', event->path.hash)) {
        ml_remember('r', event->path.hash);
        ml_tell('r', ml_now(), &event->path, NULL);
    }
    ml_release(event);
    return 0;
}

/* The loader's own opens pass by everybody: what it loaded is looked up at the start and at the end. */
static void tell_loaded(void)
{
    int saved = errno;
    dl_iterate_phdr(tell_object, NULL);
    errno = saved;
}

static void after_fork(void)
{
    ml_begin_process();
    ml_release_all();
}

static __attribute__((constructor)) void start(void)
{
    int saved = errno;
    for (int number = 0; number < ML_COUNT; number++)
        ml_real(number, names[number]);
    Dl_info own;
    if (ml_on() && dladdr((void *)names, &own) && own.dli_fname) {
        library = own.dli_fname;
        ml_begin_process();
        pthread_atfork(NULL, NULL, after_fork);
        char program[PATH_MAX];
        ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
        program[size > 0 ? size : 0] = 0;
        name_process();
        ml_tell_text('p', program, NULL);
        tell_loaded();
    }
    errno = saved;
}

static __attribute__((destructor)) void end(void)
{
    if (ml_on())
        tell_loaded();
}
