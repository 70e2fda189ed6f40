"""DVC pipelines: what `dvc repro` and `dvc exp run` used and measured, as dvc.yaml declares it and dvc.lock has it.

Params are those of the stages that were asked for and of the stages that they need; metrics are read from the files
that dvc.yaml calls metrics and that the run wrote. Nothing is asked of DVC itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from mltrack.collect.frameworks import LARGEST_METRICS, Facts, Left, read_small
from mltrack.errors import MltrackError
from mltrack.formats.documents import flatten, parse
from mltrack.formats.params import merge_param_files
from mltrack.formats.yaml_nodes import Broken
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point

NAME = "dvc"

_VALUES = ("-S", "--set-param", "-n", "--name", "-m", "--message", "-j", "--jobs", "-R")
_TEMPLATE = re.compile(r"\$\{[^}]*\}")


def find(left: Left) -> Facts:
    """The params and metrics of the pipeline in the command's directory, if the command runs one."""
    targets = targets_of(left.command)
    if targets is None:
        return Facts()
    base = "" if left.cwd == "." else f"{left.cwd}/"
    warnings: list[Warning] = []
    documents: list[dict[str, Any]] = []
    for name in ("dvc.yaml", "dvc.lock"):
        try:
            values = parse(read_small(left, base + name) or b"", ".yaml")
        except Broken as error:
            warnings.append(Warning("framework-unreadable", f"{base}{name}: {error.problem}."))
            values = None
        documents.append(values if isinstance(values, dict) else {})
    declared, locked = documents
    stages = needed(table(locked, "stages"), targets)
    params, _ = merge_param_files([(file, flatten(values)) for file, values in params_of(stages)])
    metrics, broken = metrics_of(left, base, list(metric_files(declared)))
    return Facts(params, tuple(metrics), tuple(path for path, _ in metrics), (*warnings, *broken))


def targets_of(command: Sequence[str]) -> tuple[str, ...] | None:
    """The stages that a command names, none for all of them; None if it runs no pipeline."""
    words = [word.rpartition("/")[2] for word in command]
    at = next((place for place, word in enumerate(words) if word == "dvc"), None)
    if at is None:
        return None
    rest = list(command[at + 1 :])
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] == "--cd" else rest[1:]
    if rest[:1] != ["repro"] and rest[:2] not in (["exp", "run"], ["experiments", "run"]):
        return None
    rest = rest[1:] if rest[0] == "repro" else rest[2:]
    targets: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in _VALUES:
            del rest[:1]
        elif not word.startswith("-"):
            targets.append(word.rpartition(":")[2])
    return tuple(target for target in targets if not target.endswith((".yaml", ".dvc")))


def table(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, dict) else {}


def paths_of(stage: Any, key: str) -> list[str]:
    """The `path` of each item of a list in dvc.lock."""
    items = stage.get(key) if isinstance(stage, dict) else None
    found = [item.get("path") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [path for path in found if isinstance(path, str)]


def needed(stages: Mapping[str, Any], targets: Sequence[str]) -> dict[str, Any]:
    """The stages of dvc.lock that the targets name (`train`, also for `train@0`), with all that those need."""
    if not targets:
        return dict(stages)
    found: dict[str, Any] = {}
    waiting = [name for name in stages if name in targets or name.partition("@")[0] in targets]
    while waiting:
        name = waiting.pop()
        found[name] = stages[name]
        needs = paths_of(stages[name], "deps")
        for other, stage in stages.items():
            if other not in found and any(overlap(a, b) for a in needs for b in paths_of(stage, "outs")):
                waiting.append(other)
    return {name: stages[name] for name in stages if name in found}


def overlap(first: str, second: str) -> bool:
    return first == second or first.startswith(f"{second}/") or second.startswith(f"{first}/")


def params_of(stages: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file, its params by name) of every stage. In dvc.lock the names are joined by dots already."""
    for stage in stages.values():
        for file, values in table(stage, "params").items():
            if isinstance(values, dict):
                yield str(file), values


def metric_files(declared: Mapping[str, Any]) -> Iterator[str]:
    """The files that dvc.yaml calls metrics, at its top or in a stage, as patterns below its directory."""
    tops = declared.get("metrics")
    yield from listed(tops)
    for stage in table(declared, "stages").values():
        body = stage.get("do", stage) if isinstance(stage, dict) else {}
        base = body.get("wdir", "") if isinstance(body, dict) else ""
        for path in listed(body.get("metrics") if isinstance(body, dict) else None):
            yield os.path.normpath(PurePosixPath(str(base), path))


def listed(items: Any) -> list[str]:
    """The paths of a list of texts and of tables `{path: {cache: false}}`; what is filled in stands as `*`."""
    found = (
        [name for item in items for name in (item if isinstance(item, dict) else [item])]
        if isinstance(items, list)
        else []
    )
    return [_TEMPLATE.sub("*", name) for name in found if isinstance(name, str)]


def metrics_of(
    left: Left, base: str, patterns: Sequence[str]
) -> tuple[list[tuple[str, tuple[Point, ...]]], list[Warning]]:
    """The points of the metrics files that the run wrote."""
    from mltrack.formats.metrics import read_metrics

    metrics: list[tuple[str, tuple[Point, ...]]] = []
    warnings: list[Warning] = []
    written = sorted(path for paths in left.names.values() for path in paths) if patterns else []
    for path in written:
        if not any(fnmatchcase(path, os.path.normpath(base + pattern)) for pattern in patterns):
            continue
        try:
            if os.stat(left.place(path)).st_size <= LARGEST_METRICS:
                metrics.append((path, tuple(read_metrics(left.place(path)))))
        except (MltrackError, OSError) as error:
            warnings.append(Warning("metrics-unreadable", f"{path} could not be read for metrics: {error}"))
    return metrics, warnings
