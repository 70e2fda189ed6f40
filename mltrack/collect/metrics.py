"""After the run: metric points from the journal, from declared files and from the output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point

_FIELDS = {
    "name": r"(?P<name>[A-Za-z_][\w./-]*)",
    "value": r"(?P<value>[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf))",
    "step": r"(?P<step>\d+)",
}


def output_pattern(text: str) -> re.Pattern[str]:
    """`{name}: {value}` -> a regular expression; `{name}`, `{value}` and `{step}` are fields, the rest is literal."""
    parts = re.split(r"\{(name|value|step)\}", text)
    pieces = [_FIELDS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)]
    return re.compile("".join(pieces), re.IGNORECASE)


def points_in_output(lines: Iterable[tuple[float, str]], patterns: Sequence[str]) -> Iterator[Point]:
    """The points that patterns find in timed lines of output (unix seconds, text); without a name, it is "value"."""
    from mltrack.formats.metrics import Point

    compiled = [output_pattern(pattern) for pattern in patterns]
    for at, line in lines:
        for pattern in compiled:
            for match in pattern.finditer(line):
                groups = match.groupdict()
                step = int(groups["step"]) if groups.get("step") else None
                yield Point(groups.get("name") or "value", float(groups["value"]), step, at)


def points_in_files(files: Sequence[tuple[str, Path]]) -> tuple[list[Point], list[Warning]]:
    """The points in metrics files (the name in the record, the place); a broken file is a warning."""
    from mltrack.formats.metrics import read_metrics

    points: list[Point] = []
    warnings: list[Warning] = []
    for name, place in files:
        try:
            points += read_metrics(place)
        except (MltrackError, OSError) as error:
            warnings.append(Warning("metrics-unreadable", f"The metrics file {name} could not be read: {error}"))
    return points, warnings
