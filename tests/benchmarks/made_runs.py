"""A file of made-up runs in the form that `mltrack import` takes over: 20 params, 20 metrics, 100 packages each."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from mltrack.digest import digest_bytes
from mltrack.ledger.keeping.bulk import Stored
from mltrack.ledger.ledger import sealed_bytes
from mltrack.operations.exchange.lines import line_of
from mltrack.records import ID_ALPHABET, MetricSummary
from tests.compare.samples import sample_run

WIDTH = 20
PACKAGES = 100
MODELS = ("lstm", "mlp", "cnn")


def id_of(number: int) -> str:
    """Ids whose first characters tell runs apart, as those of real runs."""
    mixed = number * 0x9E3779B97F4A7C15D1B54A32D192ED03 % (1 << 80)
    return "".join(ID_ALPHABET[(mixed >> shift) & 31] for shift in range(0, 80, 5))


def write_runs(path: Path, first: int, end: int) -> None:
    """Write runs number `first` to `end` (not with it); the same number gives the same run."""
    environment = replace(sample_run().environment, variables={"OMP_NUM_THREADS": "2"})
    sets = [{f"package-{k:03d}": f"1.{j}.{k % 7}" for k in range(PACKAGES)} for j in range(5)]
    with path.open("wb") as file:
        for number in range(first, end):
            dice = random.Random(number)
            values = [dice.random() for _ in range(WIDTH)]
            run = sample_run(
                id=id_of(number),
                name=None,
                status=dice.choice(["finished", "finished", "failed"]),
                created_at=f"20{16 + number // 40_000}-{1 + number // 3300 % 12:02d}-{1 + number // 120 % 27:02d}"
                f"T{number // 5 % 24:02d}:{number % 60:02d}:03.{number % 1_000_000:06d}Z",
                params={
                    "model": dice.choice(MODELS),
                    "depth": number % 5,
                    **{f"p{k}": round(values[k], 4) for k in range(2, WIDTH)},
                },
                param_sources={f"p{k}": "params.yaml" for k in range(2, WIDTH)},
                metrics={f"m{k}": MetricSummary(x, x * 0.9, x * 1.1, 10, 9) for k, x in enumerate(values)},
                environment=replace(environment, packages=sets[number % 5]),
                tags=("paper",) if number % 50 == 0 else (),
                notes=(),
                origin={"mltrack": "0.1.0", "replica": "0000000000000000"},
            )
            data = sealed_bytes(run)
            file.write(line_of(Stored(run.id, (digest_bytes(data),), (data,), ())) + b"\n")
