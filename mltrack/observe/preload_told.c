/* What this process told already: tables of hashes, the second one for processes that tell of much. Where a bucket is full,
 * one makes room for another, and may be told again.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAYS 8
#define FEW (1 << 12)  /* buckets: 256 KiB, enough for most */
#define MANY (1 << 17) /* 8 MiB: a million paths; only what is touched is memory */
#define FULL (FEW * 5)

static uint64_t few[FEW][WAYS], (*many)[WAYS];
static unsigned in_few;

static uint64_t key_of(char letter, uint64_t hash)
{
    uint64_t key = (hash ^ (uint64_t)(unsigned char)letter * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return (key ^ key >> 31) | 1;
}

static uint64_t *find_in(uint64_t *bucket, uint64_t key)
{
    for (int way = 0; way < WAYS; way++)
        if (__atomic_load_n(&bucket[way], __ATOMIC_RELAXED) == key)
            return &bucket[way];
    return NULL;
}

static uint64_t *find(char letter, uint64_t hash)
{
    uint64_t key = key_of(letter, hash), *found = find_in(few[hash >> 7 & (FEW - 1)], key);
    uint64_t(*more)[WAYS] = __atomic_load_n(&many, __ATOMIC_ACQUIRE);
    return found || !more ? found : find_in(more[hash >> 7 & (MANY - 1)], key);
}

bool ml_known(char letter, uint64_t hash)
{
    return find(letter, hash) != NULL;
}

/* Where the next one goes: into the large table as soon as the small one is rather full. */
static uint64_t *bucket_for(uint64_t hash)
{
    uint64_t(*more)[WAYS] = __atomic_load_n(&many, __ATOMIC_ACQUIRE);
    if (!more && __atomic_add_fetch(&in_few, 1, __ATOMIC_RELAXED) > FULL) {
        uint64_t(*none)[WAYS] = NULL;
        size_t size = sizeof(uint64_t[MANY][WAYS]);
        more = (void *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
        if (more == MAP_FAILED)
            more = NULL;
        else if (!__atomic_compare_exchange_n(&many, &none, more, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            syscall(SYS_munmap, more, size);
            more = none;
        }
    }
    return more ? more[hash >> 7 & (MANY - 1)] : few[hash >> 7 & (FEW - 1)];
}

void ml_remember(char letter, uint64_t hash)
{
    uint64_t key = key_of(letter, hash), *bucket = bucket_for(hash);
    for (int way = 0; way < WAYS; way++) {
        uint64_t empty = 0;
        if (__atomic_compare_exchange_n(&bucket[way], &empty, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) || empty == key)
            return;
    }
    __atomic_store_n(&bucket[key >> 3 & (WAYS - 1)], key, __ATOMIC_RELAXED);
}

/* Of what was removed or renamed, everything is told anew. */
void ml_forget(uint64_t hash)
{
    for (const char *letter = "rwus"; *letter; letter++) {
        uint64_t *found = find(*letter, hash);
        if (found)
            __atomic_store_n(found, 0, __ATOMIC_RELAXED);
    }
}
