"""Records made small: compressed with a dictionary of earlier records, which stands in the ledger too.

A record resembles the ones before it, so that against them little of it is left. Bytes come back exactly; that they
are the sealed ones is proved by their digest elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

LEVEL = 3
"""Of a record that resembles its dictionary 6 makes 6% less, in twice the time."""
WINDOW = 13
"""Of 8 KiB: about a record. A larger one makes nothing smaller, and compressing slower."""

LONGEST = (1 << WINDOW) - 300
"""Bytes of a dictionary that the window reaches back to."""

EVERY = 16
"""So many records come before another look whether a new dictionary would serve better."""

GAIN = 0.8
"""A new dictionary must make a record at least this much smaller."""


class Packer:
    """Compresses with one dictionary, or with none."""

    def __init__(self, words: bytes = b"") -> None:
        import zlib

        given: dict[str, Any] = {"zdict": words} if words else {}
        self._primed = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW, zlib.DEF_MEM_LEVEL, 0, **given)

    def pack(self, data: bytes) -> bytes:
        stream = self._primed.copy()  # priming takes longer than copying
        return stream.compress(data) + stream.flush()


class Unpacker:
    """Gives packed records back; reads each dictionary once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._words: dict[int | None, bytes] = {None: b""}

    def unpack(self, packed: bytes, dictionary: int | None) -> bytes:
        """Raises ValueError for what cannot be unpacked."""
        import zlib

        if dictionary not in self._words:
            self._words[dictionary] = words_of(self.db, dictionary)
        words = self._words[dictionary]
        stream = zlib.decompressobj(WINDOW, zdict=words) if words else zlib.decompressobj(WINDOW)
        try:
            data = stream.decompress(packed)
        except zlib.error as error:
            raise ValueError(f"a record cannot be unpacked: {error}") from error
        if not stream.eof:
            raise ValueError("a packed record has lost its end")
        return data


def words_of(db: sqlite3.Connection, dictionary: int | None) -> bytes:
    """A dictionary, or its copy where it is damaged: zlib's checksum tells. Raises ValueError where both are."""
    import zlib

    for table in ("dictionary", "dictionary_copy"):
        for (packed,) in db.execute(f"SELECT packed FROM {table} WHERE id = ?", (dictionary,)):
            try:
                return zlib.decompress(packed)
            except (zlib.error, TypeError):
                pass
    raise ValueError("the dictionary of a record is missing or damaged")


def newest_dictionary(db: sqlite3.Connection) -> tuple[int | None, bytes]:
    """Number and content of the dictionary in use; none in a new ledger, or where it is damaged."""
    row = db.execute("SELECT max(id) FROM dictionary").fetchone()
    if row[0] is None:
        return None, b""
    try:
        return int(row[0]), words_of(db, row[0])
    except ValueError:
        return None, b""


def add_dictionary(db: sqlite3.Connection, words: bytes) -> int:
    """Keep a dictionary, twice: thousands of records are lost with it."""
    import zlib

    packed = zlib.compress(words, 9)
    number = db.execute("INSERT INTO dictionary (packed) VALUES (?)", (packed,)).lastrowid
    assert number is not None
    db.execute("INSERT OR REPLACE INTO dictionary_copy (id, packed) VALUES (?, ?)", (number, packed))
    return number


def dictionary_of(texts: Sequence[bytes]) -> bytes:
    """A dictionary of some records, the newest last: what is nearest to the end is referred to most cheaply."""
    return b"".join(dict.fromkeys(texts))[-LONGEST:]


def better_words(words: bytes, before: Sequence[bytes], text: bytes) -> bytes | None:
    """A dictionary of the records before, if it serves this one clearly better than the words in use."""
    found = dictionary_of(before)
    if not found or found == words:
        return None
    return found if len(Packer(found).pack(text)) < GAIN * len(Packer(words).pack(text)) else None
