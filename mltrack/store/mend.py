"""After damage: sound copies are found, and a damaged pack is rewritten without what is wrong in it.

What is sound in it is moved as gc moves it; the file itself is set aside in `store/damaged/`, or removed where nothing
of it is wanted any more. Where good bytes come from, others know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, DataMissing, FormatTooNew
from mltrack.nouns import noun
from mltrack.store import holds
from mltrack.store.disk import remove, sync_directory, writing
from mltrack.store.entries import EntryKey, Place, read_table, scan
from mltrack.store.entry_store import is_sound
from mltrack.store.packs import Extent, Pending, try_lock
from mltrack.store.sweep import copy_entries, turn

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.store.entry_store import EntryStore
    from mltrack.store.packs import Packs

ASIDE = "damaged"


@noun
class Mended:
    """Names of damaged packs: those rewritten, and those left because somebody uses them. `aside`: where files are."""

    rewritten: tuple[str, ...]
    left: tuple[str, ...]
    aside: tuple[Path, ...]


def find_copies(packs: Packs, keys: Collection[EntryKey]) -> dict[EntryKey, Place]:
    """A sound copy of each of the keys that has one in any pack, whatever the index says."""
    found: dict[EntryKey, Place] = {}
    for name, _ in packs.names():
        try:
            with packs.file(name) as file:
                rows = read_table(file, file.seek(0, 2))
                for key, *place in rows if rows is not None else scan(file, resync=True):
                    if key in keys and key not in found and is_sound(packs, key, Place(name, *place)):
                        found[key] = Place(name, *place)
        except (DataMissing, FormatTooNew):
            continue
    return found


def rewrite(store: EntryStore, names: Iterable[str], keep: bool, unfinished: bool = False) -> Mended:
    """Move what is sound in these packs to others, and take them away; with `keep` their files are set aside.

    With `unfinished` runs, holds of processes that are gone count too: what they relied on may still be named.

    Raises StorageError when the disk is full: what was rewritten until then is done, the rest as it was.
    """
    rewritten: list[str] = []
    left: list[str] = []
    aside: list[Path] = []
    store.let_go()
    with turn(store.path):
        for name in names:
            done, place = _rewrite(store, name, keep, unfinished)
            (rewritten if done else left).append(name)
            if place is not None:
                aside.append(place)
    return Mended(tuple(rewritten), tuple(left), tuple(aside))


def _rewrite(store: EntryStore, name: str, keep: bool, unfinished: bool) -> tuple[bool, Path | None]:
    import os

    sealed = dict(store._packs.names()).get(name)
    if sealed is None:
        store._index.replace_packs([name], Pending())
        return True, None
    lock = None if sealed else try_lock(store._packs.open / name)
    if not sealed and lock is None:
        return False, None
    try:
        with holds.alone(store.path):
            if name in holds.held(store.path, unfinished):
                return False, None
        try:
            moved = copy_entries(store, _sound_ones(store, name))
        except Damaged:
            return False, None
        with holds.alone(store.path):
            if name in holds.held(store.path, unfinished):
                return False, None
            store._index.replace_packs([name], moved)
            place = _take_away(store, name, keep)
            store._index.replace_packs([name], Pending())
        return True, place
    finally:
        if lock is not None:
            os.close(lock)


def _sound_ones(store: EntryStore, name: str) -> dict[EntryKey, Place]:
    """The sound entries of a pack that the index finds there; it learns of those that it has nowhere."""
    with store._packs.file(name) as file:
        walk = scan(file, verify=True, resync=True)
        found = {key: Place(name, *place) for key, *place in walk}
    store._index.add(Pending(found, {name: Extent(0, 0)}))
    led = store._index.in_pack(name)
    store._index.lead({key: place for key, place in found.items() if key in led and led[key] != place})
    return {key: place for key, place in found.items() if key in led}


def _take_away(store: EntryStore, name: str, keep: bool) -> Path | None:
    folder = store.path / ASIDE
    source = next(d / name for d in (store._packs.sealed, store._packs.open) if (d / name).exists())
    if not keep:
        remove(str(source))
        return None
    with writing(folder):
        folder.mkdir(exist_ok=True)
        source.rename(folder / name)
    sync_directory(folder)
    return folder / name
