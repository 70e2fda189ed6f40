"""Random runs and random queries about them: few values, so that queries find something."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from mltrack.ledger.language.fields import FIELDS, NAMED, SUMMARIES
from mltrack.ledger.language.fields import NUMBERS as NUMERIC
from mltrack.ledger.language.parser import parse
from mltrack.records import (
    Artifact,
    CodeState,
    Concern,
    Environment,
    Gpu,
    Hardware,
    Image,
    Input,
    MetricSummary,
    Parent,
    Preflight,
    Resources,
    Run,
    Warning,
    new_id,
)
from mltrack.verdicts import Verdict
from tests.ledger.made import run

WORDS = (
    "lstm",
    "LSTM",
    "a b",
    "x_y",
    "50%",
    "",
    "é",
    "É",
    "0.1",
    "NaN",
    "Infinity",
    "true",
    "[1,2]",
    "it's",
    'a"b',
    "a\\b",
    "ab\0cd",
    "🙂",
    "10",
)
NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    0.1,
    0.5,
    2,
    1e-3,
    10,
    1 << 53,
    (1 << 53) + 1,
    1 << 70,
    -(1 << 63),
    1e300,
    9007199254740992.0,
)
METRICS = (*NUMBERS, "NaN", "Infinity", "-Infinity", float("nan"))
VALUES = (*NUMBERS, *WORDS, True, False, None, [1, 2], {"b": 1, "a": [None]}, [], "NaN", float("inf"))
NAMES = ("lr", "model", "a b", "model.depth", "min", "acc.min", 'q"', "p;--", "x[rank=1]")
CLEAN = tuple(word for word in WORDS if "\0" not in word)
"""For what only the record's JSON has: SQLite's JSON functions end a text at a NUL, which none of that can hold."""
VERSIONS = ("3.11.7", "3.9", "3.11", "3.10.1+cu121", "3.11rc1", "none", "v2")
TIMES = (
    "2026-11-01T00:00:00.000000Z",
    "2026-11-21T01:02:03.000004Z",
    "2025-12-31T23:59:59.999999Z",
    "2026-11-02T12:00:00.000000Z",
)
DIGESTS = ("b3:" + "1" * 64, "b3:" + "12" * 32, "b3:" + "ff" * 32)
COMMITS = ("a" * 40, "ab" * 20)
STATUSES = ("finished", "failed", "lost", "interrupted")


def random_run(dice: random.Random) -> Run:
    """A run with something of everything, or without."""

    def maybe(values: Any) -> Any:
        return dice.choice([None, *values])

    def some(values: Any) -> list[Any]:
        return dice.sample(list(values), dice.randint(0, min(3, len(values))))

    def metric() -> MetricSummary:
        return MetricSummary(*(dice.choice(METRICS) for _ in range(3)), dice.randint(0, 3), maybe(NUMBERS))

    return run(
        id=new_id(),
        name=maybe(WORDS), experiment=maybe(WORDS), why=maybe(WORDS), user=maybe(WORDS), host=maybe(WORDS),
        status=dice.choice(STATUSES), exit_code=maybe((0, 1, 137)), signal=maybe((9, 15)), seed=maybe((0, 1, 7, 1 << 40)),
        command=tuple(some(CLEAN)), cwd=dice.choice((".", "sub")),
        created_at=dice.choice(TIMES), started_at=maybe(TIMES), finished_at=maybe(TIMES),
        duration_s=maybe((0.5, 60.0, 7200.0, 90)), tags=tuple(some(WORDS)), notes=tuple(some(WORDS)),
        fingerprint=maybe(DIGESTS),
        code=CodeState(commit=maybe(COMMITS), snapshot=maybe(COMMITS), tree=maybe(COMMITS), branch=maybe(WORDS), dirty=dice.random() < 0.5, origin=maybe(CLEAN), changed=tuple(some(CLEAN))),
        environment=Environment(
            digest=maybe(DIGESTS), kind=dice.choice(("python", "conda")), python=maybe(VERSIONS), interpreter=maybe(CLEAN), lockfile=maybe(DIGESTS),
            packages={name: dice.choice(VERSIONS) for name in some(NAMES)},
            variables={name: dice.choice(CLEAN) for name in some(NAMES)},
            libraries={name: dice.choice(VERSIONS) for name in some(NAMES)},
            image=maybe([Image("sha256:1", None, "python:3.11"), Image("sha256:2", "sha256:3", "busybox"), Image("sha256:2", "sha256:4", None)]), imported=maybe([(), ("numpy", "lstm")]),
        ),
        hardware=Hardware(cpu=maybe(CLEAN), cores=maybe((1, 2)), memory_bytes=maybe((1 << 30, 1000)), os=maybe(WORDS), kernel=maybe(WORDS), machine=maybe(WORDS), physical_cores=maybe((1, 2)), cpu_limit=maybe((0.5, 2.0)),
                          gpus=tuple(Gpu(dice.choice(CLEAN), maybe((1 << 30, 1000)), maybe(VERSIONS), maybe(VERSIONS)) for _ in range(dice.randint(0, 2)))),
        params={name: dice.choice(VALUES) for name in some(NAMES)}, param_sources={},
        metrics={name: metric() for name in some(NAMES)},
        inputs=tuple(Input(dice.choice(WORDS), dice.choice(("file", "directory")), maybe(DIGESTS), maybe((1, 1 << 31)), maybe((1, 2)), maybe(WORDS), dice.choice(("declared", "observed")), kept=dice.random() < 0.5, changed_during_run=dice.random() < 0.5) for _ in range(dice.randint(0, 2))),
        artifacts=tuple(Artifact(dice.choice(WORDS), dice.choice(("file", "directory")), dice.choice(DIGESTS), dice.choice((1, 1 << 31)), dice.choice((1, 2)), dice.choice(("declared", "observed"))) for _ in range(dice.randint(0, 2))),
        resources=Resources(maybe((1000, 1 << 30)), maybe((0.5, 60.0))),
        preflight=maybe([Preflight("A"), Preflight("C", (Concern("seed", "C", "m", "r"),))]),
        parent=maybe([Parent("rerun", new_id()), Parent("calibrate", "a" * 16)]),
        verdict=maybe([Verdict("identical", "a" * 16), Verdict("within tolerance", "a" * 16)]),
        warnings=tuple(Warning(dice.choice(CLEAN), dice.choice(CLEAN)) for _ in range(dice.randint(0, 2))),
    )  # fmt: skip


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def field_names() -> st.SearchStrategy[str]:
    named = [f"{family}.{quoted(name)}" for family in NAMED for name in NAMES]
    parts = [f"metrics.{quoted(name)}.{part}" for name in NAMES[:4] for part in SUMMARIES]
    return st.one_of(
        st.sampled_from(sorted(FIELDS)),
        st.sampled_from(named),
        st.sampled_from(parts),
        st.sampled_from(named[: 2 * len(NAMES)]),
    )


TEXTS = [
    *map(quoted, CLEAN), "lstm", "true", "False", "nan", "-inf", "inf", "3.11", "3.1", "3", "v3.11",
    '"[1, 2]"', "[]", *(repr(n) for n in NUMBERS), "1GiB", "1kB", "2h", "30s", "1h30m", "today", "-3d", "2026", "2026-11", "2026-11-01",
    '"2026-11-01 12:00"', "2026-11-02T12:00:00Z", "2026-11-21T01:02:03.000004+00:00", "b3:1", "b3:12..", "a..", "ab", DIGESTS[2],
    "finished", "failed", "identical", '"within tolerance"', "rerun", "calibrate", "A", "python",
]  # fmt: skip
AMOUNTS = [*(repr(n) for n in NUMBERS), "nan", "-inf", "inf"]
PATTERNS = [
    *map(quoted, ["%", "l%", "%M", "_", "a_b", "%a%b%", "\\%%", "50\\%", "x\\_y", "%\\\\%", "", "é", "É", "%c%", "__"]),
    "lstm",
]


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """One condition, which may be none."""
    field = draw(field_names())
    kind = parse(f"{field} is null").asked.field.kind  # type: ignore[union-attr]
    value = st.sampled_from(AMOUNTS if kind in NUMERIC and draw(st.integers(0, 9)) else TEXTS)
    shape = draw(st.integers(0, 9))
    negation = draw(st.sampled_from(["", "not "]))
    if shape == 0:
        return f"{field} is {negation}null"
    if shape == 1:
        return f"{field} {negation}in ({', '.join(draw(st.lists(value, min_size=1, max_size=4)))})"
    if shape == 2:
        return f"{field} {negation}like {draw(st.sampled_from(PATTERNS))}"
    if shape == 3:
        return f"{field} {draw(st.sampled_from(['~', '!~']))} {draw(st.sampled_from(PATTERNS))}"
    if shape == 4:
        return f"tag:{draw(st.sampled_from(['lstm', quoted('a b'), 'zzz']))}"
    return f"{field} {draw(st.sampled_from(['=', '!=', '<', '<=', '>', '>=']))} {draw(value)}"


queries = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
        inner.map(lambda text: f"not ({text})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=5,
)
