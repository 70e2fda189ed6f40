/* Programs that are about to be started: which of them cannot be watched is told, and those that could not even start
 * with this library in them (of another architecture, of musl, built with a sanitizer) are started without it.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <alloca.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wnonnull-compare" /* programs do hand over NULL, and get EFAULT */

#define HEAD 1024
#define PROGRAM_ROOM 1024
#define MOST_NEEDED 12

extern char **environ;
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

typedef char *const *Words;

typedef struct {
    const char *why; /* it cannot be watched; NULL if it can */
    bool refuses;    /* it would complain of the library, or not start: it must not be given it */
    bool is_there;
} Program;

static long open_at(const char *name)
{
    return syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
}

/* Does the program bring a sanitizer, which insists on being loaded first? */
static bool is_sanitized(int fd, const ElfW(Phdr) *dynamic, const ElfW(Phdr) *loads, int count)
{
    ElfW(Dyn) entries[48];
    ssize_t size = pread(fd, entries, sizeof entries, (off_t)dynamic->p_offset);
    ElfW(Addr) strings = 0;
    int number = size > 0 ? (int)((size_t)size / sizeof entries[0]) : 0;
    for (int at = 0; at < number && entries[at].d_tag != DT_NULL; at++)
        if (entries[at].d_tag == DT_STRTAB)
            strings = entries[at].d_un.d_ptr;
    for (int at = 0; strings && at < count; at++)
        if (loads[at].p_type == PT_LOAD && strings >= loads[at].p_vaddr &&
            strings - loads[at].p_vaddr < loads[at].p_filesz) {
            off_t offset = (off_t)(strings - loads[at].p_vaddr + loads[at].p_offset);
            int seen = 0;
            for (int one = 0; one < number && entries[one].d_tag != DT_NULL && seen < MOST_NEEDED; one++) {
                char name[24] = "";
                if (entries[one].d_tag != DT_NEEDED)
                    continue;
                seen++;
                if (pread(fd, name, sizeof name - 1, offset + (off_t)entries[one].d_un.d_val) > 0 &&
                    (!strncmp(name, "libasan.", 8) || !strncmp(name, "libtsan.", 8) || !strncmp(name, "libclang_rt.", 12)))
                    return true;
            }
        }
    return false;
}

/* Programs of Go ask the system without the C library, also where they are linked to it. */
static bool is_go(int fd, const ElfW(Phdr) *note)
{
    char head[16];
    return pread(fd, head, sizeof head, (off_t)note->p_offset) == sizeof head && !memcmp(head, "\4\0\0\0", 4) &&
           !memcmp(head + 12, "Go\0\0", 4);
}

static void examine_elf(Program *program, int fd, const char *head, ssize_t size)
{
    const ElfW(Ehdr) *elf = (const void *)head;
    if ((size_t)size < sizeof *elf || elf->e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        elf->e_machine != __ehdr_start.e_machine) {
        program->why = "other architecture";
        program->refuses = true;
        return;
    }
    const ElfW(Phdr) *headers = (const void *)(head + elf->e_phoff), *dynamic = NULL, *interpreter = NULL;
    if (elf->e_phentsize != sizeof *headers || elf->e_phoff > (size_t)size ||
        elf->e_phnum > ((size_t)size - elf->e_phoff) / sizeof *headers || elf->e_phoff % sizeof(void *))
        return;
    for (int at = 0; at < elf->e_phnum; at++)
        if (headers[at].p_type == PT_INTERP)
            interpreter = &headers[at];
        else if (headers[at].p_type == PT_DYNAMIC)
            dynamic = &headers[at];
        else if (headers[at].p_type == PT_NOTE && is_go(fd, &headers[at]))
            program->why = "Go";
    if (interpreter == NULL) {
        program->why = "static";
        return;
    }
    char loader[64] = "";
    if (pread(fd, loader, sizeof loader - 1, (off_t)interpreter->p_offset) > 0 && strstr(loader, "musl")) {
        program->why = "another C library";
        program->refuses = true;
    } else if (dynamic && is_sanitized(fd, dynamic, headers, elf->e_phnum)) {
        program->why = "a sanitizer";
        program->refuses = true;
    }
}

/* Does the kernel make the loader careful with it, so that it passes by LD_PRELOAD? */
static bool is_privileged(int fd, const struct stat *found)
{
    if ((found->st_mode & S_ISUID && found->st_uid != getuid()) ||
        ((found->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && found->st_gid != getgid()))
        return true;
    return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* The switch that keeps our hook out of a Python, in the words before its script. */
static const char *isolating(Words words)
{
    for (; *words && (*words)[0] == '-' && (*words)[1] && (*words)[1] != '-'; words++)
        for (const char *at = *words + 1; *at; at++) {
            if (*at == 'I' || *at == 'E' || *at == 'S')
                return *at == 'I' ? "-I" : *at == 'E' ? "-E" : "-S";
            if (*at == 'c' || *at == 'm')
                return NULL;
            if (*at == 'W' || *at == 'X' || *at == 'Q') {
                words += at[1] == 0 && words[1] != NULL;
                break;
            }
        }
    return NULL;
}

static bool is_python(const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    return !strncmp(name, "python", 6) || !strncmp(name, "pypy", 4);
}

/* A script's first line: its interpreter, and the one argument that it may have. */
static bool interpreter_of(char *head, char **interpreter, char **argument)
{
    head[strcspn(head, "\n")] = 0;
    *interpreter = head + 2 + strspn(head + 2, " \t");
    char *end = *interpreter + strcspn(*interpreter, " \t");
    *argument = *end ? end + 1 + strspn(end + 1, " \t") : NULL;
    *end = 0;
    return **interpreter == '/';
}

static __attribute__((noinline)) void tell_once(char letter, const char *file, const char *why)
{
    Path path;
    if (!ml_absolute(&path, AT_FDCWD, file))
        return;
    uint64_t hash = path.hash ^ ml_hash(why, strlen(why));
    if (ml_known(letter, hash))
        return;
    ml_remember(letter, hash);
    ml_tell(letter, ml_now(), &path, why);
}

static __attribute__((noinline)) Program examine(const char *file, bool is_script_allowed)
{
    Program program = {NULL, false, false};
    union {
        char text[HEAD];
        ElfW(Ehdr) aligned;
    } head;
    struct stat found;
    int fd = (int)open_at(file);
    if (fd < 0)
        return program;
    ssize_t size = fstat(fd, &found) || !S_ISREG(found.st_mode) ? -1 : pread(fd, head.text, HEAD - 1, 0);
    if (size > 4) {
        program.is_there = true;
        head.text[size] = 0;
        if (!memcmp(head.text, "#!", 2) && is_script_allowed) {
            char *interpreter, *argument;
            close(fd);
            if (interpreter_of(head.text, &interpreter, &argument)) {
                program = examine(interpreter, false);
                char *words[] = {argument, NULL};
                if (argument && is_python(interpreter) && isolating(words))
                    tell_once('i', file, isolating(words));
            }
            program.is_there = true;
            return program;
        }
        if (!memcmp(head.text, ELFMAG, SELFMAG)) {
            if (is_privileged(fd, &found))
                program.why = "set-uid";
            else
                examine_elf(&program, fd, head.text, size);
        }
    }
    close(fd);
    return program;
}

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

/* Look at a program before it is started. True: it must be started without us. */
static bool look(const char *file, Words words, Words environment)
{
    const char *slash = strrchr(file, '/');
    if (slash && !strncmp(slash, "/ldconfig", 9)) /* static, asked by many for nothing but a list */
        return false;
    Program program = examine(file, true);
    if (!program.is_there)
        return false;
    if (program.why)
        tell_once('x', file, program.why);
    else if (!carries_us(environment))
        tell_once('x', file, "environment");
    if (is_python(file) && words && words[0]) {
        const char *option = isolating(words + 1);
        if (option)
            tell_once('i', file, option);
        else if (!carries_hook(environment))
            tell_once('i', file, "environment");
    }
    return program.refuses && carries_us(environment);
}

/* Where a name without a slash is found, as execvp does it. */
static const char *find(const char *name, char *room)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') || *name == 0)
        return name;
    for (path = path ? path : "/bin:/usr/bin"; path; path = strchr(path, ':') ? strchr(path, ':') + 1 : NULL) {
        int size = (int)strcspn(path, ":");
        if (snprintf(room, PROGRAM_ROOM, "%.*s%s%s", size, path, size ? "/" : "./", name) < PROGRAM_ROOM && !access(room, X_OK))
            return room;
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
#define ENVIRONMENT_FOR(file, words, environment)                                                                      \
    do {                                                                                                               \
        int saved = errno;                                                                                             \
        if (ml_on() && file && look(file, words, environment) && count_of(environment) < MOST_VARIABLES) {             \
            char **fewer = alloca((count_of(environment) + 1) * sizeof *fewer);                                        \
            char *room = alloca(strlen(value_of(environment, "LD_PRELOAD")) + 16);                                     \
            leave(fewer, room, environment);                                                                           \
            environment = fewer;                                                                                       \
        }                                                                                                              \
        errno = saved;                                                                                                 \
    } while (0)

EXPORT int execve(const char *file, char *const words[], char *const environment[])
{
    ENVIRONMENT_FOR(file, words, environment);
    return REAL(execve)(file, words, environment);
}

EXPORT int execv(const char *file, char *const words[]) { return execve(file, words, environ); }

EXPORT int fexecve(int fd, char *const words[], char *const environment[])
{
    char place[32];
    const char *file = place;
    snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
    ENVIRONMENT_FOR(file, words, environment);
    return REAL(fexecve)(fd, words, environment);
}

EXPORT int execvpe(const char *name, char *const words[], char *const environment[])
{
    char room[PROGRAM_ROOM];
    const char *file = ml_on() && name ? find(name, room) : NULL;
    ENVIRONMENT_FOR(file, words, environment);
    return REAL(execvpe)(name, words, environment);
}

EXPORT int execvp(const char *name, char *const words[]) { return execvpe(name, words, environ); }

EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict file, const posix_spawn_file_actions_t *restrict actions,
                       const posix_spawnattr_t *restrict attributes, char *const words[restrict],
                       char *const environment[restrict])
{
    ENVIRONMENT_FOR(file, words, environment);
    return REAL(posix_spawn)(pid, file, actions, attributes, words, environment);
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict name, const posix_spawn_file_actions_t *restrict actions,
                        const posix_spawnattr_t *restrict attributes, char *const words[restrict],
                        char *const environment[restrict])
{
    char room[PROGRAM_ROOM];
    const char *file = ml_on() && name ? find(name, room) : NULL;
    ENVIRONMENT_FOR(file, words, environment);
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
