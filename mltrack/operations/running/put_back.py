"""The outputs of a past run, put where its command would have written them.

What is right already is left. What a person has there that no run keeps is moved aside, never written over; what some
run keeps, or the code does, is replaced. Nothing is written through a link.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.confine import inside
from mltrack.errors import DataMissing
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.checkout import Restoration
    from mltrack.store.manifest import ManifestEntry


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
        for entry in self.listed:
            place = self.root / os.fsdecode(entry.path)
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

    def put_back(self, code: frozenset[bytes]) -> PutBack:
        """Write what differs. `code`: paths below the root of what the snapshot holds. Raises StorageError."""
        from mltrack.store.checkout import Manner, Restoration
        from mltrack.store.placing import Keeper

        keeper = Keeper(str(self.root), force=True)
        manner = Manner(force=True, progress=self.project.progress)
        restoration = Restoration(self.project.store, self.listed, self.root, manner, keeper)
        plan = restoration.look()
        restoration.run(plan)
        self.drop_kept(restoration, code)
        kept = [place for place in keeper.kept if os.path.lexists(place)]
        return PutBack(len(plan.entries), plan.left, keeper.place if kept else None)

    def drop_kept(self, restoration: Restoration, code: frozenset[bytes]) -> None:
        """Of what was moved aside, remove what is kept anyway: another run's output, a file of the code."""
        from mltrack.ledger.likeness import is_kept
        from mltrack.store.keep import keep_path

        keeper, store = restoration.keeper, self.project.store
        aside = str(keeper.place or "")
        for place in keeper.kept:
            name = place[len(aside) + 1 :] if place.startswith(f"{aside}/") else ""
            found = keep_path(Path(place), None)
            is_known = (
                found.digest is not None and store.has(found.digest) and is_kept(self.project.ledger.db, found.digest)
            )
            if found.kind == "file" and (is_known or os.fsencode(name) in code):
                os.unlink(place)
                directory = os.path.dirname(place)
                with suppress(OSError):
                    while directory.startswith(aside) and aside:
                        os.rmdir(directory)
                        directory = os.path.dirname(directory)
