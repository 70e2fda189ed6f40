"""The nouns of a comparison: what a verdict says, and what a calibration measured.

Their JSON is made by `noun_json.py`. Both are events of a run, outside its sealed record; their fields are in
`docs/reference/machine-interface.md`.
Nothing here reads or writes a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mltrack.noun_json import many, one
from mltrack.nouns import noun


@noun
class Measure:
    """How far the numbers of two files lie apart, cell by cell. A cell whose type changed counts as changed."""

    cells: int
    changed: int
    largest: float | str | None = None
    """The largest absolute difference; "NaN" where a number stands against none, or any other cell than a number
    differs: what is measured whole has a number here, and tolerances look at nothing else."""
    largest_relative: float | str | None = None
    """Relative to the recorded value; "Infinity" where that is zero and the new one is not."""
    where: str | None = None
    """The cell with the largest difference: `row 3, column loss`, `weights[2, 7]`."""


@noun
class ArtifactVerdict:
    path: str
    grade: str
    reason: str | None = None
    measure: Measure | None = one(Measure)


@noun
class MetricVerdict:
    name: str
    then: Any
    now: Any
    change: float | str | None
    grade: str
    low: float | None = None
    """The interval of a calibration that it was held against; None where none was."""
    high: float | None = None


@noun
class Condition:
    """A circumstance that differs between a run and its reproduction."""

    what: str
    then: Any
    now: Any


@noun
class Verdict:
    """Is the result the same? `grade` is the worst of all items; see `compare/verdict/judge.py`."""

    grade: str
    of: str
    artifacts: tuple[ArtifactVerdict, ...] = many(ArtifactVerdict)
    metrics: tuple[MetricVerdict, ...] = many(MetricVerdict)
    conditions: tuple[Condition, ...] = many(Condition)
    phase: str | None = None
    """Where it stopped, when the grade is "could not run"."""
    cause: str | None = None
    calibration: str | None = None
    """Id of the calibration whose noise it was held against."""
    repetitions: int | None = None
    """Of that calibration."""
    remarks: tuple[str, ...] = ()
    """Sentences that the grade does not rest on."""


@noun
class Spread:
    """A metric over the repetitions of one run. `low` to `high` is where another repetition is expected."""

    values: tuple[float | str, ...]
    """Its last value in each repetition, in their order; a repetition without it is left out."""
    mean: float | None = None
    deviation: float | None = None
    """The sample standard deviation."""
    low: float | None = None
    high: float | None = None
    missing: int = 0
    """Repetitions that did not log it."""


@noun
class Looks:
    """What the bytes of an artifact had in common in a run and all its repetitions."""

    smallest: int
    """Sizes in bytes."""
    largest: int
    begins: str = ""
    """The first bytes that all of them had, in hexadecimal."""
    is_text: bool = False
    """Was any of them a text?"""


@noun
class Variation:
    """An artifact over the repetitions of one run."""

    contents: int
    """How many different contents it had, up to what a format lets differ."""
    as_recorded: int
    """How many repetitions gave the recorded content."""
    missing: int = 0
    largest: float | None = None
    """The largest absolute difference to the recorded numbers in any repetition, where it holds numbers."""
    largest_relative: float | None = None
    allowed: float | None = None
    """How large that difference may be in a further repetition, with the calibration's confidence."""
    allowed_relative: float | None = None
    looks: Looks | None = one(Looks)
    """How its bytes looked, where nothing in it could be measured."""


@noun
class Divergence:
    """Where repetitions of one run first went apart: `kind` is "artifact" or "metric", `what` its path or name."""

    kind: str
    what: str
    step: int | float | None = None
    """Of a metric: the first logged step that differs."""
    then: Any = None
    now: Any = None
    runs: tuple[str, ...] = ()
    """The two runs that were compared."""


@noun
class Calibration:
    """What repeating a run says of its noise; see `docs/guides/noise.md`."""

    id: str
    of: str
    vary: str
    """`nothing` (the seed too is the recorded one) or `seed`."""
    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    host: str | None
    at: str
    confidence: float
    """That the interval of a metric holds at least `content` of all repetitions."""
    content: float
    deterministic: bool | None = None
    """Did all repetitions give the same, with nothing varied? None where the seed was varied."""
    as_recorded: bool | None = None
    """Did they give what the run itself gave?"""
    metrics: Mapping[str, Spread] = field(default_factory=dict, metadata={"each": Spread})
    artifacts: Mapping[str, Variation] = field(default_factory=dict, metadata={"each": Variation})
    first: tuple[Divergence, ...] = many(Divergence)
    """The first artifact and the first metric that went apart."""
