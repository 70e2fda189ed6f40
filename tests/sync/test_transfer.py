from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.errors import Damaged, DataMissing, FormatTooNew, RemoteError
from mltrack.ledger.ledger import sealed_bytes
from mltrack.records import Artifact, Input, new_id
from mltrack.store.entries import TABLE_ROW, scan
from mltrack.store.objects import Store
from mltrack.sync import sending, transfer
from mltrack.sync.check import check_remote
from mltrack.sync.fetch import fetch_objects
from mltrack.sync.packs import Pack, Row, build_pack, encode_index, hex_of, index_path, pack_path, sections
from mltrack.sync.remote import Remote
from mltrack.sync.transfer import Transfer, pull, push
from tests.ledger.made import RUN_ID, event, run
from tests.sync.towns import Town, objects_of

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def problems(town: Town, url: str) -> list:
    return list(check_remote(town.remote(url), objects_of))


# -- the road, over every sort of remote


def test_what_is_pushed_can_be_pulled_with_its_data(url: str, a: Town, b: Town) -> None:
    big = os.urandom(3 << 20)
    runs = [a.record(b"one", big, tree={"x": b"1", "deep/y\n": b"22"}), a.record(b"two", b"one")]
    a.ledger.add_event("tag", runs[0].id, "best")
    sent = a.push(url)
    assert (sent.records, sent.events) == (2, 1)
    got = b.pull(url)
    assert (got.records, got.events, got.objects) == (2, 1, 0)
    assert b.state_of_all() == a.state_of_all()
    assert not b.whole(runs[0].id)
    got = b.pull(url, data=True)
    assert got.records == 0 and got.objects == sent.objects
    assert all(b.whole(one.id) for one in runs)
    assert b.store.get_bytes(digest_bytes(big)) == big
    assert problems(a, url) == []


def test_pushing_twice_sends_nothing_and_asks_little(url: str, a: Town) -> None:
    a.record(b"one")
    a.push(url)
    again = a.push(url)
    assert again == Transfer(requests=again.requests)
    assert again.requests <= 5


def test_pulling_twice_adds_nothing(url: str, a: Town, b: Town) -> None:
    a.record(b"one")
    a.push(url)
    b.pull(url, data=True)
    again = b.pull(url, data=True)
    assert (again.records, again.events, again.objects, again.bytes) == (0, 0, 0, 0)


def test_edits_go_both_ways(url: str, a: Town, b: Town) -> None:
    one = a.record(b"one")
    a.push(url)
    b.pull(url)
    b.ledger.add_event("note", one.id, "from b")
    b.ledger.add_event("tag", one.id, "b")
    a.ledger.add_event("tag", one.id, "a")
    assert b.push(url).events == 2
    assert a.push(url).events == 1
    a.pull(url)
    b.pull(url)
    assert a.state_of_all() == b.state_of_all()
    assert a.ledger.get(one.id).notes == ("from b",)


def test_only_what_is_missing_is_fetched(url: str, a: Town, b: Town) -> None:
    tree = {f"{number}": os.urandom(5_000) for number in range(20)}
    a.record(tree=tree)
    a.push(url)
    b.pull(url)
    digest = digest_bytes(tree["7"])
    remote = b.remote(url)
    before = remote.requests
    assert fetch_objects(remote, b.store, [digest]) == 1
    assert fetch_objects(remote, b.store, [digest]) == 0
    assert b.store.get_bytes(digest) == tree["7"]
    assert b.store.totals().objects == 1
    assert remote.requests - before <= 4


# -- what is sent


def test_a_file_that_two_runs_share_is_sent_once(place: str, a: Town) -> None:
    big = os.urandom(1 << 20)
    a.record(big)
    first = a.push(place)
    a.record(big)
    second = a.push(place)
    assert first.bytes > len(big) > 1000 > second.bytes
    assert second.already == 2 and second.records == 1


def test_a_large_file_with_a_small_change_sends_few_chunks(place: str, a: Town, b: Town) -> None:
    big = bytearray(os.urandom(12 << 20))
    a.record(bytes(big))
    a.push(place)
    big[6 << 20] ^= 1
    changed = a.record(bytes(big))
    assert a.push(place).bytes < 6 << 20
    b.pull(place, data=True)
    assert b.whole(changed.id)


def test_runs_can_be_pushed_and_pulled_by_name(place: str, a: Town, b: Town) -> None:
    one, two, three = a.record(b"1"), a.record(b"2"), a.record(b"3")
    a.ledger.add_event("tag", two.id, "x")
    assert a.push(place, run_ids=[one.id, two.id]).records == 2
    assert a.push(place).records == 1
    assert b.pull(place, run_ids=[two.id], data=True).records == 1
    assert b.ledger.ids() == {two.id} and b.ledger.get(two.id).tags == ("x",) and b.whole(two.id)
    assert b.pull(place, run_ids=[three.id]).records == 1
    assert b.pull(place).records == 1
    assert b.ledger.ids() == {one.id, two.id, three.id}


def test_a_run_deleted_before_it_was_ever_pushed_stays_here(place: str, a: Town, b: Town) -> None:
    secret, other = a.record(b"secret"), a.record(b"other")
    a.ledger.add_event("delete", secret.id, None)
    assert a.push(place).records == 1
    assert a.push(place).requests <= 5
    b.pull(place)
    assert b.ledger.ids() == {other.id}
    a.ledger.add_event("restore", secret.id, None)
    assert a.push(place).records == 1


def test_a_deletion_travels(place: str, a: Town, b: Town) -> None:
    one = a.record(b"one")
    a.push(place)
    b.pull(place)
    b.ledger.add_event("delete", one.id, None)
    b.push(place)
    a.pull(place)
    assert a.ledger.deleted_ids() == {one.id}
    assert a.pull(place, data=True).objects == 0


def test_records_travel_on_over_a_second_remote(tmp_path: Path, a: Town, b: Town) -> None:
    one = a.record(b"one", tree={"x": b"1"})
    a.push(str(tmp_path / "first"))
    b.pull(str(tmp_path / "first"), data=True)
    b.push(str(tmp_path / "second"))
    with Town(tmp_path / "c") as c:
        c.pull(str(tmp_path / "second"), data=True)
        assert c.whole(one.id) and c.state_of_all() == a.state_of_all()


def test_two_records_with_one_id_both_travel(place: str, a: Town, b: Town) -> None:
    a.record(id=RUN_ID, why="here")
    b.record(id=RUN_ID, why="there")
    a.push(place)
    b.push(place)
    a.pull(place)
    b.pull(place)
    assert a.state_of_all() == b.state_of_all()
    assert [w.kind for w in a.ledger.get(RUN_ID).warnings] == ["record_conflict"]


def test_the_head_of_a_replica_names_its_last_segment(place: str, a: Town) -> None:
    for number in (1, 2):
        a.record(b"one")
        a.push(place)
        head = Path(place, "heads", a.ledger.replica)
        assert head.read_text().startswith(f"{number}-{number}-")
        assert Path(place, "ledger", a.ledger.replica, head.read_text().strip()).is_file()
        head.unlink()
        a.push(place)
        assert head.read_text().startswith(f"{number}-{number}-")
    head.write_text("1-1-" + "0" * 64)
    assert [problem.kind for problem in problems(a, place)] == ["head"]


def test_a_large_ledger_goes_in_several_segments_of_one_chain(place: str, a: Town, b: Town, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "SEGMENT_BYTES", 3000)
    for number in range(6):
        a.record(why=f"{number}" * 500)
    a.push(place)
    assert len(a.remote(place).list("ledger")) > 1
    assert problems(a, place) == []
    assert b.pull(place).records == 6


def test_many_small_files_go_in_few_packs(place: str, a: Town, b: Town, monkeypatch) -> None:
    monkeypatch.setattr(sending, "PACK_SIZE", 100_000)
    one = a.record(tree={f"{number}": os.urandom(1000) for number in range(1000)})
    a.push(place)
    assert len(a.remote(place).list("packs")) == 12  # eleven of files, one of their manifest
    assert len(a.remote(place).list("indexes")) == 1
    got = b.pull(place, data=True)
    assert b.whole(one.id) and got.requests < 30


# -- what is missing


def test_a_run_whose_data_is_nowhere_is_named_and_the_others_are_sent(place: str, a: Town, b: Town) -> None:
    ghost = Artifact("model.pt", "file", digest_bytes(b"never stored"), 12)
    good, bad = a.record(b"good"), a.record(artifacts=(ghost,))
    a.ledger.add_event("tag", bad.id, "x")
    with pytest.raises(DataMissing) as caught:
        a.push(place)
    assert "model.pt" in caught.value.message and bad.id in caught.value.message
    b.pull(place, data=True)
    assert b.ledger.ids() == {good.id} and b.whole(good.id)


def test_an_input_that_was_not_kept_is_not_missed(place: str, a: Town, b: Town) -> None:
    huge = Input("huge.bin", "file", digest_bytes(b"huge"), 4, kept=False)
    one = a.record(inputs=(huge,))
    assert a.push(place).records == 1
    b.pull(place, data=True)
    assert b.ledger.get(one.id).inputs == (huge,)


def test_data_that_only_the_remote_has_is_no_obstacle(place: str, a: Town, b: Town) -> None:
    big, tree = os.urandom(3 << 20), {"x": b"1", "y": b"2"}
    one = a.record(big, tree=tree)
    a.push(place)
    b.pull(place)
    parts = b.ledger.get(one.id)
    again = run(id=new_id(), artifacts=parts.artifacts, inputs=parts.inputs, code=parts.code)
    b.ledger.seal(again)
    sent = b.push(place)
    assert sent.records == 1 and sent.bytes == 0
    assert problems(b, place) == []


def test_data_that_is_nowhere_on_the_remote_is_named_on_pull(place: str, a: Town, b: Town) -> None:
    one = a.record(b"one", tree={"x/y": b"inside"})
    a.push(place)
    shutil.rmtree(Path(place, "packs"))
    with pytest.raises(DataMissing) as caught:
        b.pull(place, data=True)
    assert one.id in caught.value.message and b.ledger.ids() == {one.id}
    with pytest.raises(DataMissing, match=digest_bytes(b"one")):
        fetch_objects(b.remote(place), b.store, [digest_bytes(b"one")])


def test_what_has_gone_from_the_remote_is_sent_again_with_the_next_run(place: str, a: Town, b: Town) -> None:
    a.record(b"shared")
    a.push(place)
    shutil.rmtree(Path(place, "packs"))
    two = a.record(b"shared")
    a.push(place)
    b.pull(place, run_ids=[two.id], data=True)
    assert b.whole(two.id)


def test_a_remote_that_was_emptied_gets_everything_again(place: str, a: Town, b: Town) -> None:
    one = a.record(b"one")
    a.push(place)
    b.pull(place, data=True)
    for town in (a, b):
        shutil.rmtree(place)
        assert town.push(place).records == 1
    with Town(a.root / "c") as c:
        c.pull(place, data=True)
        assert c.whole(one.id)


def test_a_pack_that_vanishes_while_we_push_is_sent_again(place: str, a: Town, b: Town) -> None:
    a.record(b"shared")
    a.push(place)

    class Collected(Remote):
        def write(self, path: str, data: bytes) -> None:
            super().write(path, data)
            if path.startswith("ledger/"):
                shutil.rmtree(Path(place, "packs"))

    two = a.record(b"shared", b"own")
    push(Collected(place, a.state / "remotes" / "origin"), a.ledger, a.store, objects_of)
    b.pull(place, run_ids=[two.id], data=True)
    assert b.whole(two.id)


# -- copies of a project


def test_a_copied_project_overwrites_nothing(place: str, tmp_path: Path, b: Town) -> None:
    with Town(tmp_path / "original") as original:
        first = original.record(b"first")
        original.push(place)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    with Town(tmp_path / "original") as original, Town(tmp_path / "copy") as copy:
        runs = [original.record(b"by the original"), copy.record(b"by the copy")]
        copy.push(place)
        original.push(place)
        copy.ledger.add_event("note", first.id, "x")
        copy.push(place)
        b.pull(place, data=True)
        assert b.ledger.ids() == {first.id, *(one.id for one in runs)}
        assert problems(b, place) == []
        assert original.ledger.replica != copy.ledger.replica


def test_a_copy_that_cannot_be_told_from_its_original_takes_a_new_id(place: str, a: Town, b: Town) -> None:
    """A disk cloned with its machine id and inodes: both write below one id, until one sees the other's segment."""
    a.record(b"a")
    a.push(place)
    (b.state / "replica.json").write_text((a.state / "replica.json").read_text().replace(
        str(a.state.stat().st_ino), str(b.state.stat().st_ino)))  # fmt: skip
    assert b.ledger.replica == a.ledger.replica
    b.record(b"b")
    b.push(place)
    assert b.ledger.replica != a.ledger.replica
    a.pull(place, data=True)
    b.pull(place, data=True)
    assert a.state_of_all() == b.state_of_all()
    assert problems(a, place) == []


def test_a_ledger_restored_from_a_backup_takes_a_new_id_and_loses_nothing(place: str, tmp_path: Path, a: Town) -> None:
    with Town(tmp_path / "x") as town:
        town.record(b"1")
    shutil.copyfile(tmp_path / "x/.mltrack/ledger.db", tmp_path / "backup.db")
    with Town(tmp_path / "x") as town:
        before = town.ledger.replica
        town.record(b"2")
        town.push(place)
    for leftover in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / "x/.mltrack" / leftover).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "backup.db", tmp_path / "x/.mltrack/ledger.db")
    with Town(tmp_path / "x") as town:
        town.record(b"3")
        town.push(place)
        assert town.ledger.replica != before
        town.pull(place)
        assert len(town.ledger.ids()) == 3
    a.pull(place, data=True)
    assert len(a.ledger.ids()) == 3


def test_the_same_remote_under_another_url_is_recognised(place: str, a: Town) -> None:
    a.record(b"one")
    a.push(place)
    before = a.ledger.replica
    assert a.push(f"file://{place}").records == 0
    assert a.ledger.replica == before


# -- interruptions


class Broken(Exception):
    pass


class Fails(Remote):
    """A remote whose n-th write fails: before anything is written, or after it is (the answer is lost)."""

    def __init__(self, url: str, cache: Path, left: int, after: bool) -> None:
        super().__init__(url, cache)
        self.left, self.after = left, after

    def write(self, path: str, data: bytes) -> None:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Broken
        super().write(path, data)
        if self.left < 0:
            raise Broken


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_a_push_interrupted_at_any_write_leaves_only_whole_runs(
    tmp_path: Path, kind: str, after: bool, monkeypatch
) -> None:
    monkeypatch.setattr(sending, "PACK_SIZE", 3000)
    monkeypatch.setattr(sending, "PACKS_AN_INDEX", 2)
    monkeypatch.setattr(transfer, "SEGMENT_BYTES", 2000)
    step, finished = 0, False
    while not finished:
        url = str(tmp_path / f"remote{step}") if kind == "directory" else f"memory://{tmp_path.name}/{after}{step}"
        with Town(tmp_path / f"a{step}") as a, Town(tmp_path / f"b{step}") as b:
            for number in range(4):
                a.record(os.urandom(1500), tree={"x": os.urandom(900), "y": b"same"}, why="w" * 600)
                a.ledger.add_event("tag", a.ledger.list()[0].id, str(number))
            try:
                push(Fails(url, a.state / "remotes" / "origin", step, after), a.ledger, a.store, objects_of)
                finished = True
            except Broken:
                pass
            if Remote(url, b.state / "cache").is_remote():
                b.pull(url, data=True)
            assert all(b.whole(id) for id in b.ledger.ids()), step
            bytes_before = sum(file.size or 0 for file in a.remote(url).list("packs").values())
            replica = a.ledger.replica
            sent = a.push(url)
            assert a.ledger.replica == replica  # what we wrote ourselves is not taken for a stranger's
            assert sum(file.size or 0 for file in a.remote(url).list("packs").values()) == bytes_before + sent.bytes
            assert a.push(url).requests <= 5
            b.pull(url, data=True)
            assert b.state_of_all() == a.state_of_all() and all(b.whole(id) for id in b.ledger.ids())
            assert problems(a, url) == [], step
        step += 1
    assert step > 8


def test_a_push_takes_up_where_it_was_interrupted(place: str, a: Town, monkeypatch) -> None:
    monkeypatch.setattr(sending, "PACK_SIZE", 10_000)
    a.record(*(os.urandom(9_000) for _ in range(10)))
    with pytest.raises(Broken):
        push(Fails(place, a.state / "remotes" / "origin", 7, False), a.ledger, a.store, objects_of)
    there = sum(file.size or 0 for file in a.remote(place).list("packs").values())
    assert there > 50_000
    rest = a.push(place)
    assert rest.bytes + there < 100_000


def test_a_push_killed_at_a_random_moment_leaves_only_whole_runs(tmp_path: Path, place: str) -> None:
    program = """
import os, sys, threading, time
from pathlib import Path
from tests.sync.towns import Town
with Town(Path(sys.argv[1])) as town:
    print("go", flush=True)
    threading.Thread(target=lambda: (time.sleep(float(sys.argv[3])), os.kill(os.getpid(), 9)), daemon=True).start()
    while True:
        town.record(os.urandom(20_000), tree={"x": os.urandom(100)})
        town.push(sys.argv[2])
"""
    for number in range(4 * SOAK):
        delay = str(0.02 + 0.05 * number)
        command = [sys.executable, "-c", program, str(tmp_path / "a"), place, delay]
        child = subprocess.run(command, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
        assert child.returncode == -9
        if not Path(place, "store.json").exists():
            continue
        with Town(tmp_path / f"b{number}") as b:
            b.pull(place, data=True)
            assert all(b.whole(id) for id in b.ledger.ids())
    with Town(tmp_path / "a") as a, Town(tmp_path / "c") as c:
        a.push(place)
        c.pull(place, data=True)
        assert c.state_of_all() == a.state_of_all() and len(c.ledger.ids()) > 0


# -- many machines


def test_replicas_that_push_and_pull_at_once_lose_nothing(tmp_path: Path, place: str) -> None:
    program = """
import os, sys
from pathlib import Path
from tests.sync.towns import Town
with Town(Path(sys.argv[1])) as town:
    for number in range(4):
        run = town.record(os.urandom(2000), b"shared")
        town.ledger.add_event("tag", run.id, "t")
        town.push(sys.argv[2])
        town.pull(sys.argv[2])
        for other in sorted(town.ledger.ids())[:2]:
            town.ledger.add_event("note", other, sys.argv[1][-1])
    town.push(sys.argv[2])
"""
    command = [sys.executable, "-c", program]
    children = [
        subprocess.Popen([*command, str(tmp_path / f"town{n}"), place], cwd=Path(__file__).parents[2]) for n in range(3)
    ]
    assert [child.wait() for child in children] == [0] * 3
    states = []
    for number in range(3):
        with Town(tmp_path / f"town{number}") as town:
            town.pull(place, data=True)
            assert all(town.whole(id) for id in town.ledger.ids())
            states.append(town.state_of_all())
    assert len(states[0]) == 12 and states[0] == states[1] == states[2]
    with Town(tmp_path / "c") as c:
        c.pull(place)
        assert c.state_of_all() == states[0] and problems(c, place) == []


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["push", "pull", "record", "tag", "delete", "conflict"])), max_size=14
)


@settings(max_examples=12 * SOAK, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_replicas_that_meet_in_any_order_end_the_same(tmp_path: Path, steps: list) -> None:
    """Merging is commutative, associative and idempotent: whatever went before, one more round makes all equal."""
    root = tmp_path / new_id()
    url = str(root / "remote")
    towns = [Town(root / str(number)) for number in range(3)]
    root.joinpath("remote").mkdir()
    try:
        towns[0].record(b"first")
        towns[0].push(url)
        for who, what in [*steps, *((n, "push") for n in range(3)), *((n, "pull") for n in range(3))]:
            act(towns[who], what, url)
        states = [(town.state_of_all(), town.ledger.deleted_ids()) for town in towns]
        assert states[0] == states[1] == states[2]
    finally:
        for town in towns:
            town.__exit__()


def act(town: Town, what: str, url: str) -> None:
    ids = sorted(town.ledger.ids())
    if what == "push":
        town.push(url)
    elif what == "pull":
        town.pull(url)
    elif what == "record":
        town.record(os.urandom(8))
    elif what == "conflict":
        town.record(id=RUN_ID, why=town.root.name)
    elif ids:
        town.ledger.add_event(what, ids[-1], "x" if what == "tag" else None)
        if what == "delete":
            town.ledger.add_event("restore", ids[-1], None)


# -- damage


def flips(data: bytes) -> list[int]:
    """A few places to damage: the ends, and a stride through the middle."""
    return sorted({0, len(data) - 1, *range(3, len(data), max(1, len(data) // 9))})


def damage_every_file(place: str) -> list[tuple[Path, bytes, bytes]]:
    found = []
    for path in sorted(Path(place).rglob("*")):
        if path.is_file() and path.parent.name != "heads":
            data = path.read_bytes()
            found += [(path, data, data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]) for at in flips(data)]
            found += [(path, data, data[: len(data) // 2]), (path, data, b"")]
    return found


def test_any_damage_on_the_remote_is_found_and_never_taken_over(tmp_path: Path, place: str, a: Town) -> None:
    one = a.record(os.urandom(300), tree={"x": b"1"})
    a.ledger.add_event("tag", one.id, "best")
    a.push(place)
    truth = a.state_of_all()
    for number, (path, good, bad) in enumerate(damage_every_file(place)):
        path.write_bytes(bad)
        with Town(tmp_path / f"b{number}") as b:
            said = problems(b, place)
            try:
                b.pull(place, data=True)
                told = False
            except (Damaged, DataMissing, FormatTooNew, RemoteError):
                told = True
            assert said, f"check saw nothing in {path}"
            assert told or b.whole(one.id), path
            assert b.state_of_all() in ({}, truth)
            for digest in b.store.all_objects():
                assert digest_bytes(b.store.get_bytes(digest)) == digest
        path.write_bytes(good)
    assert problems(a, place) == []


def test_one_damaged_segment_does_not_hold_back_the_others(place: str, a: Town, b: Town) -> None:
    first = a.record(b"1")
    a.push(place)
    (segment,) = Path(place, "ledger").rglob("1-1-*")
    second = a.record(b"2")
    a.push(place)
    good = segment.read_bytes()
    segment.write_bytes(good[:-1])
    with pytest.raises(Damaged, match=segment.name):
        b.pull(place)
    assert b.ledger.ids() == {second.id}
    segment.write_bytes(good)
    assert b.pull(place).records == 1 and b.ledger.ids() == {first.id, second.id}


def test_an_entry_that_is_damaged_in_one_pack_is_taken_from_another(place: str, a: Town, b: Town) -> None:
    a.record(b"twice there")
    a.push(place)
    (index,) = Path(place, "indexes").iterdir()
    hidden = index.rename(place + ".index")
    (b.state / "replica.json").unlink(missing_ok=True)
    shutil.rmtree(a.state / "remotes")
    two = a.record(b"other", b"twice there")
    a.push(place)
    hidden.rename(index)
    for pack in sorted(Path(place, "packs").rglob("*")):
        if pack.is_file():
            good = pack.read_bytes()
            pack.write_bytes(bytes(len(good)))
            with Town(a.root / pack.name) as town:
                assert fetch_objects(town.remote(place), town.store, [digest_bytes(b"twice there")]) == 1
            pack.write_bytes(good)
    b.pull(place, data=True)
    assert b.whole(two.id)


def test_a_pack_that_a_gc_rewrites_while_it_is_fetched_is_found_again(place: str, a: Town, b: Town) -> None:
    """Between the look and the read its entries move to a pack of another name, and the old one is removed."""
    one = a.record(os.urandom(3000), os.urandom(3000))
    a.push(place)
    remote = b.remote(place)
    read, moved = remote.read_range, []

    def read_after_gc(path: str, start: int, length: int) -> bytes | None:
        if path.startswith("packs/") and not moved:
            moved.append(path)
            other = a.remote(place)
            (old,) = [pack for pack in Path(place, "packs").rglob("*") if pack.is_file()]
            rows = scan(io.BytesIO(old.read_bytes()))
            entries = [old.read_bytes()[at : at + size] for _, at, size, _ in rows]
            pack, data = build_pack(reversed(entries))
            other.write(pack_path(pack.name), data)
            index = encode_index([pack])
            other.write(index_path(hex_of(index)), index)
            old.unlink()
        return read(path, start, length)

    remote.read_range = read_after_gc  # type: ignore[method-assign]
    assert pull(remote, b.ledger, b.store, objects_of, data=True).objects
    assert moved and b.whole(one.id)


def test_a_pack_that_is_gone_for_good_is_not_looked_for_forever(place: str, a: Town, b: Town) -> None:
    a.record(os.urandom(3000))
    a.push(place)
    remote = b.remote(place)
    read = remote.read_range
    remote.read_range = lambda path, *part: None if path.startswith("packs/") else read(path, *part)  # type: ignore[method-assign]
    with pytest.raises(DataMissing):
        pull(remote, b.ledger, b.store, objects_of, data=True)


def test_an_object_damaged_here_is_not_sent(place: str, a: Town, b: Town) -> None:
    good, bad = a.record(os.urandom(5000)), a.record(os.urandom(5000))
    digest = a.ledger.get(bad.id).artifacts[0].digest
    a.store.close()
    for pack in Path(a.state, "store").rglob("*"):
        data = pack.read_bytes() if pack.is_file() else b""
        at = data.find(bytes.fromhex(digest[3:]))
        if at >= 0:
            pack.write_bytes(data[: at + 500] + b"#" + data[at + 501 :])
    a.store = Store.open(a.state / "store")
    with pytest.raises(DataMissing, match=bad.id):
        a.push(place)
    b.pull(place, data=True)
    assert b.ledger.ids() == {good.id} and b.whole(good.id)


# -- hostile remotes


def test_an_index_that_names_the_wrong_entry_misleads_nobody(place: str, a: Town, b: Town) -> None:
    one = a.record(b"first", b"second")
    a.push(place)
    (index,) = Path(place, "indexes").iterdir()
    ((pack, length, rows),) = sections(index.read_bytes())
    keys = [Row((row[0], row[1]), *row[2:]) for row in TABLE_ROW.iter_unpack(rows)]
    lie = [Row(key.key, *other[1:]) for key, other in zip(keys, keys[1:] + keys[:1], strict=True)]
    data = encode_index([Pack(pack, length, tuple(lie))])
    Path(place, "indexes", hex_of(data)).write_bytes(data)
    assert [problem.kind for problem in problems(a, place)] == ["index"]
    b.pull(place, data=True)
    assert b.whole(one.id)
    index.unlink()
    with Town(a.root / "c") as c, pytest.raises(Damaged):
        c.pull(place, data=True)


def forge(town: Town, url: str, change: Callable[[Any], Any]) -> None:
    """Push what a hostile machine might: every digest right, the content not."""
    import json

    from mltrack.digest import canonical_json
    from mltrack.sync.segments import Link, encode_segment, record_line

    document = change(json.loads(sealed_bytes(run(id=RUN_ID))))
    data = canonical_json(document)
    name, segment = encode_segment(Link("f" * 16, 1, 1, None), [record_line(digest_bytes(data), data)])
    remote = town.remote(url)
    remote.found()
    remote.write(name.path, segment)


@pytest.mark.parametrize(
    "change",
    [{"id": "../../x"}, {"id": "x" * 15 + "/"}, {"command": "x"}, {"tags": 5}, {"artifacts": [{"path": "x"}]}],
)
def test_a_hostile_record_is_refused(place: str, a: Town, change: dict) -> None:
    forge(a, place, lambda document: {**document, **change})
    with pytest.raises(Damaged):
        a.pull(place)
    assert a.ledger.ids() == set()
    assert any(problem.kind == "record" for problem in problems(a, place))


def test_a_record_of_a_newer_mltrack_is_refused_and_the_rest_taken(place: str, a: Town, b: Town) -> None:
    one = a.record(b"one")
    a.push(place)
    forge(a, place, lambda document: {**document, "schema": 99})
    with pytest.raises(FormatTooNew):
        b.pull(place)
    assert b.ledger.ids() == {one.id}


def test_a_segment_that_unfolds_without_end_is_refused(place: str, a: Town, monkeypatch) -> None:
    from mltrack.sync import segments

    monkeypatch.setattr(segments, "LONGEST_LINE", 10_000)
    remote = a.remote(place)
    remote.found()
    name, data = segments.encode_segment(segments.Link("f" * 16, 1, 1, None), [b" " * 1_000_000])
    assert len(data) < 1000
    remote.write(name.path, data)
    with pytest.raises(Damaged):
        a.pull(place)


def test_files_that_are_none_of_ours_are_passed_over(place: str, a: Town, b: Town) -> None:
    one = a.record(b"one")
    a.push(place)
    for path in ("ledger/README", "ledger/x/1-1-abc", "packs/ab/readme", "packs/x", "indexes/.partial", "ledger/.x"):
        Path(place, path).parent.mkdir(parents=True, exist_ok=True)
        Path(place, path).write_text("hello")
    b.pull(place, data=True)
    assert b.whole(one.id) and problems(b, place) == []


def test_an_event_of_an_unknown_kind_travels_on(tmp_path: Path, a: Town, b: Town) -> None:
    from dataclasses import replace

    one = a.record(b"one")
    star = replace(event("star", one.id, {"deep": [1, None]}), extra={"colour": "red"})
    a.ledger.merge_events([star])
    a.push(str(tmp_path / "first"))
    b.pull(str(tmp_path / "first"), data=True)
    b.push(str(tmp_path / "second"))
    with Town(tmp_path / "c") as c:
        c.pull(str(tmp_path / "second"))
        assert c.ledger.events(one.id) == [star]


def test_progress_is_told_of_every_byte(place: str, a: Town, b: Town) -> None:
    a.record(os.urandom(10_000))
    told: list[int] = []
    sent = a.push(place, progress=told.append)
    assert sum(told) == sent.bytes
    told.clear()
    got = b.pull(place, data=True, progress=told.append)
    assert sum(told) == got.bytes > 10_000
