"""Regular expressions that are compiled when they are first used: at import they would slow every start."""

from __future__ import annotations

import re
from typing import Any


class LazyPattern:
    """Behaves as the compiled pattern; the first use of it compiles."""

    def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
        self._made = pattern, flags

    def __getattr__(self, name: str) -> Any:
        pattern: Any
        pattern, flags = self._made
        compiled = re.compile(pattern, flags)
        for method in ("match", "fullmatch", "search", "sub", "findall", "finditer", "split", "pattern"):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def lazy(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern for text that is compiled when it is first used."""
    return LazyPattern(pattern, flags)  # type: ignore[return-value]


def lazy_bytes(pattern: bytes, flags: int = 0) -> re.Pattern[bytes]:
    """A pattern for bytes that is compiled when it is first used."""
    return LazyPattern(pattern, flags)  # type: ignore[return-value]
