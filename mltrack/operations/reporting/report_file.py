"""A report as a file: whole or not at all, and over no file that is not itself a report, unless forced."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StorageError, UsageError
from mltrack.operations.running.outputs import note_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mltrack.records import Run

MARKS = (b"<!doctype html>\n<!-- mltrack report -->", b"<!-- mltrack report -->")
"""How a report begins: by this it is known."""


def name_for(runs: Sequence[Run], form: str) -> str:
    """`report-3kq8f2zx.html`, `report-3kq8f2zx-9dm1c0vw.html`, `report-12-runs-5f0a9c3e.html`: of other runs, or of the
    same in another order, it is another name."""
    from mltrack.digest import digest_json

    if len(runs) < 3:
        return f"report-{'-'.join(run.id[:8] for run in runs)}.{form}"
    told = digest_json([run.id for run in runs]).removeprefix("b3:")[:8]
    return f"report-{len(runs)}-runs-{told}.{form}"


def keep_report(path: Path, text: str, force: bool = False) -> None:
    """Write a report. Raises UsageError where another file is in the way, StorageError where it cannot be written."""
    check_free(path, force)
    try:
        replace_file(path.resolve(), text.encode("utf-8", "surrogateescape"))  # a link stays one
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UsageError(f"{path} is no place for a file.", "Name a file in a directory that is there.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.ENAMETOOLONG):
            raise StorageError(
                f"{path} cannot be written: {error.strerror}.", "Choose another place: -o FILE"
            ) from error
        raise


OPEN = """
import os, sys, webbrowser
try:
    browser = webbrowser.get()
except webbrowser.Error:
    sys.exit(1)
if os.fork() == 0:
    os.setsid()
    browser.open(sys.argv[1])
"""
"""A process of its own: a browser that is started may write what it likes, and stay as long as it is open."""


def show_in_browser(path: Path) -> bool:
    """Open a file in the browser that `BROWSER` names, or the one of the desktop; False where none is known."""
    import subprocess
    import sys

    nowhere = subprocess.DEVNULL
    words = [sys.executable, "-I", "-c", OPEN, path.absolute().as_uri()]
    return subprocess.run(words, stdin=nowhere, stdout=nowhere, stderr=nowhere).returncode == 0


def replace_file(path: Path, data: bytes) -> None:
    """The file is whole, or as it was."""
    aside = path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
    try:
        aside.write_bytes(data)
        os.replace(aside, path)
        note_written(path)
    finally:
        aside.unlink(missing_ok=True)


def check_free(path: Path, force: bool = False) -> None:
    """Nothing is there, or a report; with `force` any file. Raises UsageError."""
    if not path.exists():
        return
    if path.is_dir():
        raise UsageError(f"{path} is a directory.", "Name a file in it: -o DIRECTORY/report.html")
    if not path.is_file():
        raise UsageError(f"{path} is no file that could be replaced.", "Standard output is: -o -")
    if force:
        return
    with open(path, "rb") as file:
        if not file.read(64).startswith(MARKS):
            raise UsageError(f"{path} is there already, and is no report.", "Choose another name, or use --force.")
