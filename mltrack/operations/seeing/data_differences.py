"""What changed inside of inputs and artifacts that changed: the files of directories, and the columns of tables.

Only from what is here: the store, the remembered lists of directories, and files of the workspace that still are what
was recorded. Nothing is fetched, and what would take long is left out, and named, unless it is asked for.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mltrack.compare.members import DataChange, Entry, MemberChanges, of_members
from mltrack.compare.tables.read import is_table
from mltrack.errors import MltrackError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mltrack.compare.comparators import Content
    from mltrack.compare.differences import Differences
    from mltrack.compare.tables.drift import TableChange
    from mltrack.operations.differences import DataLimits
    from mltrack.project import Project
    from mltrack.records import Artifact, Input

    Item = Input | Artifact

SECTIONS = ("inputs", "artifacts")
NOT_HERE = "its content is not here on both sides: mltrack pull --data"
ASK = "mltrack diff --data compares it"


@noun
class FileContent:
    """A file of the workspace."""

    path: Path
    size: int

    def open(self) -> BinaryIO:
        return open(self.path, "rb")


class DataDifferences:
    """Looks into the data of two runs, as long as its limits allow."""

    def __init__(self, project: Project, limits: DataLimits) -> None:
        self.project, self.limits = project, limits
        self._seconds_left = limits.seconds
        self._tables = 0

    def of(self, found: Differences) -> dict[tuple[str, str], DataChange]:
        """(section, path in a) -> what changed inside, for the inputs and artifacts whose content is another."""
        result = {}
        for section in SECTIONS:
            for change in getattr(found, section):
                if change.kind == "changed" and change.a.digest and change.b.digest:
                    inside = self._inside(change.a, change.b)
                    if inside is not None:
                        result[section, change.what] = inside
        return result

    def _inside(self, a: Item, b: Item) -> DataChange | None:
        if a.kind == b.kind == "directory":
            members = self._members(a, b)
            return None if members is None else DataChange(members, dict(self._tables_in(a, b, members)))
        if a.kind == b.kind == "file" and is_table(b.path) and is_table(a.path):
            sizes = a.size_bytes or 0, b.size_bytes or 0
            one, other = Held(a.path, str(a.digest), sizes[0]), Held(b.path, str(b.digest), sizes[1])
            return DataChange(None, {b.path: self._table_of(one, other, (a, b))})
        return None

    def _members(self, a: Item, b: Item) -> MemberChanges | None:
        """None where the list of either is not known here."""
        first, second = self._listed(str(a.digest)), self._listed(str(b.digest))
        if first is not None and second is not None:
            return of_members(first, second)
        first, second = self._remembered(str(a.digest)), self._remembered(str(b.digest))
        return of_members(first, second, is_partial=True) if first and second else None

    def _listed(self, digest: str) -> list[Entry] | None:
        from mltrack.store.checkout import manifest_of

        store = self.project.store
        try:
            entries = manifest_of(store, digest) if store.has(digest) else None
        except MltrackError:
            return None
        if entries is None:
            return None
        return [Entry(os.fsdecode(one.path), one.digest, one.size, one.kind) for one in entries]

    def _remembered(self, digest: str) -> list[Entry]:
        """What `blame` and `lineage` have kept of the list of a directory: its files of some bytes and more."""
        from mltrack.operations.origin.origins import MEMBERS
        from mltrack.store.members import Members

        place = self.project.state / MEMBERS
        if not place.exists():
            return []
        try:
            with Members.open(place) as members:
                inside = members.inside([digest])
        except MltrackError:
            return []
        return [Entry(os.fsdecode(one.path), one.digest, one.size_bytes) for one in inside]

    def _tables_in(self, a: Item, b: Item, members: MemberChanges) -> Iterator[tuple[str, TableChange | str]]:
        for change in members.files:
            if change.kind == "changed" and change.a and change.b and is_table(change.path):
                one = Held(f"{a.path}/{change.path}", str(change.a.digest), change.a.size_bytes)
                other = Held(f"{b.path}/{change.path}", str(change.b.digest), change.b.size_bytes)
                yield other.path, self._table_of(one, other, (a, b))

    def _table_of(self, a: Held, b: Held, items: Sequence[Item]) -> TableChange | str:
        return self.table(a, b, lambda: [self._content(held, item) for held, item in zip((a, b), items)])

    def table(self, a: Held, b: Held, contents: Callable[[], Sequence[Content | None]]) -> TableChange | str:
        """How a table changed, or why that is not known. `contents`: of both sides, null where it is not here."""
        from mltrack.compare.comparators import Unreadable
        from mltrack.compare.tables.read import get_ready

        if (refusal := self._refusal(a, b)) is not None:
            return refusal
        self._tables += 1
        get_ready(b.path)
        began = time.monotonic()
        try:
            first, second = contents()
            if first is None or second is None:
                return NOT_HERE
            return self._compared((a.path, first), (b.path, second))
        except Unreadable as error:
            told = str(error)
            return f"{told}; {ASK}" if "took too long" in told else told
        except MltrackError as error:
            return error.message.rstrip(".")
        except (OSError, RecursionError, MemoryError) as error:
            return f"it cannot be read: {error}"
        finally:
            self._seconds_left -= time.monotonic() - began

    def _compared(self, a: tuple[str, Content], b: tuple[str, Content]) -> TableChange:
        """Raises Unreadable for what is no table, and when the time is over."""
        from mltrack.compare.contents.time_limit import within
        from mltrack.compare.tables.drift import of_tables
        from mltrack.compare.tables.read import read_table

        return within(max(self._seconds_left, 0.05), lambda: of_tables(read_table(*a), read_table(*b)))

    def _refusal(self, a: Held, b: Held) -> str | None:
        """Why a table is not even opened."""
        if max(a.size_bytes, b.size_bytes) > self.limits.table_bytes:
            return f"it has more than {self.limits.table_bytes >> 20} MiB; {ASK}"
        if self._tables >= self.limits.tables or self._seconds_left <= 0:
            return f"there are many tables; {ASK}"
        return None

    def _content(self, held: Held, item: Item) -> Content | None:
        """The bytes with that digest: from the store, or from the workspace where they are still there."""
        if (kept := self.stored(held.digest)) is not None:
            return kept
        home = getattr(item, "root", None) == "home"
        path = (Path.home() if home else self.project.root) / held.path.removeprefix("~/")
        return FileContent(path, held.size_bytes) if self._is(path, held) else None

    def stored(self, digest: str) -> Content | None:
        """The bytes with that digest, where the store has them."""
        from mltrack.store.reading import StoredContent

        store = self.project.store
        return StoredContent(store, digest, store.size(digest)) if store.has(digest) else None

    def _is(self, path: Path, held: Held) -> bool:
        """Is a file of the workspace what was recorded? By the stat cache; read only if the file is small or all is to
        be looked at."""
        from mltrack.store.keep import Changed, digest_file
        from mltrack.store.statcache import stat_key

        try:
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size != held.size_bytes:
                return False
            place, key = os.fsencode(path.absolute()), stat_key(found)
            known = self.project.stat_cache.lookup(place, key)
            return (known or digest_file(place, key, None)) == held.digest
        except (OSError, MltrackError, Changed):
            return False


@noun
class Held:
    """One file of one run, by the path that the run knows it by."""

    path: str
    digest: str
    size_bytes: int
