"""What a comparison shows of one field of one run: a short text, its marks, and how far it is from the baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mltrack.compare.gathering import CIRCUMSTANCES
from mltrack.compare.many import MEASURED, Row
from mltrack.formats.ranked import split_rank
from mltrack.nouns import noun
from mltrack.records import Run
from mltrack.views.text import (
    clean,
    command_line,
    count,
    duration,
    number,
    percent,
    scalar,
    short_digest,
    shorten,
    signed,
    size,
)

BEST, WORST, NOISE = "★", "▽", "≈"
OBJECT_ID = re.compile(r"(?:b3:)?[0-9a-f]{40,64}")
LONGEST = 300
"""Characters of a text in a cell; --json has it whole."""


def value_text(row: Row, value: Any) -> str:
    """A recorded value for a person: a metric in few digits, a digest by its beginning, sizes and times with units."""
    if row.section == "metrics":
        return number(value)
    if row.section == "inputs" and value is None:
        return "unknown"
    if row.section != "params":
        text = fact_text(row.name, value)
        if text is not None:
            return shortened(text)
    return shortened(scalar(value))


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else shorten(text, LONGEST)


def fact_text(name: str, value: Any) -> str | None:
    """A value that is told in a way of its own; None for any other."""
    if isinstance(value, str) and OBJECT_ID.fullmatch(value):
        return short_digest(value)
    if isinstance(value, str):
        return clean(value)
    if name == "command":
        return command_line(value)
    if name.startswith("gpus.") and isinstance(value, tuple):
        return gpus_text(name, value)
    if name == "cpu_flags":
        return count(len(value), "instruction set")
    if name in ("tags", "notes"):
        return clean(", ".join(value))
    if isinstance(value, int) and (name.endswith("_bytes") or "left_out." in name):
        return size(value)
    if isinstance(value, (int, float)) and name.endswith(("duration_s", "cpu_seconds")):
        return duration(value)
    return None


def gpus_text(name: str, values: tuple[Any, ...]) -> str:
    """Each once, with how many there are of it; sizes with their unit."""
    many = {value: values.count(value) for value in dict.fromkeys(values)}
    texts = {value: fact_text(name, value) or scalar(value) for value in many}
    return ", ".join(f"{number} × {texts[one]}" if number > 1 else texts[one] for one, number in many.items())


@noun
class Cell:
    """One value: its text, and of a number the mark, the change and the per cent; all clean."""

    text: str
    style: str = ""
    is_number: bool = False
    mark: str = ""
    change: str = ""
    percent: str = ""


ABSENT = Cell("—", "dim")
NO_NUMBER = Cell("—", "dim", is_number=True)


def cell_of(row: Row, place: int) -> Cell:
    """What is shown of a field of the run at a place."""
    if place not in row.known:
        return NO_NUMBER if row.numbers else ABSENT
    value = row.known[place]
    text = value_text(row, value)
    is_number = row.section in MEASURED and isinstance(value, (int, float)) and not isinstance(value, bool)
    style = "" if place == row.baseline or value_text_of_base(row) != text else "dim"
    change = row.change(place) if is_number else None
    mark = BEST if place in row.best else WORST if place in row.worst else ""
    if mark:
        style = "green bold" if mark == BEST else "red"
    noted = row.noise.get(place)
    mark += NOISE if noted is not None and noted.is_inside else ""
    if not change:
        return Cell(text, style, is_number, mark)
    return Cell(text, style, True, mark, change_text(row, change), percent(row.percent(place)))


def value_text_of_base(row: Row) -> str | None:
    return value_text(row, row.base) if row.baseline in row.known else None


def change_text(row: Row, change: float) -> str:
    """`+0.05`; of sizes and times with units, as the values themselves."""
    told = fact_text(row.name, abs(change)) if row.section == CIRCUMSTANCES else None
    return signed(change) if told is None else f"{'-' if change < 0 else '+'}{told}"


def label_of(name: str) -> str:
    """The name of a field, so that an empty one is seen."""
    return clean(name) if name.strip() else f'"{clean(name)}"'


def rank_of(row: Row) -> tuple[bool, int, bool]:
    """What differs before what does not, what many runs have, and metrics of which it is known what is better."""
    is_other_rank = row.section == "metrics" and split_rank(row.name)[1] is not None
    return is_other_rank or not row.differs, -len(row.known), row.section == "metrics" and row.goal is None


def ids_of(runs: Sequence[Run]) -> list[str]:
    """Ids shortened to 8 characters, or to as many as tell these runs apart."""
    length = 8
    while length < 16 and len({run.id[:length] for run in runs}) < len(runs):
        length += 1
    return [clean(run.id[:length]) for run in runs]
