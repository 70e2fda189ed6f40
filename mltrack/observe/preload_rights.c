/* What a process may do that we cannot go on in, or that changes where it is and what it may. */
#define _GNU_SOURCE
#include "preload.h"

#include <errno.h>
#include <fts.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool is_elsewhere;
static uid_t lost_by = (uid_t)-1; /* the user as whom the journal could not be opened */

/* Is this another root, in which the library has no name that the loader would find? */
bool ml_is_elsewhere(void) { return __atomic_load_n(&is_elsewhere, __ATOMIC_RELAXED); }

/* A call that a filter forbids would kill the program. The filter itself may be asked for without the C library; who may
 * not do so unprivileged says before that it wants no new privileges. */
EXPORT int prctl(int option, ...)
{
    va_list more;
    va_start(more, option);
    unsigned long a = va_arg(more, unsigned long), b = va_arg(more, unsigned long), c = va_arg(more, unsigned long),
                  d = va_arg(more, unsigned long);
    va_end(more);
    if ((option == PR_SET_SECCOMP || (option == PR_SET_NO_NEW_PRIVS && a)) && ml_on()) {
        int saved = errno;
        ml_stop(option == PR_SET_SECCOMP ? "seccomp" : "no new privileges");
        errno = saved;
    }
    return REAL(prctl)(option, a, b, c, d);
}

EXPORT int chroot(const char *name)
{
    int done = REAL(chroot)(name);
    if (done == 0) {
        int saved = errno;
        __atomic_store_n(&is_elsewhere, true, __ATOMIC_RELAXED);
        if (ml_on())
            ml_stop("chroot");
        errno = saved;
    }
    return done;
}

/* Rights. What this process opened stays open, but a program that is executed with other ones may have to go without. */

/* Had this process no way to the journal as the user that it is? It may have one at the moment, by a capability, which
 * what it executes does not get. */
bool ml_has_other_rights(void) { return __atomic_load_n(&lost_by, __ATOMIC_RELAXED) == geteuid(); }

static void hold(void)
{
    int saved = errno;
    if (ml_on())
        ml_hold();
    errno = saved;
}

static int changed(int done)
{
    int saved = errno;
    if (done == 0 && ml_on() && !ml_is_reachable()) {
        __atomic_store_n(&lost_by, geteuid(), __ATOMIC_RELAXED);
        if (!ml_known('!', 2)) {
            ml_remember('!', 2);
            ml_tell_text('!', "", "another user's rights");
        }
    }
    errno = saved;
    return done;
}

#define CHANGE(call)                                                                                                   \
    do {                                                                                                               \
        hold();                                                                                                        \
        return changed(call);                                                                                          \
    } while (0)

EXPORT int setuid(uid_t user) { CHANGE(REAL(setuid)(user)); }
EXPORT int setgid(gid_t group) { CHANGE(REAL(setgid)(group)); }
EXPORT int seteuid(uid_t user) { CHANGE(REAL(seteuid)(user)); }
EXPORT int setegid(gid_t group) { CHANGE(REAL(setegid)(group)); }
EXPORT int setreuid(uid_t real, uid_t user) { CHANGE(REAL(setreuid)(real, user)); }
EXPORT int setregid(gid_t real, gid_t group) { CHANGE(REAL(setregid)(real, group)); }
EXPORT int setresuid(uid_t real, uid_t user, uid_t saved) { CHANGE(REAL(setresuid)(real, user, saved)); }
EXPORT int setresgid(gid_t real, gid_t group, gid_t saved) { CHANGE(REAL(setresgid)(real, group, saved)); }
EXPORT int setgroups(size_t count, const gid_t *groups) { CHANGE(REAL(setgroups)(count, groups)); }
EXPORT int initgroups(const char *name, gid_t group) { CHANGE(REAL(initgroups)(name, group)); }

/* Limits */

static int limited(int done)
{
    int saved = errno;
    if (done == 0 && ml_on())
        ml_look_at_limit();
    errno = saved;
    return done;
}

EXPORT int setrlimit(__rlimit_resource_t of, const struct rlimit *limit) { return limited(REAL(setrlimit)(of, limit)); }
EXPORT int setrlimit64(__rlimit_resource_t of, const struct rlimit64 *limit) { return limited(REAL(setrlimit64)(of, limit)); }
EXPORT int prlimit(pid_t process, enum __rlimit_resource of, const struct rlimit *limit, struct rlimit *old)
{
    return limited(REAL(prlimit)(process, of, limit, old));
}
EXPORT int prlimit64(pid_t process, enum __rlimit_resource of, const struct rlimit64 *limit, struct rlimit64 *old)
{
    return limited(REAL(prlimit64)(process, of, limit, old));
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
