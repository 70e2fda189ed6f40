"""store.json: says that a directory is a store, and of which format. Light: it is looked at before every run."""

from __future__ import annotations

import json
from pathlib import Path

from mltrack.errors import Damaged, FormatTooNew

FORMAT = {"format": "mltrack-store", "version": 1}
MARKER = "store.json"


def check_marker(path: Path) -> bool:
    """Is there a store at `path` that this mltrack can use? False where there is none yet.

    Raises FormatTooNew, Damaged, or the OSError of a file that cannot be read.
    """
    try:
        marker = json.loads((path / MARKER).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise unreadable(path) from error
    version = marker.get("version") if isinstance(marker, dict) else None
    if not isinstance(version, int) or marker.get("format") != FORMAT["format"]:
        raise unreadable(path)
    if version > 1:
        raise FormatTooNew(f"The store {path} was written by a newer mltrack.", "Upgrade mltrack. Nothing was changed.")
    return True


def unreadable(path: Path) -> Damaged:
    return Damaged(
        f"{path / MARKER} is not as mltrack writes it.", f"If this is a store, write {json.dumps(FORMAT)} into it."
    )
