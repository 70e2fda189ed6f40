"""`--trace`: strace beside the command, which sees every process, static and set-uid programs too, at a price.

`wrap` puts strace before a command so that the command stays the child that it would have been: the tracer is a process
apart (`-DD`), so exit code, signals, stops and the terminal are the command's own. `events` reads what strace wrote, by
the letters of the journal (see the package). Nothing here starts the command, and nothing here keeps what it reads.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StartError
from mltrack.observe import VARIABLE, Event
from mltrack.patterns import lazy_bytes

if TYPE_CHECKING:
    from typing import BinaryIO

FILE = "trace.txt"
"""In the directory of the journals. What strace writes: arguments of programs are in it, as they were given."""

WATCHING = ("LD_PRELOAD", VARIABLE)
OPENING = ("open", "openat", "openat2", "creat")
CALLS = (
    f"{' '.join(OPENING)} rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat link linkat symlink "
    "symlinkat truncate execve execveat connect chdir fchdir clone clone3 fork vfork"
).split()
FORKS = frozenset((b"clone", b"clone3", b"fork", b"vfork"))
SIGNALS = "signal=!SIGCHLD,SIGURG,SIGPROF,SIGVTALRM"
"""Those that are told. Of a process that one of the others ends, strace does not say that it ended."""
LONGEST = 1 << 17
"""Bytes of a line beyond which it is none of strace's."""
PATIENCE_S = 2.0

LINE = lazy_bytes(rb"(\d+) +(?:(\d+)\.(\d{6}) )?(.*)", re.DOTALL)
CALL = lazy_bytes(rb"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?:<((?:[^\\>]|\\.)*)>)?([^<]*)", re.DOTALL)
RESUMED = lazy_bytes(rb"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
NAMED = lazy_bytes(rb'(?:(?:AT_FDCWD|-?\d+)(?:<((?:[^\\>]|\\.)*)>)?(?:\(deleted\))?, )?"((?:[^"\\]|\\.)*)"', re.DOTALL)
FLAGS = lazy_bytes(rb"\bO_[A-Z]+")
ESCAPE = lazy_bytes(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)", re.DOTALL)
ADDRESS = lazy_bytes(
    rb"sin6?_port=htons\((\d+)\).*?(?:sin_addr=inet_addr\(\"([^\"]+)\"\)|inet_pton\(AF_INET6, \"([^\"]+)\")"
)
LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b", b"e": b"\033"}
NAMESERVER = 53
BIRTH_NS = 20_000_000
"""File systems take the time from a clock that ticks every few milliseconds."""
AT_FDCWD, NO_FOLLOW, BIRTH = -100, 0x100, 0x800
"""Of statx()."""


def words(strace: str, target: Path) -> list[str]:
    """strace with its options, up to the command."""
    calls = ",".join(f"?{name}" for name in CALLS)  # `?`: not every machine has each of them
    options = ["-DD", "-f", "--seccomp-bpf", "-y", "-ttt", "-s", "4096", "-e", SIGNALS, "-e", f"trace={calls}"]
    return [strace, *options, "-o", str(target), "--"]


def wrap(argv: Sequence[str], directory: Path, variables: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command with strace before it, which will write `directory/trace.txt`, and the environment to start it in.

    The command's own environment is the given one: strace sets for it what it must not be watched by itself. The
    directory is made.
    Raises StartError when there is no strace, or when it may not trace here; that is tried with another program.
    """
    import shutil

    strace = shutil.which("strace", path=variables.get("PATH", os.defpath))
    if strace is None:
        raise StartError("--trace needs strace, which is not installed here.", "Install it: apt install strace")
    directory.mkdir(parents=True, exist_ok=True)
    check(strace, directory, variables)
    target = directory / FILE
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    *before, end = words(strace, target)
    given = [word for name in WATCHING if name in variables for word in ("-E", f"{name}={variables[name]}")]
    return (*before, *given, end, *argv), unwatched(variables)


def check(strace: str, directory: Path, variables: Mapping[str, str]) -> None:
    """Trace a program that does nothing. Raises StartError if that does not work."""
    import shutil
    import subprocess

    nothing = shutil.which("true", path=variables.get("PATH", os.defpath)) or "/bin/true"
    target = directory / ".tried"
    try:
        tried = subprocess.run([*words(strace, target), nothing], capture_output=True, env=unwatched(variables))
        deadline = PATIENCE_S if tried.returncode == 0 and not tried.stderr else 0
        is_right = wait_for(target, lambda line: line.endswith(b"+++ exited with 0 +++"), deadline)
    except OSError as error:
        raise StartError(f"strace could not be started: {error}.", "Run without --trace.") from error
    finally:
        target.unlink(missing_ok=True)
    if not is_right:
        said = tried.stderr.decode(errors="replace").strip().splitlines()
        raise StartError(
            f"strace cannot trace here: {said[-1] if said else 'it wrote nothing'}.",
            "In a container, add the capability SYS_PTRACE; else see kernel.yama.ptrace_scope; "
            "an strace before 5.3 is too old. Or run without --trace.",
        )


def unwatched(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that make a program tell what it does, or have another library in it."""
    return {name: text for name, text in variables.items() if name not in WATCHING}


def settle(directory: Path, pid: int, patience_s: float = PATIENCE_S) -> bool:
    """Wait until the trace has the end of the command, process `pid`: strace writes beside us. False if it never came.

    Processes that the command left behind may go on, and their lines may come later.
    """

    def is_end(line: bytes) -> bool:
        return line.startswith(b"%d " % pid) and (b" +++ exited with " in line or b" +++ killed by " in line)

    return wait_for(directory / FILE, is_end, patience_s)


def wait_for(path: Path, is_wanted: Callable[[bytes], bool], patience_s: float) -> bool:
    """Is such a line among the last of the file, within that time?"""
    import time

    deadline = time.monotonic() + patience_s
    while not any(map(is_wanted, last_lines(path))):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def last_lines(path: Path) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 18)))
            return file.read().splitlines()
    except OSError:
        return []


def events(directory: Path, cwd: Path) -> Iterator[Event]:
    """What the trace in that directory tells, in its order. `cwd`: where the command began to work.

    Lines that are not strace's, and a torn last one, are passed over. Nothing when there is no trace.
    """
    if not (directory / FILE).is_file():
        return
    with open(directory / FILE, "rb") as file:
        reader = Reader(os.fsencode(cwd), born_ns)
        for line in lines_of(file):
            yield from reader.take(line)


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, without their ends."""
    while line := file.readline(LONGEST):
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) == LONGEST:
            while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass


class Reader:
    """Makes events of the lines of one trace; knows which thread is whose, and where each works."""

    def __init__(self, cwd: bytes, born: Callable[[bytes], int | None] = lambda path: 0) -> None:
        """`born`: when the file of that path was made; 0 where nobody knows, None where it is gone."""
        self.start = cwd
        self.born = born
        self.cwd: dict[int, bytes] = {}
        """By process."""
        self.process: dict[int, int] = {}
        """Of each thread."""
        self.cut: dict[int, tuple[int, bytes]] = {}
        """Thread -> when its call began, and what is known of it: others came in between."""

    def take(self, line: bytes) -> Iterator[Event]:
        """The events that a line tells."""
        match = LINE.fullmatch(line)
        if match is None:
            return
        thread, text = int(match[1]), match[4]
        at_ns = int(match[2]) * 10**9 + int(match[3]) * 1000 if match[2] else 0
        self.meet(thread)
        if text.endswith(b"<unfinished ...>"):
            self.cut[thread] = at_ns, text[: -len(b"<unfinished ...>")]
            return
        resumed = RESUMED.fullmatch(text)
        if resumed is not None:
            at_ns, begun = self.cut.pop(thread, (at_ns, b""))
            text = begun + resumed[2]
        call = CALL.fullmatch(text)
        if call is None:
            if text.startswith((b"+++ exited", b"+++ killed")):
                self.forget(thread)
            return
        yield from self.tell(thread, at_ns, call)

    def meet(self, thread: int) -> None:
        """A thread not seen before works where its parent does, whose call has not returned yet."""
        if thread in self.process:
            return
        parents = [self.process[other] for other, (_, text) in self.cut.items() if text.partition(b"(")[0] in FORKS]
        self.process[thread] = thread
        self.cwd[thread] = self.cwd[parents[-1]] if parents else self.start

    def forget(self, thread: int) -> None:
        """Its number may be given to another."""
        self.cut.pop(thread, None)
        if self.process.pop(thread, None) == thread:
            self.cwd.pop(thread, None)

    def tell(self, thread: int, at_ns: int, call: re.Match[bytes]) -> Iterator[Event]:
        name, args, result, opened, remark = call[1], call[2], call[3], call[4], call[5]
        process = self.process[thread]
        if name == b"connect":
            if result == b"0" or b"EINPROGRESS" in remark:
                yield from connection(process, at_ns, args)
            return
        if result.startswith(b"-"):
            return
        if name in FORKS:
            self.adopt(process, int(result, 0), args)
            return
        paths = [self.path(process, *found.groups()) for found in NAMED.finditer(args)]
        if name in (b"chdir", b"fchdir"):
            inside = re.match(rb"\d+<((?:[^\\>]|\\.)*)>", args)
            self.cwd[process] = paths[0] if paths else plain(inside[1]) if inside else self.cwd[process]
        elif name.decode() in OPENING:
            paths = paths or [plain(opened or b"")]
            letter = letter_of(name, args)
            if letter == "u" and b"O_CREAT" in args and self.is_new(paths[0], at_ns):
                letter = "w"
            if letter and paths[0].startswith(b"/"):
                yield event(letter, process, at_ns, paths[0])
        elif name.startswith(b"rename") and len(paths) > 1:
            if b"RENAME_EXCHANGE" in args:
                yield from (event("u", process, at_ns, path) for path in paths)
            else:
                yield event("m", process, at_ns, *paths)
        elif paths:
            name = b"rmdir" if name == b"unlinkat" and b"AT_REMOVEDIR" in args else name
            yield from self.plain_call(name, process, at_ns, paths)

    def plain_call(self, name: bytes, process: int, at_ns: int, paths: list[bytes]) -> Iterator[Event]:
        if name == b"rmdir":
            yield event("d", process, at_ns, paths[0], b"/")
        elif name in (b"unlink", b"unlinkat"):
            yield event("d", process, at_ns, paths[0])
        elif name in (b"mkdir", b"mkdirat"):
            yield event("k", process, at_ns, paths[0])
        elif name in (b"link", b"linkat", b"symlink", b"symlinkat") and len(paths) > 1:
            yield event("l", process, at_ns, paths[1])
        elif name == b"truncate":
            yield event("u", process, at_ns, paths[0])
        elif name.startswith(b"execve"):
            yield event("p", process, at_ns, paths[0])

    def is_new(self, path: bytes, at_ns: int) -> bool:
        """Was a file made by the call of that time that may have made it? One that is gone was: nobody misses it."""
        born = self.born(path)
        return born is None or born > at_ns - BIRTH_NS

    def adopt(self, parent: int, child: int, args: bytes) -> None:
        """A thread belongs to its process; a process begins where its parent works."""
        if b"CLONE_THREAD" in args:
            self.cwd.pop(child, None)
            self.process[child] = parent
        elif child not in self.process:
            self.process[child], self.cwd[child] = child, self.cwd[parent]

    def path(self, process: int, directory: bytes | None, path: bytes) -> bytes:
        """Absolute, and without empty and `.` parts; not resolved. `directory`: what the call's descriptor names."""
        path = plain(path)
        if path.startswith(b"/"):
            base = b""
        elif directory is not None:
            base = plain(directory) + b"/"
        else:
            base = self.cwd.get(process, self.start) + b"/"
        whole = base + path
        if b"//" in whole or b"/." in whole:
            kept = [part for part in whole.split(b"/") if part not in (b"", b".")]
            return b"/" + b"/".join(kept)
        return whole


def letter_of(name: bytes, args: bytes) -> str | None:
    """What the flags of an open say that it is; None for one that neither reads nor writes.

    Whether a file that may be made was there already is not told; it is taken to have been.
    """
    if name == b"creat":
        return "w"
    flags = set(FLAGS.findall(args[args.rfind(b'"') + 1 :]))
    if b"O_PATH" in flags or b"O_TMPFILE" in flags:
        return None
    if b"O_DIRECTORY" in flags:
        return "s"
    if not flags & {b"O_WRONLY", b"O_RDWR"}:
        return "r"
    return "w" if b"O_TRUNC" in flags or {b"O_CREAT", b"O_EXCL"} <= flags else "u"


def born_ns(path: bytes) -> int | None:
    """When a file was made, in nanoseconds since 1970; 0 where the file system does not tell, None where it is gone."""
    import ctypes

    made = ctypes.create_string_buffer(256)
    try:
        answer = ctypes.CDLL(None, use_errno=True).statx(AT_FDCWD, path, NO_FOLLOW, BIRTH, made)
    except (AttributeError, ValueError):  # a C library older than the call; a path that is none
        return 0
    if answer:
        return None if ctypes.get_errno() == errno.ENOENT else 0
    told, seconds, nanoseconds = (
        int.from_bytes(made.raw[start : start + size], sys.byteorder) for start, size in ((0, 4), (80, 8), (88, 4))
    )
    return seconds * 10**9 + nanoseconds if told & BIRTH else 0


def connection(process: int, at_ns: int, args: bytes) -> Iterator[Event]:
    """The address that a socket was connected to, unless it is this machine's or a name server's."""
    match = ADDRESS.search(args)
    if match is None:
        return
    port, host = int(match[1]), (match[2] or match[3]).decode(errors="replace")
    is_here = host.startswith(("127.", "::ffff:127.")) or host in ("::1", "0.0.0.0", "::")
    if port in (0, NAMESERVER) or is_here:
        return
    shown = f"[{host}]" if ":" in host else host
    yield Event("n", process, at_ns, f"tcp://{shown}:{port}")


def plain(text: bytes) -> bytes:
    """Undo strace's escapes."""
    return ESCAPE.sub(unescape, text) if b"\\" in text else text


def unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] in b"01234567":
        return bytes((int(code, 8) & 255,))
    if code[:1] == b"x" and len(code) == 3:
        return bytes((int(code[1:], 16),))
    return LETTERS.get(code, code)


def event(letter: str, process: int, at_ns: int, path: bytes, other: bytes = b"") -> Event:
    return Event(letter, process, at_ns, os.fsdecode(path), os.fsdecode(other))
