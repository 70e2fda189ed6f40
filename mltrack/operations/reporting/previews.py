"""What can be seen of a run's files: pictures whole, tables, texts and JSON by their beginning; the rest by name.

Read through the store, which proves every byte; nothing of it is written anywhere. What is not here is said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.manifest import ManifestEntry

LARGEST_PICTURE = 4 << 20
"""Bytes of one picture that is shown."""
MOST_PIXELS = 50_000_000
"""A picture of more could be a few bytes that fill a reader's memory."""
HEAD = 64 << 10
"""Bytes of a text that are looked at."""
MOST_LINES = 40
MOST_ROWS = 10
MOST_COLUMNS = 12
LONGEST_CELL = 200
MOST_SHOWN = 40
"""Files of a run that are shown."""
MOST_LISTED = 500
"""Files of directories that are named besides."""
MOST_LOOKED_AT = 1000
"""Files of directories that are looked at."""
TEXTS = frozenset((".txt", ".md", ".log", ".yaml", ".yml", ".toml", ".ini", ".jsonl", ".json", ".rst", ".csv", ".tsv"))
SIGNS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)


@noun
class Preview:
    """A file that can be seen. `kind` is "picture", "table", "text" or "listed"; `remark` says what is not shown."""

    path: str
    kind: str
    digest: str
    size_bytes: int
    form: str = ""
    """Of a picture: png, jpeg, gif, webp, bmp or svg+xml."""
    data: bytes = b""
    rows: tuple[tuple[str, ...], ...] = ()
    """Of a table; the first are its heads."""
    lines: tuple[str, ...] = ()
    remark: str = ""


class Budget:
    """How many bytes of pictures a report may still hold."""

    def __init__(self, size_bytes: int) -> None:
        self.left = size_bytes

    def takes(self, size_bytes: int) -> bool:
        if size_bytes > min(self.left, LARGEST_PICTURE):
            return False
        self.left -= size_bytes
        return True


def previews(project: Project, run: Run, budget: Budget) -> tuple[Preview, ...]:
    """What can be seen of the artifacts of a run, and what else lies in those that are directories."""
    found: list[Preview] = []
    own = {item.path for item in run.artifacts}
    seen = listed_ones = 0
    for entry in files_of(project, run):
        path = os.fsdecode(entry.path)
        if may_be_seen(path) and seen < MOST_SHOWN:
            seen += 1
            found.append(looked_at(project, path, entry, budget))
        elif path not in own and listed_ones < MOST_LISTED:
            listed_ones += 1
            found.append(listed(path, entry, ""))
    return tuple(found)


def looked_at(project: Project, path: str, entry: ManifestEntry, budget: Budget) -> Preview:
    """A file that can be seen, if it is here and whole."""
    try:
        return preview(project, path, entry, budget)
    except MltrackError as error:
        return listed(path, entry, f"not shown: {error.message}")


def files_of(project: Project, run: Run) -> Iterator[ManifestEntry]:
    """The files among the artifacts, and those of directories whose list is here."""
    from mltrack.operations.contents import entries_of

    for item in run.artifacts:
        try:
            inside = entries_of(project, item, item.path)
        except MltrackError:  # the table of artifacts says what is not here
            continue
        for entry in inside[:MOST_LOOKED_AT]:
            if entry.digest is not None and entry.kind in ("file", "executable"):
                yield entry


def may_be_seen(path: str) -> bool:
    from posixpath import splitext

    ending = splitext(path)[1].lower()
    return ending in TEXTS or ending in (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg")


def preview(project: Project, path: str, entry: ManifestEntry, budget: Budget) -> Preview:
    """One file. Raises DataMissing, Damaged."""
    from mltrack.operations.fetch import ensure_here
    from mltrack.store.reading import StoredContent

    digest = str(entry.digest)
    if entry.size > LARGEST_PICTURE and not project.store.has(digest):
        return listed(path, entry, "not shown: not here, and too large to be fetched for it")
    ensure_here(project, [digest])
    with StoredContent(project.store, digest, entry.size).open() as file:
        head = file.read(HEAD)
        form = form_of(path, head)
        if not form:
            return told(path, entry, head)
        if pixels(form, head) > MOST_PIXELS:
            return listed(path, entry, "not shown: more than 50 million pixels")
        if not budget.takes(entry.size):
            return listed(path, entry, "not shown: too large, see --max-size")
        return Preview(path, "picture", digest, entry.size, form, head + file.read())


def form_of(path: str, head: bytes) -> str:
    """What kind of picture it is by its first bytes, "" where it is none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if path.lower().endswith(".svg") and b"<svg" in head:
        return "svg+xml"
    return next((form for sign, form in SIGNS if head.startswith(sign)), "")


def pixels(form: str, head: bytes) -> int:
    """How many it says to have; 0 where its head does not say so at a fixed place."""
    if form == "png":
        return int.from_bytes(head[16:20], "big") * int.from_bytes(head[20:24], "big")
    if form == "gif":
        return int.from_bytes(head[6:8], "little") * int.from_bytes(head[8:10], "little")
    if form == "bmp":
        return abs(
            int.from_bytes(head[18:22], "little", signed=True) * int.from_bytes(head[22:26], "little", signed=True)
        )
    return jpeg_pixels(head) if form == "jpeg" else 0


def jpeg_pixels(head: bytes) -> int:
    """By the frame's segment, if it lies in the head."""
    place = 2
    while place + 9 < len(head) and head[place] == 0xFF:
        kind, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[place + 5 : place + 7], "big") * int.from_bytes(
                head[place + 7 : place + 9], "big"
            )
        place += 2 + length
    return 0


def told(path: str, entry: ManifestEntry, head: bytes) -> Preview:
    """The beginning of a text: as a table, as laid out JSON, or as its lines."""
    if b"\0" in head:
        return listed(path, entry, "not shown: not a text")
    text = head.decode("utf-8", "replace")
    if path.lower().endswith((".csv", ".tsv")):
        return table(path, entry, text)
    if path.lower().endswith(".json") and entry.size <= HEAD:
        text = laid_out(text)
    lines = text.splitlines()
    shown = tuple(line[: LONGEST_CELL * 2] for line in lines[:MOST_LINES])
    is_whole = len(lines) <= MOST_LINES and entry.size <= HEAD
    remark = "" if is_whole else f"its first {len(shown)} lines"
    return Preview(path, "text", str(entry.digest), entry.size, lines=shown, remark=remark)


def laid_out(text: str) -> str:
    """JSON of one long line as a person would lay it out; anything else as it is."""
    import json

    if text.count("\n") > 1:
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def table(path: str, entry: ManifestEntry, text: str) -> Preview:
    """The first rows and columns of a table of texts."""
    import csv

    lines = text.splitlines()[: MOST_ROWS + 2]
    delimiter = "\t" if path.lower().endswith(".tsv") or text.count("\t") > text.count(",") else ","
    if delimiter == "," and lines and lines[0].count(";") > lines[0].count(","):
        delimiter = ";"
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))[: MOST_ROWS + 1]
    except csv.Error:
        rows = [[line] for line in lines]
    columns = max(map(len, rows), default=0)
    remark = f"its first {MOST_ROWS} rows" if len(lines) > MOST_ROWS + 1 else ""
    if columns > MOST_COLUMNS:
        remark = f"{remark or 'all its rows'}, {MOST_COLUMNS} of {columns:,} columns"
    cut = tuple(tuple(cell[:LONGEST_CELL] for cell in row[:MOST_COLUMNS]) for row in rows if row)
    return Preview(path, "table", str(entry.digest), entry.size, rows=cut, remark=remark)


def listed(path: str, entry: ManifestEntry, remark: str) -> Preview:
    return Preview(path, "listed", str(entry.digest), entry.size, remark=remark)
