"""A plausible run, changed where a test needs it to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mltrack.records import (
    Artifact,
    CodeState,
    Environment,
    Gpu,
    Hardware,
    Input,
    LeftOut,
    MetricSummary,
    NestedCode,
    Resources,
    Run,
    Warning,
)


def digest(letter: str) -> str:
    """A digest that a reader can tell from another."""
    return "b3:" + (letter * 64)[:64]


def artifact(path: str, letter: str = "a", size_bytes: int = 2048, **changes: Any) -> Artifact:
    return replace(Artifact(path, "file", digest(letter), size_bytes), **changes)


def input_file(path: str, letter: str = "d", **changes: Any) -> Input:
    return replace(Input(path, "file", digest(letter), 3_500_000, 1, kept=True), **changes)


def metric(last: float | str, count: int = 1, **changes: Any) -> MetricSummary:
    return replace(MetricSummary(last, last, last, count, count - 1), **changes)


def sample_run(**changes: Any) -> Run:
    """A finished run of a training script with two params files, one input, two artifacts and two metrics."""
    run = Run(
        schema=1,
        id="3kq8f2zxm1n4p7rt",
        name="baseline",
        experiment="iris",
        status="finished",
        command=("python", "train.py", "--lr", "0.1"),
        cwd=".",
        exit_code=0,
        seed=7,
        created_at="2026-11-21T01:02:03.123456Z",
        started_at="2026-11-21T01:02:03.200000Z",
        finished_at="2026-11-21T01:03:23.400000Z",
        duration_s=80.2,
        user="ada",
        host="bench-1",
        why="a first look at the digits",
        tags=("paper",),
        notes=("The loss is still falling at the end.",),
        fingerprint=digest("f"),
        code=CodeState(
            commit="9f2a1c3d5e6f708192a3b4c5d6e7f8091a2b3c4d",
            branch="main",
            dirty=True,
            snapshot="11" * 20,
            tree="22" * 20,
            origin="https://git.example.org/ada/iris.git",
            changed=("train.py", "params.yaml"),
            left_out=(LeftOut("data/huge.bin", 3_400_000_000, "larger than 10 MiB"),),
            nested=(NestedCode("vendor/lib", CodeState(commit="33" * 20, tree="44" * 20)),),
        ),
        environment=Environment(
            digest=digest("e"),
            kind="python",
            python="3.11.7",
            interpreter=".venv/bin/python",
            packages={"numpy": "2.1.0", "scikit-learn": "1.5.2", "scipy": "1.14.0"},
            lockfile=digest("1"),
            variables={"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
        ),
        hardware=Hardware(
            cpu="AMD EPYC 7763",
            cores=8,
            memory_bytes=33_000_000_000,
            gpus=(Gpu("NVIDIA H100 80GB HBM3", 85_520_809_984, "550.54", "12.4"),),
            os="Debian GNU/Linux 12",
            kernel="6.1.0-18-amd64",
            machine="x86_64",
        ),
        params={"lr": 0.1, "model.depth": 3, "optimizer": "sgd", "amp": False},
        param_sources={"lr": "argv", "model.depth": "params.yaml", "optimizer": "params.yaml", "amp": "params.yaml"},
        inputs=(input_file("data/train.csv"),),
        artifacts=(artifact("models/best.pt", "a", 1_300_000), artifact("plots/loss.svg", "b")),
        metrics={
            "val_loss": MetricSummary(0.20113, 0.2, 1.3, 10, 9),
            "accuracy": MetricSummary(0.9166666666666666, 0.31, 0.92, 10, 9),
        },
        resources=Resources(peak_memory_bytes=512_000_000, cpu_seconds=151.2),
        warnings=(Warning("missing-output", "models/last.pt was declared as an output, but was not written."),),
        origin={"mltrack": "0.1.0", "replica": "r1"},
        record_digest=digest("9"),
    )
    return replace(run, **changes)
