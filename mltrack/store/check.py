"""Proof that the packs still hold what was put: every entry's digest is derived again.

Reads only. What it finds it names by kind, object, pack and offset; what that touches, others know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mltrack.digest import from_raw
from mltrack.errors import DataMissing, FormatTooNew
from mltrack.nouns import noun
from mltrack.store import entries
from mltrack.store.entries import CHUNK, RECIPE, EntryKey, Place, parse_header, scan, unpack
from mltrack.store.index import Index
from mltrack.store.packs import Packs


@noun
class Damage:
    """Something that does not hold. `digest` is null where it cannot be told which object lay there."""

    kind: str
    """"entry", "pack", "index" or "recipe"."""
    digest: str | None
    pack: str | None
    offset: int | None
    message: str


@noun
class Looked:
    """How much a sample was: entries, and their bytes in the packs."""

    entries: int
    of_entries: int
    size_bytes: int
    of_bytes: int


@noun
class Sample:
    damages: tuple[Damage, ...]
    looked: Looked


def check(packs: Packs, index: Index, progress: Callable[[int], None] | None = None) -> Iterator[Damage]:
    """Every damage in the packs, then in the index, then the recipes whose chunks are not all here."""
    sound: set[EntryKey] = set()
    recipes: dict[EntryKey, Place] = {}
    for name, sealed in packs.names():
        found, damages = _check_pack(packs, index, name, sealed)
        sound.update(found)
        recipes.update((key, place) for key, place in found.items() if key[0] == RECIPE)
        yield from damages
        if progress is not None:
            progress(packs.size(name))
    for kind, digest in index.digests():
        if (kind, digest) not in sound:
            yield Damage("index", from_raw(digest), None, None, "The index names an object that no pack holds whole.")
    for (_, digest), place in recipes.items():
        pieces = entries.recipe_pieces(entries.decode(b"".join(packs.read(place))).raw, digest)
        lacking = [piece for piece, _ in pieces if (CHUNK, piece) not in sound]
        if lacking:
            message = f"{len(lacking)} of {len(pieces)} chunks are missing, the first {from_raw(lacking[0])}."
            yield Damage("recipe", from_raw(digest), place.pack, place.offset, message)


def check_sample(packs: Packs, index: Index, part: float, progress: Callable[[int], None] | None = None) -> Sample:
    """Read about this part (0 to 1) of the entries, chosen by chance, at least one."""
    import random

    chance = random.Random()
    chosen: list[EntryKey] = []
    count = total = 0
    spare: EntryKey | None = None
    for key, _, length, _ in index.rows():
        count, total = count + 1, total + length
        if chance.random() < part:
            chosen.append(key)
        if chance.random() * count < 1:
            spare = key
    if not chosen and spare is not None:
        chosen = [spare]
    damages, size = [], 0
    for key, place in sorted(index.places(chosen).items(), key=lambda item: item[1][:2]):
        size += place.length
        try:
            head, payload = packs.read(place)
            header = parse_header(head)
            unpack(header, payload)
            message = None if header.key == key else "There is no such entry where the index says."
        except DataMissing as error:
            message = error.message
        if message is not None:
            damages.append(Damage("entry", from_raw(key[1]), place.pack, place.offset, message))
        if progress is not None:
            progress(place.length)
    return Sample(tuple(damages), Looked(len(chosen), count, size, total))


def _check_pack(packs: Packs, index: Index, name: str, sealed: bool) -> tuple[dict[EntryKey, Place], list[Damage]]:
    """The sound entries of a pack, and what is wrong with it."""
    known = index.in_pack(name)
    by_offset = {place.offset: key for key, place in known.items()}
    try:
        with packs.file(name) as file:
            walk = scan(file, verify=True, resync=True)
            found = {key: Place(name, *place) for key, *place in walk}
    except (DataMissing, FormatTooNew) as error:
        return {}, [Damage("pack", None, name, None, error.message)]
    covered = index.covered(name).size
    damages = []
    for offset, message in walk.damage:
        if sealed or offset < covered:  # behind that, an open pack may end in an entry that is being written
            key = by_offset.get(offset)
            damages.append(Damage("entry" if key else "pack", key and from_raw(key[1]), name, offset, message))
    seen = {damage.offset for damage in damages}
    for key, place in known.items():
        if key not in found and place.offset not in seen:
            message = "There is no such entry where the index says."
            damages.append(Damage("entry", from_raw(key[1]), name, place.offset, message))
    if sealed and not walk.sealed and not damages:
        damages.append(Damage("pack", None, name, None, "The table at the end of a sealed pack is missing."))
    return found, damages
