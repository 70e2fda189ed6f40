"""What `blame` and `lineage` are asked about: a file or directory on this disk, standard input, or a digest.

Reads at most the file, and no more than its stat fields where its digest is known for certain. Nothing is recorded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mltrack.digest import PREFIX, digest_bytes, is_digest
from mltrack.errors import Ambiguous, MltrackError, NotFound, UsageError
from mltrack.ledger.asking.content import beginning, is_prefix
from mltrack.nouns import noun
from mltrack.store.keep import keep_path
from mltrack.store.manifest import ManifestEntry, encode_manifest

if TYPE_CHECKING:
    from mltrack.progress import Progress
    from mltrack.project import Project

STANDARD_INPUT = "-"
SHORTEST = 8
"""Hex digits of the beginning of a digest."""
MOST_CANDIDATES = 10


@noun
class Subject:
    """A content. `path` is as it was typed, None for a digest; `place` the file itself, without links."""

    path: str | None
    kind: str
    """`file`, `directory`, or `digest` where only that is known."""
    digest: str
    size_bytes: int | None = None
    place: Path | None = None
    entries: tuple[ManifestEntry, ...] = ()
    """What lies in a directory."""
    problems: tuple[tuple[str, str], ...] = ()
    """Paths in a directory that are not part of its digest, and why."""


def looks_like_digest(text: str) -> bool:
    return text.startswith(PREFIX) and not os.path.lexists(text)


def of_digest(project: Project, text: str, members: Callable[[str], set[str]]) -> Subject:
    """The content with that digest, or with the only known one that begins so; `members` finds those in directories.

    Raises UsageError, NotFound, Ambiguous.
    """
    text = text.lower()
    if is_digest(text):
        return Subject(None, "digest", text)
    if not is_prefix(text) or len(text) < len(PREFIX) + SHORTEST:
        raise UsageError(
            f"{text} is not a digest.", f"Write {PREFIX} and at least the first {SHORTEST} of its hex digits."
        )
    found = sorted(beginning(project.ledger, text) | members(text))
    if not found:
        raise NotFound(f"No run has a file whose digest begins with {text}.", "`mltrack show RUN --json` has digests.")
    if len(found) > 1:
        more = f"\n  and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
        lines = "\n".join(f"  {digest}" for digest in found[:MOST_CANDIDATES])
        raise Ambiguous(f"{text} begins {len(found)} digests:\n{lines}{more}", "Give more of it.")
    return Subject(None, "digest", found[0])


def of_stream(stream: BinaryIO) -> Subject:
    """What comes from a stream, to its end."""
    from mltrack.store.ingest import SMALL, digest_stream

    def read_into(space: memoryview) -> int:
        return stream.readinto(space) or 0  # type: ignore[attr-defined]

    digest, size = digest_stream(read_into, SMALL + 1)
    return Subject(STANDARD_INPUT, "file", digest, size)


def of_path(project: Project, start: Path, path: str, progress: Progress | None = None) -> Subject:
    """The file or directory at a path, links followed; by the stat cache where that is certain.

    Raises NotFound, UsageError for what is neither file nor directory, MltrackError for what cannot be read.
    """
    if not path:
        raise UsageError(
            "An empty text names no file.", "Name a file, a directory, `-` for standard input, or a digest."
        )
    place = Path(os.path.realpath(start / path))
    try:
        mode = place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"There is no file {path}.", "Name a file, a directory, `-` for standard input, or a digest.")
    if stat.S_ISDIR(mode):
        return of_directory(project, place, path, progress)
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is neither a file nor a directory.", "Its content can come by `-`, standard input.")
    kept = keep_path(place, None, project.stat_cache, progress=progress)
    project.stat_cache.flush()
    if kept.digest is None:
        why = kept.problems[0][1] if kept.problems else "changes while it is read"
        raise MltrackError(f"{path} {why}.", "Try again when nobody writes to it, and check its permissions.")
    return Subject(path, "file", kept.digest, kept.size_bytes, place)


def of_directory(project: Project, place: Path, path: str, progress: Progress | None) -> Subject:
    from mltrack.store.trees import list_tree

    entries, problems = list_tree(place, project.stat_cache, progress)
    project.stat_cache.flush()
    size = sum(entry.size for entry in entries if entry.kind in ("file", "executable"))
    digest = digest_bytes(encode_manifest(entries))
    return Subject(path, "directory", digest, size, place, tuple(entries), problems)
