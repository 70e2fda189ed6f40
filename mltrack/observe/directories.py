"""inotify on the directories of a project: for programs that neither the library nor the hook can enter.

It needs a watch for each directory and tells no process, so that what it says counts only where nothing better is
there. What it could not watch, or lost, is told. Linux only; elsewhere `start` says so. The kernel's queue is emptied
by a thread as it fills; `take` gives what came since, by the letters of the journal (see the package).
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mltrack.observe import Event

if TYPE_CHECKING:
    import threading

MOST = 4000
"""Directories that are watched at most."""
SKIPPED = frozenset((".git", ".hg", ".mltrack", "__pycache__", "node_modules"))
MARKS = ("pyvenv.cfg", "conda-meta")
"""What lies at the top of an environment."""
NAMED = 5

ACCESS, MODIFY, CLOSE_WRITE, CLOSE_NOWRITE, OPEN = 0x1, 0x2, 0x8, 0x10, 0x20
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
OVERFLOW, IGNORED = 0x4000, 0x8000
ONLY_DIRECTORIES, NO_LINKS, NO_UNLINKED = 0x01000000, 0x02000000, 0x04000000
IS_DIRECTORY = 0x40000000
ASKED = ACCESS | MODIFY | CLOSE_WRITE | CLOSE_NOWRITE | OPEN | MOVED_FROM | MOVED_TO | CREATE | DELETE
ASKED |= ONLY_DIRECTORIES | NO_LINKS | NO_UNLINKED
READS = ACCESS | CLOSE_NOWRITE
HEADER = struct.Struct("iIII")
BLOCK = 1 << 18
LIMIT_FILE = "/proc/sys/fs/inotify/max_user_watches"


class Directories:
    """Watches some directories and all below them."""

    def __init__(self, roots: Iterable[str], skip: Callable[[str], bool] = lambda directory: False) -> None:
        """`roots`: absolute. `skip`: is this directory, and all below it, to be left out?"""
        self.roots = tuple(dict.fromkeys(os.path.normpath(root) for root in roots))
        self.skip = skip
        self.unwatched = 0
        """Directories that had to be left out."""
        self.left: list[str] = []
        """The first of them."""
        self.problem: str | None = None
        """Why nothing is watched, or not everything."""
        self._most = MOST
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._told: set[tuple[str, str]] = set()
        self._ignored: set[str] = set()
        self._moving: dict[int, str] = {}
        self._events: list[Event] = []
        self._fd = -1
        self._libc: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin to watch; False, and `problem` says why, where that cannot be."""
        import threading

        if sys.platform != "linux":
            self.problem = "Directories are watched on Linux only."
            return False
        try:
            self._open_queue()
        except OSError as error:
            self.problem = f"Directories cannot be watched: {error.strerror}."
            return False
        self.lock = threading.Lock()
        self._most = min(MOST, watches_allowed() // 2)
        for root in self.roots:
            self._watch_tree(root, is_new=False)
        self._wake, self._wake_end = os.pipe()
        self._thread = threading.Thread(target=self._follow, name="mltrack-directories", daemon=True)
        self._thread.start()
        return bool(self._paths)

    def take(self) -> list[Event]:
        """What happened since the last time, in order. The time is when it was seen; the process is 0: not known."""
        if self._thread is None:
            return []
        with self.lock:
            self._read()
            taken, self._events = self._events, []
        return taken

    def ignore(self, path: str) -> None:
        """Tell nothing more of reading that path: it is we who are going to read it."""
        self._ignored.add(path)

    def stop(self) -> list[Event]:
        """End; what was not taken yet. Files that are still open, and were not written, count as read."""
        if self._thread is None:
            return []
        os.write(self._wake_end, b"!")
        self._thread.join()
        self._thread = None
        self._read()
        for path in self._open:
            if ("w", path) not in self._told:
                self._tell("r", path)
        for cookie in list(self._moving):
            self._left(self._moving.pop(cookie))
        for fd in (self._fd, self._wake, self._wake_end):
            os.close(fd)
        taken, self._events = self._events, []
        return taken

    def limits(self) -> list[str]:
        """Sentences about what was not watched."""
        found = [self.problem] if self.problem else []
        if self.unwatched:
            some = ", ".join(self.left)
            found.append(f"{self.unwatched} directories are too many to watch, with what is in them: {some} ...")
        return found

    def _open_queue(self) -> None:
        import ctypes

        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def _follow(self) -> None:
        """Empty the queue whenever something is in it, until `stop`."""
        import select

        poll = select.poll()
        for fd in (self._fd, self._wake):
            poll.register(fd, select.POLLIN)
        while self._wake not in {fd for fd, _ in poll.poll()}:
            with self.lock:
                self._read()

    def _watch_tree(self, top: str, is_new: bool) -> list[str]:
        """Watch a directory and those below it; the files in those that were not watched yet.

        A new one is watched before it is listed, so that nothing is missed; the others are listed before any of them
        is watched, for our own listing would fill the queue.
        """
        found: list[str] = []
        listed: list[str] = []
        waiting = [top]
        for directory in waiting:  # it grows meanwhile: the upper ones first, should there be too many
            if directory not in self.roots and (os.path.basename(directory) in SKIPPED or self.skip(directory)):
                continue
            is_known = directory in self._watches
            if len(self._paths) + len(listed) >= self._most and not is_known:
                self._leave(directory)
                continue
            if is_new and not self._watch(directory):
                continue
            entries = list_directory(directory)
            if directory not in self.roots and any(os.path.basename(path) in MARKS for path, _ in entries):
                self._unwatch(directory)
                continue
            if not is_new:
                listed.append(directory)
            waiting += [path for path, is_directory in entries if is_directory]
            if not is_known:
                found += [path for path, is_directory in entries if not is_directory]
        for directory in listed:
            self._watch(directory)
        return found

    def _watch(self, directory: str) -> bool:
        import ctypes

        if directory in self._watches:
            return True
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(directory), ASKED)
        if watch >= 0:
            self._forget(watch)
            self._paths[watch], self._watches[directory] = directory, watch
            return True
        if ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR):
            self._leave(directory)
        return False

    def _leave(self, directory: str) -> None:
        self.unwatched += 1
        if len(self.left) < NAMED:
            self.left.append(directory)

    def _unwatch(self, directory: str) -> None:
        watch = self._watches.get(directory)
        if watch is not None:
            self._libc.inotify_rm_watch(self._fd, watch)
            self._forget(watch)

    def _forget(self, watch: int) -> None:
        path = self._paths.pop(watch, None)
        if path is not None and self._watches.get(path) == watch:
            del self._watches[path]

    def _read(self) -> None:
        """Empty the queue."""
        while True:
            try:
                data = os.read(self._fd, BLOCK)
            except BlockingIOError:
                break
            for watch, mask, cookie, name in split(data):
                self._note(watch, mask, cookie, name)
        for cookie in list(self._moving)[:-1]:  # the other half of the last may be yet to come
            self._left(self._moving.pop(cookie))

    def _note(self, watch: int, mask: int, cookie: int, name: bytes) -> None:
        """One event of the kernel."""
        if mask & OVERFLOW:
            self._tell("!", self.roots[0] if self.roots else "", "So much happened that some of it was not seen.")
            return
        directory = self._paths.get(watch)
        if mask & IGNORED:
            self._forget(watch)
        if directory is None or not name or self._is_elsewhere(directory, cookie):
            return
        path = f"{directory}/{os.fsdecode(name)}" if directory != "/" else f"/{os.fsdecode(name)}"
        if mask & MOVED_FROM:
            self._moving[cookie] = path
        elif mask & MOVED_TO:
            self._moved(self._moving.pop(cookie, None), path, bool(mask & IS_DIRECTORY))
        elif mask & DELETE:
            self._gone(path, bool(mask & IS_DIRECTORY))
            self._tell("d", path)
        elif not mask & IS_DIRECTORY:
            self._note_file(mask, path)
        elif mask & CREATE:
            self._appeared(path)

    def _is_elsewhere(self, directory: str, cookie: int) -> bool:
        """Was it, or one above it, renamed to where nobody watches? Then nothing more is told of it."""
        for key, source in list(self._moving.items()):
            if key != cookie and (directory == source or directory.startswith(source + "/")):
                self._left(self._moving.pop(key))
                return True
        return False

    def _note_file(self, mask: int, path: str) -> None:
        """What was done to a file. Whether one was emptied or added to is not told: it counts as emptied."""
        if mask & OPEN:
            self._open[path] = self._open.get(path, 0) + 1
        elif mask & READS:
            if mask & CLOSE_NOWRITE:
                self._close(path)
            self._tell("r", path)
        elif mask & (CREATE | MODIFY | CLOSE_WRITE):
            if mask & CLOSE_WRITE:
                self._close(path)
            self._tell("w", path)

    def _close(self, path: str) -> None:
        left = self._open.pop(path, 1) - 1
        if left > 0:
            self._open[path] = left

    def _appeared(self, directory: str) -> None:
        """A directory with others that are new: what is in those came before we could watch it."""
        for path in self._watch_tree(directory, is_new=True):
            self._tell("w", path)

    def _moved(self, source: str | None, target: str, is_directory: bool) -> None:
        if source is None:  # from where nobody watches
            if is_directory:
                self._appeared(target)
            else:
                self._tell("w", target)
            return
        self._gone(target, False)
        self._tell("m", source, target)
        if is_directory:
            self._open = {renamed(path, source, target): number for path, number in self._open.items()}
            self._paths = {watch: renamed(path, source, target) for watch, path in self._paths.items()}
            self._watches = {path: watch for watch, path in self._paths.items()}
            self._appeared(target)  # it, or one below, may have been renamed before we could watch it
        elif source in self._open:
            self._open[target] = self._open.pop(source)
        self._gone(source, is_directory)

    def _left(self, path: str) -> None:
        """Renamed to where nobody watches."""
        below = [directory for directory in self._watches if directory == path or directory.startswith(path + "/")]
        for directory in below:
            self._unwatch(directory)
        self._gone(path, bool(below))
        self._tell("d", path)

    def _gone(self, path: str, is_directory: bool) -> None:
        """What comes to that path next is another file."""
        self._told.difference_update([(letter, path) for letter in "rw"])
        if is_directory:
            below = path + "/"
            self._told = {item for item in self._told if not item[1].startswith(below)}

    def _tell(self, letter: str, path: str, other: str = "") -> None:
        """Note an event; of reading and of writing once for each path, until that is removed or renamed."""
        if letter in "rw":
            if (letter, path) in self._told or (letter == "r" and path in self._ignored):
                return
            self._told.add((letter, path))
        self._events.append(Event(letter, 0, time.time_ns(), path, other))


def list_directory(directory: str) -> list[tuple[str, bool]]:
    """Path, and whether it is a directory itself, of what is in a directory; nothing if it is gone."""
    try:
        with os.scandir(directory) as entries:
            return [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []


def renamed(path: str, source: str, target: str) -> str:
    """The path after `source` was renamed to `target`."""
    if path == source:
        return target
    return target + path[len(source) :] if path.startswith(source + "/") else path


def split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The kernel's events in a block: watch, mask, cookie, name."""
    at = 0
    while at < len(data):
        watch, mask, cookie, length = HEADER.unpack_from(data, at)
        at += HEADER.size
        yield watch, mask, cookie, data[at : at + length].rstrip(b"\0")
        at += length


def watches_allowed() -> int:
    try:
        with open(LIMIT_FILE) as file:
            return int(file.read())
    except (OSError, ValueError):
        return MOST
