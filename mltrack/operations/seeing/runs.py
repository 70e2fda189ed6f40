"""`Runs`: what `mltrack.runs()` gives. A list of runs that can be looked at in a notebook, and be made a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from mltrack import flat
from mltrack.digest import plain
from mltrack.noun_json import to_dict
from mltrack.operations.seeing.frames import Columns, columns_of
from mltrack.records import Run

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

SHOWN = 20
"""Runs in a notebook's table; the rest is counted."""
WIDE = 12
"""Columns of it beside id, status and time."""
LONGEST = 60
"""Characters of a cell."""
POINTS = {"run": "text", "metric": "text", "step": "float", "time": "time", "value": "float"}


PLAIN = frozenset((str, int, float, bool, type(None)))


class Seen(Mapping[str, Any]):
    """A noun as the mapping that its JSON is, of which only what is asked for is made."""

    def __init__(self, noun: Any) -> None:
        self.noun = noun

    def __getitem__(self, name: str) -> Any:
        return seen(self.noun.__dict__[name])

    def get(self, name: str, default: Any = None) -> Any:
        return seen(self.noun.__dict__.get(name, default))

    def __iter__(self) -> Iterator[str]:
        return iter(self.noun.__dict__)

    def __len__(self) -> int:
        return len(self.noun.__dict__)


def seen(value: Any) -> Any:
    """A value of a noun, with the nouns in it as mappings."""
    if value.__class__ in PLAIN:
        return value
    if isinstance(value, Mapping):
        return {name: seen(item) for name, item in value.items()} if is_of_nouns(value.values()) else value
    if isinstance(value, tuple):
        return tuple(map(seen, value)) if is_of_nouns(value) else value
    return Seen(value) if is_dataclass(value) else value


def is_of_nouns(values: Iterable[Any]) -> bool:
    return is_dataclass(next(iter(values), None))


class Framed:
    """Can be made a data frame."""

    def columns(self, summaries: bool = False) -> Columns:
        raise TypeError("only runs and their points have columns")

    def to_pandas(self, *, summaries: bool = False) -> pandas.DataFrame:
        """A pandas.DataFrame with a row a run: `id`, `created_at`, `params.lr`, `metrics.loss` (its last value) ...

        `summaries`: also `metrics.loss.min`, `.max`, `.count`, `.last_step`. Times are moments in UTC; what is missing
        is NA. Raises ImportError, with what to install, without pandas.
        """
        return self.columns(summaries).to_pandas()

    def to_polars(self, *, summaries: bool = False) -> polars.DataFrame:
        """The same as a polars.DataFrame."""
        return self.columns(summaries).to_polars()

    def to_arrow(self, *, summaries: bool = False) -> pyarrow.Table:
        """The same as a pyarrow.Table."""
        return self.columns(summaries).to_arrow()


class Runs(Framed, list[Run]):
    """Runs in the order that was asked for."""

    def __init__(self, runs: Iterable[Run] = (), directory: Path | None = None) -> None:
        """`directory`: the root of their project, from which points are read."""
        super().__init__(runs)
        self.directory = directory

    @overload
    def __getitem__(self, place: SupportsIndex) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> Runs: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Run | Runs:
        if isinstance(place, slice):
            return Runs(super().__getitem__(place), self.directory)
        return super().__getitem__(place)

    def __repr__(self) -> str:
        ids = ", ".join([run.id for run in self[:3]] + ["..."] * (len(self) > 3))
        return f"<{len(self):,} {'run' if len(self) == 1 else 'runs'}{f': {ids}' if ids else ''}>"

    def columns(self, summaries: bool = False) -> Columns:
        """Every run as a row, by the names of the query language."""
        rows = [flat.flat(Seen(run), summaries=summaries) for run in self]
        return columns_of(rows, flat.names_of(rows))

    def points(self, *names: str) -> Points:
        """The points of metrics (`"loss"` or `"metrics.loss"`) of all these runs, one a row: run, metric, step, time,
        value. A run without a metric has no rows of it. Raises ValueError for runs that were read in no project."""
        return Points(self, tuple(name.removeprefix("metrics.") for name in names))

    def _repr_html_(self) -> str:
        """A short table for a notebook: the first runs, with what differs between them. Every text is escaped."""
        from mltrack.operations.seeing.fields import shown
        from mltrack.operations.seeing.listing import changeable, names_in, parted

        documents = [plain(to_dict(run)) for run in self[:SHOWN]]
        names = names_in(documents)
        found = parted(changeable(names), documents)
        telling = (found.differing if len(self) > 1 else tuple(one for one, _ in found.same))[:WIDE]
        columns = [*shown(("id", "status", "created_at"), names), *telling]
        rows = [[one.read(document) for one in columns] for document in documents]
        more = f"<p>{len(self):,} runs, of which {SHOWN} are shown.</p>" if len(self) > SHOWN else ""
        return html_table([one.name for one in columns], rows) + more


class Points(Framed):
    """The points of some metrics of some runs, read when they are asked for."""

    def __init__(self, runs: Runs, names: Sequence[str]) -> None:
        self.runs = runs
        self.names = names

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        """A mapping a point: run, metric, step, time, value."""
        from mltrack.project import Project

        if self.runs.directory is None:
            raise ValueError("These runs were read in no project: take them from mltrack.runs().")
        with Project.get(self.runs.directory) as project:
            return [
                row
                for run in self.runs
                for name in self.names
                if name in run.metrics
                for row in rows_of(project, run, name)
            ]

    def columns(self, summaries: bool = False) -> Columns:
        return columns_of(self.rows, list(POINTS), POINTS)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<points of {', '.join(self.names)} in {len(self.runs):,} runs>"


def rows_of(project: Any, run: Run, name: str) -> list[Mapping[str, Any]]:
    from mltrack.operations.series import read_series

    return [
        {"run": run.id, "metric": name, "step": point.step, "time": moment(point.at), "value": point.value}
        for point in read_series(project, run, name)
    ]


def moment(at: float | None) -> str | None:
    """Seconds since 1970 as records write times."""
    from datetime import datetime, timezone

    return None if at is None else datetime.fromtimestamp(at, timezone.utc).isoformat()


def html_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(short(name))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cell(value: Any) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else flat.text(value)
    return f'<td style="text-align: {"right" if is_number else "left"}">{escape(short(text))}</td>'


def short(text: str) -> str:
    """On one line, and cut where it is long."""
    line = "".join(sign if sign.isprintable() else " " for sign in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
