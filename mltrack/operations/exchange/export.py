"""`mltrack export`: runs as lines that `mltrack import` takes over exactly, or as flat rows for other tools.

Runs are read and written one after the other, so that a hundred thousand take no more memory than a few. A file appears
under its name only when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mltrack.errors import NotFound, StorageError, UsageError
from mltrack.nouns import noun
from mltrack.operations.exchange.lines import line_of, shown_of
from mltrack.operations.request import Tell
from mltrack.operations.seeing.selection import Choice, split

if TYPE_CHECKING:
    from mltrack.ledger.bulk import Stored
    from mltrack.ledger.queries import RunQuery
    from mltrack.project import Project

FORMATS = ("jsonl", "json", "csv", "parquet")

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
    from mltrack.ledger.bulk import stored

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
    if asked or choice.where or choice.since or choice.branch or not named:
        query = query_of(request, asked)
        from mltrack.operations.asking import tell_unknown

        tell_unknown(project, query, tell)
        found |= dict.fromkeys(asked_for(project, query))
        living = [run.id for run in alive(project) if fits(run, query)]
    else:
        living = [run.id for run in named if run.status == "running"]
    for run in living:
        found.pop(run, None)
        tell(f"{run} has not ended: it is left out.")
    if not found:
        raise NotFound("No run fits.", "See what there is: mltrack ls")
    return list(found)


def query_of(request: ExportRequest, words: Sequence[str]) -> RunQuery:
    from mltrack.ledger.queries import RunQuery
    from mltrack.operations.asking import condition_of

    choice = request.choice
    where = [f"({choice.where})"] if choice.where and words else [choice.where] if choice.where else []
    condition = condition_of([*words, *where], choice.since, choice.branch)
    return RunQuery(choice.limit, choice.sort, include_deleted=request.hidden, where=condition)


def asked_for(project: Project, query: RunQuery) -> list[str]:
    from mltrack.ledger.bulk import chosen

    return chosen(project.ledger, query)


def form_of(form: str | None, target: Path | None) -> str:
    """The format that was asked for, or that the file's name says. Raises UsageError."""
    name = form or (target.suffix[1:].lower() if target is not None else "")
    if form is None and name not in FORMATS:
        return "jsonl"
    if name not in FORMATS:
        raise UsageError(f"There is no format {name[:40]!r}.", f"Formats: {', '.join(FORMATS)}.")
    return name


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when all was written to it; nothing is left of one that was not.

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
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", "Free some space, or choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
