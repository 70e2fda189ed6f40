"""A mount namespace that a command has for itself: files of ours stand at absolute paths that only it sees. Linux.

Called in the process that becomes the command, just before it does. The world outside sees nothing of it, and it goes
with the last process in it. By the C library, with no helper program; an ordinary user gets it with a user namespace
in which he is himself. Nothing is ever unmounted that others see, and nothing is written to a disk.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from mltrack.executors import Bind

NEW_MOUNTS = 0x00020000
NEW_USER = 0x10000000
BIND, RECURSIVE, SLAVE = 4096, 16384, 1 << 19
DETACH = 2


def make_binds(binds: Sequence[Bind]) -> None:
    """Give this process, which must have one thread, a namespace with these binds. Raises OSError with the target."""
    libc = c_library()
    enter(libc)
    for bind in binds:
        try:
            if bind.target == "/":
                change_root(libc, bind.source)
            else:
                mount(libc, bind.source, bind.target, BIND | RECURSIVE)
        except OSError:
            if not bind.is_optional:
                raise
            remove_stand_in(bind.target)


def remove_stand_in(target: str) -> None:
    """Remove the empty file or directory that was to be covered: what the command cannot see is not there for it,
    rather than empty."""
    with suppress(OSError):
        fields = os.lstat(target)
        if stat.S_ISDIR(fields.st_mode):
            os.rmdir(target)
        elif stat.S_ISREG(fields.st_mode) and fields.st_size == 0:
            os.unlink(target)


def c_library() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def checked(result: int, name: str | None) -> None:
    """Raise OSError for a system call that failed."""
    if result != 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def mount(libc: Any, source: str, target: str, flags: int) -> None:
    import ctypes

    number = ctypes.c_ulong(flags)
    checked(libc.mount(os.fsencode(source), os.fsencode(target), None, number, None), target)


def enter(libc: Any) -> None:
    """A mount namespace of our own, as root or else with a user namespace. What is mounted outside later, a disk or a
    network's directory that is mounted on demand, comes in; nothing of ours goes out."""
    if libc.unshare(NEW_MOUNTS) != 0:
        user, group = os.geteuid(), os.getegid()
        checked(libc.unshare(NEW_USER | NEW_MOUNTS), None)
        tell_kernel("setgroups", "deny")  # else no unprivileged process may map groups
        tell_kernel("gid_map", f"{group} {group} 1")
        tell_kernel("uid_map", f"{user} {user} 1")
    mount(libc, "none", "/", RECURSIVE | SLAVE)


def tell_kernel(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def change_root(libc: Any, root: str) -> None:
    """Make a directory the root. Where the kernel cannot exchange the root, as on its first file system, the process
    is confined to the directory instead; that serves too."""
    mount(libc, root, root, BIND | RECURSIVE)
    os.chdir(root)
    if libc.pivot_root(b".", b".") == 0:
        libc.umount2(b".", DETACH)  # the old one, which now lies upon the new
    else:
        os.chroot(".")
    os.chdir("/")


def why_not() -> str | None:
    """None if a command can be given binds here, else the reason, as a part of a sentence. Tried in a process."""
    if not sys.platform.startswith("linux"):
        return "this system has no mount namespaces"
    pid = os.fork()
    if pid == 0:
        attempt()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return None
    reason = os.strerror(code) if code > 0 else "the attempt was killed"
    return f"this system does not let {user_word()} make a mount namespace ({reason})"


def user_word() -> str:
    return "root" if os.geteuid() == 0 else "an ordinary user"


def attempt() -> NoReturn:
    code = errno.EIO
    try:
        libc = c_library()
        enter(libc)
        mount(libc, "/", "/", BIND | RECURSIVE)
        code = 0
    except OSError as error:
        code = error.errno or errno.EIO
    finally:
        os._exit(code)
