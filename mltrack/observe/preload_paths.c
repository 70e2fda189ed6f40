/* The paths in the journal: absolute, without dots, from names as programs give them; and the room to make them in. */
#define _GNU_SOURCE
#include "preload.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Room */

#define EVENTS 64

static Event events[EVENTS];

/* A caller may be a signal handler on a stack of 8 KiB, or interrupt one that has a room: each takes one that is free.
 * NULL where none is. */
Event *ml_take(void)
{
    int here = 0;
    size_t first = (uintptr_t)&here >> 20; /* of a thread mostly the same */
    for (size_t at = 0; at < EVENTS; at++) {
        Event *event = &events[(first + at) % EVENTS];
        int free = 0;
        if (__atomic_compare_exchange_n(&event->is_taken, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            ml_empty(event);
            return event;
        }
    }
    return NULL;
}

void ml_empty(Event *event)
{
    event->letter = 0;
    event->is_named = false;
    event->kept[0] = 0;
}

void ml_release(Event *event)
{
    if (event && event >= events && event < events + EVENTS)
        __atomic_store_n(&event->is_taken, 0, __ATOMIC_RELEASE);
}

/* In a forked child: the threads that had the others are not there. */
void ml_release_all(void)
{
    for (size_t at = 0; at < EVENTS; at++)
        ml_release(&events[at]);
}

/* Is this the small stack of a signal handler, on which nothing large may be put? */
bool ml_is_cramped(void)
{
    stack_t stack = {.ss_flags = 0};
    return !syscall(SYS_sigaltstack, NULL, &stack) && stack.ss_flags & SS_ONSTACK;
}

/* Text; without the functions of stdio, which need a kilobyte or two of stack. */

size_t ml_number(char *text, uint64_t value)
{
    char digits[24];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t at = 0; at < count; at++)
        text[at] = digits[count - 1 - at];
    text[count] = 0;
    return count;
}

/* What the kernel shows a descriptor as. */
void ml_place_of(char *place, int fd)
{
    ml_number(stpcpy(place, "/proc/self/fd/"), (uint64_t)(fd < 0 ? 0 : fd));
    if (fd < 0)
        place[0] = 0;
}

uint64_t ml_hash(const char *text, size_t length)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ length, word;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, text, length);
    hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
    hash = (hash ^ hash >> 29) * 0xff51afd7ed558ccdu;
    return hash ^ hash >> 32;
}

/* Append the components of a name, without empty ones and dots. False if there is no room. */
static bool append(Path *path, const char *name, bool *has_parents)
{
    size_t length = path->length;
    while (*name) {
        if (*name == '/') {
            name++;
            continue;
        }
        const char *end = strchrnul(name, '/');
        size_t size = (size_t)(end - name);
        if (size == 1 && name[0] == '.') {
            name = end;
            continue;
        }
        if (size == 2 && name[0] == '.' && name[1] == '.')
            *has_parents = true;
        if (length + size + 2 > sizeof path->text)
            return false;
        path->text[length] = '/';
        memcpy(path->text + length + 1, name, size);
        length += size + 1;
        name = end;
    }
    path->text[length] = 0;
    path->length = length;
    return true;
}

/* `a/link/../b` lies beside what the link leads to: ask the system up to the last `..`. */
static __attribute__((noinline)) void without_parents(Path *path)
{
    char *last = NULL;
    for (char *at = path->text; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == 0)
            last = at + 3;
    if (last == NULL)
        return;
    char end = *last, place[PLACE_ROOM];
    *last = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path->text, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    *last = end;
    if (fd < 0)
        return;
    size_t rest = path->length - (size_t)(last - path->text), room = sizeof path->text - rest - 1;
    ml_place_of(place, fd);
    memmove(path->text + room, last, rest + 1); /* to the end, for the system writes its answer before it */
    ssize_t size = readlink(place, path->text, room);
    syscall(SYS_close, fd);
    if (size <= 0) {
        memmove(last, path->text + room, rest + 1);
        return;
    }
    if (size == 1)
        size = 0;
    memmove(path->text + size, path->text + room, rest + 1);
    path->length = (size_t)size + rest;
}

/* The working directory is asked for once, until somebody changes it. A writer makes `turn` odd meanwhile; a reader that
 * meets that, or another turn afterwards, asks the system. The child of a vfork writes nothing here. */
static struct {
    unsigned turn, moves;
    size_t length;
    char text[PATH_MAX];
} here;
static unsigned moves;
static bool moves_unseen;

/* The working directory changes; `hidden`: it may do so from here on without our being called. */
void ml_moved(bool hidden)
{
    __atomic_add_fetch(&moves, 1, __ATOMIC_ACQ_REL);
    if (hidden)
        __atomic_store_n(&moves_unseen, true, __ATOMIC_RELEASE);
}

static void remember_here(const Path *path, size_t length, unsigned at_move)
{
    unsigned turn = __atomic_load_n(&here.turn, __ATOMIC_ACQUIRE);
    if (turn & 1 || syscall(SYS_getpid) != ml_process() ||
        !__atomic_compare_exchange_n(&here.turn, &turn, turn + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    here.moves = at_move;
    here.length = length;
    memcpy(here.text, path->text, length);
    __atomic_store_n(&here.turn, turn + 2, __ATOMIC_RELEASE);
}

static long find_here(Path *path)
{
    unsigned turn = __atomic_load_n(&here.turn, __ATOMIC_ACQUIRE), at_move = __atomic_load_n(&moves, __ATOMIC_ACQUIRE);
    bool may_keep = !__atomic_load_n(&moves_unseen, __ATOMIC_ACQUIRE);
    if (turn && !(turn & 1) && may_keep && here.moves == at_move) {
        size_t length = here.length;
        memcpy(path->text, here.text, length <= PATH_MAX ? length : 0);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&here.turn, __ATOMIC_RELAXED) == turn)
            return (long)length;
    }
    long size = syscall(SYS_getcwd, path->text, PATH_MAX) - 1;
    if (size > 0 && may_keep)
        remember_here(path, (size_t)size, at_move);
    return size;
}

static bool base_of(Path *path, int directory)
{
    long size;
    if (directory == AT_FDCWD) {
        size = find_here(path);
    } else {
        char place[PLACE_ROOM];
        ml_place_of(place, directory);
        size = readlink(place, path->text, PATH_MAX);
    }
    if (size <= 0 || path->text[0] != '/')
        return false;
    path->length = size == 1 ? 0 : (size_t)size;
    return true;
}

/* Make the absolute path of a name. False where it has none, or is none that is told of. */
bool ml_absolute(Path *path, int directory, const char *name)
{
    bool has_parents = false;
    path->length = 0;
    if (name[0] == '/' ? ml_is_apart(name) : (name[0] == 0 || !base_of(path, directory)))
        return false;
    if (!append(path, name, &has_parents)) {
        if (!ml_known('!', 1)) {
            ml_remember('!', 1);
            ml_tell_text('!', "", "a path is too long to be told");
        }
        return false;
    }
    if (has_parents)
        without_parents(path);
    if (path->length == 0)
        path->text[path->length++] = '/', path->text[path->length] = 0;
    if ((name[0] != '/' || has_parents) && ml_is_apart(path->text))
        return false;
    path->is_plain = strpbrk(path->text, "\\\t\n") == NULL;
    path->hash = ml_hash(path->text, path->length);
    return true;
}

static bool is_below(const char *path, const char *top, size_t length)
{
    return !memcmp(path, top, length) && (path[length] == '/' || path[length] == 0);
}

/* Kernel interfaces, devices, and the directory of the run itself. */
bool ml_is_apart(const char *path)
{
    if (path[1] == 'p' && !strncmp(path, "/proc", 5))
        return is_below(path, "/proc", 5);
    if (path[1] == 's' && !strncmp(path, "/sys", 4))
        return is_below(path, "/sys", 4);
    if (path[1] == 'd' && !strncmp(path, "/dev", 4))
        return is_below(path, "/dev", 4) && (strncmp(path, "/dev/shm", 8) || !is_below(path, "/dev/shm", 8));
    return !strncmp(path, ml_observed(), ml_run_length());
}
