/* The journal of the preloaded library: where it lies, the paths in it, and how a line gets into it. */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
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
static const char *library = "";

#define ML_TEXT(name) #name,
static const char *const names[] = {ML_NAMES(ML_TEXT)};
static void *reals[ML_COUNT];

void *ml_real(int number, const char *name)
{
    void *found = __atomic_load_n(&reals[number], __ATOMIC_RELAXED);
    if (LIKELY(found != NULL))
        return found;
    found = dlsym(RTLD_NEXT, name);
    __atomic_store_n(&reals[number], found, __ATOMIC_RELAXED);
    return found;
}

const char *ml_observed(void) { return observed; }
const char *ml_library(void) { return library; }
const char *ml_host(void) { return machine.nodename; }
uint64_t ml_file_limit(void) { return file_limit; }

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
    struct rlimit limit;
    if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY)
        file_limit = limit.rlim_cur;
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

/* Paths */

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
    char end = *last, place[32], base[2048];
    *last = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path->text, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    *last = end;
    if (fd < 0)
        return;
    snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(place, base, sizeof base);
    syscall(SYS_close, fd);
    size_t rest = path->length - (size_t)(last - path->text);
    if (size <= 0 || base[0] != '/' || (size_t)size + rest + 1 > sizeof path->text)
        return;
    if (size == 1)
        size = 0;
    memmove(path->text + size, last, rest + 1);
    memcpy(path->text, base, (size_t)size);
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
    if (turn & 1 || syscall(SYS_getpid) != process ||
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
        char place[32];
        snprintf(place, sizeof place, "/proc/self/fd/%d", directory);
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
    return !strncmp(path, observed, run_length);
}

/* Lines */

static void turn_off(void) { __atomic_store_n(&state, OFF, __ATOMIC_RELEASE); }

static bool is_journal(int fd, struct stat *found)
{
    if (is_marked && file_limit == UINT64_MAX && lines % LOOK_EVERY)
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
static int descriptor(bool *is_borrowed, size_t length)
{
    struct stat found = {.st_nlink = 1};
    int fd = __atomic_load_n(&journal, __ATOMIC_ACQUIRE);
    if (fd < 0 || !is_journal(fd, &found))
        fd = reopen(is_borrowed, &found);
    if (fd >= 0 && !found.st_nlink) { /* the run is over, and its directory gone */
        turn_off();
        return -1;
    }
    if (fd >= 0 && (uint64_t)found.st_size + length >= file_limit) /* a signal would kill the program */
        return -1;
    return fd;
}

static void write_line(const char *line, size_t length)
{
    bool is_borrowed = false;
    int fd = descriptor(&is_borrowed, length);
    if (fd < 0)
        return;
    long done = syscall(SYS_write, fd, line, length);
    if (done > 0 && (size_t)done < length)
        done = syscall(SYS_write, fd, "\n", 1); /* the disk is full: what comes next begins a line of its own */
    if (is_borrowed)
        syscall(SYS_close, fd);
}

static size_t number(char *text, uint64_t value)
{
    char digits[24];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t at = 0; at < count; at++)
        text[at] = digits[count - 1 - at];
    return count;
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
    used += number(head + used, (uint64_t)(process ? process : (pid_t)syscall(SYS_getpid)));
    head[used++] = ' ';
    used += number(head + used, (uint64_t)at);
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

/* Start, fork, end */

/* In the environment this process is named as one that is watched, so that the hook leaves its files to us. The text
 * is changed where it stands, if it is there: a new one would be memory that the program did not ask for. */
static void name_process(void)
{
    char digits[24], padded[] = "0000000000", *there = getenv("MLTRACK_WATCHED");
    size_t count = number(digits, (uint64_t)process);
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
    Path path;
    if (ml_absolute(&path, AT_FDCWD, name) && !ml_known('r', path.hash)) {
        ml_remember('r', path.hash);
        ml_tell('r', ml_now(), &path, NULL);
    }
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
    process = (pid_t)syscall(SYS_getpid);
    if (journal_owner)
        journal_owner = process;
}

static __attribute__((constructor)) void start(void)
{
    int saved = errno;
    for (int number = 0; number < ML_COUNT; number++)
        ml_real(number, names[number]);
    Dl_info own;
    if (ml_on() && dladdr((void *)&state, &own) && own.dli_fname) {
        library = own.dli_fname;
        process = (pid_t)syscall(SYS_getpid);
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
