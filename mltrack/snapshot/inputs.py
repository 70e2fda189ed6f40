"""Which data a run is declared to read, and how it is hashed and kept beside the run.

`find_inputs` runs before the command starts and only stats; `keep_inputs` runs beside it and reads every byte once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StartError
from mltrack.nouns import noun
from mltrack.records import Input

if TYPE_CHECKING:
    from mltrack.progress import Progress
    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache
    from mltrack.store.walk import Stats


@noun
class FoundInput:
    """A declared input as it was before the command started."""

    path: str
    """Relative to the project's root; absolute where it lies outside."""
    place: Path
    stat: Stats
    role: str | None = None

    @property
    def size_bytes(self) -> int:
        return self.stat.size_bytes


def name_below(root: Path, place: Path) -> str:
    """The path of `place` as a record writes it: POSIX, relative to the root, absolute when it lies outside."""
    place = Path(os.path.normpath(place))
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else place.as_posix()


def expand(pattern: str, base: Path) -> list[Path]:
    """The paths that a declared path or glob stands for, in order; a plain path stands for itself, there or not."""
    place = Path(os.path.expanduser(pattern))
    place = place if place.is_absolute() else base / place
    if place.exists() or place.is_symlink() or not any(sign in pattern for sign in "*?["):
        return [place]
    from glob import glob

    return [Path(found) for found in sorted(glob(str(place), recursive=True))]


def find_inputs(root: Path, declared: Sequence[tuple[str, Path]]) -> list[FoundInput]:
    """Stat every declared input: pairs of a pattern and the directory it is relative to.

    Raises StartError for one that is not there: a run without its data is not started.
    """
    from mltrack.store.keep import stat_path

    found: dict[str, FoundInput] = {}
    for pattern, base in declared:
        places = [place for place in expand(pattern, base) if place.exists()]
        if not places:
            raise StartError(
                f"The input {pattern} is not there.",
                f"Looked for it in {base}. Fetch it, or correct --input or mltrack.yaml.",
            )
        for place in places:
            name = name_below(root, place)
            found.setdefault(name, FoundInput(name, place, stat_path(place)))
    return list(found.values())


def keep_inputs(
    inputs: Sequence[FoundInput],
    open_store: Callable[[], Store],
    cache: StatCache,
    keep_limit: int,
    progress: Progress | None = None,
) -> list[Input]:
    """Hash every input in one read and keep those that fit into `keep_limit` bytes together, in their order."""
    from mltrack.store.keep import keep_path

    kept: list[Input] = []
    room = keep_limit
    for item in inputs:
        keep = item.size_bytes <= room
        room -= item.size_bytes if keep else 0
        if not item.place.exists():
            kept.append(Input(item.path, "file", None, role=item.role, changed_during_run=True))
            continue
        found = keep_path(item.place, open_store() if keep else None, cache, expected=item.stat, progress=progress)
        kept.append(
            Input(
                path=item.path,
                kind=found.kind,
                digest=found.digest,
                size_bytes=found.size_bytes,
                files=found.files,
                role=item.role,
                kept=found.kept and found.digest is not None,
                changed_during_run=found.changed,
                executable=found.executable,
            )
        )
    return kept


def check_inputs(inputs: Sequence[Input], before: Sequence[FoundInput], cache: StatCache) -> list[Input]:
    """After the run: an input whose stat fields moved since the start is hashed again.

    Where the bytes differ, `digest` becomes null: what the run read is then not known for sure.
    """
    from mltrack.store.keep import keep_path, stat_path

    checked = []
    for item, found in zip(inputs, before):
        now = stat_path(found.place) if found.place.exists() else None
        if now == found.stat and not item.changed_during_run:
            checked.append(item)
            continue
        after = keep_path(found.place, None, cache).digest if now is not None else None
        if after == item.digest and after is not None and not item.changed_during_run:
            checked.append(item)
            continue
        checked.append(replace(item, digest=None, kept=False, changed_during_run=True, digest_after=after))
    return checked
