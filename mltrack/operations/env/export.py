"""`mltrack env export`: an environment as files that other programs read."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from mltrack.confine import inside
from mltrack.errors import StorageError, UsageError
from mltrack.nouns import noun
from mltrack.operations.env.seen import Which, looked_at
from mltrack.operations.request import Tell, silent


@noun
class ExportRequest:
    """Which environment, in which format, and where to; without a target the text comes back and nothing is written."""

    which: Which
    format: str
    target: Path | None = None
    force: bool = False


@noun
class Exported:
    """What was exported."""

    format: str
    text: str
    written: tuple[str, ...]
    """The target first, then the files that it names."""
    companions: tuple[str, ...]
    """What the text names by relative path."""


def export(request: ExportRequest, tell: Tell = silent) -> Exported:
    """Write the files, none of them over another unless forced, each whole or not at all.

    Raises UsageError for a format that the kind does not know, or for a file that is there.
    """
    from mltrack import environments

    with looked_at(request.which, tell) as seen:
        kind = environments.get(seen.environment.kind)
        known = environments.formats(kind)
        if request.format not in known:
            raise UsageError(
                f"{request.format!r} is no format of an environment of the kind {seen.environment.kind}.",
                f"Use one of: {', '.join(known)}." if known else "There is none for this kind.",
            )
        text = environments.export(kind, seen.recorded, request.format)
        companions = environments.companions(kind, seen.recorded, request.format)
        written = () if request.target is None else write_all(request.target, text, companions, request.force)
        return Exported(request.format, text, written, tuple(companions))


def write_all(target: Path, text: str, companions: Mapping[str, bytes | Path], force: bool) -> tuple[str, ...]:
    """Write the companions, then the target that names them. Raises UsageError, StorageError."""
    files: dict[Path, bytes | Path] = {inside(target.parent, name): what for name, what in companions.items()}
    if target in files:
        raise UsageError(f"{target.name} is the name of a file that this format brings.", "Choose another name.")
    taken = [path for path, what in {target: text.encode(), **files}.items() if os.path.lexists(path)]
    if taken and not force:
        others = f", and {len(taken) - 1} more" if taken[1:] else ""
        raise UsageError(f"{taken[0]} is there already{others}.", "Choose another name, or write over it with --force.")
    try:
        for path, what in files.items():
            put(path, what)
        put(target, text.encode("utf-8", "surrogateescape"))
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(f"{error.filename} is in the way.", "Choose another directory.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT):
            raise StorageError(f"{target} cannot be written: {error.strerror}.", "Choose another directory.") from error
        raise
    return str(target), *map(str, files)


def put(path: Path, what: bytes | Path) -> None:
    """A file under its final name, only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if isinstance(what, bytes):
            aside.write_bytes(what)
        else:
            shutil.copyfile(what, aside)
            shutil.copymode(what, aside)
            aside.chmod(aside.stat().st_mode | 0o200)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
