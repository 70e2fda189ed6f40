"""Hydra: the composed config that it saves beside each job's output, and a job for each value of a sweep.

A job's directory (`.hydra`, or what `hydra.output_subdir` says) holds config.yaml, hydra.yaml and overrides.yaml. Of a
sweep the values that all jobs share stand as they are; the others are lists, in the order of the jobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.collect.frameworks import Facts, Left, read_small
from mltrack.formats.documents import flatten, parse
from mltrack.formats.yaml_nodes import Broken
from mltrack.records import Warning

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "hydra"

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def find(left: Left) -> Facts:
    """The composed config of what ran, and the choices of config groups."""
    jobs = job_directories(left)
    if not jobs:
        return Facts()
    configs: list[dict[str, Any]] = []
    warnings: list[Warning] = []
    for directory in jobs:
        try:
            configs.append(params_of_job(left, directory))
        except Broken as error:
            warnings.append(Warning("framework-unreadable", f"The Hydra config in {directory}: {error.problem}."))
    return Facts(as_one(configs), files=tuple(own_files(left, jobs)), warnings=tuple(warnings))


def own_files(left: Left, jobs: Sequence[str]) -> list[str]:
    """What Hydra writes about itself, and the logs of jobs."""
    tops = {directory.rpartition("/")[0] for directory in jobs}
    logs = [path for path in left.ending(".log") if path.rpartition("/")[0] in tops]
    configs = [f"{directory}/{name}" for directory in jobs for name in ("config.yaml", "overrides.yaml", "hydra.yaml")]
    return [*configs, *left.written("multirun.yaml"), *logs]


def job_directories(left: Left) -> list[str]:
    """Where Hydra saved a job's config, in the order of the jobs of a sweep."""
    holding = [
        {path.rpartition("/")[0] for path in left.written(name)}
        for name in ("config.yaml", "hydra.yaml", "overrides.yaml")
    ]
    return sorted(set.intersection(*holding) - {""}, key=natural)


def natural(path: str) -> list[tuple[int, str]]:
    """Sort key by which job 10 comes after job 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def params_of_job(left: Left, directory: str) -> dict[str, Any]:
    """The flat config of one job. Raises Broken."""
    config, about = (parsed(left, f"{directory}/{name}") for name in ("config.yaml", "hydra.yaml"))
    params = {name: resolved(value, flatten(config)) for name, value in flatten(config).items()}
    return {**choices(about), **params}


def parsed(left: Left, path: str) -> dict[str, Any]:
    values = parse(read_small(left, path) or b"", ".yaml")
    return values if isinstance(values, dict) else {}


def choices(about: Mapping[str, Any]) -> dict[str, Any]:
    """The chosen member of each config group, Hydra's own groups apart: `model: resnet`."""
    hydra = about.get("hydra")
    runtime = hydra.get("runtime") if isinstance(hydra, dict) else None
    chosen = runtime.get("choices") if isinstance(runtime, dict) else None
    if not isinstance(chosen, dict):
        return {}
    return {
        group: name
        for group, name in chosen.items()
        if isinstance(group, str) and name is not None and not group.startswith("hydra/")
    }


def resolved(value: Any, config: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that only refers to another one, as that; what an interpolation computes stays as it is written."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[1] not in config or depth > 10:
        return value
    return resolved(config[found[1]], config, depth + 1)


def as_one(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The params of all jobs: shared ones once, the others as a list in the order of the jobs."""
    if len(configs) < 2:
        return dict(configs[0]) if configs else {}
    names: Iterable[str] = dict.fromkeys(name for config in configs for name in config)
    found: dict[str, Any] = {}
    for name in names:
        values = [config.get(name) for config in configs]
        first = values[0]
        is_shared = all(type(value) is type(first) and value == first for value in values)
        found[name] = first if is_shared else values
    return found
