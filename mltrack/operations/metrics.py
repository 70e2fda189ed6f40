"""`mltrack metrics --test-stdout`: what patterns would find in some output, line by line."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mltrack.collect.output import AUTO, Matched, OutputPoints
from mltrack.config import load_config
from mltrack.errors import NotFound
from mltrack.live.outputlog import LogLine
from mltrack.nouns import noun
from mltrack.operations.log import Part, read_output
from mltrack.project import find_root

if TYPE_CHECKING:
    from mltrack.project import Project


@noun
class Trial:
    """What patterns found. `matches` counts for each pattern."""

    lines: tuple[Matched, ...]
    matches: Mapping[str, int]


def try_on_file(place: Path | BinaryIO, patterns: Sequence[str]) -> Trial:
    """Try patterns on a file, or on an open stream. Raises NotFound, and UsageError for a bad pattern."""
    if not isinstance(place, Path):
        return trial(records_of(place), patterns)
    try:
        with open(place, "rb") as file:
            return trial(records_of(file), patterns)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(
            f"There is no file {place}.", "Name a file with some output, or - for standard input."
        ) from error


def try_on_run(project: Project, ref: str, patterns: Sequence[str]) -> Trial:
    """Try patterns on the output of a run. Raises NotFound, and UsageError for a bad pattern."""
    return trial(read_output(project, ref, Part()), patterns)


def chosen_patterns(typed: Sequence[str], start: Path) -> tuple[str, ...]:
    """The patterns that were typed, else those of the settings there, else the set that guesses. Makes no project."""
    return tuple(typed) or load_config(find_root(start) or start, os.environ).metrics_stdout or (AUTO,)


def records_of(lines: Iterable[bytes]) -> Iterator[LogLine]:
    """Lines of a file as the records that a run's log would have of them."""
    for line in lines:
        yield LogLine(0.0, "o", line.removesuffix(b"\n"), True)


def trial(records: Iterable[LogLine], patterns: Sequence[str]) -> Trial:
    """What patterns find in the records of a log."""
    finder = OutputPoints(patterns, time.time())
    lines = [*finder.take(records), *finder.finish(0.0)]
    return Trial(tuple(lines), finder.matches)
