/* What was in a file before it is changed, in `before/` beside the journal: cloned, linked, or copied if it is small.
 *
 * The name is that of the path, so that of the whole run the first copy stays, and a loop makes no thousand of them.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_BYTES ((off_t)64 << 20)
#define MOST_IN_ALL ((uint64_t)1 << 30)
#define MOST_OPEN 32
#define SPARE ((uint64_t)256 << 20) /* what is left free on the disk */
#define UNIT 4096

static const char units[UNIT];
static unsigned left_open;

/* Nobody's data, or somebody's secret: must not lie in a second place. */
bool ml_is_copied_never(const Path *path)
{
    static const char *const parts[] = {
        "/.git/", "/.cache/", "/__pycache__/", "/site-packages/", "/dist-packages/", "/.mltrack/", "/.ssh/", "/.aws/",
        "/.gnupg/", "/.kube/", "/.docker/", "/.netrc", "/.pgpass", "/.env", "/id_rsa", "/id_ed25519", "/.kaggle/",
        "/.config/", "/.huggingface/", "/secrets", "/secret.", "/credentials", NULL};
    static const char *const ends[] = {"/token", ".pem", ".key", ".p12", ".pfx", "-wal", "-shm", "-journal", NULL};
    static const char *const tops[] = {"/dev/", "/run/", "/var/", "/etc/", "/usr/", NULL};
    for (const char *const *part = parts; *part; part++)
        if (strstr(path->text, *part))
            return true;
    for (const char *const *top = tops; *top; top++)
        if (!strncmp(path->text, *top, strlen(*top)))
            return strncmp(path->text, "/var/tmp/", 9) != 0;
    for (const char *const *end = ends; *end; end++) {
        size_t length = strlen(*end);
        if (path->length > length && !strcmp(path->text + path->length - length, *end))
            return true;
    }
    return false;
}

/* The directory of the copies, as a descriptor: a path would need room on the stack. -1 where there is none. */
static int open_place(void)
{
    int top = (int)syscall(SYS_openat, AT_FDCWD, ml_observed(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (top < 0)
        return -1;
    int place = (int)syscall(SYS_openat, top, "before", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (place < 0 && !syscall(SYS_mkdirat, top, "before", 0700))
        place = (int)syscall(SYS_openat, top, "before", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    syscall(SYS_close, top);
    return place;
}

static bool has_room(int fd, uint64_t size)
{
    struct statvfs disk;
    return !fstatvfs(fd, &disk) && (uint64_t)disk.f_bavail * disk.f_frsize > size * 2 + SPARE;
}

/* Set so many bytes aside of those that a run may keep. All its processes count in one file, `kept`, whose size in bytes
 * is their sum in units: to append to it needs no lock. */
static bool reserve(int place, uint64_t size)
{
    uint64_t wanted = size / UNIT + 1, limit = ml_file_limit();
    struct stat found;
    int fd = (int)syscall(SYS_openat, place, "../kept", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool is_free = !fstat(fd, &found) && (uint64_t)found.st_size + wanted <= MOST_IN_ALL / UNIT;
    while (is_free && wanted) {
        long done = ml_write(fd, units, wanted < UNIT ? wanted : UNIT, limit);
        is_free = done > 0;
        wanted -= is_free ? (uint64_t)done : 0;
    }
    is_free = is_free && lseek(fd, 0, SEEK_CUR) <= (off_t)(MOST_IN_ALL / UNIT);
    syscall(SYS_close, fd);
    return is_free;
}

static bool copy_bytes(int target, int source, off_t size)
{
    while (size > 0) {
        ssize_t done = syscall(SYS_copy_file_range, source, NULL, target, NULL, (size_t)size, 0);
        if (done <= 0)
            done = sendfile(target, source, NULL, (size_t)size);
        if (done <= 0)
            return done == 0; /* it became shorter while we read */
        size -= done;
    }
    return true;
}

static int64_t changed_at(const struct stat *found)
{
    return (int64_t)found->st_ctim.tv_sec * 1000000000 + found->st_ctim.tv_nsec;
}

/* Copy or clone, if it is not changed meanwhile; `*at` becomes when it was last changed. */
static bool copy_whole(int place, int target, int source, int64_t *at)
{
    struct stat found, after;
    if (fstat(source, &found) || !S_ISREG(found.st_mode) || !has_room(target, 0))
        return false;
    *at = changed_at(&found);
    if (ioctl(target, FICLONE, source)) {
        uint64_t size = (uint64_t)found.st_size;
        if (found.st_size > MOST_BYTES || size > ml_file_limit() || !has_room(target, size) || !reserve(place, size) ||
            !copy_bytes(target, source, found.st_size))
            return false;
    }
    return !fstat(source, &after) && changed_at(&after) == *at;
}

typedef struct {
    uint64_t inode;
    int64_t offset;
    unsigned short size;
    unsigned char kind;
    char name[];
} Entry; /* as the kernel writes it */

/* Is the file of `own` open a second time? To close a descriptor of it then drops the program's locks on it. */
static bool is_open_here(const struct stat *found, int own)
{
    int top = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    TAKE(event);
    bool is_open = top < 0 || event == NULL;
    for (long size; !is_open && (size = syscall(SYS_getdents64, top, event->path.text, PATH_ROOM)) != 0;) {
        is_open = size < 0;
        for (long at = 0; at < size && !is_open;) {
            const Entry *entry = (const void *)(event->path.text + at);
            struct stat other;
            int fd = *entry->name == '.' ? -1 : atoi(entry->name);
            is_open = fd >= 0 && fd != own && !fstat(fd, &other) && other.st_ino == found->st_ino && other.st_dev == found->st_dev;
            at += entry->size;
        }
    }
    ml_release(event);
    if (top >= 0)
        syscall(SYS_close, top);
    return is_open;
}

static void name_of(char *name, const Path *path)
{
    for (int digit = 0; digit < 16; digit++)
        name[digit] = "0123456789abcdef"[path->hash >> (60 - 4 * digit) & 15];
    name[16] = 0;
}

static void set_kept(Kept kept, int64_t at)
{
    kept[16] = ' ';
    ml_number(kept + 17, (uint64_t)at);
}

/* Copy a regular file. Where the program has it open, and may hold locks on it, our descriptor of it stays open. */
void ml_copy(Kept kept, const Path *path, const struct stat *found)
{
    strcpy(kept, "-");
    if (__atomic_load_n(&left_open, __ATOMIC_RELAXED) >= MOST_OPEN && is_open_here(found, -1))
        return;
    int place = open_place();
    char name[KEPT_ROOM];
    int64_t at = 0;
    name_of(name, path);
    int target = (int)syscall(SYS_openat, place, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (place < 0 || target < 0) {
        if (place >= 0 && errno == EEXIST)
            kept[0] = 0; /* another process kept it before us */
    } else {
        int source = (int)syscall(SYS_openat, AT_FDCWD, path->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
        if (source >= 0 && copy_whole(place, target, source, &at)) {
            memcpy(kept, name, sizeof name);
            set_kept(kept, at);
        } else {
            syscall(SYS_unlinkat, place, name, 0);
        }
        if (source >= 0 && !is_open_here(found, source))
            syscall(SYS_close, source);
        else if (source >= 0)
            __atomic_add_fetch(&left_open, 1, __ATOMIC_RELAXED);
    }
    if (target >= 0)
        syscall(SYS_close, target);
    if (place >= 0)
        syscall(SYS_close, place);
}

/* Give the file that is about to lose its name another one. What it takes on the disk is then not freed: it counts. */
void ml_link(Kept kept, const Path *path, const struct stat *found)
{
    char name[KEPT_ROOM];
    strcpy(kept, "-");
    name_of(name, path);
    int place = open_place();
    if (place < 0)
        return;
    bool is_linked = has_room(place, 0) && !syscall(SYS_linkat, AT_FDCWD, path->text, place, name, 0);
    if (!is_linked) {
        if (!syscall(SYS_faccessat, place, name, F_OK))
            kept[0] = 0; /* another process kept it before us */
    } else if (reserve(place, (uint64_t)found->st_blocks * 512)) {
        memcpy(kept, name, sizeof name);
        set_kept(kept, changed_at(found));
    } else {
        syscall(SYS_unlinkat, place, name, 0);
    }
    syscall(SYS_close, place);
}

/* The call failed: nothing was changed, and nothing is kept. */
void ml_drop(const Kept kept)
{
    char name[17] = "";
    if (kept[0] == 0 || kept[0] == '-')
        return;
    int place = open_place();
    if (place < 0)
        return;
    memcpy(name, kept, 16);
    syscall(SYS_unlinkat, place, name, 0);
    syscall(SYS_close, place);
}
