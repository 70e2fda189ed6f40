/* What stands in a program that is about to be started: whether it can be watched, and whether it bears this library (those
 * of another architecture, of musl, built with a sanitizer do not).
 */
#define _GNU_SOURCE
#include "preload.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HEAD 1024
#define MOST_NEEDED 12

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

void ml_tell_once(char letter, const char *file, const char *why)
{
    TAKE(event);
    if (event && ml_absolute(&event->path, AT_FDCWD, file)) {
        uint64_t hash = event->path.hash ^ ml_hash(why, strlen(why));
        if (!ml_known(letter, hash)) {
            ml_remember(letter, hash);
            ml_tell(letter, ml_now(), &event->path, why);
        }
    }
    ml_release(event);
}

typedef struct {
    const char *file;
    char *text;
    ssize_t size;
} Head;

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
const char *ml_isolating(Words words)
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

bool ml_is_python(const char *file)
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

/* `head`: what a program begins with, and a zero. */
static void examine_head(Program *program, int fd, const struct stat *found, Head head, bool is_script_allowed)
{
    if (!memcmp(head.text, "#!", 2) && is_script_allowed) {
        char *interpreter, *argument;
        if (interpreter_of(head.text, &interpreter, &argument)) {
            *program = ml_examine(interpreter, false);
            char *words[] = {argument, NULL};
            if (argument && ml_is_python(interpreter) && ml_isolating(words))
                ml_tell_once('i', head.file, ml_isolating(words));
        }
    } else if (!memcmp(head.text, ELFMAG, SELFMAG)) {
        if (is_privileged(fd, found))
            program->why = "set-uid";
        else
            examine_elf(program, fd, head.text, head.size);
    }
    program->is_there = true;
}

__attribute__((noinline)) Program ml_examine(const char *file, bool is_script_allowed)
{
    Program program = {NULL, false, false};
    struct stat found;
    int fd = (int)open_at(file);
    if (fd < 0)
        return program;
    TAKE(event);
    char *text = event ? event->path.text : NULL;
    ssize_t size = !text || fstat(fd, &found) || !S_ISREG(found.st_mode) ? -1 : pread(fd, text, HEAD - 1, 0);
    if (size > 4) {
        text[size] = 0;
        examine_head(&program, fd, &found, (Head){file, text, size}, is_script_allowed);
    }
    ml_release(event);
    close(fd);
    return program;
}
