"""The lines of a file that anybody may have written: each with its number, or why it cannot be read.

Reads in blocks: a line of any length, or a file of any size, takes no more memory than the longest line that a run may
have. Knows JSON Lines, a JSON list and indented JSON objects; says what a file is that is none of them.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, NamedTuple

from mltrack.errors import UsageError

LONGEST = 64 << 20
"""Bytes of a run's line. One with 12,000 metrics has two million."""

BLOCK = 1 << 20
BLANKS = " \t\r\n"

OTHERS = (
    (b"\x1f\x8b", "is compressed by gzip", "gzip -dc FILE | mltrack import -"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", "zstd -dc FILE | mltrack import -"),
    (b"\xfd7zXZ", "is compressed by xz", "xz -dc FILE | mltrack import -"),
    (b"BZh", "is compressed by bzip2", "bzip2 -dc FILE | mltrack import -"),
    (b"PK\x03\x04", "is a zip archive", "unzip -p FILE | mltrack import -"),
    (b"PAR1", "is a Parquet file, which holds no whole records", "Export them with --format jsonl."),
    (b"SQLite format 3\0", "is a database", "Export its runs where they are: mltrack export -o runs.jsonl"),
    (b"\xff\xfe", "is in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | mltrack import -"),
    (b"\xfe\xff", "is in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE | mltrack import -"),
)
"""How files begin that are taken for one of ours, what they are, and what to do with them."""


class Piece(NamedTuple):
    """One run as text. `number` counts lines from 1, or the items of a list."""

    number: int
    data: bytes


class Bad(NamedTuple):
    """A line that cannot be taken over, and why."""

    number: int
    reason: str
    hint: str


def pieces(file: IO[bytes], name: str) -> Iterator[Piece | Bad]:
    """What a file holds, one run after the other; empty lines are passed over. Raises UsageError for a file of another
    kind."""
    start = file.readline(LONGEST + 1)
    for magic, what, hint in OTHERS:
        if start.startswith(magic):
            raise UsageError(f"{name} {what}.", hint)
    start = start.removeprefix(codecs.BOM_UTF8)
    number = 1
    while start.isspace():
        start = file.readline(LONGEST + 1)
        number += 1
    word = start.strip()
    if word.startswith(b"[") or word == b"{":
        yield from items(file, start)
        return
    while start:
        if len(start) > LONGEST:
            yield Bad(number, f"it is longer than {LONGEST >> 20} MiB", "A run's line is never that long.")
            skip_line(file, start)
        elif not start.isspace():
            yield Piece(number, start.strip())
        start = file.readline(LONGEST + 1)
        number += 1


def skip_line(file: IO[bytes], start: bytes) -> None:
    while start and not start.endswith(b"\n"):
        start = file.readline(BLOCK)


def items(file: IO[bytes], start: bytes) -> Iterator[Piece | Bad]:
    """The objects of a JSON list, or of a text of several: they need not stand on lines of their own."""
    decoder, texts = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")()
    number, ends, is_list = 0, False, start.lstrip().startswith(b"[")
    try:
        text = texts.decode(start).lstrip().removeprefix("[")
        while True:
            text = text.lstrip(BLANKS)
            if is_list and number:
                text = text.removeprefix(",").lstrip(BLANKS)
            if (is_list and text.startswith("]")) or (ends and not text):
                return
            end = end_of(decoder, text)
            if end:
                number += 1
                yield Piece(number, text[:end].encode("utf-8", "surrogatepass"))
                text = text[end:]
                continue
            if ends or end is None or len(text) > LONGEST:
                yield unreadable(number + 1, end is None, len(text) > LONGEST)
                return
            block = file.read(max(BLOCK, len(text)))  # twice as much each time: a long item is tried few times
            ends = not block
            text += texts.decode(block, final=ends)
    except UnicodeDecodeError:
        yield Bad(number + 1, "it is not UTF-8", "Export it again, or convert it with iconv.")


def end_of(decoder: json.JSONDecoder, text: str) -> int | None:
    """Where the JSON value ends that a text begins with; 0 where it does not end, None where it is too deep."""
    try:
        return decoder.raw_decode(text)[1] if text else 0
    except RecursionError:
        return None
    except ValueError:
        return 0


def unreadable(number: int, is_deep: bool, is_long: bool) -> Bad:
    if is_deep:
        return Bad(number, "it is nested too deeply", "A run is never so deep.")
    if is_long:
        return Bad(number, f"it is longer than {LONGEST >> 20} MiB, or no JSON", "A run is never that long.")
    return Bad(number, "it is no JSON", "Is the file whole? Its end may be missing.")
