"""What a check of a remote finds, whom it touches, and how a project that has the data mends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.sync.check import Checked, CheckRequest, Problem, check
from mltrack.sync.mending import Mended, mend
from tests.sync.test_transfer import flips
from tests.sync.towns import Town, objects_of


@pytest.fixture
def a(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path / "a") as town:
        yield town


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "remote")


def look(town: Town, url: str, **options: object) -> tuple[list[Problem], Checked]:
    checked = Checked()
    return list(check(town.remote(url), CheckRequest(objects_of, **options), checked)), checked  # type: ignore[arg-type]


def mend_here(town: Town, url: str) -> Mended:
    _, checked = look(town, url)
    return mend(town.remote(url), town.ledger, town.store, checked)


def test_a_damaged_object_is_named_with_each_run_and_path(place: str, a: Town) -> None:
    shared = os.urandom(3000)
    one, two = a.record(shared), a.record(b"x", tree={"deep/y": shared})
    a.push(place)
    (pack,) = (path for path in Path(place, "packs").rglob("*") if path.is_file())
    data = pack.read_bytes()
    at = data.find(shared)
    pack.write_bytes(data[: at + 5] + b"#" + data[at + 6 :])
    problems, _ = look(a, place)
    touched = {(p.run, p.path) for p in problems if p.kind == "object"}
    assert touched == {(one.id, "out/0.bin"), (two.id, "data/deep/y")}
    assert {p.kind for p in problems} == {"pack", "object"}


def test_a_sample_reads_a_part_and_says_how_much_it_will_be(place: str, a: Town) -> None:
    for _ in range(10):
        a.record(os.urandom(1000))
        a.push(place)
    told: list[int] = []
    expected: list[int] = []

    class Progress:
        expect = staticmethod(expected.append)

        def __call__(self, size_bytes: int) -> None:
            told.append(size_bytes)

    problems, checked = look(a, place, sample=0.3, progress=Progress())
    assert problems == [] and len(checked.sound) == 3
    assert sum(told) == expected[0] < 5000


def test_damage_to_any_file_is_mended_from_the_project_that_wrote_it(tmp_path: Path, place: str, a: Town) -> None:
    one = a.record(os.urandom(300), os.urandom(3 << 20), tree={"x": b"1"})
    a.ledger.add_event("tag", one.id, "best")
    a.push(place)
    a.record(b"two")
    a.push(place)
    truth = a.state_of_all()
    shutil.copytree(place, tmp_path / "good")
    for path in sorted(path.relative_to(place) for path in Path(place).rglob("*") if path.is_file()):
        if path.name == "store.json":
            continue
        good = (tmp_path / "good" / path).read_bytes()
        for number, bad in enumerate([None, b"", good[: len(good) // 2], *(flip(good, at) for at in flips(good)[::4])]):
            shutil.rmtree(place)
            shutil.copytree(tmp_path / "good", place)
            if bad is None:
                Path(place, path).unlink()
            else:
                Path(place, path).write_bytes(bad)
            mend_here(a, place)
            a.push(place)
            problems, _ = look(a, place)
            condemned = set(look_condemned(a, place))
            assert [p for p in problems if p.name not in condemned] == [], (path, number)
            with Town(tmp_path / f"c{path.name[:9]}{number}") as c:
                c.pull(place, data=True)
                assert c.state_of_all() == truth and all(c.whole(id) for id in c.ledger.ids())


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def look_condemned(town: Town, url: str) -> list[str]:
    """Paths of damaged packs that wait for a gc."""
    from mltrack.sync.condemned import read_condemned

    return [path for one in read_condemned(town.remote(url)) for path in one.paths]


def test_a_lost_segment_of_another_replica_is_replaced_by_who_read_it(tmp_path: Path, place: str, a: Town) -> None:
    runs = []
    for number in range(3):
        runs.append(a.record(str(number).encode()))
        a.push(place)
    with Town(tmp_path / "b") as b:
        b.pull(place)
        (segment,) = Path(place, "ledger").rglob("2-2-*")
        segment.unlink()
        assert [p.kind for p in look(b, place)[0]] == ["chain", "chain"]
        assert mend_here(b, place).segments == 1
        assert look(b, place)[0] == []
    with Town(tmp_path / "c") as c:
        c.pull(place, data=True)
        assert c.ledger.ids() == {run.id for run in runs}
    assert a.push(place).records == 0


def test_mending_where_nothing_is_wrong_changes_nothing(place: str, a: Town) -> None:
    a.record(b"x")
    a.push(place)
    before = {path: path.stat().st_mtime_ns for path in Path(place).rglob("*")}
    assert mend_here(a, place) == Mended()
    assert {path: path.stat().st_mtime_ns for path in Path(place).rglob("*")} == before
