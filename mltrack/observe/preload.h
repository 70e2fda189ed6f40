/* What the parts of the preloaded library share. The journal's format stands in `observe/__init__.py`.
 *
 * It runs in processes of the user: it never prints, never blocks, allocates nothing, leaves errno as it was, and keeps
 * to the stack (a signal handler, or the child of a vfork, may be the caller). Whatever fails is passed over.
 */
#ifndef MLTRACK_PRELOAD_H
#define MLTRACK_PRELOAD_H

#include <alloca.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define PATH_ROOM 4352 /* an absolute path; what is longer is said once to be missing */

#define PLACE_ROOM 40
#define KEPT_ROOM 48
typedef char Kept[KEPT_ROOM]; /* name and ctime of the copy; `-` where there is none; empty: nothing is to be told */

typedef struct {
    size_t length;
    uint64_t hash;
    bool is_plain; /* nothing in it has to be escaped */
    char before[64] __attribute__((aligned(16))); /* the beginning of its line is put here, so that the line is whole */
    char text[PATH_ROOM];
} Path;

typedef struct {
    int is_taken;
    char letter;   /* what is to be told if the call succeeds; 0 for nothing */
    bool is_named; /* `path` is made */
    Kept kept;
    int64_t at;
    Path path;
} Event;

typedef struct {
    int directory;
    const char *name;
} Name;

/* Room for an event: one of those that lie ready, else on the stack, if that is not a signal handler's small one: then
 * NULL, and nothing is told. To be released. */
#define TAKE(event)                                                                                                    \
    Event *event = ml_take();                                                                                          \
    if (__builtin_expect(event == NULL, 0) && !ml_is_cramped())                                                        \
    ml_empty(event = alloca(sizeof *event))

/* The function that we stand before. All are found at the start: in a forked child the loader's lock may be held by a
 * thread that is not there any more. */
#define REAL(name) ((__typeof__(&name))ml_real(ML_##name, #name))
void *ml_real(int number, const char *name);

#define ML_NAMES(each)                                                                                                 \
    each(open) each(open64) each(openat) each(openat64) each(creat) each(creat64) each(__open_2) each(__open64_2)      \
    each(__openat_2) each(__openat64_2) each(fopen) each(fopen64) each(freopen) each(freopen64) each(rename)           \
    each(renameat) each(renameat2) each(unlink) each(unlinkat) each(remove) each(rmdir) each(link) each(linkat)        \
    each(symlink) each(symlinkat) each(mkdir) each(mkdirat) each(mkdtemp) each(truncate) each(truncate64)              \
    each(mkstemp) each(mkstemp64) each(mkostemp) each(mkostemp64) each(mkstemps) each(mkstemps64) each(mkostemps)      \
    each(mkostemps64) each(opendir) each(execve) each(execv) each(execvp) each(execvpe) each(fexecve)                  \
    each(posix_spawn) each(posix_spawnp) each(getaddrinfo) each(connect) each(prctl) each(chroot) each(chdir)          \
    each(fchdir) each(daemon) each(nftw) each(nftw64) each(fts_open) each(fts64_open) each(unshare) each(setuid)       \
    each(setgid) each(seteuid) each(setegid) each(setreuid) each(setregid) each(setresuid) each(setresgid)             \
    each(setgroups) each(initgroups) each(setrlimit) each(setrlimit64) each(prlimit) each(prlimit64)
#define ML_NUMBER(name) ML_##name,
enum { ML_NAMES(ML_NUMBER) ML_COUNT };

/* preload_start.c */
const char *ml_library(void);

/* preload_paths.c */
Event *ml_take(void);
void ml_empty(Event *event);
void ml_release(Event *event);
void ml_release_all(void);
bool ml_is_cramped(void);
size_t ml_number(char *text, uint64_t value);
void ml_place_of(char *place, int fd);
uint64_t ml_hash(const char *text, size_t length);
bool ml_absolute(Path *path, int directory, const char *name);
bool ml_is_apart(const char *path);
void ml_moved(bool hidden);

/* preload_journal.c */
bool ml_on(void);
int64_t ml_now(void);
void ml_tell(char letter, int64_t at, Path *path, const char *other);
void ml_tell_text(char letter, const char *text, const char *other);
void ml_stop(const char *why);
long ml_write(int fd, const char *text, size_t length, uint64_t limit);
uint64_t ml_file_limit(void);
void ml_look_at_limit(void);
const char *ml_observed(void);
size_t ml_run_length(void);
const char *ml_host(void);
pid_t ml_process(void);
void ml_begin_process(void);
void ml_hold(void);
bool ml_is_reachable(void);

/* preload_rights.c */
bool ml_is_elsewhere(void);
bool ml_has_other_rights(void);

/* preload_examine.c */
typedef char *const *Words;
typedef struct {
    const char *why; /* it cannot be watched; NULL if it can */
    bool refuses;    /* it would complain of the library, or not start: it must not be given it */
    bool is_there;
} Program;
Program ml_examine(const char *file, bool is_script_allowed);
bool ml_is_python(const char *file);
const char *ml_isolating(Words words);
void ml_tell_once(char letter, const char *file, const char *why);

/* preload_told.c */
bool ml_known(char letter, uint64_t hash);
void ml_remember(char letter, uint64_t hash);
void ml_forget(uint64_t hash);

/* preload_before.c: what was in a file before it is changed */
bool ml_is_copied_never(const Path *path);
void ml_copy(Kept kept, const Path *path, const struct stat *found);
void ml_link(Kept kept, const Path *path, const struct stat *found);
void ml_drop(const Kept kept);

#endif
