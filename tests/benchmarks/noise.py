"""How often a verdict of noise is wrong, by simulation: the same experiment called different, a change called noise.

Each draw is a run, its repetitions, and a new run whose metrics are moved by so many standard deviations. The interval
of mltrack stands beside rules that come to mind first. The last table is for artifacts: files of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mltrack.compare.noise.factors import one_sided, two_sided
from mltrack.compare.noise.intervals import CONFIDENCE, CONTENT, share
from tests.benchmarks.timing import table

DRAWS = 20_000
REPETITIONS = (3, 5, 10, 20)
TOGETHER = (1, 5, 20)
SHIFTS = (0.5, 1, 2, 3, 5)
CELLS = (1, 100)

Draw = Callable[[Any, Any], Any]
"""A generator and a shape -> values with mean 0 and deviation 1."""


def distributions() -> dict[str, Draw]:
    import numpy as np

    def bimodal(source: Any, shape: Any) -> Any:
        side = source.integers(0, 2, shape) * 2 - 1
        return (side * 2 + source.standard_normal(shape)) / np.sqrt(5)

    def discrete(source: Any, shape: Any) -> Any:
        return (source.binomial(100, 0.9, shape) - 90) / 3  # an accuracy over 100 items

    def lognormal(source: Any, shape: Any) -> Any:
        return (source.lognormal(0, 1, shape) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)

    return {
        "normal": lambda source, shape: source.standard_normal(shape),
        "uniform": lambda source, shape: source.uniform(-np.sqrt(3), np.sqrt(3), shape),
        "t3": lambda source, shape: source.standard_t(3, shape) / np.sqrt(3),
        "lognormal": lognormal,
        "bimodal": bimodal,
        "discrete": discrete,
    }


def intervals(values: Any, together: int) -> dict[str, tuple[Any, Any]]:
    """Rule -> lowest and highest, over the repetitions in the last axis."""
    many = values.shape[-1]
    mean, deviation = values.mean(-1), values.std(-1, ddof=1)
    k = two_sided(many, share(together), CONFIDENCE)
    by_deviations = {"mltrack": k, "mean ± 2 sd": 2.0, "mean ± 3 sd": 3.0}
    found = {name: (mean - reach * deviation, mean + reach * deviation) for name, reach in by_deviations.items()}
    return {**found, "min .. max": (values.min(-1), values.max(-1))}


def rates(draw: Draw, many: int, together: int, draws: int, seed: int = 1) -> dict[str, list[float]]:
    """Rule -> how often the same experiment is called different, then how often each shift is called noise.

    All metrics are judged together, with the recorded run; of the moved ones the first metric alone is moved.
    """
    import numpy as np

    source = np.random.default_rng((seed, many, together))
    values = draw(source, (draws, together, many))
    then, now = draw(source, (draws, together)), draw(source, (draws, together))
    found = {}
    for rule, (low, high) in intervals(values, together).items():
        recorded = (low <= then) & (then <= high)
        noise = []
        for shift in (0.0, *SHIFTS):
            moved = now + shift * (np.arange(together) == 0)
            noise.append(float((recorded & (low <= moved) & (moved <= high)).all(-1).mean()))
        found[rule] = [1 - noise[0], *noise[1:]]
    return found


def artifact_rates(draw: Draw, many: int, cells: int, draws: int, seed: int = 1) -> dict[str, list[float]]:
    """The same of the largest difference between the cells of a file: all cells of the new one are moved."""
    import numpy as np

    source = np.random.default_rng((seed, many, cells))
    recorded = draw(source, (draws, cells))
    files = [draw(source, (draws, cells)) for _ in range(many)]
    largest = np.stack([np.abs(one - recorded).max(-1) for one in files], -1)
    among = np.stack([np.abs(one - files[0]).max(-1) for one in files[1:]], -1)
    now = draw(source, (draws, cells))
    k = one_sided(many, CONTENT, CONFIDENCE)
    logs = np.log(np.maximum(largest, 1e-300))
    limits = {
        "mltrack": largest.mean(-1) + k * largest.std(-1, ddof=1),
        "bound of logs": np.exp(logs.mean(-1) + k * logs.std(-1, ddof=1)),
        "largest": largest.max(-1),
    }
    is_like = largest[:, 0] <= among.mean(-1) + one_sided(many - 1, CONTENT, CONFIDENCE) * among.std(-1, ddof=1)
    limits["mltrack"] = np.where(is_like, limits["mltrack"], -1)
    moved = [np.abs(now + shift - recorded).max(-1) for shift in (0.0, *SHIFTS)]
    found = {}
    for rule, allowed in limits.items():
        noise = [float((one <= allowed).mean()) for one in moved]
        found[rule] = [1 - noise[0], *noise[1:]]
    return found


def percents(values: list[float]) -> list[str]:
    return [f"{value:.1%}" for value in values]


def measure(scratch: Path, draws: int = DRAWS) -> None:
    heads = ("same called different", *(f"{shift:g} sd called noise" for shift in SHIFTS))
    for name, draw in distributions().items():
        rows = [
            [many, together, rule, *percents(found)]
            for many in REPETITIONS
            for together in TOGETHER
            for rule, found in rates(draw, many, together, draws).items()
        ]
        table(f"noise: {name}, {draws:,} draws", ("n", "metrics", "rule", *heads), rows)
    kinds = {name: draw for name, draw in distributions().items() if name in ("normal", "uniform", "t3")}
    rows = [
        [name, cells, many, rule, *percents(found)]
        for name, draw in kinds.items()
        for cells in CELLS
        for many in REPETITIONS
        for rule, found in artifact_rates(draw, many, cells, draws // 4).items()
    ]
    table(f"noise: files of numbers, {draws // 4:,} draws", ("numbers", "cells", "n", "rule", *heads), rows)
