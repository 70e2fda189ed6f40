r"""`output.log`: a command's output with its times.

One record a line: `<seconds since the start, 3 decimals> <stream> <text>\n`, as in `12.345 o epoch 1`. The stream is
`o` (stdout, or a terminal that takes both) or `e` (stderr); in capitals when the original had no newline after the
text: a line still unfinished after a second, a piece of a very long one, or a progress bar's state, whose text ends in
its own `\r`. So the original bytes of a stream are the texts, each followed by a newline unless the letter is a
capital; a `\r\n` that only the terminal driver made is recorded as `\n`. A record `x` stands where the log was full,
says how many bytes are left out, and is followed by the last records. The text is redacted; it may hold any byte but a
newline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mltrack.nouns import noun

GAP = "x"
"""The stream of the record that stands for what is left out."""


MOST = 1 << 22
"""Bytes of a growing log that are read at once. No record is as long."""


@noun
class LogLine:
    """One record. `at_s` counts from the start of the command; `ends` tells whether a newline followed `data`."""

    at_s: float
    stream: str
    data: bytes
    ends: bool


def read_log(data: Iterable[bytes] | bytes) -> Iterator[LogLine]:
    """The records of a log, given whole or in blocks cut anywhere. A line that is no record is passed over."""
    rest = b""
    for block in (data,) if isinstance(data, bytes) else data:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            record = parse(line)
            if record is not None:
                yield record
    torn = parse(rest)
    if torn is not None:
        yield LogLine(torn.at_s, torn.stream, torn.data, False)


def new_records(path: Path, offset: int) -> tuple[list[LogLine], int]:
    """The next whole records of a growing log from `offset` (bytes) on, and the offset after them.

    At most MOST bytes are read: ask again until there are none. A file that is not there has none.
    """
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(MOST)
    except FileNotFoundError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    return list(read_log(whole)), offset + len(whole)


def parse(line: bytes) -> LogLine | None:
    """`12.345 o text` as a record; None if it is none."""
    at, _, rest = line.partition(b" ")
    letter = rest[:1].decode("latin-1")
    if letter not in ("o", "e", "O", "E", GAP) or rest[1:2] != b" ":
        return None
    try:
        return LogLine(float(at), letter.lower(), rest[2:], letter.islower())
    except ValueError:
        return None


def plain_bytes(data: Iterable[bytes] | bytes, stream: str | None = None) -> bytes:
    """The output as the command wrote it (redacted): of both streams in their order, or of one, `o` or `e`."""
    return b"".join(
        line.data + b"\n" if line.ends else line.data
        for line in read_log(data)
        if line.stream != GAP and stream in (None, line.stream)
    )
