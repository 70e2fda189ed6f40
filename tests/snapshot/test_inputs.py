from __future__ import annotations

from pathlib import Path

import pytest

from mltrack.errors import StartError
from mltrack.records import CodeState, Environment, Input, LeftOut
from mltrack.snapshot.fingerprint import Basis, fingerprint
from mltrack.snapshot.inputs import check_inputs, expand, find_inputs, keep_inputs, name_below
from mltrack.store.objects import Store
from mltrack.store.statcache import StatCache
from tests.helpers import write

KEY = bytes(32)


def test_an_input_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="none"):
        find_inputs(tmp_path, [("data/none.csv", tmp_path)])
    with pytest.raises(StartError):
        find_inputs(tmp_path, [("*.csv", tmp_path)])


def test_globs_directories_and_files_are_found_once(tmp_path: Path) -> None:
    write(tmp_path, {"d/a.csv": "1", "d/b.csv": "22"})
    found = find_inputs(tmp_path, [("d/*.csv", tmp_path), ("d/a.csv", tmp_path), ("d", tmp_path)])
    assert [(item.path, item.size_bytes) for item in found] == [("d/a.csv", 1), ("d/b.csv", 2), ("d", 3)]


def test_paths_outside_are_absolute(tmp_path: Path) -> None:
    assert name_below(tmp_path / "p", tmp_path / "p" / "a" / ".." / "b") == "b"
    assert name_below(tmp_path / "p", tmp_path / "x") == str(tmp_path / "x")
    assert expand("no[t].there", tmp_path) == []


def test_inputs_beyond_the_limit_have_only_their_digest(tmp_path: Path) -> None:
    write(tmp_path, {"p/small": "12", "p/large": "1" * 100})
    found = find_inputs(tmp_path / "p", [("large", tmp_path / "p"), ("small", tmp_path / "p")])
    with Store.open(tmp_path / "state" / "store") as store:
        cache = StatCache.open(tmp_path / "state" / "stat.db")
        large, small = keep_inputs(found, lambda: store, cache, keep_limit=50)
        cache.close()
        assert (large.kept, small.kept) == (False, True)
        assert large.digest is not None
        assert store.missing([large.digest]) == {large.digest}


def test_an_input_that_changed_since_the_start_has_no_digest(tmp_path: Path) -> None:
    write(tmp_path, {"p/data": "before", "p/same": "same"})
    found = find_inputs(tmp_path / "p", [("data", tmp_path / "p"), ("same", tmp_path / "p")])
    with Store.open(tmp_path / "state" / "store") as store:
        cache = StatCache.open(tmp_path / "state" / "stat.db")
        kept = keep_inputs(found, lambda: store, cache, keep_limit=1000)
        write(tmp_path, {"p/data": "after!"})
        (tmp_path / "p" / "same").touch()
        data, same = check_inputs(kept, found, cache)
        cache.close()
    assert (data.digest, data.changed_during_run, data.kept) == (None, True, False)
    assert data.digest_after is not None
    assert (same.digest, same.changed_during_run) == (kept[1].digest, False), "touched, but the same bytes"


def basis(**changes: object) -> Basis:
    values: dict[str, object] = {
        "argv": ["python", "a.py"], "cwd": ".", "stdin": None, "code": CodeState(tree="t"),
        "environment": Environment(digest="b3:e"), "inputs": [Input("d", "file", "b3:1")], "params": {"lr": 0.1},
        "seed": None, "variables": {"A": "1", "PWD": "/x"},
    }  # fmt: skip
    return Basis(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ["python", "b.py"]}, {"cwd": "sub"}, {"stdin": "b3:s"}, {"code": CodeState(tree="u")},
        {"code": CodeState(tree="t", raw="b3:r")}, {"environment": Environment(digest="b3:f")},
        {"inputs": [Input("d", "file", "b3:2")]}, {"params": {"lr": 0.2}}, {"seed": 1}, {"variables": {"A": "2"}},
    ],
)  # fmt: skip
def test_the_fingerprint_covers_what_moves_a_result(change: dict[str, object]) -> None:
    assert fingerprint(basis(**change), KEY) != fingerprint(basis(), KEY)


def test_the_fingerprint_leaves_out_what_changes_from_shell_to_shell() -> None:
    other = basis(variables={"A": "1", "PWD": "/y", "SSH_TTY": "/dev/pts/1"})
    assert fingerprint(other, KEY) == fingerprint(basis(), KEY)


@pytest.mark.parametrize(
    "gap",
    [
        {"code": CodeState(tree="t", left_out=(LeftOut("big", 1, "size"),))},
        {"inputs": [Input("d", "file", None)]},
        {"environment": Environment()},
    ],
)
def test_the_fingerprint_is_null_where_it_would_be_a_guess(gap: dict[str, object]) -> None:
    assert fingerprint(basis(**gap), KEY) is None
