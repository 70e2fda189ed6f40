"""The lines of a file that anybody may have written: each with its number, or why it cannot be read.

Reads in blocks: a line of any length, or a file of any size, takes no more memory than the longest line that a run may
have. Knows JSON Lines, a JSON list and indented JSON objects; says what a file is that is none of them.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from mltrack.errors import Damaged, StorageError, UsageError

LONGEST = 64 << 20
"""Bytes of a run's line. One with 12,000 metrics has two million."""

BLOCK = 1 << 20
BLANKS = " \t\r\n"
GZIP = b"\x1f\x8b"

OTHERS = (
    (b"\x1f\x8b", "is compressed by gzip twice", "gzip -dc FILE | mltrack import -"),
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


@contextmanager
def at_hand(file: IO[bytes], directory: Path) -> Iterator[IO[bytes]]:
    """The same file if one may go back in it; else (a pipe) all that comes out of it, in a file without a name in
    `directory`: who writes it may take an hour, and the ledger must not be locked so long. Raises StorageError."""
    if file.seekable():
        yield file
        return
    from shutil import copyfileobj
    from tempfile import TemporaryFile

    with TemporaryFile(dir=directory) as whole:
        try:
            copyfileobj(file, whole, BLOCK)
            whole.seek(0)
        except OSError as error:
            raise StorageError(
                f"What is to be imported cannot be kept in {directory}: {error.strerror}.", "Free some space."
            ) from error
        yield whole


def pieces(file: IO[bytes], name: str) -> Iterator[Piece | Bad]:
    """What a file holds, compressed by gzip or not, one run after the other; empty lines are passed over.

    Raises UsageError for a file of another kind, Damaged for a compressed one that is not whole.
    """
    begin = file.tell()
    if file.read(len(GZIP)) != GZIP:
        file.seek(begin)
        yield from plain_pieces(file, name)
        return
    import gzip
    import zlib

    file.seek(begin)
    with gzip.GzipFile(fileobj=file, mode="rb") as inside:
        try:
            yield from plain_pieces(cast("IO[bytes]", inside), name)
        except (OSError, EOFError, zlib.error) as error:
            raise Damaged(
                f"{'Standard input' if name == '-' else name} cannot be decompressed: {str(error).rstrip('.')}.",
                "Is the file whole? Fetch it again.",
            ) from error


def plain_pieces(file: IO[bytes], name: str) -> Iterator[Piece | Bad]:
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
    """The objects of a JSON list, or of a text of several: they need not stand on lines of their own. A list ends, and
    nothing is behind it; else something is missing, and the last that comes is a Bad."""
    text = Text(file, start)
    number = 0
    try:
        is_list = text.peek() == "["
        if is_list:
            text.skip()
        while True:
            sign = text.peek()
            if not sign and not is_list:
                return
            if is_list and sign == "]" and not text.was_comma:
                text.skip()
                if text.peek():
                    yield Bad(number + 1, "there is more behind the end of the list", "One list to a file.")
                return
            number += 1
            yield (item := text.item(number))
            if isinstance(item, Bad):
                return
            if is_list and text.peek() not in ("]", ","):
                yield Bad(number + 1, "the list does not go on with a comma or end", WHOLE)
                return
            text.skip_comma(is_list)
    except UnicodeDecodeError:
        yield Bad(number + 1, "it is not UTF-8", "Export it again, or convert it with iconv.")


class Text:
    """The text of a file, from where it was read to; a block of it in memory, or an item."""

    def __init__(self, file: IO[bytes], start: bytes) -> None:
        self.file = file
        self.decoder = json.JSONDecoder()
        self.texts = codecs.getincrementaldecoder("utf-8")()
        self.text = ""
        self.waiting = start
        self.ends = False
        self.was_comma = False

    def peek(self) -> str:
        """The next character that is no blank, which what is left then begins with; "" at the end."""
        self.text = self.text.lstrip(BLANKS)
        while not self.text and not self.ends:
            self.more(BLOCK)
            self.text = self.text.lstrip(BLANKS)
        return self.text[:1]

    def more(self, size: int) -> None:
        block, self.waiting = self.waiting or self.file.read(size), b""
        self.ends = not block
        self.text += self.texts.decode(block, final=self.ends)

    def skip(self) -> None:
        self.text = self.text[1:]

    def skip_comma(self, is_list: bool) -> None:
        self.was_comma = is_list and self.peek() == ","
        if self.was_comma:
            self.skip()

    def item(self, number: int) -> Piece | Bad:
        """The JSON value that comes next."""
        while True:
            end = end_of(self.decoder, self.text)
            if end:
                found, self.text = self.text[:end], self.text[end:]
                return Piece(number, found.encode("utf-8", "surrogatepass"))
            if self.ends or end is None or len(self.text) > LONGEST:
                return unreadable(number, end is None, len(self.text) > LONGEST)
            self.more(max(BLOCK, len(self.text)))  # twice as much each time: a long item is tried few times


WHOLE = "Is the file whole? Its end may be missing."


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
    return Bad(number, "it is no JSON", WHOLE)
