/* The preloaded library: it stands before the functions of the C library that open, write, rename and remove files, and
 * tells of them in the journal. Programs see nothing of it. Built with mltrack where there is a compiler; it is no module
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
#include <fts.h>
#include <ftw.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifdef open
#error "built for 64-bit file offsets by macro: the names would be others"
#endif

typedef struct {
    char letter; /* what is to be told if the call succeeds; 0 for nothing */
    bool is_named; /* `path` is made */
    Kept kept;
    int64_t at;
    Path path;
} Event;

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
        ml_copy(event->kept, &event->path, &found, was_read);
}

static void tell_write(Event *event)
{
    ml_remember(event->letter, event->path.hash);
    if (event->kept[0])
        ml_tell('b', event->at, &event->path, event->kept);
    ml_tell(event->letter, event->at, &event->path, NULL);
}

static void tell_read(Event *event, char letter, int directory, const char *name)
{
    if (!ml_absolute(&event->path, directory, name) || ml_known(letter, event->path.hash))
        return;
    ml_remember(letter, event->path.hash);
    ml_tell(letter, ml_now(), &event->path, NULL);
}

static void before_open(Event *event, int directory, const char *name, int flags)
{
    event->letter = 0;
    event->is_named = false;
    event->kept[0] = 0;
    if (!ml_on() || flags & O_PATH || (flags & O_TMPFILE) == O_TMPFILE)
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
    if (!event->letter)
        return fd;
    int saved = errno;
    if (event->is_named && fd >= 0)
        tell_write(event);
    else if (event->is_named)
        ml_drop(event->kept);
    else if (fd >= 0)
        tell_read(event, event->letter, directory, name);
    errno = saved;
    return fd;
}

static mode_t mode_of(int flags, va_list more)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPEN(directory, name, flags, call)                                                                             \
    do {                                                                                                               \
        Event event;                                                                                                   \
        before_open(&event, directory, name, flags);                                                                   \
        return after_open(&event, directory, name, call);                                                              \
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

static void before_fopen(Event *event, const char *name, const char *mode)
{
    int flags = name ? flags_of(mode) : -1;
    event->letter = 0;
    if (flags >= 0)
        before_open(event, AT_FDCWD, name, flags);
}

static FILE *after_fopen(Event *event, const char *name, FILE *file)
{
    if (event->letter)
        after_open(event, AT_FDCWD, name, file ? fileno(file) : -1);
    return file;
}

#define DEFINE_FOPEN(function)                                                                                         \
    EXPORT FILE *function(const char *restrict name, const char *restrict mode)                                        \
    {                                                                                                                  \
        Event event;                                                                                                   \
        before_fopen(&event, name, mode);                                                                              \
        return after_fopen(&event, name, REAL(function)(name, mode));                                                  \
    }
DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

#define DEFINE_FREOPEN(function)                                                                                       \
    EXPORT FILE *function(const char *restrict name, const char *restrict mode, FILE *restrict file)                   \
    {                                                                                                                  \
        Event event;                                                                                                   \
        before_fopen(&event, name, mode);                                                                              \
        return after_fopen(&event, name, REAL(function)(name, mode, file));                                            \
    }
DEFINE_FREOPEN(freopen)
DEFINE_FREOPEN(freopen64)

EXPORT DIR *opendir(const char *name)
{
    DIR *found = REAL(opendir)(name);
    if (found && ml_on()) {
        int saved = errno;
        Event event;
        tell_read(&event, 's', AT_FDCWD, name);
        errno = saved;
    }
    return found;
}

/* Temporary names */

static int made(int fd, const char *name)
{
    if (fd >= 0 && ml_on()) {
        int saved = errno;
        Path path;
        if (ml_absolute(&path, AT_FDCWD, name)) {
            ml_remember('w', path.hash);
            ml_tell('w', ml_now(), &path, NULL);
        }
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

/* Names that change */

typedef struct {
    int directory;
    const char *name;
} Name;

/* A file loses its name: where this process has read it and not written it, what is in it is an input of the run. */
static bool before_loss(Event *event, Name of)
{
    struct stat found = {0};
    event->letter = 0;
    event->kept[0] = 0;
    if (fstatat(of.directory, of.name, &found, AT_SYMLINK_NOFOLLOW) && errno == EFAULT)
        return false;
    if (!ml_absolute(&event->path, of.directory, of.name))
        return false;
    uint64_t hash = event->path.hash;
    event->at = ml_now();
    event->letter = 'd';
    if (ml_known('r', hash) && !ml_known('w', hash) && !ml_known('u', hash) && S_ISREG(found.st_mode) &&
        !ml_is_copied_never(&event->path) && !fstatat(of.directory, of.name, &found, 0))
        ml_link(event->kept, &event->path);
    return true;
}

static void tell_loss(Event *event, bool is_done)
{
    if (!event->letter)
        return;
    if (!is_done) {
        ml_drop(event->kept);
        return;
    }
    ml_forget(event->path.hash);
    if (event->kept[0])
        ml_tell('b', event->at, &event->path, event->kept);
    ml_tell('d', event->at, &event->path, NULL);
}

#define REMOVE(of_directory, of_name, call)                                                                            \
    do {                                                                                                               \
        if (!ml_on())                                                                                                  \
            return call;                                                                                               \
        int saved = errno;                                                                                             \
        Event event;                                                                                                   \
        before_loss(&event, (Name){of_directory, of_name});                                                            \
        errno = saved;                                                                                                 \
        int done = call;                                                                                               \
        saved = errno;                                                                                                 \
        tell_loss(&event, done == 0);                                                                                  \
        errno = saved;                                                                                                 \
        return done;                                                                                                   \
    } while (0)

EXPORT int unlink(const char *name) { REMOVE(AT_FDCWD, name, REAL(unlink)(name)); }
EXPORT int remove(const char *name) { REMOVE(AT_FDCWD, name, REAL(remove)(name)); }
EXPORT int rmdir(const char *name) { REMOVE(AT_FDCWD, name, REAL(rmdir)(name)); }
EXPORT int unlinkat(int directory, const char *name, int flags)
{
    REMOVE(directory, name, REAL(unlinkat)(directory, name, flags));
}

static void tell_pair(Event *event, Path *source, unsigned flags)
{
    if (flags & RENAME_EXCHANGE) { /* both are there before and after: both are changed */
        ml_tell('u', event->at, source, NULL);
        ml_tell('u', event->at, &event->path, NULL);
        return;
    }
    if (event->kept[0])
        ml_tell('b', event->at, &event->path, event->kept);
    ml_tell('m', event->at, source, event->path.text);
    ml_remember('w', event->path.hash);
}

/* Where only one of the two names is told of, a file appears or goes. */
static __attribute__((noinline)) void tell_rename(Event *event, bool has_target, Name from, unsigned flags)
{
    Path source;
    bool has_source = ml_absolute(&source, from.directory, from.name);
    if (has_source)
        ml_forget(source.hash);
    if (has_target)
        ml_forget(event->path.hash);
    if (has_source && has_target) {
        tell_pair(event, &source, flags);
    } else if (has_target) {
        ml_remember('w', event->path.hash);
        ml_tell('w', event->at, &event->path, NULL);
    } else if (has_source) {
        ml_tell('d', ml_now(), &source, NULL);
    }
}

#define RENAME(from, to, flags, call)                                                                                  \
    do {                                                                                                               \
        if (!ml_on())                                                                                                  \
            return call;                                                                                               \
        int saved = errno;                                                                                             \
        Event event;                                                                                                   \
        bool has_target = before_loss(&event, to);                                                                     \
        errno = saved;                                                                                                 \
        int done = call;                                                                                               \
        saved = errno;                                                                                                 \
        if (done == 0)                                                                                                 \
            tell_rename(&event, has_target, from, flags);                                                              \
        else if (event.letter)                                                                                         \
            ml_drop(event.kept);                                                                                       \
        errno = saved;                                                                                                 \
        return done;                                                                                                   \
    } while (0)

EXPORT int rename(const char *from, const char *to)
{
    RENAME(((Name){AT_FDCWD, from}), ((Name){AT_FDCWD, to}), 0, REAL(rename)(from, to));
}
EXPORT int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    RENAME(((Name){from_directory, from}), ((Name){to_directory, to}), 0,
           REAL(renameat)(from_directory, from, to_directory, to));
}
EXPORT int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags)
{
    RENAME(((Name){from_directory, from}), ((Name){to_directory, to}), flags,
           REAL(renameat2)(from_directory, from, to_directory, to, flags));
}

static int linked(int done, Name at, const char *target)
{
    if (done == 0 && ml_on()) {
        int saved = errno;
        Path path;
        if (ml_absolute(&path, at.directory, at.name)) {
            ml_forget(path.hash);
            ml_tell('l', ml_now(), &path, target);
        }
        errno = saved;
    }
    return done;
}

static int linked_hard(int done, Name from, Name to)
{
    Path source;
    if (done == 0 && ml_on())
        return linked(done, to, ml_absolute(&source, from.directory, from.name) ? source.text : "");
    return done;
}

EXPORT int link(const char *from, const char *to)
{
    return linked_hard(REAL(link)(from, to), (Name){AT_FDCWD, from}, (Name){AT_FDCWD, to});
}
EXPORT int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags)
{
    return linked_hard(REAL(linkat)(from_directory, from, to_directory, to, flags), (Name){from_directory, from},
                       (Name){to_directory, to});
}
EXPORT int symlink(const char *target, const char *name)
{
    return linked(REAL(symlink)(target, name), (Name){AT_FDCWD, name}, target);
}
EXPORT int symlinkat(const char *target, int directory, const char *name)
{
    return linked(REAL(symlinkat)(target, directory, name), (Name){directory, name}, target);
}

#define DEFINE_TRUNCATE(function, type)                                                                                \
    EXPORT int function(const char *name, type length)                                                                 \
    {                                                                                                                  \
        OPEN(AT_FDCWD, name, O_WRONLY, REAL(function)(name, length));                                                  \
    }
DEFINE_TRUNCATE(truncate, off_t)
DEFINE_TRUNCATE(truncate64, off64_t)

/* What a process may do that we could not go on in */

EXPORT int prctl(int option, ...)
{
    va_list more;
    va_start(more, option);
    unsigned long a = va_arg(more, unsigned long), b = va_arg(more, unsigned long), c = va_arg(more, unsigned long),
                  d = va_arg(more, unsigned long);
    va_end(more);
    if (option == PR_SET_SECCOMP && ml_on()) { /* a call that it forbids would kill the program */
        int saved = errno;
        ml_stop("seccomp");
        errno = saved;
    }
    return REAL(prctl)(option, a, b, c, d);
}

EXPORT int chroot(const char *name)
{
    int done = REAL(chroot)(name);
    if (done == 0 && ml_on())
        ml_stop("chroot");
    return done;
}

/* Where the working directory changes, or may */

#define MOVE(hidden, call)                                                                                             \
    do {                                                                                                               \
        ml_moved(hidden);                                                                                              \
        int done = call;                                                                                               \
        ml_moved(hidden);                                                                                              \
        return done;                                                                                                   \
    } while (0)

EXPORT int chdir(const char *name) { MOVE(false, REAL(chdir)(name)); }
EXPORT int fchdir(int directory) { MOVE(false, REAL(fchdir)(directory)); }
EXPORT int daemon(int stays, int speaks) { MOVE(false, REAL(daemon)(stays, speaks)); }
EXPORT int unshare(int flags) { MOVE(true, REAL(unshare)(flags)); }
EXPORT int nftw(const char *top, __nftw_func_t visit, int most, int flags)
{
    MOVE(true, REAL(nftw)(top, visit, most, flags));
}
EXPORT int nftw64(const char *top, __nftw64_func_t visit, int most, int flags)
{
    MOVE(true, REAL(nftw64)(top, visit, most, flags));
}
EXPORT FTS *fts_open(char *const *tops, int flags, int (*compare)(const FTSENT **, const FTSENT **))
{
    ml_moved(true);
    return REAL(fts_open)(tops, flags, compare);
}
EXPORT FTS64 *fts64_open(char *const *tops, int flags, int (*compare)(const FTSENT64 **, const FTSENT64 **))
{
    ml_moved(true);
    return REAL(fts64_open)(tops, flags, compare);
}
