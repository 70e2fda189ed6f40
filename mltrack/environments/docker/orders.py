"""What is left in a run's directory for the client of a container, and by it.

`container.json` are its orders; neither the command nor the text of a variable is in it: they are handed on as the
client's own arguments, and in its environment under names that begin with PASSED. `usage.json` is what the
container used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrack.errors import StorageError

SPEC = "container.json"
USAGE = "usage.json"
"""`{"peak_memory_bytes": ..., "cpu_seconds": ..., "out_of_memory": ...}`; written at the container's end."""

PASSED = "MLTRACK_INSIDE_"


def write_orders(path: Path, orders: Mapping[str, Any]) -> None:
    """Write what only the user may read. Raises StorageError."""
    try:
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(orders, file)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Is the disk full?") from error
