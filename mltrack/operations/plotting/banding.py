"""The curves of runs that belong together -> bands: their mean and its interval. Says what no band could be made of."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.alike import seeding
from mltrack.nouns import noun
from mltrack.operations.plotting.labels import group_labels
from mltrack.plots import Band

if TYPE_CHECKING:
    import numpy

    from mltrack.plots import Curve
    from mltrack.records import Run

    Array = numpy.ndarray[Any, Any]
    Drawn = tuple[Run, Curve]

CONFIDENCE = 0.95


@noun
class Grouping:
    """Which runs belong together."""

    keys: Mapping[str, Hashable]
    """Run id -> the same for runs of one group."""
    alike: Mapping[str, str]
    """Run id -> the same for runs that are alike but for the seed."""
    labels: Mapping[str, str]
    field: str | None = None
    """What they are grouped by; None: by being alike but for the seed."""


@noun
class Banded:
    """What came of a metric's curves."""

    bands: tuple[Band, ...]
    alone: tuple[Drawn, ...]
    """Those that are in no band."""
    said: tuple[str, ...]


def banded(name: str, drawn: Sequence[Drawn], grouping: Grouping) -> Banded:
    """The bands of a metric's curves."""
    kept, said = without_repeats(drawn, grouping)
    groups: dict[Hashable, list[Drawn]] = {}
    for run, curve in kept:
        groups.setdefault(grouping.keys[run.id], []).append((run, curve))
    large = {key: group for key, group in groups.items() if len(group) > 1}
    labels = group_labels({key: group[0][0] for key, group in large.items()}, grouping.labels, grouping.field)
    bands, alone = [], [item for group in groups.values() if len(group) == 1 for item in group]
    for key, group in large.items():
        made = band_of(group, labels[key])
        if made is None:
            said.append(f"{name}: no band of {labels[key]}, whose {len(group)} runs have no place in common.")
            alone += group
        else:
            bands.append(made)
            said += cut(name, made, group)
    if bands:
        said.append(about(grouping.field))
    elif drawn and not large:
        said.append(none_alike(grouping.field, has_repeats=len(kept) < len(drawn)))
    return Banded(tuple(bands), tuple(alone), tuple(said))


def without_repeats(drawn: Sequence[Drawn], grouping: Grouping) -> tuple[list[Drawn], list[str]]:
    """Of the runs that are alike in their seeds too the newest: a repeat tells nothing of other seeds."""
    newest: dict[Hashable, Drawn] = {}
    for item in drawn:
        run = item[0]
        seeds = seeding(run)
        key = run.id if seeds is None else (grouping.keys[run.id], grouping.alike[run.id], seeds)
        known = newest.get(key)
        if known is None or (known[0].created_at, known[0].id) < (run.created_at, run.id):
            newest[key] = item
    ids = {run.id for run, _ in newest.values()}
    kept = [item for item in drawn if item[0].id in ids]
    many = len(drawn) - len(kept)
    if not many:
        return kept, []
    which = "run repeats another, seed and all" if many == 1 else "runs repeat others, seed and all"
    return kept, [f"Not drawn: {many:,} {which}; a band counts the newest run of each seed."]


def band_of(group: Sequence[Drawn], label: str) -> Band | None:
    import numpy as np

    from mltrack.compare.curves import band

    made = band([(np.asarray(curve.xs), np.asarray(curve.ys)) for _, curve in group], CONFIDENCE)
    return None if made is None else Band(label, *made, len(group), CONFIDENCE)


def cut(name: str, made: Band, group: Sequence[Drawn]) -> list[str]:
    """A band ends with its shortest run."""
    last = max(float(curve.xs[-1]) for _, curve in group)
    end = float(made.xs[-1])
    return [f"{name}: the band of {made.label} ends at {end:g}, with the shortest of its runs."] if end < last else []


def about(field: str | None) -> str:
    alike = f"the same {field}" if field else "all alike but the seed"
    return f"A band is the mean of n runs with {alike}, and the {CONFIDENCE:.0%} confidence interval of that mean."


def none_alike(field: str | None, has_repeats: bool) -> str:
    if has_repeats:
        return "No band: the runs that are alike have one seed."
    if field:
        return f"No band: no two of these runs have the same {field}."
    return "No band: no two of these runs are alike but for the seed."
