"""What runs are called beside their curves: a name or short id, and the params in which they differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.seeds import is_seed

if TYPE_CHECKING:
    from typing import TypeGuard

    from mltrack.records import Run

MOST_PARAMS = 3
"""Of those in which runs differ, in a label."""
MANY = 20
"""Runs from which on colours stand for a value instead of for a run."""
LONGEST = 24
"""Signs of one value."""
ID = 8


def labels_of(runs: Sequence[Run], group_by: str | None) -> dict[str, str]:
    """Run id -> its label; the same for all runs of one group, where they are grouped by a field."""
    if group_by is not None:
        from mltrack.operations.seeing.field_values import column

        found = column(runs, group_by)
        return {
            run.id: f"{group_by} = {'(none)' if value is None else short(value)}"
            for run, value in zip(runs, found.values)
        }
    names = own_names(runs)
    params = differing(runs) if len(runs) > 1 else []
    return {run.id: " ".join([names[run.id], *told(run, params)]) for run in runs}


def own_names(runs: Sequence[Run]) -> dict[str, str]:
    """Run id -> its name, with the id where another has that name too, or its short id."""
    counts = Counter(short(run.name or "") for run in runs)
    ids = {run.id: run.id[:ID] for run in runs}
    if len(set(ids.values())) < len(ids):
        ids = {run.id: run.id for run in runs}
    return {
        run.id: ids[run.id]
        if not run.name
        else short(run.name)
        if counts[short(run.name)] == 1
        else f"{short(run.name)} {ids[run.id]}"
        for run in runs
    }


def differing(runs: Sequence[Run]) -> list[str]:
    """The first params in which the runs differ, those that tell most of them apart first."""
    known = dict.fromkeys(name for run in runs for name in run.params)
    found = {name: len({repr(run.params.get(name)) for run in runs}) for name in known}
    return sorted((name for name, many in found.items() if many > 1), key=lambda name: -found[name])[:MOST_PARAMS]


def told(run: Run, params: Sequence[str]) -> list[str]:
    return [f"{last_word(name, params)}={short(run.params[name])}" for name in params if name in run.params]


def last_word(name: str, others: Sequence[str]) -> str:
    """`train.opt.lr` -> `lr`, unless another ends so too."""
    last = name.rpartition(".")[2]
    return last if last and sum(other.rpartition(".")[2] == last for other in others) == 1 else name


def short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}\u2026"


def group_labels(first: Mapping[str, Run], labels: Mapping[str, str], group_by: str | None) -> dict[str, str]:
    """Key of a group -> its label, from its first run: the params in which the groups differ, seeds not counted."""
    if group_by is not None:
        return {key: labels[run.id] for key, run in first.items()}
    params = [name for name in differing(list(first.values())) if not is_seed(name)]
    made = {key: " ".join(told(run, params)) for key, run in first.items()}
    counts = Counter(made.values())
    return {
        key: text if text and counts[text] == 1 else f"like {labels[first[key].id]}" if len(first) > 1 else "all runs"
        for key, text in made.items()
    }


def shades_of(runs: Sequence[Run]) -> tuple[str, dict[str, float]] | None:
    """The param that colours many runs, and its value by run id: of those with numbers the one that tells most apart.

    None for few runs, and where no param differs in numbers.
    """
    if len(runs) <= MANY:
        return None
    best: tuple[str, dict[str, float]] | None = None
    for name in dict.fromkeys(name for run in runs for name in run.params if not is_seed(name)):
        known = {run.id: run.params.get(name) for run in runs}
        found = {key: float(value) for key, value in known.items() if is_number(value)}
        many = len(set(found.values()))
        if len(found) * 2 > len(runs) and many > 1 and (best is None or many > len(set(best[1].values()))):
            best = name, found
    return best


def is_number(value: Any) -> TypeGuard[float]:
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_one and abs(value) < 1e300  # neither NaN nor infinite
