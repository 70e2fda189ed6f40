"""Few files for many pushes: merged segments and indexes, and how little a clone then has to ask."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mltrack.ledger.segments import Unsent
from mltrack.sync import merging
from mltrack.sync.check import check_remote
from mltrack.sync.merging import remove_replaced
from mltrack.sync.reading import list_segments
from mltrack.sync.segments import SegmentName
from mltrack.sync.transfer import Road, publish, pull, push
from tests.sync.towns import Town, objects_of

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def problems(town: Town, url: str) -> list:
    return list(check_remote(town.remote(url), objects_of))


def ranges(town: Town, url: str) -> list[tuple[int, int]]:
    return sorted((name.first, name.last) for name in list_segments(town.remote(url)))


def small(town: Town, number: int) -> str:
    """An event is the smallest thing there is to push; the first has a run to belong to."""
    if not town.ledger.ids():
        return town.record(b"x").id
    run = min(town.ledger.ids())
    town.ledger.add_event("note", run, str(number))
    return run


def push_often(town: Town, url: str, pushes: int, grace: float) -> None:
    """So many pushes of one event each, without what a push asks before it writes: listing is what takes the time."""
    runs = [town.record(b"x").id for _ in range(100)]  # a run with thousands of edits would take long to fold
    town.push(url)
    remote = town.remote(url)
    road = Road(remote, town.ledger, town.store, objects_of, grace_s=grace)
    mine = set(list_segments(remote))
    (own,) = mine
    for number in range(1, pushes):
        run = runs[number % len(runs)]
        town.ledger.add_event("note", run, str(number))
        own = publish(road, own, Unsent((), ((newest_event(town), run),)), mine)
        if not grace and number % 10 == 0:
            remove_replaced(remote, town.ledger, dict(list_segments(remote)), grace)
            mine = set(list_segments(remote))
    assert own is not None
    remote.write(f"heads/{own.replica}", own.file.encode())


def newest_event(town: Town) -> str:
    return str(town.ledger.db.execute("SELECT digest FROM event ORDER BY rowid DESC LIMIT 1").fetchone()[0])


@pytest.mark.parametrize("grace", [0.0, 1e6])
def test_a_clone_of_a_remote_pushed_to_often_asks_little(tmp_path: Path, place: str, a: Town, grace: float) -> None:
    """With everything that was merged still there, and without."""
    pushes = 9_999 if SOAK > 1 else 999
    push_often(a, place, pushes, grace)
    a.push(place)
    there = len(list_segments(a.remote(place)))
    assert there > pushes if grace else there < 60
    with Town(tmp_path / "c") as c:
        got = c.pull(place)
        assert got.requests <= 100 and got.events == pushes - 1
        assert c.state_of_all() == a.state_of_all()
        assert not grace or problems(c, place) == []
        again = c.pull(place)
        assert (again.records, again.events) == (0, 0) and again.requests <= 3
    a.ledger.add_event("tag", min(a.ledger.ids()), "x")
    assert a.push(place, grace_s=0.0).events == 1
    assert a.push(place).requests <= 3


def test_every_push_of_many_leaves_a_ledger_that_can_be_read(tmp_path: Path, place: str, a: Town) -> None:
    with Town(tmp_path / "c") as c:
        for number in range(112):
            small(a, number)
            a.push(place, grace_s=0.0)
            if number in (0, 8, 9, 10, 50, 98, 99, 100, 110, 111):
                c.pull(place)
                assert c.state_of_all() == a.state_of_all(), number
        assert problems(c, place) == []


def test_segments_are_merged_by_powers_of_ten(place: str, a: Town) -> None:
    for number in range(20):
        small(a, number)
        a.push(place, grace_s=0.0)
    assert (1, 10) in ranges(a, place) and (11, 20) in ranges(a, place) and (1, 1) not in ranges(a, place)
    head = Path(place, "heads", a.ledger.replica).read_text()
    assert head.startswith("11-20-")
    assert a.push(place).requests <= 3


def test_what_was_merged_stays_for_its_grace(place: str, a: Town) -> None:
    for number in range(12):
        small(a, number)
        a.push(place)
    assert {(1, 1), (10, 10), (1, 10)} <= set(ranges(a, place))
    old = os.stat(Path(place, "store.json")).st_mtime - 2 * merging.GRACE_S
    for path in Path(place, "ledger", a.ledger.replica).iterdir():
        os.utime(path, (old, old))
    small(a, 99)
    a.push(place)  # sees old files only, so that the server's time is not known to have moved on
    assert (1, 1) in ranges(a, place)
    small(a, 100)
    a.push(place)
    assert ranges(a, place) == [(1, 10), (11, 11), (12, 12), (13, 13), (14, 14)]


def test_a_merged_segment_that_is_damaged_takes_nothing_along(place: str, a: Town) -> None:
    for number in range(10):
        small(a, number)
        a.push(place, grace_s=0.0)
    (merged,) = Path(place, "ledger").rglob("1-10-*")
    merged.write_bytes(merged.read_bytes()[:-1])
    small(a, 11)
    a.push(place, grace_s=0.0)
    assert {(1, 1), (10, 10)} <= set(ranges(a, place))
    with Town(a.root / "c") as c:
        with pytest.raises(merging_error()):
            c.pull(place)
        assert c.state_of_all() == a.state_of_all()  # from the pieces


def merging_error() -> type[Exception]:
    from mltrack.errors import Damaged

    return Damaged


def test_who_knew_the_pieces_sends_nothing_again_when_they_were_merged(place: str, a: Town, b: Town) -> None:
    one = small(a, 0)
    a.push(place)
    b.pull(place)
    for number in range(25):
        small(a, number)
        a.push(place, grace_s=0.0)
        if number % 4 == 0:
            b.pull(place)
    b.ledger.add_event("tag", one, "b")
    sent = b.push(place)
    assert (sent.records, sent.events) == (0, 1)
    assert sum(1 for name in list_segments(a.remote(place)) if name.replica == b.ledger.replica) == 1


def test_a_push_interrupted_while_it_merges_is_mended_by_the_next(tmp_path: Path) -> None:
    from tests.sync.test_transfer import Broken, Fails

    for step in range(6):
        for after in (False, True):
            url = str(tmp_path / f"remote{step}{after}")
            with Town(tmp_path / f"a{step}{after}") as a, Town(tmp_path / f"b{step}{after}") as b:
                for number in range(9):
                    small(a, number)
                    a.push(url, grace_s=0.0)
                small(a, 9)
                try:
                    push(Fails(url, a.state / "remotes" / "o", step, after), a.ledger, a.store, objects_of)
                except Broken:
                    pass
                replica = a.ledger.replica
                for number in range(12):
                    small(a, number)
                    a.push(url, grace_s=0.0)
                assert a.ledger.replica == replica
                b.pull(url)
                assert b.state_of_all() == a.state_of_all() and problems(b, url) == []
                assert not a.ledger.unsent(url)


def test_pieces_too_large_together_stay(place: str, a: Town, b: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MERGED_BYTES", 3000)
    for number in range(12):
        a.record(why="w" * 600 + str(number))
        a.push(place, grace_s=0.0)
    assert len(ranges(a, place)) == 12
    assert b.pull(place).records == 12


def test_a_file_that_is_gone_when_it_is_read_was_merged(place: str, a: Town, b: Town) -> None:
    from mltrack.sync.remote import Remote

    for number in range(9):
        small(a, number)
        a.push(place, grace_s=0.0)

    class Slow(Remote):
        turned = False

        def read(self, path: str) -> bytes | None:
            if path.startswith("ledger/") and not self.turned:
                self.turned = True
                for number in range(3):
                    small(a, number)
                    a.push(place, grace_s=0.0)
            return super().read(path)

    pull(Slow(place, b.state / "cache"), b.ledger, b.store, objects_of)
    assert b.state_of_all() == a.state_of_all()


def test_a_copy_of_a_remote_in_the_midst_of_merging_is_read_whole(tmp_path: Path, place: str, a: Town) -> None:
    """Merged and unmerged files may lie there in any mixture, as when a bucket is copied while it is written."""
    for number in range(11):
        small(a, number)
        a.push(place)
    for name in sorted(Path(place, "ledger", a.ledger.replica).iterdir()):
        parsed = SegmentName.parse(f"{a.ledger.replica}/{name.name}")
        if parsed is None or (parsed.first, parsed.last) == (1, 10):
            continue
        copy = tmp_path / f"copy{name.name[:8]}"
        shutil.copytree(place, copy)
        Path(copy, "ledger", a.ledger.replica, name.name).unlink()
        if parsed.last > 10:
            continue
        with Town(tmp_path / f"c{name.name[:8]}") as c:
            c.pull(str(copy))
            assert c.state_of_all() == a.state_of_all()


# -- indexes


def test_indexes_are_merged_by_their_number(place: str, a: Town, b: Town) -> None:
    for _ in range(40):
        a.record(os.urandom(50))
        a.push(place, grace_s=0.0)
    assert len(a.remote(place).list("indexes")) < 15
    got = b.pull(place, data=True)
    assert all(b.whole(id) for id in b.ledger.ids()) and len(b.ledger.ids()) == 40
    assert got.requests < 80
    assert problems(b, place) == []


def test_a_replaced_index_that_is_still_there_is_not_read(place: str, a: Town, b: Town) -> None:
    for _ in range(12):
        a.record(os.urandom(50))
        a.push(place)
    assert len(a.remote(place).list("indexes")) == 13
    b.pull(place, data=True)
    assert len(list(Path(b.state, "remotes", "origin", "indexes").iterdir())) < 5


def test_a_million_rows_are_searched_without_walking_over_them(tmp_path: Path) -> None:
    from mltrack.store.entries import CHUNK
    from mltrack.sync.packs import FEW, Pack, Row, encode_index, rows_of, sections

    rows = tuple(Row((CHUNK, os.urandom(32)), 8 + 60 * n, 60, 4) for n in range(5000))
    data = encode_index([Pack("ab" * 32, 1 << 20, rows)])
    ((_, _, view),) = sections(data)
    few = {rows[n].key for n in (0, 17, 4999)}
    many = {row.key for row in rows[: FEW + 1]}
    for wanted in (few, many):
        found = {key: place for key, *place in rows_of(view, wanted)}
        assert found == {row.key: [row.offset, row.length, row.raw_size] for row in rows if row.key in wanted}
