"""How many examples the properties of this folder try."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """The count, times what MLTRACK_SOAK asks for."""
    return count * int(os.environ.get("MLTRACK_SOAK", "1"))
