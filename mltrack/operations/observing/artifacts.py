"""Which files a run wrote: what its processes were seen to write, and what changed though nobody was seen to do it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.collect.artifacts import Written, gather
from mltrack.git.exclusions import may_hold_secrets
from mltrack.observe import Placed, Seen
from mltrack.observe.names import CODE_SUFFIXES, suffix_of
from mltrack.observe.rules import ARTIFACT, BOTH
from mltrack.operations.observing.surroundings import shown
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.operations.observing.watcher import Ended
    from mltrack.operations.request import Place

SLACK_NS = 2 * 10**9
"""A run that is folded late: what changed so much after its end was changed by somebody else."""


def written_by(
    ended: Ended, changed: Iterable[bytes], before: Mapping[bytes, Any], apart: Container[tuple[int, int]] = ()
) -> tuple[list[Written], list[Warning]]:
    """The artifacts that nobody declared, with directories of many files as one, and what is to be said of them.

    `changed`: files below the root whose fields moved while the run was at work, those that git ignores too.
    `before`: files that are known to have been there. `apart`: device and inode of files that are none of the run's,
    whoever wrote them: where our own output goes.
    """
    place = ended.scene.place
    root = str(place.root)
    seen = {item.path: item for item in ended.placed}
    inside = {os.fsencode(path[len(root) + 1 :]) for path in made(ended) if path.startswith(root + "/")}
    outside = {os.fsencode(path[1:]) for path in made(ended) if not path.startswith(root + "/")}
    mixed = []
    if apart:
        inside = {name for name in inside if identity(f"{root}/{os.fsdecode(name)}") not in apart}
        outside = {name for name in outside if identity(f"/{os.fsdecode(name)}") not in apart}
    for name in changed:
        path = f"{root}/{os.fsdecode(name)}"
        if name in inside or (apart and identity(path) in apart) or not is_ours(ended, path, seen):
            continue
        inside.add(name)
        if ended.others and not ended.is_complete:
            mixed.append(os.fsdecode(name))
    found = gather(place.root, sorted(inside), before) + gather_outside(place, sorted(outside))
    return found, [mixed_warning(mixed)] if mixed else []


def made(ended: Ended) -> list[str]:
    """The paths that the run was seen to write, and that are there."""
    return [item.path for item in ended.placed if item.made in (ARTIFACT, BOTH)]


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what lies there; None for nothing."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_ours(ended: Ended, path: str, seen: Mapping[str, Placed]) -> bool:
    """Is a changed file the run's, though it is not known to have written it?

    Where everything was watched, it is only if it came with a directory that the run put there: else a person may have
    edited it, or another program wrote it (`| tee log`).
    """
    known = seen.get(path)
    if known is not None and known.rule not in ("listing", "untouched", "data", "code", "declared", "unclear"):
        return known.made in (ARTIFACT, BOTH)
    (found,) = ended.place([Seen(path, writes=True)])
    if ended.is_complete and not is_seen_written(path, seen, str(ended.scene.place.root)):
        return False
    if found.rule == "unclear":
        return not may_hold_secrets(os.fsencode(path))
    if found.made != ARTIFACT:
        return False
    return not (ended.is_complete and (ended.others or suffix_of(path) in CODE_SUFFIXES))


def is_seen_written(path: str, seen: Mapping[str, Placed], root: str) -> bool:
    """Was somebody of the run seen to write it, or to put a directory above it there?"""
    while len(path) > len(root):
        known = seen.get(path)
        if known is not None and known.seen.writes:
            return True
        path = path.rpartition("/")[0]
    return False


def gather_outside(place: Place, paths: Sequence[bytes]) -> list[Written]:
    """The same for files outside the project, by their absolute paths less the first slash."""
    found = []
    for item in gather(Path("/"), paths, {}):
        path = f"/{item.path}"
        found.append(replace(item, path=place.named(path), place=place.lies_at(path)))
    return found


def mixed_warning(names: Sequence[str]) -> Warning:
    text = f"Another run was at work here, and who wrote these files cannot be told: {shown(names)}."
    return Warning("writes-mixed", f"{text} `--trace` or `--isolated` keeps runs apart.")


def within_limit(written: Sequence[Written], limit: int) -> tuple[list[Written], list[Warning]]:
    """The artifacts without those that nobody declared and that would exceed `limit` bytes together: the largest go."""
    sizes = {item.path: size_of(item.place) for item in written if item.found == "observed"}
    room = limit
    over = set()
    for path, size in sorted(sizes.items(), key=lambda pair: (pair[1], pair[0])):
        if size <= room:
            room -= size
        else:
            over.add(path)
    if not over:
        return list(written), []
    from mltrack.git.exclusions import size_text

    largest = sorted(over, key=lambda path: -sizes[path])
    text = (
        f"{len(over)} files that the run wrote are not kept: with them, those that nobody declared would exceed "
        f"{size_text(limit)} (observe.artifact_limit): {shown(largest)}. Declare them with --output."
    )
    return [item for item in written if item.path not in over], [Warning("artifacts-over-limit", text)]


def size_of(place: Path) -> int:
    """Bytes of a file, or of all files below a directory."""
    from mltrack.errors import NotFound
    from mltrack.store.keep import stat_path

    try:
        return stat_path(place).size_bytes
    except (NotFound, OSError):
        return 0


def made_late(ended: Ended) -> tuple[list[Written], list[Warning]]:
    """The artifacts of a run that is folded late: those that nobody changed since it ended."""
    kept: list[Written] = []
    later: list[Written] = []
    written, _ = written_by(ended, (), {})
    for item in written:
        try:
            is_later = os.stat(item.place).st_ctime_ns > ended.end_ns + SLACK_NS
        except OSError:
            continue
        (later if is_later else kept).append(item)
    if not later:
        return kept, []
    text = f"Changed since the run ended, and not kept: {shown([item.path for item in later])}."
    return kept, [Warning("artifact-not-kept", text)]
