"""The output of a run as bytes: as the command wrote it, with its times, or as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrack.live.outputlog import LogLine


def as_written(records: Iterable[LogLine]) -> Iterator[bytes]:
    """What the command wrote; a gap is a line in brackets."""
    for record in records:
        yield text_of(record)


def with_times(records: Iterable[LogLine]) -> Iterator[bytes]:
    """The same with the time since the start before each line: `0:01:02.345  epoch 1`."""
    is_begun: dict[str, bool] = {}
    for record in records:
        mark = b"" if is_begun.get(record.stream) or record.data == b"\r" else b"%b  " % elapsed(record.at_s).encode()
        yield mark + text_of(record)
        is_begun[record.stream] = not record.ends and not record.data.endswith(b"\r")


def as_json(records: Iterable[LogLine]) -> Iterator[bytes]:
    """One object a line: `at_s`, `stream`, `text`, and whether a newline followed."""
    import json

    for record in records:
        text = record.data.decode(errors="replace")
        entry = {"at_s": record.at_s, "stream": record.stream, "text": text, "ends": record.ends}
        yield json.dumps(entry, ensure_ascii=False).encode() + b"\n"


def text_of(record: LogLine) -> bytes:
    if record.stream == "x":
        return b"[%b]\n" % record.data
    return record.data + b"\n" if record.ends else record.data


def elapsed(seconds: float) -> str:
    """`0:01:02.345`."""
    millis = round(seconds * 1000)
    return f"{millis // 3600000}:{millis // 60000 % 60:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}"


def form(times: bool, json: bool) -> Callable[[Iterable[LogLine]], Iterator[bytes]]:
    """Which of the three."""
    return as_json if json else with_times if times else as_written
