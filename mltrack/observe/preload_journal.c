/* The journal of the preloaded library: where it lies, and how a line gets into it. */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define LOWEST 100 /* a descriptor that a program which counts its own will hardly reach */
#define MARK 61 /* the signal that the journal's descriptor would send, if it sent any: a mark by which it is known */
#define LOOK_EVERY 64
#define MOST_LINES 2000000

enum { UNKNOWN, STARTING, ON, OFF };

static int state;
static char observed[PATH_MAX];
static size_t run_length; /* of the run directory, with its slash, in `observed` */
static char journal_path[PATH_MAX + 96];
static int journal = -1;
static bool is_marked;
static pid_t journal_owner;
static pid_t process;
static dev_t journal_device;
static ino_t journal_inode;
static uint64_t file_limit = UINT64_MAX;
static unsigned lines;
static struct utsname machine;

const char *ml_observed(void) { return observed; }
size_t ml_run_length(void) { return run_length; }
pid_t ml_process(void) { return process; }
const char *ml_host(void) { return machine.nodename; }

/* Bytes that a file may have; to pass it kills the program. Asked anew whenever this process changes it, and now and then,
 * for another process may do so too. */
uint64_t ml_file_limit(void) { return __atomic_load_n(&file_limit, __ATOMIC_RELAXED); }

void ml_look_at_limit(void)
{
    struct rlimit limit;
    bool is_limited = !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY;
    if (syscall(SYS_getpid) == process || !process) /* the child of a vfork has our memory, and a limit of its own */
        __atomic_store_n(&file_limit, is_limited ? limit.rlim_cur : UINT64_MAX, __ATOMIC_RELAXED);
}

static void begin(void)
{
    const char *directory = getenv("MLTRACK_OBSERVE");
    size_t length = directory ? strlen(directory) : 0;
    while (length > 1 && directory[length - 1] == '/')
        length--;
    if (length < 2 || length >= sizeof observed || directory[0] != '/' || uname(&machine)) {
        __atomic_store_n(&state, OFF, __ATOMIC_RELEASE);
        return;
    }
    memcpy(observed, directory, length);
    for (run_length = length; observed[run_length - 1] != '/';)
        run_length--;
    for (char *at = machine.nodename; *at; at++)
        if (*at == '/')
            *at = '_';
    char *end = stpcpy(journal_path, observed);
    *end++ = '/';
    stpcpy(stpcpy(end, machine.nodename), ".log");
    ml_look_at_limit();
    __atomic_store_n(&state, ON, __ATOMIC_RELEASE);
}

bool ml_on(void)
{
    int now = __atomic_load_n(&state, __ATOMIC_ACQUIRE);
    if (LIKELY(now >= ON))
        return now == ON;
    int expected = UNKNOWN;
    if (now != UNKNOWN || !__atomic_compare_exchange_n(&state, &expected, STARTING, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    int saved = errno;
    begin();
    errno = saved;
    return __atomic_load_n(&state, __ATOMIC_ACQUIRE) == ON;
}

int64_t ml_now(void)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Lines */

static void turn_off(void) { __atomic_store_n(&state, OFF, __ATOMIC_RELEASE); }

static bool is_journal(int fd, struct stat *found, uint64_t limit)
{
    if (is_marked && limit == UINT64_MAX && lines % LOOK_EVERY)
        return syscall(SYS_fcntl, fd, F_GETSIG, 0) == MARK;
    return !fstat(fd, found) && found->st_ino == journal_inode && found->st_dev == journal_device;
}

static int reopen(bool *is_borrowed, struct stat *found)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int low = (int)syscall(SYS_openat, AT_FDCWD, journal_path, flags, 0666);
    bool is_own = !journal_owner || syscall(SYS_getpid) == journal_owner; /* the child of a vfork has our memory */
    if (low < 0) {
        if (errno == ENOENT && is_own)
            turn_off();
        return -1;
    }
    int high = is_own && !fstat(low, found) ? (int)syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, LOWEST) : -1;
    if (high < 0) {
        *is_borrowed = true;
        return low;
    }
    syscall(SYS_close, low);
    is_marked = !syscall(SYS_fcntl, high, F_SETSIG, MARK) && syscall(SYS_fcntl, high, F_GETSIG, 0) == MARK;
    journal_inode = found->st_ino;
    journal_device = found->st_dev;
    journal_owner = process;
    __atomic_store_n(&journal, high, __ATOMIC_RELEASE); /* whose the old number is now, we cannot know */
    return high;
}

/* The descriptor to write to, which is looked at before every write: a program may have closed it, and opened a file of
 * its own under its number. `*is_borrowed`: to be closed after use. -1 where there is none. */
static int descriptor(bool *is_borrowed, size_t length, uint64_t limit)
{
    struct stat found = {.st_nlink = 1};
    int fd = __atomic_load_n(&journal, __ATOMIC_ACQUIRE);
    if (fd < 0 || !is_journal(fd, &found, limit))
        fd = reopen(is_borrowed, &found);
    if (fd >= 0 && !found.st_nlink) { /* the run is over, and its directory gone */
        turn_off();
        return -1;
    }
    if (fd >= 0 && (uint64_t)found.st_size + length >= limit) /* a signal would kill the program */
        return -1;
    return fd;
}

/* Write while a limit of file sizes holds. Another process may have made the file longer since it was looked at: the
 * signal that would end the program is held back, and taken away if it was ours. */
static long write_limited(int fd, const char *text, size_t length)
{
    sigset_t late, before, waiting;
    const struct timespec at_once = {0, 0};
    sigemptyset(&late);
    sigaddset(&late, SIGXFSZ);
    if (pthread_sigmask(SIG_BLOCK, &late, &before))
        return -1;
    long done = -1;
    if (!sigpending(&waiting) && !sigismember(&waiting, SIGXFSZ)) {
        done = syscall(SYS_write, fd, text, length);
        if (done < 0 && errno == EFBIG)
            sigtimedwait(&late, NULL, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return done;
}

long ml_write(int fd, const char *text, size_t length, uint64_t limit)
{
    return limit == UINT64_MAX ? syscall(SYS_write, fd, text, length) : write_limited(fd, text, length);
}

static void write_line(const char *line, size_t length)
{
    bool is_borrowed = false;
    if (lines % LOOK_EVERY == 0)
        ml_look_at_limit();
    uint64_t limit = ml_file_limit();
    int fd = descriptor(&is_borrowed, length, limit);
    if (fd < 0)
        return;
    long done = ml_write(fd, line, length, limit);
    if (done > 0 && (size_t)done < length)
        ml_write(fd, "\n", 1, limit); /* the disk is full: what comes next begins a line of its own */
    if (is_borrowed)
        syscall(SYS_close, fd);
}

static size_t escape(char *target, size_t room, const char *text)
{
    size_t length = 0;
    for (; *text && length + 2 < room; text++) {
        if (*text == '\\' || *text == '\t' || *text == '\n') {
            target[length++] = '\\';
            target[length++] = *text == '\\' ? '\\' : *text == '\t' ? 't' : 'n';
        } else {
            target[length++] = *text;
        }
    }
    return length;
}

static size_t head_of(char *head, char letter, int64_t at)
{
    size_t used = 0;
    head[used++] = letter;
    head[used++] = ' ';
    used += ml_number(head + used, (uint64_t)(process ? process : (pid_t)syscall(SYS_getpid)));
    head[used++] = ' ';
    used += ml_number(head + used, (uint64_t)at);
    head[used++] = '\t';
    return used;
}

typedef struct {
    const char *head;
    size_t used;
    const char *path, *other;
} Parts;

static void write_escaped(char *line, size_t room, const Parts *parts)
{
    size_t used = parts->used;
    memcpy(line, parts->head, used);
    used += escape(line + used, room - used - 2, parts->path);
    if (parts->other) {
        line[used++] = '\t';
        used += escape(line + used, room - used - 1, parts->other);
    }
    line[used++] = '\n';
    write_line(line, used);
}

static __attribute__((noinline)) void write_on_stack(const Parts *parts)
{
    char line[2 * PATH_ROOM];
    write_escaped(line, sizeof line, parts);
}

/* Room for a few such lines at once, for the stack of a thread may have 16 KiB in all. */
static struct {
    int is_taken;
    char line[2 * PATH_ROOM];
} rooms[8];

static void write_parts(const char *head, size_t used, const char *path, const char *other)
{
    Parts parts = {head, used, path, other};
    for (size_t at = 0; at < sizeof rooms / sizeof *rooms; at++) {
        int free = 0;
        if (!__atomic_compare_exchange_n(&rooms[at].is_taken, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        write_escaped(rooms[at].line, sizeof rooms[at].line, &parts);
        __atomic_store_n(&rooms[at].is_taken, 0, __ATOMIC_RELEASE);
        return;
    }
    if (!ml_is_cramped())
        write_on_stack(&parts);
}

/* Is there still room for a line of this process? */
static bool may_tell(void)
{
    unsigned count = __atomic_add_fetch(&lines, 1, __ATOMIC_RELAXED);
    if (count == MOST_LINES + 1)
        ml_stop("too much to tell");
    return count <= MOST_LINES;
}

void ml_tell(char letter, int64_t at, Path *path, const char *other)
{
    char head[64];
    if (!may_tell())
        return;
    size_t used = head_of(head, letter, at);
    if (!path->is_plain || other) {
        write_parts(head, used, path->text, other);
        return;
    }
    memcpy(path->text - used, head, used);
    path->text[path->length] = '\n';
    write_line(path->text - used, used + path->length + 1);
    path->text[path->length] = 0;
}

void ml_tell_text(char letter, const char *text, const char *other)
{
    char head[64];
    if (may_tell())
        write_parts(head, head_of(head, letter, ml_now()), text, other);
}

/* From here on nothing of this process is told. */
void ml_stop(const char *why)
{
    __atomic_store_n(&lines, 0, __ATOMIC_RELAXED);
    ml_tell_text('!', "", why);
    turn_off();
}

/* Rights */

/* Have the journal open, for soon it may not be openable any more. */
void ml_hold(void)
{
    bool is_borrowed = false;
    int fd = descriptor(&is_borrowed, 0, UINT64_MAX);
    if (fd >= 0 && is_borrowed)
        syscall(SYS_close, fd);
}

/* Could a program that is executed now write the journal? It has no descriptor of ours. */
bool ml_is_reachable(void)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd >= 0)
        syscall(SYS_close, fd);
    return fd >= 0 || (errno != EACCES && errno != EPERM);
}

/* This process begins, or is a forked child. */
void ml_begin_process(void)
{
    process = (pid_t)syscall(SYS_getpid);
    if (journal_owner)
        journal_owner = process;
}
