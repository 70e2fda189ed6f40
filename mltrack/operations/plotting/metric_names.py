"""Which metrics and resources a plot is about: by name, by pattern, or the most used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mltrack.compare.goals import goal_of, words_of
from mltrack.errors import NotFound
from mltrack.formats.ranked import split_rank
from mltrack.operations.plotting.points import sampled_names
from mltrack.operations.seeing.values import short

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run

MOST_PANELS = 9
"""Metrics that are drawn without having been asked for by name."""
SINGLE = 12
"""Metrics of one value each that are told."""
PANELS = 30
"""Metrics that are drawn at all: more are a picture of nothing."""


def chosen_names(project: Project, runs: Sequence[Run], asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics to draw, and what is to be said of the others. Raises NotFound with near names."""
    known = names_by_use(runs)
    if not asked:
        return unasked([name for name in known if split_rank(name)[1] is None], runs, project.config.goals)
    found: dict[str, None] = {}
    for word in (part for words in asked for part in parts_of(words, known)):
        own = matching(known, word) or matching(resources(project, runs), word)
        if not own:
            raise unknown(word, known, len(runs))
        found.update(dict.fromkeys(own))
    return list(found)[:PANELS], left_out(list(found)[PANELS:])


def parts_of(word: str, known: Iterable[str]) -> list[str]:
    """The names between commas; the word itself, where it is a name as it stands."""
    if "," not in word or matching(known, word):
        return [word]
    return [part.strip() for part in word.split(",") if part.strip()]


def unasked(names: Sequence[str], runs: Sequence[Run], goals: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What is drawn where nobody says what: series before single values, losses first; single values are told."""
    if not names:
        many = f"None of {len(runs):,} runs has" if len(runs) > 1 else "The run has no"
        raise NotFound(f"{many} metrics.", "Resources are there too: --metric cpu_percent")
    series = {name for run in runs for name, summary in run.metrics.items() if summary.count > 1}
    known = names_by_use(runs)
    ordered = sorted(names, key=lambda name: (known[name] * 2 < len(runs), rank_of(name, goals)))
    drawn = [name for name in ordered if name in series]
    if not drawn:
        return ordered[:MOST_PANELS], left_out(ordered[MOST_PANELS:])
    single = [name for name in ordered if name not in series]
    return drawn[:MOST_PANELS], [*left_out(drawn[MOST_PANELS:]), *single_values(single, runs)]


def rank_of(name: str, goals: Mapping[str, str]) -> int:
    """Losses, accuracies, what else has a goal, the rest."""
    words = set(words_of(name))
    if goal_of(name, goals) is None:
        return 3
    return 0 if {"loss", "losses"} & words else 1 if {"acc", "accuracy"} & words else 2


def single_values(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Metrics that were logged once, as one sentence: their values, of several runs from the least to the most."""
    if not names:
        return []
    shown = [f"{name} {values_of(name, runs)}" for name in names[:SINGLE]]
    more = f" and {len(names) - SINGLE:,} more" if len(names) > SINGLE else ""
    return [f"Single values: {', '.join(shown)}{more}."]


def values_of(name: str, runs: Sequence[Run]) -> str:
    found = [run.metrics[name].last for run in runs if name in run.metrics]
    numbers = sorted(value for value in found if isinstance(value, (int, float)))
    if not numbers:
        return str(found[0])
    low, high = short(numbers[0]), short(numbers[-1])
    return low if low == high else f"{low} to {high}"


def names_by_use(runs: Iterable[Run]) -> dict[str, int]:
    """Metric -> how many runs have it, the most used first."""
    counts: dict[str, int] = {}
    for run in runs:
        for name in run.metrics:
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def matching(known: Iterable[str], word: str) -> list[str]:
    """The name itself, else those that fit the pattern."""
    names = list(known)
    if word in names:
        return [word]
    return [name for name in names if fnmatchcase(name, word)]


def resources(project: Project, runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in sampled_names(project, run)))


def left_out(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
    return [f"Not drawn: {shown}. Ask for them by --metric NAME."]


def unknown(word: str, known: Mapping[str, int], runs: int) -> NotFound:
    from difflib import get_close_matches

    near = get_close_matches(word, list(known)[:20_000], 3, 0.4) or list(known)[:5]
    many = "The run has" if runs == 1 else f"None of {runs:,} runs has"
    none = "no metric" if runs == 1 else "a metric"
    hint = f"Near: {', '.join(near)}" if near else "They logged none; resources are there too: cpu_percent"
    return NotFound(f"{many} {none} {word[:80]}.", hint)
