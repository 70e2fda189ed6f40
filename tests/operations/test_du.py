"""du: what is charged to whom adds up, and is what gc would free."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.operations.keeping.du import Share, Usage, du
from mltrack.operations.keeping.gc import GcRequest, gc
from mltrack.store.chunks import MIB
from tests.operations.keeping import Keeping
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path / "project")


def used(keeping: Keeping, *refs: str, by: str = "run") -> Usage:
    with keeping.open() as project:
        return du(project, refs, by)


def share(usage: Usage, name: str) -> Share:
    return next(share for share in usage.shares if share.name == name)


def test_runs_are_charged_for_what_only_they_need(keeping: Keeping):
    big, shared = noise(3 * MIB, b"big"), noise(50_000, b"shared")
    one = keeping.run({"model": big, "common": shared}, {"a": noise(900, b"a"), "b": noise(800, b"b")}, name="one")
    other = keeping.run({"common": shared, "again": shared}, {"a": noise(900, b"a"), "c": noise(700, b"c")})
    usage = used(keeping)
    assert [item.name for item in usage.shares] == [one.id, other.id]
    first, second = usage.shares
    assert first.label == "one" and second.label is None
    assert first.logical_bytes == 3 * MIB + 50_000 + 1700 + len(b"PACK of the code")
    assert second.logical_bytes == 100_000 + 1600 + len(b"PACK of the code")
    assert 3 * MIB + 800 < first.only_bytes < 3 * MIB + 3000
    assert 700 < second.only_bytes < 1500
    assert first.shared_bytes == second.shared_bytes == pytest.approx(50_900, abs=300)
    totals = usage.totals
    assert totals.logical_bytes == first.logical_bytes + second.logical_bytes
    assert totals.stored_bytes == keeping.size()
    assert totals.compressed_bytes + totals.overhead_bytes + totals.garbage_bytes == totals.stored_bytes
    assert totals.distinct_bytes < totals.logical_bytes - 100_000 and totals.garbage_bytes == 0


def test_what_only_a_run_needs_is_what_dropping_it_frees(keeping: Keeping):
    one = keeping.run({"model": noise(70_000, b"one"), "x": b"x"}, {"a": b"a"})
    keeping.run({"model": noise(30_000, b"two"), "x": b"x"})
    charged = share(used(keeping), one.id).only_bytes
    with keeping.open() as project:
        assert gc(project, GcRequest((one.id,))).going[0].size_bytes <= charged
        assert sum(item.size_bytes for item in gc(project, GcRequest((one.id,))).going) == charged


def test_by_path_and_by_kind(keeping: Keeping):
    keeping.run({"model": noise(5000, b"1"), "same": b"s" * 4000}, {"a": noise(900, b"a")})
    keeping.run({"model": noise(6000, b"2"), "same": b"s" * 4000})
    by_path = used(keeping, by="path")
    assert [item.name for item in by_path.shares][:3] == ["model", "data", "same"]
    assert share(by_path, "model").logical_bytes == 11_000
    assert share(by_path, "same").logical_bytes == 8000 and share(by_path, "same").only_bytes < 300
    by_kind = used(keeping, by="kind")
    assert {item.name for item in by_kind.shares} == {"artifact", "input", "code"}
    assert sum(item.only_bytes for item in by_kind.shares) == pytest.approx(keeping.size(), abs=100)


def test_some_runs_only(keeping: Keeping):
    runs = [keeping.run({"m": noise(1000 * n, b"%d" % n), "x": b"x" * 500}) for n in range(1, 4)]
    usage = used(keeping, runs[1].id)
    assert [item.name for item in usage.shares] == [runs[1].id]
    assert usage.shares[0] == share(used(keeping), runs[1].id)
    assert usage.totals == used(keeping).totals
    (model, *_) = used(keeping, runs[1].id, by="path").shares
    assert (model.name, model.logical_bytes) == ("m", 2000)


def test_garbage_and_what_is_not_here_are_told(keeping: Keeping, tmp_path: Path):
    from mltrack.operations.share import clone_records

    keeping.run({"m": noise(4000)}, {"a": b"a", "b": b"b"})
    with keeping.open() as project, project.store:
        project.store.put_bytes(noise(9000, b"garbage"))
    assert used(keeping).totals.garbage_bytes > 9000
    keeping.push_to(tmp_path / "remote")
    with clone_records(str(tmp_path / "remote"), tmp_path / "clone") as project:
        usage = du(project)
        assert usage.totals.stored_bytes == 0
        assert usage.shares[0].missing == 3  # code, model and manifest; what that lists nobody knows here


def test_an_empty_project(keeping: Keeping):
    usage = used(keeping)
    assert usage.shares == () and usage.totals.stored_bytes == 0


@settings(max_examples=20 * SOAK, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 6), max_size=5), min_size=1, max_size=5))
def test_the_sums_hold_whatever_is_shared(tmp_path_factory: pytest.TempPathFactory, trees: list[dict[str, int]]):
    keeping = Keeping(tmp_path_factory.mktemp("du") / "project")
    for number, tree in enumerate(trees):
        files = {name: noise(200 * seed, b"%d" % seed) for name, seed in tree.items()}
        keeping.run({"m": b"%d" % (number % 2), "n": noise(300, b"%d" % number)}, files)
    for by in ("run", "path", "kind"):
        usage = used(keeping, by=by)
        entries = usage.totals.stored_bytes - usage.totals.garbage_bytes
        assert sum(item.only_bytes for item in usage.shares) <= entries
        assert all(item.only_bytes + item.shared_bytes <= entries for item in usage.shares)
        if len(usage.shares) == 1:
            assert usage.shares[0].shared_bytes == 0
        assert usage.totals.logical_bytes == sum(item.logical_bytes for item in usage.shares)
