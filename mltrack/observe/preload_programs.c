/* Programs that are about to be started: which of them cannot be watched is told, and those that could not even start
 * with this library in them, or would complain of it, are started without it.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <alloca.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wnonnull-compare" /* programs do hand over NULL, and get EFAULT */

extern char **environ;

static const char *value_of(Words environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment && *environment; environment++)
        if (!strncmp(*environment, name, length) && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static bool carries_us(Words environment)
{
    const char *preload = value_of(environment, "LD_PRELOAD");
    return preload && strstr(preload, ml_library()) && value_of(environment, "MLTRACK_OBSERVE");
}

static bool carries_hook(Words environment)
{
    const char *path = value_of(environment, "PYTHONPATH"), *ours = getenv("PYTHONPATH");
    if (ours == NULL || strstr(ours, "/inside") == NULL)
        return true;
    return path && strstr(path, "/inside");
}

/* Does it start others in another root, where the loader would not find us and say so on their stderr? */
static bool is_starter(const char *name)
{
    static const char *const starters[] = {"singularity", "apptainer", "bwrap", "proot", "systemd-nspawn", "enroot",
                                           "ch-run", "schroot", "udocker", NULL};
    for (const char *const *starter = starters; *starter; starter++)
        if (!strcmp(name, *starter))
            return true;
    return false;
}

/* Look at a program before it is started. True: it must be started without us. */
static bool look(const char *file, Words words, Words environment)
{
    const char *slash = strrchr(file, '/');
    if (slash && !strncmp(slash, "/ldconfig", 9)) /* static, asked by many for nothing but a list */
        return false;
    Program program = ml_examine(file, true);
    if (!program.is_there)
        return false;
    if (program.why)
        ml_tell_once('x', file, program.why);
    else if (!carries_us(environment))
        ml_tell_once('x', file, "environment");
    else if (ml_has_other_rights() || is_starter(slash ? slash + 1 : file)) {
        ml_tell_once('x', file, ml_has_other_rights() ? "another user's rights" : "another root");
        program.refuses = true;
    }
    if (ml_is_python(file) && words && words[0]) {
        const char *option = ml_isolating(words + 1);
        if (option)
            ml_tell_once('i', file, option);
        else if (!carries_hook(environment))
            ml_tell_once('i', file, "environment");
    }
    return program.refuses && carries_us(environment);
}

/* Where a name without a slash is found, as execvp does it. */
static const char *find(const char *name, Path *room)
{
    const char *path = getenv("PATH");
    size_t length = strlen(name);
    if (strchr(name, '/') || *name == 0)
        return name;
    for (path = path ? path : "/bin:/usr/bin"; path; path = strchr(path, ':') ? strchr(path, ':') + 1 : NULL) {
        size_t size = strcspn(path, ":");
        if (size + length + 3 > sizeof room->text)
            continue;
        char *end = size ? mempcpy(room->text, path, size) : stpcpy(room->text, ".");
        *end++ = '/';
        memcpy(end, name, length + 1);
        if (!access(room->text, X_OK))
            return room->text;
    }
    return name;
}

static size_t count_of(Words words)
{
    size_t count = 0;
    while (words && words[count])
        count++;
    return count;
}

/* Copy LD_PRELOAD=... without our own entry; false if no other is in it. */
static bool without_own(char *target, const char *entry)
{
    const char *own = ml_library();
    size_t used = strlen("LD_PRELOAD=");
    memcpy(target, "LD_PRELOAD=", used + 1);
    bool has_others = false;
    for (entry += used; *entry; entry += strspn(entry, ": ")) {
        size_t size = strcspn(entry, ": ");
        if (size != strlen(own) || strncmp(entry, own, size)) {
            if (has_others)
                target[used++] = ':';
            memcpy(target + used, entry, size);
            used += size;
            has_others = true;
        }
        entry += size;
    }
    target[used] = 0;
    return has_others;
}

static void leave(char **target, char *room, Words environment)
{
    for (; *environment; environment++)
        if (strncmp(*environment, "LD_PRELOAD=", 11))
            *target++ = *environment;
        else if (without_own(room, *environment))
            *target++ = room;
    *target = NULL;
}

#define MOST_VARIABLES 4000

/* Must a program be started without us? `is_searched`: its name is looked for in PATH. */
static bool must_leave(const char *name, Words words, Words environment, bool is_searched)
{
    int saved = errno;
    bool must = false;
    if (name && ml_on()) {
        TAKE(event);
        if (event)
            must = look(is_searched ? find(name, &event->path) : name, words, environment);
        ml_release(event);
    } else if (name && ml_is_elsewhere() && *ml_library()) {
        must = carries_us(environment);
    }
    errno = saved;
    return must && count_of(environment) < MOST_VARIABLES;
}

#define ENVIRONMENT_FOR(name, words, environment, is_searched)                                                         \
    do {                                                                                                               \
        if (must_leave(name, words, environment, is_searched)) {                                                       \
            char **fewer = alloca((count_of(environment) + 1) * sizeof *fewer);                                        \
            char *room = alloca(strlen(value_of(environment, "LD_PRELOAD")) + 16);                                     \
            leave(fewer, room, environment);                                                                           \
            environment = fewer;                                                                                       \
        }                                                                                                              \
    } while (0)

EXPORT int execve(const char *file, char *const words[], char *const environment[])
{
    ENVIRONMENT_FOR(file, words, environment, false);
    return REAL(execve)(file, words, environment);
}

EXPORT int execv(const char *file, char *const words[]) { return execve(file, words, environ); }

EXPORT int fexecve(int fd, char *const words[], char *const environment[])
{
    char place[PLACE_ROOM];
    ml_place_of(place, fd);
    const char *file = place;
    ENVIRONMENT_FOR(file, words, environment, false);
    return REAL(fexecve)(fd, words, environment);
}

EXPORT int execvpe(const char *name, char *const words[], char *const environment[])
{
    ENVIRONMENT_FOR(name, words, environment, true);
    return REAL(execvpe)(name, words, environment);
}

EXPORT int execvp(const char *name, char *const words[]) { return execvpe(name, words, environ); }

EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict file, const posix_spawn_file_actions_t *restrict actions,
                       const posix_spawnattr_t *restrict attributes, char *const words[restrict],
                       char *const environment[restrict])
{
    ENVIRONMENT_FOR(file, words, environment, false);
    return REAL(posix_spawn)(pid, file, actions, attributes, words, environment);
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict name, const posix_spawn_file_actions_t *restrict actions,
                        const posix_spawnattr_t *restrict attributes, char *const words[restrict],
                        char *const environment[restrict])
{
    ENVIRONMENT_FOR(name, words, environment, true);
    return REAL(posix_spawnp)(pid, name, actions, attributes, words, environment);
}

/* The forms with a list of words, as the array that the others take. */
#define WORDS(first, more, count, words)                                                                               \
    va_list more;                                                                                                      \
    size_t count = 1;                                                                                                  \
    va_start(more, first);                                                                                             \
    while (va_arg(more, char *))                                                                                       \
        count++;                                                                                                       \
    va_end(more);                                                                                                      \
    char *words[count + 1];                                                                                            \
    va_start(more, first);                                                                                             \
    words[0] = (char *)first;                                                                                          \
    for (size_t at = 1; at <= count; at++)                                                                             \
        words[at] = va_arg(more, char *)

EXPORT int execl(const char *file, const char *first, ...)
{
    WORDS(first, more, count, words);
    va_end(more);
    return execve(file, words, environ);
}

EXPORT int execlp(const char *name, const char *first, ...)
{
    WORDS(first, more, count, words);
    va_end(more);
    return execvpe(name, words, environ);
}

EXPORT int execle(const char *file, const char *first, ...)
{
    WORDS(first, more, count, words);
    char *const *environment = va_arg(more, char *const *);
    va_end(more);
    return execve(file, words, environment);
}
