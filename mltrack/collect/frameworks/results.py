"""Files that are called what people call their metrics: `metrics.json`, `results.csv`, `progress.csv` ...

Only for a run that declared no metrics files: who declares says which ones count. The list is closed, so that nobody
has to guess: it stands in docs/guides/frameworks.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mltrack.collect.frameworks import LARGEST_METRICS, Facts, Left
from mltrack.errors import MltrackError
from mltrack.records import Warning

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.formats.metrics import Point

NAME = "results"

STEMS = ("metrics", "results", "scores", "history", "progress", "evaluation", "eval_results", "test_results",
         "train_results", "all_results")  # fmt: skip
SUFFIXES = (".json", ".jsonl", ".yaml", ".yml", ".toml", ".csv", ".tsv")
NAMES = tuple(f"{stem}{suffix}" for stem in STEMS for suffix in SUFFIXES)
SERIES = ("metrics", "history", "progress")
"""Of these rows are always points of series, in their order."""
ALL = "all_results.json"
"""What transformers writes beside the parts that it holds."""
PARTS = ("eval_results.json", "test_results.json", "train_results.json", "predict_results.json")


def find(left: Left) -> Facts:
    """The points of every such file that the run wrote."""
    from mltrack.formats.metrics import read_metrics

    metrics: list[tuple[str, tuple[Point, ...]]] = []
    warnings: list[Warning] = []
    for path in without_parts(left.written(*NAMES)):
        place = left.place(path)
        try:
            if os.stat(place).st_size > LARGEST_METRICS:
                warnings.append(Warning("framework-too-much", f"{path} is too large to be read for metrics."))
                continue
            points = tuple(read_metrics(place))
            if not is_of_samples(place, points):
                metrics.append((path, points))
        except (MltrackError, OSError) as error:
            warnings.append(Warning("metrics-unreadable", f"{path} could not be read for metrics: {error}"))
    return Facts(metrics=tuple(metrics), files=tuple(path for path, _ in metrics), warnings=tuple(warnings))


def is_of_samples(place: Path, points: tuple[Point, ...]) -> bool:
    """Is it a table of samples with their scores, whose last row would pass for a metric? Several rows without a step
    are, in a file called scores, or where they hold the truth and what was predicted."""
    from mltrack.formats.metrics import has_rows_without_steps
    from mltrack.formats.predictions import ACTUAL, PREDICTED, SCORE, plainly

    if place.stem in SERIES or len(points) < 2:
        return False
    names = {plainly(point.name) for point in points}
    is_told = bool(names.intersection(ACTUAL)) and bool(names.intersection((*PREDICTED, *SCORE)))
    return (place.stem == "scores" or is_told) and has_rows_without_steps(place)


def without_parts(paths: list[str]) -> list[str]:
    """The paths less the results that another file beside them holds too."""
    whole = {path[: -len(ALL)] for path in paths if path.rpartition("/")[2] == ALL}
    return [path for path in paths if not (path.endswith(PARTS) and directory(path) in whole)]


def directory(path: str) -> str:
    """The directory with its closing slash; "" at the top."""
    return path[: path.rfind("/") + 1]
