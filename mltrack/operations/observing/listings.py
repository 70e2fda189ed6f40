"""What the directories held that a run listed, when it began: names, kinds and sizes, and no content.

`see` finds it out when the command has ended, `encode` and `decode` are its stored form. `listed.py` brings it back,
with stand-ins for the files that nobody kept: a stand-in is known by the time of its last change.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.digest import canonical_json
from mltrack.errors import Damaged
from mltrack.noun_json import is_utf8
from mltrack.nouns import noun
from mltrack.observe import Seen
from mltrack.observe.names import CODE_SUFFIXES, suffix_of
from mltrack.observe.rules import is_below
from mltrack.operations.observing.surroundings import lies_at, named, shown
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.operations.observing.watcher import Ended
    from mltrack.redact import Redactor

MOST_NAMES = 200_000
"""Of a run."""
STATE = (".git", ".mltrack")
CODE, LISTING, SECRET, STAND_IN = "code", "listing", "secret", "stand-in"
NO_DATA = frozenset(("git", "mltrack", "environment", "cache", "device", "exclude", "system", "settings"))
"""Rules of names in the project that are no part of its data."""
STAND_IN_NS = 22_222_222 * 10**9
"""When a stand-in was last changed, in nanoseconds since 1970: at a moment in its September, as no file really was."""
KINDS = frozenset(("file", "executable", "directory", "link"))


@noun
class Entry:
    """One name of a directory."""

    name: str
    kind: str
    """`file`, `executable`, `directory` or `link`."""
    size: int | None = None
    """Bytes of a file, or of the one that a link leads to; None for one whose size is nobody's business."""
    target: str = ""
    """Where a link points to."""
    leads: str = ""
    """What that was: `file`, `directory`, or nothing."""


@noun
class Listing:
    """A directory by the path that the record has for it, with its entries by name."""

    path: str
    entries: tuple[Entry, ...]


@noun
class Listings:
    """All of a run."""

    directories: tuple[Listing, ...] = ()
    cut: tuple[str, ...] = ()
    """Directories that are not among them, for they would make too many names."""
    problem: str = ""
    """Why there are none, if that is for an error of ours."""


# -- at the end of a run


def see(ended: Ended) -> Listings:
    """The directories of data that the command listed, as they were when it began."""
    look = _Look(ended)
    found, cut = [], []
    room = MOST_NAMES
    for item in sorted(ended.placed, key=lambda placed: placed.path):
        if item.rule != LISTING or item.seen.writes or not look.is_data(item.path):
            continue
        entries = look.entries(item.path, room)
        if entries is None:
            cut.append(look.name(item.path))
        elif entries or not look.is_in_project(item.path):
            room -= len(entries)
            found.append(Listing(look.name(item.path), entries))
    return Listings(tuple(found), tuple(cut))


class _Look:
    """What is known of the run, by path."""

    def __init__(self, ended: Ended) -> None:
        from mltrack.operations.observing.directories import parents_of

        self.ended = ended
        self.place = ended.scene.place
        world = ended.placer.world
        self.root = world.root
        self.above = {"/", world.home, *world.temporary, *parents_of(world.home), *parents_of(self.root)}
        self.seen = {item.path: item.seen for item in ended.placed}
        self.brought = {parent for path in ended.code.files for parent in parents_of(path)} | ended.code.files
        """What comes back with the code."""
        self.of_code = {path.rpartition("/")[0] for path in ended.code.files if suffix_of(path) in CODE_SUFFIXES}
        self.of_data = {path.rpartition("/")[0] for path in ended.inputs}
        self.gone: dict[str, list[str]] = {}
        for item in ended.placed:
            if item.seen.is_removed and item.seen.is_read_first and item.made != "left out":
                self.gone.setdefault(item.path.rpartition("/")[0], []).append(item.path)

    def name(self, path: str) -> str:
        """What the record calls a directory."""
        return "." if path == self.root else named(self.ended.scene, path)

    def is_in_project(self, path: str) -> bool:
        return is_below(path, self.root)

    def is_data(self, path: str) -> bool:
        """Is it a directory that was there, and may hold data? One of code is listed by each program that imports."""
        if path in self.above or (path in self.of_code and path not in self.of_data):
            return False
        if self.ended.placer.rule_by_name(Seen(f"{path}/-")) not in (None, "include"):
            return False  # all of it is something else, or declared
        here = lies_at(self.place, path)
        return os.path.isdir(here) and self.was_there(here)

    def was_there(self, here: str) -> bool:
        """Was it made before the command began, as far as the file system tells?"""
        from mltrack.observe.trace import born_ns

        return (born_ns(os.fsencode(here)) or 0) < self.ended.start_ns

    def entries(self, path: str, room: int) -> tuple[Entry, ...] | None:
        """What was in a directory; None if that is more than `room`."""
        found: dict[str, Entry] = {}
        try:
            with os.scandir(lies_at(self.place, path)) as listing:
                for item in listing:
                    entry = self.entry(f"{path}/{item.name}", item.name)
                    if entry is not None:
                        found[entry.name] = entry
                    if len(found) > room:
                        return None
        except OSError:
            return ()
        for gone in self.gone.get(path, ()):
            name = gone.rpartition("/")[2]
            known = self.ended.inputs.get(gone)
            found.setdefault(name, Entry(name, "file", known.size_bytes if known is not None else 0))
        return tuple(found[name] for name in sorted(found, key=os.fsencode)) if len(found) <= room else None

    def entry(self, path: str, name: str) -> Entry | None:
        """A name that is there now; None if it was not then, or comes back in another way."""
        seen = self.seen.get(path)
        is_read_first = seen is not None and seen.is_read_first
        if name in STATE or (seen is not None and seen.writes and not is_read_first):
            return None
        rule = self.ended.placer.rule_by_name(Seen(path))
        if self.is_in_project(path) and (path in self.brought or rule in NO_DATA):
            return None
        here = lies_at(self.place, path)
        try:
            fields = os.lstat(here)
            if fields.st_ctime_ns >= self.ended.start_ns and not is_read_first and not self.was_there(here):
                return None
            return described(here, name, fields, None if rule == SECRET else self.size(path, fields))
        except OSError:
            return None

    def size(self, path: str, fields: os.stat_result) -> int | None:
        """Bytes of a file; as it was, if it was read and then changed."""
        known = self.ended.inputs.get(path)
        return fields.st_size if known is None or known.size_bytes is None else known.size_bytes


def described(here: str, name: str, fields: os.stat_result, size: int | None) -> Entry | None:
    """The entry for what lies there; None for what is neither file, directory nor link."""
    mode = fields.st_mode
    if stat.S_ISREG(mode):
        return Entry(name, "executable" if mode & 0o100 else "file", size)
    if stat.S_ISDIR(mode):
        return Entry(name, "directory")
    if not stat.S_ISLNK(mode):
        return None
    target = os.readlink(here)
    try:
        led = os.stat(here)
    except OSError:
        return Entry(name, "link", None, target)
    if stat.S_ISDIR(led.st_mode):
        return Entry(name, "link", None, target, "directory")
    is_file = stat.S_ISREG(led.st_mode)
    return Entry(name, "link", led.st_size if is_file and size is not None else None, target, "file" if is_file else "")


def kept(ended: Ended) -> str | None:
    """The digest of what was listed, in the store; None for nothing."""
    data = encode(found_by(ended).directories, ended.scene.redactor)
    return ended.scene.project.store.put_bytes(data) if data else None


def found_by(ended: Ended) -> Listings:
    """What `see` says, asked once."""
    if ended.listings is None:
        try:
            ended.listings = see(ended)
        except Exception as error:  # the record is worth more
            ended.listings = Listings(problem=f"{type(error).__name__}: {error}")
    return ended.listings


def warnings_of(ended: Ended) -> list[Warning]:
    """What is to be said of directories whose names are not kept, and of stand-ins that were read for data."""
    found = []
    listings = found_by(ended)
    if listings.problem:
        text = f"The names in the directories that it listed could not be kept: {listings.problem}."
        found.append(Warning("observation-incomplete", ended.scene.redactor.text(text)))
    if listings.cut:
        text = f"It listed {shown(listings.cut)}, with more than {MOST_NAMES:,} names in all, which are not kept."
        found.append(Warning("listing-not-kept", text))
    read = [item for item in ended.placed if item.seen.reads or item.seen.is_read_first]
    names = [named(ended.scene, item.path) for item in read if item.rule == STAND_IN]
    if names:
        found.append(Warning("stand-in-read", stand_ins_read(names)))
    return found


def stand_ins_read(names: Sequence[str]) -> str:
    many = f"{len(names):,} files" if len(names) > 1 else "a file"
    return (
        f"It read {many} that the run before did not, and of which only name and size are known: {shown(names)}. "
        "Record that run again with its directory as an --input, or with inputs.whole_directories: true."
    )


def is_stand_in(fields: os.stat_result) -> bool:
    """Does a file stand for one of which only name and size are known?"""
    return fields.st_mtime_ns == STAND_IN_NS and stat.S_ISREG(fields.st_mode)


# -- as it is stored


def encode(directories: Iterable[Listing], redactor: Redactor) -> bytes:
    """Canonical JSON lines, one for each directory. Names that hold secrets are left out."""
    found = []
    for listing in directories:
        if redactor.text(listing.path) == listing.path:
            rows = [row_of(entry) for entry in listing.entries if is_plain(entry, redactor)]
            found.append(canonical_json({"path": text_of(listing.path), "entries": rows}) + b"\n")
    return b"".join(found)


def is_plain(entry: Entry, redactor: Redactor) -> bool:
    words = f"{entry.name} {entry.target}" if entry.target else entry.name
    return redactor.text(words) == words


def row_of(entry: Entry) -> list[Any]:
    row: list[Any] = [text_of(entry.name), entry.kind]
    if entry.kind == "link":
        row += [text_of(entry.target), entry.leads, entry.size]
    elif entry.kind != "directory":
        row.append(entry.size)
    return row


def text_of(text: str) -> Any:
    """A path for JSON: a text, or the bytes of one that is not UTF-8."""
    return text if is_utf8(text) else {"b64": base64.b64encode(os.fsencode(text)).decode()}


def decode(data: bytes) -> list[Listing]:
    """What `encode` made. Raises Damaged for another, or if it names what no directory can hold."""
    found = []
    try:
        for line in data.splitlines():
            row = json.loads(line)
            entries = tuple(entry_of(*one) for one in row["entries"])
            found.append(Listing(read_text(row["path"]), entries))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged("The record of listed directories is damaged.", "Run `mltrack verify`.") from error
    if sum(len(listing.entries) for listing in found) > MOST_NAMES:
        raise Damaged("The record of listed directories has too many names.", "Nothing was done with it.")
    return found


def entry_of(name: Any, kind: Any, *rest: Any) -> Entry:
    """An entry by its row. Raises ValueError or TypeError."""
    text = read_text(name)
    if kind not in KINDS or text in ("", ".", "..") or "/" in text or text.lower() in (*STATE, "git~1"):
        raise ValueError(text)
    if kind == "directory":
        return Entry(text, kind)
    if kind == "link":
        target, leads, size = rest
        return Entry(text, kind, size_of(size), read_text(target), str(leads))
    (size,) = rest
    return Entry(text, kind, size_of(size))


def size_of(size: Any) -> int | None:
    if size is None:
        return None
    if type(size) is not int or not 0 <= size < 1 << 62:
        raise ValueError(size)
    return size


def read_text(value: Any) -> str:
    text = value if isinstance(value, str) else os.fsdecode(base64.b64decode(value["b64"], validate=True))
    if not text or "\0" in text:
        raise ValueError(text)
    return text


def names_of(listing: Listing) -> Iterator[str]:
    return (entry.name for entry in listing.entries)
