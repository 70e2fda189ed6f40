"""What tells that the files of a built environment were changed since: by a listing and their times, unread.

Bytecode does not count: whoever imports a module may write it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mltrack.digest import digest_bytes


def state_of(place: Path, watched: Sequence[str]) -> str:
    """A digest of the names, sizes and times of all files below these directories (globs), wherever the place is; and
    of what `.pth` files say, for that is run at every start."""
    lines, below = [], len(os.fspath(place)) + 1
    for path, found in files_below(place, watched):
        text = b""
        if path.endswith(".pth"):
            with suppress(OSError):
                text = Path(path).read_bytes()
        facts = f"{found.st_mode} {found.st_size} {found.st_mtime_ns} ".encode()
        lines.append(os.fsencode(path[below:]) + b"\0" + facts + text)
    return digest_bytes(b"\n".join(sorted(lines)))


def is_written_through(place: Path, watched: Sequence[str], since: float) -> bool:
    """Was a file changed, since that time, that another directory shares by a hard link? The installer's own cache may
    hold the changed one too, then."""
    return any(found.st_nlink > 1 and found.st_mtime > since for _, found in files_below(place, watched))


def files_below(place: Path, watched: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    """The files and links below the directories that these globs name, but for bytecode."""
    todo = [os.fspath(path) for glob in watched for path in place.glob(glob)]
    while todo:
        with suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo += [entry.path] if entry.name != "__pycache__" else []
                elif not entry.name.endswith(".pyc"):
                    yield entry.path, entry.stat(follow_symlinks=False)
