/* Names that are made, changed and removed: directories, renames, removals, links. By the rules of `preload.c`. */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Directories: what is found in one that the run made came from the run */

static int made_directory(int done, Name at)
{
    if (done == 0 && ml_on()) {
        int saved = errno;
        TAKE(event);
        if (event && ml_absolute(&event->path, at.directory, at.name))
            ml_tell('k', ml_now(), &event->path, NULL);
        ml_release(event);
        errno = saved;
    }
    return done;
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    return made_directory(REAL(mkdir)(name, mode), (Name){AT_FDCWD, name});
}
EXPORT int mkdirat(int directory, const char *name, mode_t mode)
{
    return made_directory(REAL(mkdirat)(directory, name, mode), (Name){directory, name});
}
EXPORT char *mkdtemp(char *name)
{
    char *made = REAL(mkdtemp)(name);
    made_directory(made ? 0 : -1, (Name){AT_FDCWD, made});
    return made;
}

/* Names that change */

typedef enum { UNTOLD, TOLD, DIRECTORY } Loss;

/* A file loses its name: where this process has read it and not written it, what is in it is an input of the run. */
static Loss before_loss(Event *event, Name of)
{
    struct stat found = {0};
    if (fstatat(of.directory, of.name, &found, AT_SYMLINK_NOFOLLOW) && errno == EFAULT)
        return UNTOLD;
    if (!ml_absolute(&event->path, of.directory, of.name))
        return UNTOLD;
    uint64_t hash = event->path.hash;
    bool is_directory = S_ISDIR(found.st_mode);
    event->at = ml_now();
    event->letter = 'd';
    if (ml_known('r', hash) && !ml_known('w', hash) && !ml_known('u', hash) && S_ISREG(found.st_mode) &&
        !ml_is_copied_never(&event->path) && !fstatat(of.directory, of.name, &found, 0))
        ml_link(event->kept, &event->path, &found);
    return is_directory ? DIRECTORY : TOLD;
}

static void tell_loss(Event *event, bool is_done, bool is_directory)
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
    ml_tell('d', event->at, &event->path, is_directory ? "/" : NULL);
}

#define REMOVE(of_directory, of_name, call)                                                                        \
    do {                                                                                                               \
        if (!ml_on())                                                                                                  \
            return call;                                                                                               \
        TAKE(event);                                                                                                   \
        if (event == NULL)                                                                                             \
            return call;                                                                                               \
        int saved = errno;                                                                                             \
        bool is_directory = before_loss(event, (Name){of_directory, of_name}) == DIRECTORY;                            \
        errno = saved;                                                                                                 \
        int done = call;                                                                                               \
        saved = errno;                                                                                                 \
        tell_loss(event, done == 0, is_directory);                                                                     \
        ml_release(event);                                                                                             \
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
static void tell_rename(Event *event, bool has_target, Name from, unsigned flags)
{
    TAKE(other);
    if (other == NULL)
        return;
    Path *source = &other->path;
    ml_moved(false); /* the working directory may have another name now */
    bool has_source = ml_absolute(source, from.directory, from.name);
    if (has_source)
        ml_forget(source->hash);
    if (has_target)
        ml_forget(event->path.hash);
    if (has_source && has_target) {
        tell_pair(event, source, flags);
    } else if (has_target) {
        ml_remember('w', event->path.hash);
        ml_tell('w', event->at, &event->path, NULL);
    } else if (has_source) {
        ml_tell('d', ml_now(), source, NULL);
    }
    ml_release(other);
}

#define RENAME(from, to, flags, call)                                                                                  \
    do {                                                                                                               \
        if (!ml_on())                                                                                                  \
            return call;                                                                                               \
        TAKE(event);                                                                                                   \
        if (event == NULL)                                                                                             \
            return call;                                                                                               \
        int saved = errno;                                                                                             \
        bool has_target = before_loss(event, to) != UNTOLD;                                                            \
        errno = saved;                                                                                                 \
        int done = call;                                                                                               \
        saved = errno;                                                                                                 \
        if (done == 0)                                                                                                 \
            tell_rename(event, has_target, from, flags);                                                               \
        else if (event->letter)                                                                                        \
            ml_drop(event->kept);                                                                                      \
        ml_release(event);                                                                                             \
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
        TAKE(event);
        if (event && ml_absolute(&event->path, at.directory, at.name)) {
            ml_forget(event->path.hash);
            ml_tell('l', ml_now(), &event->path, target);
        }
        ml_release(event);
        errno = saved;
    }
    return done;
}

static int linked_hard(int done, Name from, Name to)
{
    if (done == 0 && ml_on()) {
        TAKE(source);
        bool is_told = source && ml_absolute(&source->path, from.directory, from.name);
        linked(done, to, is_told ? source->path.text : "");
        ml_release(source);
    }
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
