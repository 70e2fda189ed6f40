"""Answers that took time, remembered in the user's cache directory: of interpreters, package indexes, images.

A file holds a digest and JSON. One that is damaged, or a directory that cannot be written, costs time and never an
answer.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mltrack.digest import digest_bytes

KEPT = 200
"""Answers in one directory at most; the oldest go."""


def recall(path: Path) -> Any:
    """The answer that was remembered; None if there is none that is whole."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
        return json.loads(body) if digest == digest_bytes(body).encode() else None
    except (OSError, ValueError):
        return None


def remember(path: Path, answer: Any) -> None:
    """Remember anything that JSON can say."""
    body = json.dumps(answer).encode()
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(digest_bytes(body).encode() + b"\n" + body)
        aside.replace(path)
        drop_oldest(path.parent)
    except OSError:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def drop_oldest(directory: Path) -> None:
    """Keep the number of answers within `KEPT`."""
    entries = [entry for entry in os.scandir(directory) if entry.name.endswith(".json")]
    if len(entries) > KEPT:
        for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime_ns)[: len(entries) - KEPT]:
            Path(entry.path).unlink(missing_ok=True)
