/* The preloaded library: it stands before the functions of the C library that open, write, rename and remove files (these
 * in `preload_names.c`), and tells of them in the journal. Programs see nothing of it. Built with mltrack where there is a compiler; it is no module
 * of Python's.
 *
 * Reads are told once they succeeded; what a write does to a file is looked at before it, for then it can still be seen,
 * and told afterwards, with the time from before.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef open
#error "built for 64-bit file offsets by macro: the names would be others"
#endif

/* Opening */

static void before_write(Event *event, int directory, const char *name, bool empties)
{
    struct stat found;
    event->letter = 0;
    bool exists = !fstatat(directory, name, &found, 0);
    if ((!exists && errno == EFAULT) || (exists && !S_ISREG(found.st_mode)) || !ml_absolute(&event->path, directory, name))
        return;
    uint64_t hash = event->path.hash;
    bool is_ours = ml_known('w', hash), was_read = ml_known('r', hash), was_changed = ml_known('u', hash);
    event->is_named = true;
    event->at = ml_now();
    event->letter = exists && !empties ? 'u' : 'w';
    if (exists && (is_ours || (event->letter == 'u' && was_changed))) {
        event->letter = 0; /* told already */
        return;
    }
    if (exists && !was_changed && (was_read || event->letter == 'u') && !ml_is_copied_never(&event->path))
        ml_copy(event->kept, &event->path, &found);
}

static void tell_write(Event *event)
{
    ml_remember(event->letter, event->path.hash);
    if (event->kept[0])
        ml_tell('b', event->at, &event->path, event->kept);
    ml_tell(event->letter, event->at, &event->path, NULL);
}

/* `fd`: what was opened, -1 for a directory. Who clears a directory away opens it as a file; a device is no data. */
static void tell_read(Event *event, char letter, int directory, const char *name, int fd)
{
    struct stat found;
    if (!ml_absolute(&event->path, directory, name) || ml_known(letter, event->path.hash))
        return;
    if (letter == 'r' && !fstat(fd, &found) && !S_ISREG(found.st_mode)) {
        if (!S_ISDIR(found.st_mode) || ml_known('s', event->path.hash))
            return;
        letter = 's';
    }
    ml_remember(letter, event->path.hash);
    ml_tell(letter, ml_now(), &event->path, NULL);
}

static void before_open(Event *event, int directory, const char *name, int flags)
{
    if (flags & O_PATH || (flags & O_TMPFILE) == O_TMPFILE)
        return;
    int saved = errno;
    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & (O_CREAT | O_TRUNC)))
        event->letter = flags & O_DIRECTORY ? 's' : 'r';
    else if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC) && !faccessat(directory, name, F_OK, 0))
        event->letter = 'r';
    else
        before_write(event, directory, name, flags & O_TRUNC);
    errno = saved;
}

static int after_open(Event *event, int directory, const char *name, int fd)
{
    int saved = errno;
    if (event->letter && event->is_named && fd >= 0)
        tell_write(event);
    else if (event->letter && event->is_named)
        ml_drop(event->kept);
    else if (event->letter && fd >= 0)
        tell_read(event, event->letter, directory, name, fd);
    ml_release(event);
    errno = saved;
    return fd;
}

static mode_t mode_of(int flags, va_list more)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPEN(directory, name, flags, call)                                                                             \
    do {                                                                                                               \
        if (!ml_on())                                                                                                  \
            return call;                                                                                               \
        TAKE(event);                                                                                                   \
        if (event == NULL)                                                                                             \
            return call;                                                                                               \
        before_open(event, directory, name, flags);                                                                    \
        return after_open(event, directory, name, call);                                                               \
    } while (0)

#define DEFINE_OPEN(function)                                                                                          \
    EXPORT int function(const char *name, int flags, ...)                                                              \
    {                                                                                                                  \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = mode_of(flags, more);                                                                            \
        va_end(more);                                                                                                  \
        OPEN(AT_FDCWD, name, flags, REAL(function)(name, flags, mode));                                                \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(function)                                                                                        \
    EXPORT int function(int directory, const char *name, int flags, ...)                                               \
    {                                                                                                                  \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = mode_of(flags, more);                                                                            \
        va_end(more);                                                                                                  \
        OPEN(directory, name, flags, REAL(function)(directory, name, flags, mode));                                    \
    }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

#define DEFINE_CREAT(function)                                                                                         \
    EXPORT int function(const char *name, mode_t mode)                                                                 \
    {                                                                                                                  \
        OPEN(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, REAL(function)(name, mode));                                \
    }
DEFINE_CREAT(creat)
DEFINE_CREAT(creat64)

/* What programs call that were compiled with _FORTIFY_SOURCE. */
int __open_2(const char *name, int flags);
int __open64_2(const char *name, int flags);
int __openat_2(int directory, const char *name, int flags);
int __openat64_2(int directory, const char *name, int flags);
EXPORT int __open_2(const char *name, int flags) { OPEN(AT_FDCWD, name, flags, REAL(__open_2)(name, flags)); }
EXPORT int __open64_2(const char *name, int flags) { OPEN(AT_FDCWD, name, flags, REAL(__open64_2)(name, flags)); }
EXPORT int __openat_2(int directory, const char *name, int flags)
{
    OPEN(directory, name, flags, REAL(__openat_2)(directory, name, flags));
}
EXPORT int __openat64_2(int directory, const char *name, int flags)
{
    OPEN(directory, name, flags, REAL(__openat64_2)(directory, name, flags));
}

/* The flags that a mode of fopen stands for; -1 for what is none. */
static int flags_of(const char *mode)
{
    if (mode == NULL)
        return -1;
    int flags = mode[0] == 'r'   ? O_RDONLY
                : mode[0] == 'w' ? O_WRONLY | O_CREAT | O_TRUNC
                : mode[0] == 'a' ? O_WRONLY | O_CREAT | O_APPEND
                                 : -1;
    for (const char *at = mode; flags >= 0 && *at && *at != ','; at++)
        if (*at == '+')
            flags = (flags & ~O_ACCMODE) | O_RDWR;
    return flags;
}

#define FOPEN(name, mode, call)                                                                                        \
    do {                                                                                                               \
        int flags = ml_on() && name ? flags_of(mode) : -1;                                                             \
        if (flags < 0)                                                                                                 \
            return call;                                                                                               \
        TAKE(event);                                                                                                   \
        if (event == NULL)                                                                                             \
            return call;                                                                                               \
        before_open(event, AT_FDCWD, name, flags);                                                                     \
        FILE *opened = call;                                                                                           \
        after_open(event, AT_FDCWD, name, opened ? fileno(opened) : -1);                                               \
        return opened;                                                                                                 \
    } while (0)

#define DEFINE_FOPEN(function)                                                                                         \
    EXPORT FILE *function(const char *restrict name, const char *restrict mode)                                        \
    {                                                                                                                  \
        FOPEN(name, mode, REAL(function)(name, mode));                                                                 \
    }
DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

#define DEFINE_FREOPEN(function)                                                                                       \
    EXPORT FILE *function(const char *restrict name, const char *restrict mode, FILE *restrict file)                   \
    {                                                                                                                  \
        FOPEN(name, mode, REAL(function)(name, mode, file));                                                           \
    }
DEFINE_FREOPEN(freopen)
DEFINE_FREOPEN(freopen64)

EXPORT DIR *opendir(const char *name)
{
    DIR *found = REAL(opendir)(name);
    if (found && ml_on()) {
        int saved = errno;
        TAKE(event);
        if (event)
            tell_read(event, 's', AT_FDCWD, name, -1);
        ml_release(event);
        errno = saved;
    }
    return found;
}

#define DEFINE_TRUNCATE(function, type)                                                                                \
    EXPORT int function(const char *name, type length)                                                                 \
    {                                                                                                                  \
        OPEN(AT_FDCWD, name, O_WRONLY, REAL(function)(name, length));                                                  \
    }
DEFINE_TRUNCATE(truncate, off_t)
DEFINE_TRUNCATE(truncate64, off64_t)


/* Temporary names */

static int made(int fd, const char *name)
{
    if (fd >= 0 && ml_on()) {
        int saved = errno;
        TAKE(event);
        if (event && ml_absolute(&event->path, AT_FDCWD, name)) {
            ml_remember('w', event->path.hash);
            ml_tell('w', ml_now(), &event->path, NULL);
        }
        ml_release(event);
        errno = saved;
    }
    return fd;
}

EXPORT int mkstemp(char *name) { return made(REAL(mkstemp)(name), name); }
EXPORT int mkstemp64(char *name) { return made(REAL(mkstemp64)(name), name); }
EXPORT int mkostemp(char *name, int flags) { return made(REAL(mkostemp)(name, flags), name); }
EXPORT int mkostemp64(char *name, int flags) { return made(REAL(mkostemp64)(name, flags), name); }
EXPORT int mkstemps(char *name, int end) { return made(REAL(mkstemps)(name, end), name); }
EXPORT int mkstemps64(char *name, int end) { return made(REAL(mkstemps64)(name, end), name); }
EXPORT int mkostemps(char *name, int end, int flags) { return made(REAL(mkostemps)(name, end, flags), name); }
EXPORT int mkostemps64(char *name, int end, int flags) { return made(REAL(mkostemps64)(name, end, flags), name); }

