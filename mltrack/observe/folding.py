"""Events -> what was done to each path. Pure: the disk is never asked here.

Events are taken in the order in which they happened. What was read before anything of the run wrote it is what the run
depends on; what it read of its own is not.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from mltrack.observe import Event, Seen

NOTHING: frozenset[int] = frozenset()
MOST_URLS = 1000
MOST_UNWATCHED = 1000
MOST_GONE = 1000
"""Files that the run made and removed again, of which all is kept; of more only that they were its own."""
MOST_MADE = 1 << 18


class Path:
    """What is known of one path so far."""

    __slots__ = ("at_ns", "before", "is_read_first", "is_removed", "pids", "reads", "updates", "writes")

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns
        self.reads = self.writes = self.updates = self.is_read_first = self.is_removed = False
        self.before: str | None = None
        self.pids = NOTHING


def as_seen(path: str, one: Path) -> Seen:
    return Seen(
        path, one.reads, one.writes, one.updates, one.is_read_first, one.is_removed, one.before, one.pids, one.at_ns
    )


class Fold:
    """Takes events one after another. `seen()` may be asked at any time, and again later."""

    def __init__(self) -> None:
        self.processes: dict[int, set[str]] = {}
        """Process -> the letters that say how it is watched, `p` and `h`."""
        self.programs: dict[str, None] = {}
        """Programs and interpreters of watched processes, in the order in which they came."""
        self.unwatched: list[Event] = []
        """Events x, i and !."""
        self.network: dict[str, None] = {}
        """URLs and `tcp://host:port`."""
        self.written_trees: set[str] = set()
        """Paths that something was renamed to: if one is a directory, all that is below it counts as written."""
        self.fresh: list[str] = []
        """Paths that were read first, as they become known; whoever looks takes them out."""
        self.moved: dict[str, str] = {}
        """Files that the run did not make -> where it renamed them to: what was in them may be there now."""
        self.disturbed: dict[str, tuple[int, int]] = {}
        """Paths that may stand for something else than before -> when first and when last that came about."""
        self.failed = 0
        """How many events could not be followed."""
        self.gone = 0
        """How many files the run made and removed again."""
        self._gone: set[int] = set()
        """Hashes of the names of those that were forgotten: made again by whomever, they are the run's."""
        self._holds: dict[str, str] = {}
        """`moved` the other way round."""
        self._paths: dict[str, Path] = {}
        self._below: dict[str, set[str]] = {}
        """Directory -> names of what is known in it, directories too."""
        self._pids: dict[int, frozenset[int]] = {}
        self._made: set[str] = set()
        """Directories that the run made: what is in them, whoever put it there, was not there before."""
        self._brought: set[str] = set()
        """Links, and what was renamed: what is below them may have been there before, elsewhere."""

    def take(self, event: Event) -> None:
        """One more event."""
        letter, pid, at_ns, path, other = event
        if letter == "r":
            self._touch(path, pid, at_ns, False)
        elif letter in "wul":
            path = normal(path)
            self._write(path, self._touch(path, pid, at_ns, letter == "u", is_read=False), letter, at_ns)
            if letter == "l":
                self._brought.add(path)
        elif letter in "sk":
            self._of(normal(path), pid, at_ns)
            if letter == "k":
                self._made.add(normal(path))
        elif letter == "d":
            self._remove(normal(path), pid, at_ns, other == "/")
        elif letter == "m":
            self._move(normal(path), normal(other), pid, at_ns)
        elif letter == "b":
            known = self._of(normal(path), pid, at_ns)
            if known.before is None and not known.writes:
                known.before = other
        else:
            self._note(event)

    def take_all(self, events: Iterable[Event]) -> None:
        for event in events:
            try:
                self.take(event)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                self.failed += 1

    def seen(self) -> dict[str, Seen]:
        """Path -> what was done to it, in the order in which the paths were first touched."""
        return {path: as_seen(path, one) for path, one in self._paths.items()}

    def see(self, path: str) -> Seen:
        """What was done to one path so far."""
        one = self._paths.get(path)
        return Seen(path) if one is None else as_seen(path, one)

    def paths(self) -> Iterable[str]:
        """Every path that was touched."""
        return self._paths.keys()

    def _of(self, path: str, pid: int, at_ns: int) -> Path:
        """The entry of a normal path, made if it is new."""
        one = self._paths.get(path)
        if one is None:
            one = self._paths[path] = Path(at_ns)
            one.writes = bool(self._gone) and hash(path) in self._gone
            self._list(path)
        if pid not in one.pids:
            one.pids = one.pids | {pid} if one.pids else self._alone(pid)
        return one

    def _alone(self, pid: int) -> frozenset[int]:
        """The set of one process: shared, as most paths are touched by one."""
        found = self._pids.get(pid)
        if found is None:
            found = self._pids[pid] = frozenset((pid,))
        return found

    def _list(self, path: str) -> None:
        """Note a path in its directory, and that in its own."""
        below = self._below
        while path != "/":
            parent, _, name = path.rpartition("/")
            parent = parent or "/"
            names = below.get(parent)
            if names is not None:
                names.add(name)
                return
            below[parent] = {name}
            path = parent

    def _touch(self, path: str, pid: int, at_ns: int, is_first: bool, is_read: bool = True) -> Path:
        """A path was opened; `is_first` for one whose content counts though it is not read. Returns its entry."""
        if "//" in path or "/." in path or path[-1:] == "/":
            path = normal(path)
        one = self._of(path, pid, at_ns)
        if is_read:
            one.reads = True
            one.is_removed = False
        if (is_read or is_first) and not one.writes and not one.is_read_first:
            one.is_read_first = not (self._made and self._is_in_made(path))
            self.fresh.append(path)
        return one

    def _is_in_made(self, path: str) -> bool:
        """Does it lie in a directory that the run made, and not behind a link or in what came from elsewhere?"""
        while path not in self._brought:
            if path in self._made:
                return True
            path = path.rpartition("/")[0]
            if not path:
                break
        return False

    def _disturb(self, path: str, at_ns: int) -> None:
        """From now on the path may stand for something else."""
        first, last = self.disturbed.get(path, (at_ns, at_ns))
        self.disturbed[path] = (min(first, at_ns), max(last, at_ns))

    def _spoil(self, path: str) -> None:
        """What was moved there is there no more as it was."""
        if self._holds:
            source = self._holds.pop(path, None)
            if source is not None:
                self.moved.pop(source, None)

    def _forget(self, path: str) -> None:
        """Drop a file of which nothing is left but that the run made it: some make one for each batch."""
        self.gone += 1
        if self.gone <= MOST_GONE:
            return
        del self._paths[path]
        if len(self._gone) < MOST_MADE:
            self._gone.add(hash(path))
        while path != "/":
            parent, _, name = path.rpartition("/")
            path = parent or "/"
            names = self._below[path]
            names.discard(name)
            if names or path in self._paths:
                return
            del self._below[path]

    def _write(self, path: str, one: Path, letter: str, at_ns: int) -> None:
        if letter == "l" or (letter == "w" and one.is_read_first):
            self._disturb(path, at_ns)
        self._spoil(path)
        one.writes = True
        one.updates = one.updates or letter == "u"
        one.is_removed = False

    def _remove(self, path: str, pid: int, at_ns: int, is_directory: bool) -> None:
        """Removed, with all that is known below it: of a directory, what went unseen before it.

        Who removes a directory opens it before; not every source can tell that from the reading of a file.
        """
        one = self._of(path, pid, at_ns)
        one.is_removed = True
        self._spoil(path)
        is_own = (one.writes or path in self._made) and not one.is_read_first and path not in self._below
        self._made.discard(path)
        self._brought.discard(path)
        if is_own:
            self._forget(path)
            return
        self._disturb(path, at_ns)
        if is_directory and not one.writes:
            one.reads = one.is_read_first = False
        for below in self._all_below(path):
            known = self._paths.get(below)
            if known is not None:
                known.is_removed = True

    def _move(self, source: str, target: str, pid: int, at_ns: int) -> None:
        """What is at the target was written; what was at the source is away, and all below a directory with it.

        Of a file that the run did not make, the content counted: it is as good as read.
        """
        if source == target or source == "/" or target == "/":
            return
        is_ours = self._is_in_made(source)
        (self._made if is_ours else self._brought).add(target)
        (self._brought if is_ours else self._made).discard(target)
        self._made.discard(source)
        names = [name for name in self._all_below(source) if not self._is_away(name)]
        for name in (source, *names):
            old = self._of(name, pid, at_ns)
            place = target + name[len(source) :]
            origin = self._holds.pop(name, None)
            self._spoil(place)
            if not old.writes and (old.is_read_first or not names):
                self._touch(name, pid, at_ns, True, is_read=False)
                origin = name
            if origin is not None:
                self.moved[origin], self._holds[place] = place, origin
            new = self._of(place, pid, at_ns)
            new.writes, new.is_removed = True, False
            new.pids |= old.pids
            old.is_removed = True
            if old.writes and not old.is_read_first and name not in self._below:
                self._forget(name)
            elif name == source:
                self._disturb(source, at_ns)
        self._disturb(target, at_ns)
        self.written_trees.add(target)

    def _is_away(self, path: str) -> bool:
        """Is it a directory of which nothing is known, or was it removed?"""
        one = self._paths.get(path)
        return one is None or one.is_removed

    def _all_below(self, path: str) -> Iterator[str]:
        """The known paths below a directory, itself not among them; a snapshot of each directory."""
        waiting = [path]
        while waiting:
            directory = waiting.pop()
            start = directory if directory == "/" else directory + "/"
            for name in tuple(self._below.get(directory, ())):
                waiting.append(start + name)
                yield start + name

    def _note(self, event: Event) -> None:
        letter, pid, _, path, _ = event
        if letter in "ph":
            self.processes.setdefault(pid, set()).add(letter)
            self.programs[normal(path)] = None
        elif letter == "n":
            if len(self.network) < MOST_URLS:
                self.network[path] = None
        elif len(self.unwatched) < MOST_UNWATCHED:
            self.unwatched.append(event)


def normal(path: str) -> str:
    """An absolute path without `.`, `..` and doubled slashes, by its text only."""
    if "//" in path or "/." in path or path[-1:] == "/":
        path = posixpath.normpath(path)
        return path[1:] if path[:2] == "//" else path
    return path


def joined(one: Seen, other: Seen) -> Seen:
    """What two sources say of one path, of which the second cannot tell the process."""
    return Seen(
        one.path,
        one.reads or other.reads,
        one.writes or other.writes,
        one.updates or other.updates,
        one.is_read_first or other.is_read_first,
        one.is_removed and other.is_removed,
        one.before if one.before is not None else other.before,
        one.pids,
        min(one.at_ns, other.at_ns) if one.at_ns and other.at_ns else one.at_ns or other.at_ns,
    )
