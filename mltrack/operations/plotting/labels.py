"""What runs are called beside their curves: a name or short id, and the params in which they differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.seeds import is_seed
from mltrack.operations.seeing.values import key_of, short, told_apart

if TYPE_CHECKING:
    from typing import TypeGuard

    from mltrack.records import Run

MOST_PARAMS = 3
"""Of those in which runs differ, in a label."""
MANY = 12
"""Runs from which on colours stand for a value instead of for a run."""
ID = 8


def labels_of(runs: Sequence[Run], group_by: str | None, named_by: Sequence[str] = ()) -> dict[str, str]:
    """Run id -> its label; the same for all runs of one group, where they are grouped by a field.

    `named_by`: fields that are the label, instead of the name or id. Raises UsageError, NotFound for fields.
    """
    if group_by is not None:
        raw = field_of(runs, group_by)
        texts = told_apart(raw)
        return {run.id: f"{group_by} = {texts[key_of(value)]}" for run, value in zip(runs, raw)}
    if named_by:
        return labels_by(runs, named_by)
    names = own_names(runs)
    params = differing(runs) if len(runs) > 1 else []
    texts_of = texts_by_param(runs, params)
    return {run.id: " ".join([names[run.id], *told(run, params, texts_of)]) for run in runs}


def field_of(runs: Sequence[Run], name: str) -> list[Any]:
    """A field of each run as it is recorded, None where a run has none. Raises UsageError, NotFound."""
    from mltrack.operations.plotting.field_values import names_of, nobody_has
    from mltrack.operations.seeing.fields import one_shown

    shown = one_shown(name, names_of(runs, "params"), names_of(runs, "metrics"))
    raw = [shown.of_run(run) for run in runs]
    if all(value is None for value in raw):
        raise nobody_has(runs, shown)
    return raw


def keys_of(runs: Sequence[Run], group_by: str) -> dict[str, Hashable]:
    """Run id -> the value by which it is grouped, whole and with its type."""
    return {run.id: key_of(value) for run, value in zip(runs, field_of(runs, group_by))}


def labels_by(runs: Sequence[Run], fields: Sequence[str]) -> dict[str, str]:
    """Run id -> the values of some fields; with the id too, where several runs have the same."""
    parts: dict[str, list[str]] = {run.id: [] for run in runs}
    for name in fields:
        raw = field_of(runs, name)
        texts = told_apart(raw)
        head = "" if name in ("name", "id", "experiment") else f"{last_word(name, fields)}="
        for run, value in zip(runs, raw):
            parts[run.id].append(head + texts[key_of(value)])
    made = {key: " ".join(part) for key, part in parts.items()}
    counts = Counter(made.values())
    return {key: text if counts[text] == 1 else f"{text} {key[:ID]}" for key, text in made.items()}


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
    found = {name: len({key_of(run.params.get(name)) for run in runs}) for name in known}
    return sorted((name for name, many in found.items() if many > 1), key=lambda name: -found[name])[:MOST_PARAMS]


def texts_by_param(runs: Sequence[Run], params: Sequence[str]) -> dict[str, Mapping[tuple[str, Any], str]]:
    """Param -> its values as texts that tell them apart."""
    return {name: told_apart([run.params[name] for run in runs if name in run.params]) for name in params}


def told(run: Run, params: Sequence[str], texts: Mapping[str, Mapping[tuple[str, Any], str]]) -> list[str]:
    return [
        f"{last_word(name, params)}={texts[name][key_of(run.params[name])]}" for name in params if name in run.params
    ]


def last_word(name: str, others: Sequence[str]) -> str:
    """`train.opt.lr` -> `lr`, unless another ends so too."""
    last = name.rpartition(".")[2]
    return last if last and sum(other.rpartition(".")[2] == last for other in others) == 1 else name


def group_labels(first: Mapping[Hashable, Run], labels: Mapping[str, str], group_by: str | None) -> dict[Hashable, str]:
    """Key of a group -> its label, from its first run: the params in which the groups differ, seeds not counted."""
    if group_by is not None:
        return {key: labels[run.id] for key, run in first.items()}
    runs = list(first.values())
    params = [name for name in differing(runs) if not is_seed(name)]
    texts = texts_by_param(runs, params)
    made = {key: " ".join(told(run, params, texts)) for key, run in first.items()}
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
