"""The store's gc: packs in which nothing is needed go, and of mostly dead ones the living entries are moved away.

Rows of the index go before the files, and nothing goes that a process holds (see `holds`). What is needed, others
know: they hand it in, and are asked again at the moment of deleting for what has been added since.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing, StorageError
from mltrack.nouns import noun
from mltrack.store import holds
from mltrack.store.disk import remove, sync_directory, writing
from mltrack.store.entries import HEADER_SIZE, PACK_HEADER, TABLE_ROW, TRAILER
from mltrack.store.locks import lock_file
from mltrack.store.packs import Pending, try_lock

if TYPE_CHECKING:
    from mltrack.store.entries import EntryKey, Place
    from mltrack.store.entry_store import EntryStore

HALF = 0.5
"""A pack of which less than this part is needed is rewritten."""

ENDS = len(PACK_HEADER) + HEADER_SIZE + TRAILER.size
"""Bytes of a sealed pack besides entries and the rows of its table."""

TURN = "gc.turn"
GONE = ".gone"
"""Ends the name of a pack's file whose rows are gone: it is deleted next."""

TORN_S = 86400
"""Age from which a temporary file is a crash's leftover, and not one that is being written."""


@noun
class PackUse:
    """How much of a pack is needed. Bytes are those of entries, headers included."""

    name: str
    size_bytes: int
    entries: int
    entry_bytes: int
    needed: int
    needed_bytes: int
    asked: int = 0
    """How many of the others are to go now, whatever else the pack holds."""

    @property
    def is_garbage(self) -> bool:
        return not self.needed

    @property
    def is_to_be_rewritten(self) -> bool:
        # What the index knows nothing of is a table, or a second copy of what lies in another pack.
        unknown = self.size_bytes - self.entry_bytes - TABLE_ROW.size * self.entries - ENDS
        is_thin = self.needed_bytes < HALF * (self.entry_bytes + max(0, unknown))
        return bool(self.needed) and (is_thin or self.asked > 0)


@noun
class Outcome:
    """What a sweep did, or would do. Packs that are left are held by living processes, damaged, or needed by now."""

    removed: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    freed_bytes: int = 0
    temporary_files: int = 0


@noun
class Needed:
    """What must stay, and what is asked to go."""

    keys: Set[EntryKey]
    since: Callable[[], Set[EntryKey]]
    """Tells, once no process can take a hold, what else is needed by then."""
    unfinished: Callable[[], bool]
    """Are there runs that did not end? Then what dead processes held must stay too."""
    asked: Set[EntryKey] = frozenset()
    """These are to go even from a pack that is mostly needed."""


@dataclass
class _Done:
    removed: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    freed: int = 0


def use_of_packs(
    store: EntryStore, needed: Collection[EntryKey], asked: Collection[EntryKey] = ()
) -> dict[str, PackUse]:
    """What of each pack is needed, as the index tells; what it did not know of yet, it learns."""
    store.flush()
    store._catch_up()
    counts: dict[str, list[int]] = {name: [0, 0, 0, 0, 0] for name, _ in store._packs.names()}
    for key, pack, length, _ in store._index.rows():
        if pack in counts:
            count = counts[pack]
            count[0] += 1
            count[1] += length
            if key in needed:
                count[2] += 1
                count[3] += length
            elif key in asked:
                count[4] += 1
    return {name: PackUse(name, store._packs.size(name), *count) for name, count in counts.items()}


def plan(store: EntryStore, needed: Needed) -> Outcome:
    """What `sweep` would do now."""
    uses = use_of_packs(store, needed.keys, needed.asked)
    store.let_go()
    with holds.alone(store.path):
        left = holds.held(store.path, needed.unfinished())
    dead = [use for use in uses.values() if use.is_garbage and use.name not in left]
    thin = [use for use in uses.values() if use.is_to_be_rewritten and use.name not in left]
    freed = sum(use.size_bytes for use in dead) + sum(use.size_bytes - use.needed_bytes for use in thin)
    kept = [use.name for use in uses.values() if use.name in left and (use.is_garbage or use.is_to_be_rewritten)]
    torn = sum(1 for _ in leftovers(store.path))
    return Outcome(tuple(u.name for u in dead), tuple(u.name for u in thin), tuple(kept), freed, torn)


def sweep(store: EntryStore, needed: Needed, progress: Callable[[int], None] | None = None) -> Outcome:
    """Delete what is not needed. `progress` is told of bytes looked after.

    Raises StorageError when another sweep is at work, or the disk is full; what was done until then is done.
    """
    with turn(store.path):
        return _Sweeper(store, needed, progress).work()


class _Sweeper:
    def __init__(self, store: EntryStore, needed: Needed, progress: Callable[[int], None] | None) -> None:
        self._store = store
        self._ask = needed
        self._needed = set(needed.keys)
        self._progress = progress
        self._needed_by_now: set[str] = set()
        """Packs with something that was not needed yet when their use was counted."""
        self._done = _Done()

    def work(self) -> Outcome:
        store, done = self._store, self._done
        torn = 0
        for place in leftovers(store.path):
            remove(str(place))
            torn += 1
        uses = use_of_packs(store, self._needed, self._ask.asked)
        store.let_go()
        condemned = [use for use in uses.values() if use.is_garbage or use.is_to_be_rewritten]
        with _locked(store, condemned) as free:
            done.left.update(use.name for use in condemned if use.name not in free)
            dead = {use.name: use.size_bytes for use in condemned if use.is_garbage and use.name in free}
            if dead:
                done.removed += self._drop(dead, Pending())
            for use in condemned:
                if use.is_to_be_rewritten and use.name in free:
                    self._rewrite(use)
        return Outcome(tuple(done.removed), tuple(done.rewritten), tuple(sorted(done.left)), done.freed, torn)

    def _rewrite(self, use: PackUse) -> None:
        """Move what is needed of a pack to another one, then drop it."""
        if use.name in self._needed_by_now:
            self._done.left.add(use.name)
            return
        places = {k: place for k, place in self._store._index.in_pack(use.name).items() if k in self._needed}
        try:
            moved = copy_entries(self._store, places)
        except DataMissing:  # damaged: nothing of it may go before it was repaired
            self._done.left.add(use.name)
            return
        dropped = self._drop({use.name: use.size_bytes}, moved)
        self._done.rewritten += dropped
        if dropped:
            self._done.freed -= sum(place.length for place in moved.places.values())

    def _drop(self, packs: Mapping[str, int], moved: Pending) -> list[str]:
        """Forget packs, then delete them; those that somebody holds or needs by now stay. `moved` came from them."""
        store = self._store
        with holds.alone(store.path):
            # In this order: a hold ends only after the record that it was for is there to be read.
            left = holds.held(store.path, self._ask.unfinished())
            since = self._ask.since() - self._needed
            self._needed |= since
            self._needed_by_now.update(store._index.packs_of(since).values())
            left |= self._needed_by_now
            gone = [name for name in packs if name not in left]
            self._done.left.update(set(packs) & left)
            if gone:
                store._index.replace_packs(gone, moved)
                files = [_put_aside(store, name) for name in gone]
                store._index.replace_packs(gone, Pending())  # what an index that was made anew meanwhile knows of them
        if not gone:
            return []
        for file in files:
            remove(str(file))
        for directory in (store._packs.sealed, store._packs.open):
            sync_directory(directory)
        self._done.freed += sum(packs[name] for name in gone)
        if self._progress is not None:
            self._progress(sum(packs[name] for name in gone))
        return gone


def copy_entries(store: EntryStore, places: Mapping[EntryKey, Place]) -> Pending:
    """Append verified copies of entries to an open pack. They are durable then, but the index is not told of them.

    Raises DataMissing if one is damaged or gone, StorageError if the disk is full: then nothing has changed.
    """
    moved = Pending()
    writer = None
    try:
        for key, place in sorted(places.items(), key=lambda item: item[1][:2]):
            if writer is None:
                writer = store._adopt()
            moved.places[key] = writer.append(key, (store.read_entry(key),), place.raw_size)
            if writer.full:
                writer.seal()
                moved.packs[writer.name] = writer.extent
                writer.release()
                writer = None
        if writer is not None:
            writer.sync()
            moved.packs[writer.name] = writer.extent
    finally:
        if writer is not None:
            writer.release()
    store.flush()  # what a dead writer had left in the packs that were taken over
    return moved


def _put_aside(store: EntryStore, name: str) -> Path:
    """Rename a pack's file so that nobody takes it for one; its new place."""
    for directory in (store._packs.sealed, store._packs.open):
        place = directory / name
        with writing(place):
            try:
                place.rename(place.with_name(name + GONE))
            except FileNotFoundError:
                continue
        break
    return place.with_name(name + GONE)


def leftovers(path: Path) -> Iterator[Path]:
    """What crashes left in a store and beside it: temporary files of yesterday, and packs that were put aside."""
    for directory in (path, path / "open", path / "packs", path.parent):
        for place in directory.iterdir():
            is_torn = place.name.startswith(".mltrack-") and place.suffix == ".tmp"
            if place.suffix == GONE or (is_torn and time.time() - place.lstat().st_mtime > TORN_S):
                yield place


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """One sweep at a time."""
    with writing(path / TURN):
        handle = os.open(path / TURN, holds.FLAGS, 0o666)
    try:
        if not lock_file(handle, wait=False):
            raise StorageError("Another gc or repair is at work in this store.", "Wait until it has ended.")
        yield
    finally:
        os.close(handle)


@contextmanager
def _locked(store: EntryStore, uses: Collection[PackUse]) -> Iterator[set[str]]:
    """The names of those packs that nobody appends to; nobody can, while this lasts."""
    handles = []
    free = set()
    sealed = dict(store._packs.names())
    try:
        for use in uses:
            if sealed.get(use.name):
                free.add(use.name)
            elif (handle := try_lock(store._packs.open / use.name)) is not None:
                handles.append(handle)
                free.add(use.name)
        yield free
    finally:
        for handle in handles:
            os.close(handle)
