"""What a verdict knows of two runs beside its findings: the points of metrics, what metrics files hold beside their
metrics, how files look that nobody can measure, and whether a secret was taken out of a record. Nothing is judged here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mltrack.compare.comparators import HEAD, Finding, Unreadable
from mltrack.compare.contents.measuring import Tally
from mltrack.compare.noise.divergence import in_series
from mltrack.compare.verdict.outputs import Curve
from mltrack.formats.ranked import ranked_name
from mltrack.redact import PLACEHOLDER
from mltrack.verdicts import Looks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mltrack.compare.comparators import Content
    from mltrack.formats.metrics import Point
    from mltrack.project import Project
    from mltrack.records import Artifact, Run
    from mltrack.store.objects import Store

MAGIC = 16
"""Bytes of a beginning that are kept."""

UNKNOWN = "points"
"""Stands for the points of a metric that could not be read."""


# -- points


def curves_of(project: Project, then: Run, now: Run) -> Mapping[str, Curve]:
    """The metrics of which points differ, and how far. Raises DataMissing or Damaged."""
    if then.series == now.series or then.series is None or now.series is None:
        return {}
    from mltrack.operations.series import read_points

    return apart(read_points(project, then), read_points(project, now))


def apart(then: Iterable[Point], now: Iterable[Point]) -> dict[str, Curve]:
    """The same of points in the order logged. A metric that only one side has is no curve."""
    before, after = in_series(then), in_series(now)
    found = {}
    for key in before.keys() & after.keys():
        tally = Tally()
        for (_, a), (_, b) in zip(before[key], after[key]):
            where = f"at step {a.step}" if a.step is not None else "at some point"
            if a.step != b.step:
                tally.others(a.value, b.value, f"{where} then, {b.step} now")
            else:
                tally.numbers(a.value, b.value, where)
        if tally.changed:
            name = key[0] if not key[1] else ranked_name(*key)
            found[name] = Curve(tally.where or "", *tally.pair, tally.measure())
    return found


# -- metrics files


def beside_metrics(
    path: str, a: bytes, b: bytes, compare: Callable[[Content, Content], Finding]
) -> tuple[Finding, tuple[str, ...]]:
    """What two metrics files come to without their metrics, and the names of those. Raises Unreadable."""
    from mltrack.compare.contents.contents import Held
    from mltrack.formats.metrics_rest import Rest
    from mltrack.formats.yaml_nodes import Broken

    try:
        rests = Rest(path, a), Rest(path, b)
    except (Broken, ValueError) as error:
        raise Unreadable(f"its metrics cannot be told apart: {error}") from error
    texts = [Held(json.dumps(rest.values, default=str).encode()) for rest in rests]
    return compare(*texts), tuple(sorted(rests[0].names | rests[1].names))


# -- what nobody can measure


def looks_of(store: Store, item: Artifact) -> Looks:
    """How the bytes of a file in the store look. Raises DataMissing, Damaged."""
    from mltrack.store.reading import StoredContent

    with StoredContent(store, item.digest, store.size(item.digest)).open() as file:
        head = file.read(HEAD)
    return Looks(item.size_bytes, item.size_bytes, head[:MAGIC].hex(), is_text(head))


def is_text(head: bytes) -> bool:
    """Does a file begin with UTF-8 text? The last character may be cut off; nothing is no text."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(head) < HEAD:
            return False
    return bool(head) and b"\0" not in head


# -- secrets


def held_secret(run: Run) -> bool:
    """Was a secret taken out of what is recorded of a run? Then its files may hold it too."""
    return any(PLACEHOLDER in text for text in texts_of(run))


def texts_of(run: Run) -> Iterator[str]:
    yield from run.command
    yield from run.environment.variables.values()
    yield from (str(value) for value in run.params.values())
    yield from (str(value) for value in run.environment.options.values())
    yield from (item.path for item in run.inputs)
