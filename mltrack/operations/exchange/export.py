"""`mltrack export`: runs as lines that `mltrack import` takes over exactly, or as flat rows for other tools.

Runs are read and written one after the other, so that a hundred thousand take no more memory than a few. A file appears
under its name only when it is whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mltrack.errors import NotFound, StorageError, UsageError
from mltrack.nouns import noun
from mltrack.operations.exchange.lines import line_of, shown_of
from mltrack.operations.request import Tell
from mltrack.operations.running.outputs import note_written
from mltrack.operations.seeing.selection import Choice, in_order, query_of, split

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.keeping.bulk import Stored
    from mltrack.project import Project

FORMATS = ("jsonl", "json", "csv", "parquet")
NAMES = ", ".join(FORMATS)
GZIP = ".gz"
SHEETS = ("xlsx", "xls", "ods", "numbers")

Advance = Callable[[int], None]
"""Called with how many runs were written since the last call."""


@noun
class ExportRequest:
    """Which runs, in which form; with `hidden` also those that were removed, and those of calibrations."""

    choice: Choice
    form: str = "jsonl"
    hidden: bool = False


def export(project: Project, request: ExportRequest, out: IO[bytes], tell: Tell, advance: Advance) -> int:
    """Write runs to an open file; returns how many. Raises NotFound where no run fits, UsageError, StorageError."""
    from mltrack.ledger.keeping.bulk import stored

    ids = chosen_ids(project, request, tell)
    hidden = project.ledger.deleted_ids()

    def runs() -> Iterator[Stored]:
        return stored(project.ledger, ids)

    if request.form in ("csv", "parquet"):
        from mltrack.operations.exchange import rows

        write = rows.write_csv if request.form == "csv" else rows.write_parquet
        write(out, lambda: map(shown_of, runs()), advance)
    else:
        lines = counted((line_of(run, run.id in hidden) for run in runs()), advance)
        out.writelines(as_list(lines) if request.form == "json" else (line + b"\n" for line in lines))
    return len(ids)


def counted(lines: Iterable[bytes], advance: Advance) -> Iterator[bytes]:
    for line in lines:
        yield line
        advance(1)


def as_list(lines: Iterable[bytes]) -> Iterator[bytes]:
    """One JSON list with a run a line."""
    start = b"[\n"
    for line in lines:
        yield start + line
        start = b",\n"
    yield b"\n]\n"


def chosen_ids(project: Project, request: ExportRequest, tell: Tell) -> Sequence[str]:
    """The ids of the runs that were named, then of those that fit what was asked; says which cannot be exported yet."""
    from mltrack.operations.find import alive, fits

    choice = request.choice
    named, asked = split(project, choice.words)
    found = dict.fromkeys(run.id for run in named)
    if asked or choice.asks or not named:
        query = replace(query_of(project, choice, asked, tell), include_deleted=request.hidden)
        found |= dict.fromkeys(asked_for(project, query))
        living = [run.id for run in alive(project) if fits(run, query)]
    else:
        found = dict.fromkeys(in_order(project, list(found), choice, tell))
        living = [run.id for run in named if run.status == "running" and run.id in found]
    for run in living:
        found.pop(run, None)
        tell(f"{run} has not ended: it is left out.")
    if not found:
        raise NotFound("No run fits.", "See what there is: mltrack ls")
    return list(found)


def asked_for(project: Project, query: RunQuery) -> list[str]:
    from mltrack.ledger.keeping.bulk import chosen

    return chosen(project.ledger, query)


def form_of(form: str | None, target: Path | None) -> str:
    """The format that was asked for, else the one that the file's name says. Raises UsageError for what is none."""
    name = "" if target is None else target.name
    packed = name.lower().endswith(GZIP)
    ending = Path(name[: -len(GZIP)] if packed else name).suffix[1:].lower()
    found = form or ending or FORMATS[0]
    if found not in FORMATS and form is None:
        hint = "A spreadsheet opens CSV: -o runs.csv" if ending in SHEETS else f"Or say which with --format: {NAMES}."
        raise UsageError(f"No format has the ending .{ending[:40]}.", f"Endings are those of the formats. {hint}")
    if found not in FORMATS:
        raise UsageError(f"There is no format {found[:40]!r}.", f"Formats: {NAMES}.")
    if packed and found == "parquet":
        raise UsageError("Parquet is compressed already.", "Leave .gz out of the name.")
    return found


@contextmanager
def packing(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """A file that what is written to goes into another one, compressed by gzip where the name ends so."""
    if not path.name.lower().endswith(GZIP):
        yield file
        return
    import gzip

    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:  # no name, no time: the same runs are the same bytes
        yield packed  # type: ignore[misc]


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when all was written to it, with the rights of one that was there; nothing is
    left of one that was not.

    Raises UsageError where there is a directory, StorageError where it cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a directory.", "Name a file in it: -o DIRECTORY/runs.jsonl")
    if path.exists() and not path.is_file():  # a pipe, /dev/null
        with path.open("wb") as file:
            yield file
        return
    place = path.resolve()
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            if place.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(place.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
        note_written(place)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", "Free some space, or choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
