"""What SQLite says, as an error of ours that names the ledger and says what to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from mltrack.errors import Damaged, FormatTooNew, StorageError
from mltrack.ledger import schema

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.ledger import Ledger

P = ParamSpec("P")
T = TypeVar("T")

UNTOLD = {
    "locked": ("is locked by another process", "Try again when the other mltrack command has ended."),
    "full": ("cannot be written: the disk is full", "Free some space; nothing that was finished is lost."),
    "readonly": ("cannot be written", "Make the file and its directory writable."),
    "unable to open": ("cannot be opened", "Is its directory there, and may it be written?"),
    "I/O error": ("cannot be read or written: the disk reports an error", "Check the disk and its free space."),
}
"""What SQLite says -> what we say."""


def told(method: Callable[P, T]) -> Callable[P, T]:
    """Errors of SQLite become StorageError or Damaged, with the ledger's path."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        import sqlite3

        try:
            return method(*args, **kwargs)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the second: a text whose bytes were damaged
            raise tell(cast("Ledger", args[0]).path, error) from error

    return call


def tell(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> StorageError | Damaged | FormatTooNew:
    if "readonly" in str(error) and os.access(path.parent, os.W_OK) and not schema.has_room(path.parent):
        what, hint = UNTOLD["full"]
        return StorageError(f"The ledger {path} {what}.", hint)
    for words, (what, hint) in UNTOLD.items():
        if words in str(error):
            return StorageError(f"The ledger {path} {what}.", hint)
    if str(error).startswith(("no such table", "no such column")):
        return FormatTooNew(
            f"The ledger {path} does not have the tables of this mltrack.",
            "Another development version wrote it: export its runs with that one, and import them here. "
            "Nothing was changed.",
        )
    return Damaged(f"The ledger {path} is damaged: {error}.", schema.MENDING)
