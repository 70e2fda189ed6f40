"""The Trainer of Hugging Face's transformers: `trainer_state.json` and the results that it saves.

A checkpoint holds the history up to it, so of the states of one output directory the longest is read. The results
(`all_results.json`, which holds `train_results.json` and the others) add what the history lacks.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mltrack.collect.frameworks import LARGEST_METRICS, Facts, Left, read_small
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point

NAME = "trainer"
STATE = "trainer_state.json"
RESULTS = ("all_results.json", "train_results.json", "eval_results.json", "predict_results.json", "test_results.json")
_CHECKPOINT = re.compile(r"(?:^|/)checkpoint-\d+$")


def find(left: Left) -> Facts:
    """The history of each output directory, and the results in it that the history lacks."""
    metrics: list[tuple[str, tuple[Point, ...]]] = []
    warnings: list[Warning] = []
    files: list[str] = []
    states: dict[str, list[str]] = {}
    for path in left.written(STATE):
        states.setdefault(output_directory(path), []).append(path)
    for directory, paths in states.items():
        histories = []
        for path in paths:
            history = history_in(read_small(left, path, LARGEST_METRICS))
            if history is None:
                warnings.append(Warning("framework-unreadable", f"{path} is no state of a Trainer."))
            else:
                histories.append((len(history), path, history))
        beside = [f"{directory}/{name}" if directory else name for name in RESULTS]
        files += [*paths, *(path for path in beside if path in left.written(*RESULTS))]
        if histories:
            _, path, history = max(histories)
            metrics.append((path, (*history, *results_of(left, directory, {point.name for point in history}))))
    return Facts(metrics=tuple(metrics), files=tuple(files), warnings=tuple(warnings))


def output_directory(path: str) -> str:
    directory = path.rpartition("/")[0]
    return directory.rpartition("/")[0] if _CHECKPOINT.search(directory) else directory


def history_in(data: bytes | None) -> list[Point] | None:
    """The points of a state's `log_history`; None if the bytes are no state."""
    from mltrack.formats.metrics import Point, number

    try:
        state = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    rows = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(rows, list):
        return None
    points: list[Point] = []
    for row in rows:
        if isinstance(row, dict):
            step = row.get("step")
            step = step if isinstance(step, (int, float)) else None
            values = ((name, number(value)) for name, value in row.items() if name != "step")
            points += [Point(str(name), value, step) for name, value in values if value is not None]
    return points


def results_of(left: Left, directory: str, known: set[str]) -> list[Point]:
    """The points of the results that were saved in a directory, without names that are known."""
    from mltrack.formats.metrics import Point, number

    found: dict[str, Any] = {}
    for name in reversed(RESULTS):
        path = f"{directory}/{name}" if directory else name
        if path in left.written(name):
            try:
                values = json.loads(read_small(left, path) or b"")
            except (ValueError, RecursionError):
                continue
            found.update(values if isinstance(values, dict) else {})
    pairs = ((name, number(value)) for name, value in found.items() if name not in known)
    return [Point(name, value) for name, value in pairs if value is not None]
