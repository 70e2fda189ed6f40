"""The seed of a run: the one that it was started with, and its params that are a seed by their name. Pure."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrack.records import Run

NAMES = ("seed", "random_state", "random_seed", "rng_seed", "manual_seed")
"""Params that are a seed by their name, or by the last part of it."""

IN_COMMAND = ("argv", "--set")
SETTABLE = (".yaml", ".yml", ".json", ".toml", ".py", ".ini", ".cfg")

OWN = "--seed"
"""Stands for the seed that a run was started with; no param is called so."""


def seeds_of(run: Run) -> dict[str, int]:
    """Every seed of a run, by the name of its param: what two runs with the same seed have in common."""
    own = {} if run.seed is None else {OWN: run.seed}
    return {**own, **seed_params(run)}


def seed_of(run: Run) -> int | None:
    """What is told as the seed of a run: the one that it was started with, else the first of its params."""
    return next(iter(seeds_of(run).values()), None)


def seed_params(run: Run) -> dict[str, int]:
    """The params of a run that are a seed and can be set, by name; their recorded values."""
    made = {item.path for item in run.artifacts}
    found = {}
    for name, value in run.params.items():
        source = run.param_sources.get(name, "")
        is_settable = PurePosixPath(source).suffix.lower() in SETTABLE
        is_file = is_settable and not os.path.isabs(source) and source not in made
        if is_seed(name) and type(value) is int and (source in IN_COMMAND or is_file):
            found[name] = value
    return found


def is_seed(name: str) -> bool:
    last = name.rpartition(":")[2].rpartition(".")[2]
    return last.lower().replace("-", "_") in NAMES
