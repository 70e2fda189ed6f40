"""The outputs of a past run, put where its command would have written them.

What is right already is left. What a person has there that no run keeps is moved aside, never written over; what some
run keeps, or the code does, is replaced. Nothing is written through a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.confine import inside
from mltrack.errors import DataMissing
from mltrack.nouns import noun
from mltrack.operations.observing.artifacts import identity
from mltrack.operations.running.outputs import own_files
from mltrack.store.placing import FILES, Plan
from mltrack.store.statcache import stat_key

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.checkout import Restoration
    from mltrack.store.manifest import ManifestEntry
    from mltrack.store.statcache import StatKey


@noun
class PutBack:
    """What was done: files that were written, files that were right already, and where what was in the way now lies."""

    written: int = 0
    right: int = 0
    kept_aside: Path | None = None


class Outputs:
    """The outputs of one run and where they belong."""

    def __init__(self, project: Project, run: Run, root: Path) -> None:
        self.project = project
        self.run = run
        self.root = root
        self.listed: list[ManifestEntry] = []

    def why_not(self) -> str | None:
        """Why they cannot be put back; None if they can, and then all of them are in the store."""
        from mltrack.operations.fetch import ensure_here

        artifacts = [item for item in self.run.artifacts if item.found != "logged"]
        trees = [item.digest for item in artifacts if item.kind == "directory"]
        try:
            for item in artifacts:
                inside(self.root, item.path)
            ensure_here(self.project, [item.digest for item in self.run.artifacts], directories=trees)
            self.listed = self.entries()
        except DataMissing as error:
            return f"its outputs cannot be put back: {error}"
        own = own_files()
        for entry in self.listed:
            place = self.root / os.fsdecode(entry.path)
            if own and identity(str(place)) in own:
                return f"our own input or output is the file {os.fsdecode(entry.path)} that it wrote"
            if place.is_dir() and not place.is_symlink():
                return f"a directory lies where it wrote {os.fsdecode(entry.path)}"
        return None

    def entries(self) -> list[ManifestEntry]:
        """Every file that is to be there, below the root. Raises Damaged."""
        from mltrack.store.checkout import manifest_of
        from mltrack.store.manifest import ManifestEntry, check_paths

        found: dict[bytes, ManifestEntry] = {}
        for item in self.run.artifacts:
            top = os.fsencode(item.path)
            if item.found == "logged":
                continue
            if item.kind != "directory":
                kind = "executable" if item.executable and item.kind == "file" else item.kind
                found[top] = ManifestEntry(top, kind, item.size_bytes, item.digest)
                continue
            for entry in manifest_of(self.project.store, item.digest):
                path = top + b"/" + entry.path
                found[path] = ManifestEntry(path, entry.kind, entry.size, entry.digest)
        listed = [found[path] for path in sorted(found)]
        check_paths([entry.path for entry in listed])
        return listed

    def put_back(self, code: Mapping[bytes, StatKey]) -> PutBack:
        """Write what differs. `code`: paths below the root of what the snapshot holds, with their fields as they were
        captured. Raises StorageError."""
        from mltrack.store.checkout import Manner, Restoration
        from mltrack.store.placing import Keeper

        keeper = Keeper(str(self.root), force=True)
        manner = Manner(force=True, progress=self.project.progress)
        restoration = Restoration(self.project.store, self.listed, self.root, manner, keeper)
        plan = restoration.look()
        with narrowed(Modes(plan)):
            restoration.run(plan)
        self.drop_kept(restoration, code)
        kept = [place for place in keeper.kept if os.path.lexists(place)]
        return PutBack(len(plan.entries), plan.left, keeper.place if kept else None)

    def drop_kept(self, restoration: Restoration, code: Mapping[bytes, StatKey]) -> None:
        """Of what was moved aside, remove what is kept anyway: another run's output, a file of the code that is still
        the one that was captured."""
        from mltrack.ledger.asking.likeness import is_kept
        from mltrack.store.keep import keep_path

        keeper, store = restoration.keeper, self.project.store
        aside = str(keeper.place or "")
        for place in keeper.kept:
            name = place[len(aside) + 1 :] if place.startswith(f"{aside}/") else ""
            found = keep_path(Path(place), None)
            is_known = (
                found.digest is not None and store.has(found.digest) and is_kept(self.project.ledger.db, found.digest)
            )
            if found.kind == "file" and (is_known or is_same_file(place, code.get(os.fsencode(name)))):
                os.unlink(place)
                directory = os.path.dirname(place)
                with suppress(OSError):
                    while directory.startswith(aside) and aside:
                        os.rmdir(directory)
                        directory = os.path.dirname(directory)


def is_same_file(place: str, captured: StatKey | None) -> bool:
    """Is it the file that was captured, under another name? Renaming changes the time of change, and nothing else."""
    return captured is not None and stat_key(os.lstat(place))[:4] == captured[:4]


class Modes:
    """The permissions of what is put back: those of a new file, and no more than what it replaces has."""

    def __init__(self, plan: Plan) -> None:
        self.replaced: dict[str, int] = {}
        self.files = [(plan.place(entry.path), entry.kind) for entry, _ in plan.entries if entry.kind in FILES]
        self.directories = [plan.place(path) for path, _ in plan.directories]
        for place, _ in self.files:
            with suppress(OSError):
                found = os.lstat(place)
                if stat.S_ISREG(found.st_mode):
                    self.replaced[place] = stat.S_IMODE(found.st_mode)

    def settle(self, umask: int) -> None:
        """Set them, for what was made with the narrowest."""
        for place in self.directories:
            with suppress(OSError):
                os.chmod(place, 0o777 & ~umask)
        for place, kind in self.files:
            old = self.replaced.get(place, 0o666) & 0o666
            with suppress(OSError):
                os.chmod(place, (old | (old & 0o444) >> 2 if kind == "executable" else old) & ~umask)


@contextmanager
def narrowed(modes: Modes) -> Iterator[None]:
    """Nobody else can read a file that replaces one before it has the permissions of that."""
    if not modes.replaced:
        yield
        return
    umask = os.umask(0o077)
    os.umask(umask | 0o077)
    try:
        yield
    finally:
        os.umask(umask)
        modes.settle(umask)
