/* What was in a file before it is changed, in `before/` beside the journal: cloned, linked, or copied if it is small.
 *
 * The name is that of the path, so that of the whole run the first copy stays, and a loop makes no thousand of them.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_BYTES ((off_t)64 << 20)
#define MOST_IN_ALL ((uint64_t)1 << 30)
#define MOST_OPEN 32
#define SPARE ((uint64_t)1 << 30)

static uint64_t copied;
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

static bool has_room(int fd, off_t size)
{
    struct statvfs disk;
    return !fstatvfs(fd, &disk) && (uint64_t)disk.f_bavail * disk.f_frsize > (uint64_t)size * 2 + SPARE / 4;
}

static bool copy_whole(int target, int source, off_t size)
{
    if (!ioctl(target, FICLONE, source))
        return true;
    if (size > MOST_BYTES || (uint64_t)size > ml_file_limit() || !has_room(target, size))
        return false;
    if (__atomic_add_fetch(&copied, (uint64_t)size, __ATOMIC_RELAXED) > MOST_IN_ALL)
        return false;
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

/* Copy a regular file. `may_be_open`: this process had it open before, and may hold locks on it, which closing any
 * descriptor of it would drop: ours then stays open. */
void ml_copy(Kept kept, const Path *path, const struct stat *found, bool may_be_open)
{
    char name[KEPT_ROOM];
    strcpy(kept, "-");
    if (may_be_open && __atomic_add_fetch(&left_open, 1, __ATOMIC_RELAXED) > MOST_OPEN)
        return;
    snprintf(name, sizeof name, "%016llx", (unsigned long long)path->hash);
    int place = open_place();
    int target = (int)syscall(SYS_openat, place, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (place < 0 || target < 0) {
        if (place >= 0 && errno == EEXIST)
            kept[0] = 0; /* another process kept it before us */
    } else {
        int source = (int)syscall(SYS_openat, AT_FDCWD, path->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
        if (source >= 0 && copy_whole(target, source, found->st_size))
            memcpy(kept, name, sizeof name);
        else
            syscall(SYS_unlinkat, place, name, 0);
        if (source >= 0 && !may_be_open)
            syscall(SYS_close, source);
    }
    if (target >= 0)
        syscall(SYS_close, target);
    if (place >= 0)
        syscall(SYS_close, place);
}

/* Give the file that is about to lose its name another one: that costs nothing. */
void ml_link(Kept kept, const Path *path)
{
    char name[KEPT_ROOM];
    strcpy(kept, "-");
    snprintf(name, sizeof name, "%016llx", (unsigned long long)path->hash);
    int place = open_place();
    if (place < 0)
        return;
    if (!syscall(SYS_linkat, AT_FDCWD, path->text, place, name, 0))
        memcpy(kept, name, sizeof name);
    else if (errno == EEXIST)
        kept[0] = 0;
    syscall(SYS_close, place);
}

/* The call failed: nothing was changed, and nothing is kept. */
void ml_drop(const Kept kept)
{
    if (kept[0] == 0 || kept[0] == '-')
        return;
    int place = open_place();
    if (place < 0)
        return;
    syscall(SYS_unlinkat, place, kept, 0);
    syscall(SYS_close, place);
}
