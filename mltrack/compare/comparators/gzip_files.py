"""Comparator of files compressed as a whole: gzip, bzip2, xz, zstd. What they hold is compared as a file of its own."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any, BinaryIO, Protocol, cast

from mltrack.compare.comparators import EQUIVALENT, LARGEST_IN_MEMORY, Around, Content, Finding
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.inner import BLOCK, Inner, budget_of, same_bytes

WHAT = "times, names and compression of a gzip, bzip2, xz or zstd file; what its content's own format lets differ"

MAGICS = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

ENDINGS = {".tgz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar", ".svgz": ".svg"}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zstd")

FED = 1 << 16
"""Compressed bytes given to a decompressor at once."""


class Decompressor(Protocol):
    """What bz2 and lzma call so: one stream, unpacked as far as is asked."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def fits(name: str, head: bytes) -> bool:
    """By the first bytes."""
    return kind_of(head) is not None


def compare(a: Content, b: Content, around: Around) -> Finding:
    """What is in them, as a file of its own, named as this one without its last ending."""
    left, right = unpacked(a), unpacked(b)
    with left.open() as f, right.open() as g:
        if same_bytes(f, g):
            return Finding(EQUIVALENT, "only how it is compressed differs, or a time or name in its header")
    return compare_contents(inner_name(around.name), left, right, around)


def kind_of(head: bytes) -> str | None:
    """Which of the four it is."""
    return next((kind for magic, kind in MAGICS.items() if head.startswith(magic)), None)


def inner_name(name: str) -> str:
    """`metrics.csv.gz` -> `metrics.csv`, `data.tgz` -> `data.tar`."""
    for ending, inner in [*ENDINGS.items(), *((ending, "") for ending in COMPRESSED)]:
        if name.lower().endswith(ending):
            return name[: -len(ending)] + inner
    return name


def unpacked(content: Content) -> Inner:
    """The content of a compressed file."""
    return Inner(lambda: cast(BinaryIO, Unpacking(content.open())), budget_of(content))


class Unpacking:
    """Reads all streams of a compressed file, one behind the other. Whatever else follows them is an error."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._begin()

    def _begin(self) -> None:
        self._source.seek(0)
        self._waiting = self._source.read(FED)
        self._kind = kind_of(self._waiting)
        self._stream: Decompressor | None = new_stream(self._kind)
        self._at = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end only. Raises EOFError where a stream is cut off."""
        parts: list[bytes] = []
        while size > 0 and (self._stream is not None):
            if self._stream.eof:
                self._next()
                continue
            if self._stream.needs_input and not self._waiting:
                self._waiting = self._source.read(FED)
            ended = self._stream.needs_input and not self._waiting
            data = self._stream.decompress(self._waiting, min(size, BLOCK))
            self._waiting = b""
            if ended and not data and not self._stream.eof:
                raise EOFError("it is cut off")
            parts.append(data)
            size -= len(data)
        joined = b"".join(parts)
        self._at += len(joined)
        return joined

    def _next(self) -> None:
        """After a stream: another one, or nothing but zeros to the end."""
        rest = (self._stream.unused_data if self._stream else b"") + self._waiting
        while not rest.strip(b"\0"):
            rest = self._source.read(FED)
            if not rest:
                self._stream = None
                return
        rest = rest.lstrip(b"\0") + self._source.read(FED)
        if kind_of(rest) != self._kind:
            raise ValueError("other bytes follow the compressed ones")
        self._stream, self._waiting = new_stream(self._kind), rest

    def seek(self, offset: int, whence: int = 0) -> int:
        """By unpacking as far, from the beginning where it lies behind."""
        if whence == 2:
            while self.read(BLOCK):
                pass
        target = {0: 0, 1: self._at, 2: self._at}[whence] + offset
        if target < self._at:
            self._begin()
        while self._at < target and self.read(min(BLOCK, target - self._at)):
            pass
        return self._at

    def close(self) -> None:
        self._source.close()


def new_stream(kind: str | None) -> Decompressor:
    """A decompressor. Raises ValueError for no known kind; it takes no more memory than a comparison may."""
    if kind == "gzip":
        return _Gzip()
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LARGEST_IN_MEMORY)
    if kind == "zstd":
        return _Zstd()
    raise ValueError("it is not compressed in a known way")


class _Gzip:
    """zlib's object by the names of the others."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class _Zstd:
    """zstandard's object by the names of the others. It unpacks all that it is given, so it is given little."""

    STEP = 2048
    """Bytes: 64 MiB come out of them, at the very most."""

    def __init__(self) -> None:
        import zstandard

        self._object: Any = zstandard.ZstdDecompressor(max_window_size=LARGEST_IN_MEMORY).decompressobj()
        self._given, self._made = b"", b""

    @property
    def eof(self) -> bool:
        return bool(self._object.eof) and not self._made

    @property
    def needs_input(self) -> bool:
        return not self._given and not self._made

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data) + self._given

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        self._given += data
        while not self._made and self._given and not self._object.eof:
            step, self._given = self._given[: self.STEP], self._given[self.STEP :]
            self._made = self._object.decompress(step)
        made, self._made = self._made[:max_length], self._made[max_length:]
        return made
