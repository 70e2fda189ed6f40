"""Runs and events as the tests of the ledger need them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mltrack.ledger.events import Event
from mltrack.ledger.keeping.packing import Packer, Unpacker, words_of
from mltrack.ledger.ledger import Ledger
from mltrack.records import Artifact, CodeState, Environment, Input, MetricSummary, Run, new_id

REPLICA = "0000000000000000"


def run(**changes: Any) -> Run:
    """A finished run, with something in every part of its record."""
    values: dict[str, Any] = {
        "schema": 1,
        "id": new_id(),
        "name": None,
        "experiment": None,
        "status": "finished",
        "command": ("python", "train.py", "--lr", "0.1"),
        "cwd": ".",
        "exit_code": 0,
        "created_at": "2026-11-21T01:02:03.000004Z",
        "code": CodeState(commit="a" * 40, branch="main", dirty=True, snapshot="b" * 40, tree="c" * 40),
        "environment": Environment(kind="python", python="3.11.7", packages={"numpy": "2.1.0", "blake3": "1.0.11"}),
        "params": {"lr": 0.1, "depth": 3, "fast": True, "layers": [1, 2], "name": "x", "none": None},
        "param_sources": {"lr": "argv"},
        "inputs": (Input("data", "directory", "b3:" + "1" * 64, size_bytes=5, files=2, kept=True),),
        "artifacts": (Artifact("model.pt", "file", "b3:" + "2" * 64, 7),),
        "metrics": {"loss": MetricSummary(0.2, 0.2, 1.3, 10, 9)},
    }
    return Run(**{**values, **changes})


def event(kind: str, run_id: str, value: Any, ms: int = 1, counter: int = 0, replica: str = REPLICA) -> Event:
    clock = f"{ms}.{counter}.{replica}"
    return Event(new_id(), kind, run_id, value, clock, "2026-11-21T01:02:03.000004Z", replica, "tester")


def damage(ledger: Ledger, run_id: str, old: bytes, new: bytes) -> None:
    """Change some words of a run's sealed record, as a program with a grudge would."""
    db = ledger.db
    query = "SELECT packed, dictionary FROM record WHERE run = ?"
    packed, number = db.execute(query, (run_id,)).fetchone()
    text = Unpacker(db).unpack(packed, number)
    assert old in text
    packed = Packer(words_of(db, number)).pack(text.replace(old, new))
    db.execute("UPDATE record SET packed = ? WHERE run = ?", (packed, run_id))


RUN_ID = "aaaabbbbccccdddd"
WORDS = st.sampled_from(["best", "worst", "paper"])
KINDS = st.one_of(
    st.tuples(st.just("name"), st.one_of(st.none(), WORDS)),
    st.tuples(st.sampled_from(["tag", "untag", "note"]), WORDS),
    st.tuples(st.sampled_from(["delete", "restore"]), st.none()),
    st.tuples(st.just("verdict"), st.sampled_from([{"grade": "identical", "of": "a"}, {"grade": "x", "of": "b"}])),
    st.tuples(st.sampled_from(["star", "tag", "name", "verdict"]), st.integers()),
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn, run_id: str = RUN_ID) -> Event:
    """An event of one run: few clocks and replicas, so that ties happen; kinds and values that nobody knows, too."""
    kind, value = draw(KINDS)
    replica = draw(st.sampled_from([REPLICA, "1111111111111111"]))
    made = event(kind, run_id, value, draw(st.integers(0, 3)), draw(st.integers(0, 2)), replica)
    return Event(**{**made.__dict__, "id": draw(st.sampled_from("abcd")) * 16})
