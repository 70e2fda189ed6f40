"""Runs whose records are hard on every view: long, wide, right to left, not finite, missing, thousands of them.

`nasty_runs()` are a dozen small ones, each odd in its own way; `wide_run()` has 5,000 params and 12,000 metrics;
`put(project, runs)` writes any of them into a project's ledger, for tests and pictures that start from the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.records import (
    Artifact,
    CodeState,
    Environment,
    Gpu,
    Hardware,
    Input,
    MetricSummary,
    Resources,
    Run,
    Warning,
)

if TYPE_CHECKING:
    from mltrack.project import Project

LONG = "a-very-long-name-that-nobody-should-give-" + "and-goes-on-" * 12 + "to-here"
WIDE = "実験の名前はとても長いです、全角文字ばかり"
RIGHT_TO_LEFT = "תוצאות הניסוי الثالث"
EVIL = (
    "\x1b[31mred\x1b[0m \x07bell \u202egnp.exe \u2066isolated\u2069 \x00nul <script>alert('x')</script> "
    "<img src=x onerror=alert(1)> &amp; $\\frac{1}{0}$ | pipe | `code` **bold** [link](javascript:alert(1)) ]]> --> %s {0}"
)
"""A text that is code wherever it is not escaped: a terminal's, HTML's, Markdown's, mathtext's, a format's."""
EMOJI = "👩‍🔬 run 🇫🇷 e\u0301te\u0301 \u200d \u00ad"
NOT_UTF8 = "caf\udce9/\udcff\udcfe.bin"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def digest(number: int) -> str:
    """Some digest, the same for the same number."""
    return f"b3:{number:064x}"


def run_id(number: int) -> str:
    """An id whose first characters tell runs apart."""
    scattered = (number + 1) * 0x9E3779B97F4A7C15A5A5 % (1 << 80)
    return "".join(ALPHABET[(scattered >> shift) & 31] for shift in range(75, -1, -5))


def metric(last: float | str, low: float | str | None = None, high: float | str | None = None, count: int = 1) -> Any:
    return MetricSummary(last, last if low is None else low, last if high is None else high, count, count - 1)


def run(number: int = 0, **changes: Any) -> Run:
    """An ordinary finished run, and what is to be other in it."""
    plain = Run(
        schema=1,
        id=run_id(number),
        name=None,
        experiment=None,
        status="finished",
        command=("python", "train.py"),
        cwd=".",
        exit_code=0,
        created_at=f"2026-11-{number // 24 % 28 + 1:02d}T{number % 24:02d}:00:00.000000Z",
        started_at=f"2026-11-{number // 24 % 28 + 1:02d}T{number % 24:02d}:00:01.000000Z",
        finished_at=f"2026-11-{number // 24 % 28 + 1:02d}T{number % 24:02d}:05:01.000000Z",
        duration_s=300.0,
        user="someone",
        host="somewhere",
        fingerprint=digest(number),
        code=CodeState(commit=f"{number + 1:040x}", branch="main", snapshot=f"{number + 2:040x}", tree=f"{7:040x}"),
        environment=Environment(digest(1), "python", "3.11.7", packages={"numpy": "2.1.0", "torch": "2.5.1+cu121"}),
        hardware=Hardware(cpu="A processor", cores=8, memory_bytes=64 << 30, os="Linux", machine="x86_64"),
        params={"lr": 0.1, "depth": 3, "model": "lstm"},
        param_sources={"lr": "argv", "depth": "params.yaml", "model": "params.yaml"},
        metrics={"acc": metric(0.9, 0.1, 0.91, 10), "loss": metric(0.2, 0.2, 1.3, 10)},
    )
    return replace(plain, **changes)


def nasty_runs() -> tuple[Run, ...]:
    """A dozen runs, each odd in its own way; the first is ordinary."""
    return (
        run(0),
        run(1, name=LONG, why=LONG, tags=(LONG, "short"), params={LONG: LONG, "lr": 0.1}, metrics={LONG: metric(0.5)}),
        run(2, name=WIDE, tags=("基準", "重要"), params={"モデル": WIDE, "lr": 0.01}, metrics={"精度": metric(0.93)}),
        run(3, name=RIGHT_TO_LEFT, why=RIGHT_TO_LEFT, params={RIGHT_TO_LEFT: RIGHT_TO_LEFT, "lr": 0.001}),
        run(4, name=EVIL, why=EVIL, notes=(EVIL, "a\nb\tc\r\nd"), tags=("a|b", "<b>"), command=("python", EVIL, ""),
            params={EVIL: EVIL, "lr": "0.1"}, metrics={EVIL: metric(1.0), "acc": metric(0.7)}),
        run(5, name="not finite", metrics=not_finite(), params={"lr": "NaN", "clip": "Infinity", "low": "-Infinity"}),
        run(6, name="extremes", params=extremes(), metrics={"tiny": metric(5e-324), "huge": metric(1.7976931348623157e308),
            "acc": metric(0.1 + 0.2), "loss": metric(-0.0), "big": metric(float(2**63))}),
        bare(7),
        failed(8),
        run(9, name=EMOJI, params={"lists": [1, [2, "x"], {"k": None}], "none": None, "yes": True, "empty": "", " ": " "}),
        with_files(10),
        run(11, id=run_id(0)[:6] + run_id(11)[6:], name="a prefix like the first", parent=None, seed=0, signal=None),
    )  # fmt: skip


def not_finite() -> dict[str, MetricSummary]:
    return {
        "acc": metric("NaN", "NaN", "NaN", 3),
        "loss": metric("Infinity", 0.1, "Infinity", 3),
        "score": metric("-Infinity", "-Infinity", 2.0, 3),
        "half": metric("NaN", 0.25, 0.75, 3),
    }


def extremes() -> dict[str, Any]:
    return {
        "lr": 1e-300,
        "depth": 10**400,
        "negative": -(2**63),
        "exact": 0.1 + 0.2,
        "texts": "1e-3",
        "digits": "007",
        "many": list(range(500)),
        "long": "x" * 5000,
        "lines": "first\nsecond\n\tthird",
    }


def bare(number: int = 7) -> Run:
    """What an older or a lost run has: next to nothing."""
    return Run(1, run_id(number), None, None, "lost", (), ".", created_at="2026-10-01T00:00:00.000000Z")


def failed(number: int = 8) -> Run:
    """Killed, without code, outside of git, with warnings."""
    return run(
        number,
        status="failed",
        exit_code=137,
        signal=9,
        fingerprint=None,
        code=CodeState(),
        metrics={},
        params={},
        duration_s=0.000001,
        warnings=tuple(Warning("left-out", f"{place}: {EVIL}") for place in range(30)),
    )


def with_files(number: int = 10) -> Run:
    """Many inputs and artifacts, with names that are hard to say."""
    names = (LONG, WIDE, RIGHT_TO_LEFT, EVIL, NOT_UTF8, "line\nbreak.csv", "-rf", "~", "a b", "tab\tname")
    return run(
        number,
        name="files",
        inputs=tuple(
            Input(f"data/{name}", "file", digest(at), 10**at, found="observed") for at, name in enumerate(names)
        ),
        artifacts=tuple(Artifact(f"out/{name}", "file", digest(99 + at), 10**at) for at, name in enumerate(names)),
        hardware=Hardware(gpus=tuple(Gpu(f"GPU {LONG[:40]} {at}", 80 << 30, "550.1", "12.4") for at in range(8))),
        resources=Resources(peak_memory_bytes=1 << 50, cpu_seconds=1e9),
    )


def wide_run(params: int = 5_000, metrics: int = 12_000, number: int = 20, **changes: Any) -> Run:
    """A run with thousands of params and metrics; `number` moves every tenth value."""
    return run(
        number,
        name=f"wide {number}",
        params={f"layer.{at}.width": at if at % 10 else at + number for at in range(params)},
        metrics={f"layer/{at}/grad_norm": metric(at + number / 7) for at in range(metrics)},
        **changes,
    )


def sweep(count: int = 40) -> tuple[Run, ...]:
    """A search over params: some texts, some truth values, decades of learning rates, a few that failed or are lost."""
    runs = []
    for at in range(count):
        lr, model = 10.0 ** (-1 - at % 5), ("lstm", "gru", "変換器")[at % 3]
        params: Mapping[str, Any] = {"lr": lr, "depth": 1 + at % 7, "model": model, "amp": at % 2 == 0, "note": None}
        if at % 8 == 5:
            params = {name: value for name, value in params.items() if name != "depth"}
        acc: float | str = "NaN" if at % 11 == 7 else 0.5 + 0.08 * (at % 5) + 0.01 * (at % 7) - 0.001 * at
        loss: float | str = "Infinity" if at % 13 == 12 else 1 / (1 + at % 5) + 0.01 * (at % 3)
        metrics = {} if at % 9 == 8 else {"acc": metric(acc), "loss": metric(loss)}
        runs.append(run(100 + at, params=params, metrics=metrics, seed=at % 3))
    return tuple(runs)


def put(project: Project, runs: Iterable[Run]) -> None:
    """Write the runs into the ledger of a project."""
    from mltrack.ledger.ledger import sealed_bytes

    project.ledger.merge_records([sealed_bytes(one) for one in runs])
