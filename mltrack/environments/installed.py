"""Is an installed file what its installer put there? By the hashes in RECORD (pip, uv) and in conda-meta (conda).

For files whose time of change tells nothing: an installer that links files from its cache touches all links of a file
whenever it makes another. Reads only.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator

BLOCK = 1 << 20


class InstalledFiles:
    """Remembers the lists of installed files, each read once."""

    def __init__(self) -> None:
        self._tops: dict[str, str | None] = {}
        self._hashes: dict[str, dict[str, str]] = {}

    def is_as_installed(self, path: str) -> bool:
        """Has the file at an absolute path, links resolved, the hash that was written down when it was installed?

        False where none was. Raises OSError if the file cannot be read.
        """
        top = self._top_of(os.path.dirname(path))
        while top is not None:
            if top not in self._hashes:
                self._hashes[top] = dict(listed(top))
            expected = self._hashes[top].get(path)
            if expected is not None:
                return sha256_of(path) == expected
            top = self._top_of(os.path.dirname(top))
        return False

    def _top_of(self, directory: str) -> str | None:
        """The nearest directory at or above that one into which something was installed."""
        if directory not in self._tops:
            if directory in ("", "/"):
                self._tops[directory] = None
            elif is_top(directory):
                self._tops[directory] = directory
            else:
                self._tops[directory] = self._top_of(os.path.dirname(directory))
        return self._tops[directory]


def is_top(directory: str) -> bool:
    """Does it hold the descriptions of what is installed in it?"""
    if os.path.basename(directory) in ("site-packages", "dist-packages"):
        return True
    return os.path.isdir(os.path.join(directory, "conda-meta"))


def listed(top: str) -> Iterator[tuple[str, str]]:
    """Absolute path and sha256 in hexadecimal of every file whose hash is written down in a directory."""
    meta = os.path.join(top, "conda-meta")
    if os.path.isdir(meta):
        for name in os.listdir(meta):
            if name.endswith(".json"):
                yield from of_conda(top, os.path.join(meta, name))
        return
    for name in os.listdir(top):
        if name.endswith(".dist-info"):
            yield from of_record(top, os.path.join(top, name, "RECORD"))


def of_record(top: str, record: str) -> Iterator[tuple[str, str]]:
    """What a RECORD lists. One that cannot be read lists nothing."""
    import csv

    try:
        with open(record, encoding="utf-8", errors="surrogateescape", newline="") as file:
            for row in csv.reader(file):
                if len(row) > 1 and row[1].startswith("sha256="):
                    text = row[1][len("sha256=") :]
                    digest = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
                    yield os.path.normpath(os.path.join(top, row[0])), digest
    except (OSError, ValueError, csv.Error):
        return


def of_conda(top: str, place: str) -> Iterator[tuple[str, str]]:
    """What a package of conda lists. A file that is not understood lists nothing."""
    try:
        with open(place, encoding="utf-8") as file:
            paths = json.load(file)["paths_data"]["paths"]
        for row in paths:
            digest = row.get("sha256_in_prefix") or row.get("sha256")
            if isinstance(digest, str):
                yield os.path.normpath(os.path.join(top, row["_path"])), digest
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return


def sha256_of(path: str) -> str:
    import hashlib

    state = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()
