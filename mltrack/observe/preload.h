/* What the parts of the preloaded library share. The journal's format stands in `observe/__init__.py`.
 *
 * It runs in processes of the user: it never prints, never blocks, allocates nothing, leaves errno as it was, and keeps
 * to the stack (a signal handler, or the child of a vfork, may be the caller). Whatever fails is passed over.
 */
#ifndef MLTRACK_PRELOAD_H
#define MLTRACK_PRELOAD_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define PATH_ROOM 4352 /* an absolute path; what is longer is said once to be missing */

typedef struct {
    size_t length;
    uint64_t hash;
    bool is_plain;  /* nothing in it has to be escaped */
    char before[64]; /* where the beginning of its line is put, so that the line is whole */
    char text[PATH_ROOM];
} Path;

/* The function that we stand before. All are found at the start: in a forked child the loader's lock may be held by a
 * thread that is not there any more. */
#define REAL(name) ((__typeof__(&name))ml_real(ML_##name, #name))
void *ml_real(int number, const char *name);

#define ML_NAMES(each)                                                                                                 \
    each(open) each(open64) each(openat) each(openat64) each(creat) each(creat64) each(__open_2) each(__open64_2)      \
    each(__openat_2) each(__openat64_2) each(fopen) each(fopen64) each(freopen) each(freopen64) each(rename)           \
    each(renameat) each(renameat2) each(unlink) each(unlinkat) each(remove) each(rmdir) each(link) each(linkat)        \
    each(symlink) each(symlinkat) each(truncate) each(truncate64) each(mkstemp) each(mkstemp64) each(mkostemp)         \
    each(mkostemp64) each(mkstemps) each(mkstemps64) each(mkostemps) each(mkostemps64) each(opendir) each(execve)      \
    each(execv) each(execvp) each(execvpe) each(fexecve) each(posix_spawn) each(posix_spawnp) each(getaddrinfo)        \
    each(connect) each(prctl) each(chroot) each(chdir) each(fchdir) each(daemon) each(nftw) each(nftw64)           \
    each(fts_open) each(fts64_open) each(unshare)
#define ML_NUMBER(name) ML_##name,
enum { ML_NAMES(ML_NUMBER) ML_COUNT };

/* preload_journal.c */
bool ml_on(void);
int64_t ml_now(void);
bool ml_absolute(Path *path, int directory, const char *name);
bool ml_is_apart(const char *path);
void ml_moved(bool hidden);
uint64_t ml_hash(const char *text, size_t length);
void ml_tell(char letter, int64_t at, Path *path, const char *other);
void ml_tell_text(char letter, const char *text, const char *other);
void ml_stop(const char *why);
const char *ml_observed(void);
const char *ml_library(void);
const char *ml_host(void);
uint64_t ml_file_limit(void);

/* preload_told.c */
bool ml_known(char letter, uint64_t hash);
void ml_remember(char letter, uint64_t hash);
void ml_forget(uint64_t hash);

/* preload_before.c: what was in a file before it is changed */
#define KEPT_ROOM 24
typedef char Kept[KEPT_ROOM]; /* the name of the copy; `-` where there is none; empty where there is nothing to tell */
bool ml_is_copied_never(const Path *path);
void ml_copy(Kept kept, const Path *path, const struct stat *found, bool may_be_open);
void ml_link(Kept kept, const Path *path);
void ml_drop(const Kept kept);

#endif
