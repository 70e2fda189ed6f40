"""Which metrics and resources a plot is about: by name, by pattern, or the most used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mltrack.errors import NotFound
from mltrack.formats.ranked import split_rank
from mltrack.operations.seeing.points import sampled_names

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run

MOST_PANELS = 9
"""Metrics that are drawn without having been asked for by name."""
PANELS = 30
"""Metrics that are drawn at all: more are a picture of nothing."""


def chosen_names(project: Project, runs: Sequence[Run], asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The metrics to draw, and what is to be said of the others. Raises NotFound with near names."""
    known = names_by_use(runs)
    if not asked:
        names = [name for name in known if split_rank(name)[1] is None]
        if not names:
            many = f"None of {len(runs):,} runs has" if len(runs) > 1 else "The run has no"
            raise NotFound(f"{many} metrics.", "Resources are there too: --metric cpu_percent")
        return names[:MOST_PANELS], left_out(names[MOST_PANELS:])
    found: dict[str, None] = {}
    for word in asked:
        own = matching(known, word) or matching(resources(project, runs), word)
        if not own:
            raise unknown(word, known, len(runs))
        found.update(dict.fromkeys(own))
    return list(found)[:PANELS], left_out(list(found)[PANELS:])


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
