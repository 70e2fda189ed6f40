"""gc of a remote: what goes, what stays, and that nobody's push loses anything by it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from mltrack.errors import Damaged, RemoteError
from mltrack.sync import packs
from mltrack.sync.check import check_remote
from mltrack.sync.collection import GcRoad, RemoteGc, collect
from mltrack.sync.condemned import condemned_packs, decode_list, encode_list
from mltrack.sync.packs import build_pack
from mltrack.sync.reading import list_segments
from mltrack.sync.remote import Remote
from mltrack.sync.transfer import push
from tests.sync.towns import Town, objects_of

DAY = 24 * 3600.0
SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


def gc(town: Town, url: str, grace: float = 0.0, apply: bool = True, drop: frozenset[str] = frozenset()) -> RemoteGc:
    return collect(GcRoad(town.remote(url), town.ledger, town.store, objects_of, grace, apply, drop))


def problems(town: Town, url: str) -> list:
    return list(check_remote(town.remote(url), objects_of))


def packs_there(town: Town, url: str) -> int:
    return len(town.remote(url).list("packs"))


def whole_from(url: str, where: Path) -> bool:
    with Town(where) as town:
        town.pull(url, data=True)
        return all(town.whole(id) for id in town.ledger.ids())


def leave_garbage(town: Town, url: str, *blobs: bytes) -> None:
    """A pack and index that no record needs, as a push leaves them that was interrupted before its segment."""
    from mltrack.store.entries import CHUNK, encode, raw_digest

    pack, data = build_pack([encode(CHUNK, blob, raw_digest(blob)) for blob in blobs])
    remote = town.remote(url)
    remote.write(packs.pack_path(pack.name), data)
    index = packs.encode_index([pack])
    remote.write(packs.index_path(packs.hex_of(index)), index)


def test_what_no_record_needs_goes_in_two_passes(url: str, a: Town, b: Town) -> None:
    one = a.record(os.urandom(5000), tree={"x": b"1"})
    a.push(url)
    leave_garbage(a, url, os.urandom(3000), os.urandom(10))
    before = packs_there(a, url)
    plan = gc(a, url, apply=False)
    assert [(p.kind, p.files) for p in plan.condemned] == [("pack", 1), ("index", 1)] and not plan.is_applied
    assert packs_there(a, url) == before and not a.remote(url).list("condemned")
    first = gc(a, url)
    assert packs_there(a, url) == before and not first.removed
    second = gc(a, url)
    assert [(p.kind, p.files) for p in second.removed] == [("index", 1), ("pack", 1)]
    assert packs_there(a, url) == before - 1
    assert problems(a, url) == []
    b.pull(url, data=True)
    assert b.whole(one.id)
    third = gc(a, url)
    assert not third.removed and not third.condemned


def test_the_grace_is_measured_by_the_servers_times(place: str, a: Town) -> None:
    a.record(b"x")
    a.push(place)
    leave_garbage(a, place, os.urandom(3000))
    assert not gc(a, place, DAY).condemned  # it may be a push under way
    age(place, 2 * DAY)
    assert gc(a, place, DAY).condemned
    waiting = gc(a, place, DAY, apply=False).waiting
    assert [one.files for one in waiting] == [2] and waiting[0].due_at is not None
    assert not gc(a, place, DAY).removed
    age(place, 2 * DAY, "condemned")
    assert gc(a, place, DAY).removed
    assert len(a.remote(place).list("condemned")) == 1  # a tombstone
    age(place, 10 * DAY, "condemned")
    gc(a, place, DAY)
    assert not a.remote(place).list("condemned")
    assert problems(a, place) == []


def age(place: str, by: float, folder: str = "") -> None:
    for path in Path(place, folder).rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - by
            os.utime(path, (at, at))


def test_a_pack_of_which_little_is_needed_is_written_anew(place: str, tmp_path: Path, a: Town, b: Town) -> None:
    keep, *rest = (os.urandom(9000) for _ in range(9))
    one = a.record(keep)
    pieces = a.record(*rest)
    a.push(place)
    replace_run_segment(a, place, pieces.id)
    before = size(place, "packs")
    assert gc(b, place).moved_bytes > 9000
    gc(b, place)
    assert size(place, "packs") < before - 60_000
    assert problems(b, place) == []
    with Town(tmp_path / "c") as c:
        c.pull(place, data=True)
        assert c.whole(one.id) and c.ledger.ids() == {one.id}


def replace_run_segment(town: Town, place: str, run: str) -> None:
    """Rewrite the remote's ledger as if that run had never been recorded."""
    import json

    from mltrack.sync.segments import Link, decode_segment, encode_segment, record_line

    ((name),) = list(list_segments(town.remote(place)))
    segment = decode_segment(name, Path(place, name.path).read_bytes())
    lines = [record_line(d, data) for d, data in segment.records if json.loads(data)["id"] != run]
    Path(place, name.path).unlink()
    other, data = encode_segment(Link(name.replica, 1, 1, None), lines)
    town.remote(place).write(other.path, data)
    town.remote(place).write(f"heads/{name.replica}", other.file.encode())


def size(place: str, folder: str) -> int:
    return sum(path.stat().st_size for path in Path(place, folder).rglob("*") if path.is_file())


def test_many_small_packs_become_few(place: str, tmp_path: Path, a: Town) -> None:
    for _ in range(40):
        a.record(os.urandom(300))
        a.push(place)
    assert packs_there(a, place) == 40
    gc(a, place)
    gc(a, place)
    assert packs_there(a, place) == 1
    assert problems(a, place) == []
    assert whole_from(place, tmp_path / "c")


def test_a_run_let_go_by_name_takes_its_data_along(place: str, tmp_path: Path, a: Town) -> None:
    one, two = a.record(os.urandom(3000), b"shared"), a.record(b"shared")
    a.push(place)
    assert not gc(a, place).condemned
    a.ledger.add_event("drop", one.id, None)
    a.push(place)
    gc(a, place)
    gc(a, place)
    assert size(place, "packs") < 3000
    assert problems(a, place) == []
    with Town(tmp_path / "c") as c:
        c.pull(place)
        c.pull(place, run_ids=[two.id], data=True)
        assert c.whole(two.id) and c.ledger.ids() == {one.id, two.id}


def test_a_deleted_run_keeps_its_data(place: str, a: Town) -> None:
    one = a.record(os.urandom(3000))
    a.push(place)
    a.ledger.add_event("delete", one.id, None)
    a.push(place)
    assert not gc(a, place).condemned


@pytest.mark.parametrize("what", ["segment", "gap", "head", "newer", "manifest", "object", "recipe"])
def test_where_it_cannot_be_told_what_is_needed_nothing_goes(place: str, tmp_path: Path, a: Town, what: str) -> None:
    from mltrack.errors import MltrackError
    from mltrack.sync.segments import SegmentName

    a.record(os.urandom(3 << 20), tree={"x": os.urandom(2000)})
    a.push(place)
    for _ in range(2):
        a.record(os.urandom(20))
        a.push(place)
    leave_garbage(a, place, os.urandom(3000))
    names = {name.first: Path(place, name.path) for name in list_segments(a.remote(place))}
    if what == "segment":
        names[2].write_bytes(b"x")
    elif what == "gap":
        names[2].unlink()
    elif what == "head":
        names[3].unlink()
    elif what == "newer":
        from mltrack.sync import segments

        old, segments.FORMAT = segments.FORMAT, 2
        name, data = segments.encode_segment(segments.Link("f" * 16, 1, 1, None), [])
        segments.FORMAT = old
        assert isinstance(name, SegmentName)
        a.remote(place).write(name.path, data)
    else:
        lose_entries(a, place, what)
    with Town(tmp_path / "c") as c:
        before = set(Path(place).rglob("*"))
        with pytest.raises(MltrackError) as caught:
            gc(c, place)
        assert {path for path in Path(place).rglob("*") if path.name != "condemned"} == before
        if what in ("manifest", "object", "recipe"):
            assert "run " in str(caught.value) or what == "object"


def lose_entries(town: Town, place: str, what: str) -> None:
    """Lose the pack of the first run: all sorts of its objects go."""
    from mltrack.sync.packs import Catalogue

    digest = {"manifest": lambda r: r.inputs[0].digest, "object": lambda r: r.code.packs[0],
              "recipe": lambda r: r.artifacts[0].digest}[what]  # fmt: skip
    run = next(r for r in (town.ledger.get(id) for id in town.ledger.ids()) if r.inputs)
    catalogue = Catalogue(town.remote(place))
    catalogue.refresh()
    raw = bytes.fromhex(digest(run)[3:])
    for places in catalogue.locate([(1, raw), (2, raw)]).values():
        for found in places:
            Path(place, packs.pack_path(found.pack)).unlink(missing_ok=True)


def test_a_lost_index_is_no_reason_to_remove_its_packs(place: str, tmp_path: Path, a: Town, b: Town) -> None:
    a.record(os.urandom(3000))
    a.push(place)
    for index in Path(place, "indexes").iterdir():
        index.unlink()
    shutil.rmtree(a.state / "remotes")
    assert not gc(b, place).condemned
    gc(b, place)
    assert packs_there(a, place) == 1
    assert whole_from(place, tmp_path / "c")


def test_an_index_that_lies_does_not_make_gc_remove_the_truth(place: str, a: Town, b: Town) -> None:
    from mltrack.store.entries import TABLE_ROW
    from mltrack.sync.packs import Pack, Row, encode_index, hex_of, sections

    one = a.record(os.urandom(100))
    a.push(place)
    leave_garbage(a, place, b"g")
    truth = set(a.remote(place).list("indexes"))
    held = {}
    for name in truth:
        for pack, length, view in sections(Path(place, "indexes", name).read_bytes()):
            held[pack] = (length, [Row((r[0], r[1]), *r[2:]) for r in TABLE_ROW.iter_unpack(view)])
    (small, (length, _)), (_, (_, rows)) = sorted(held.items(), key=lambda item: len(item[1][1]))
    lie = encode_index([Pack(small, length, tuple(Row(row.key, 0, 8, row.raw_size) for row in rows))])
    a.remote(place).write(f"indexes/{hex_of(lie)}", lie)
    for _ in range(2):
        try:
            gc(b, place)
        except Damaged:
            pass
    Path(place, "indexes", hex_of(lie)).unlink(missing_ok=True)
    with Town(a.root / "c") as c:
        c.pull(place, data=True)
        assert c.whole(one.id)


# -- the list


def test_a_list_survives_its_bytes_and_is_the_same_for_the_same_names() -> None:
    name, data = encode_list(["packs/b", "packs/a", "packs/a"])
    assert decode_list(name, data) == ("packs/a", "packs/b")
    assert encode_list(["packs/a", "packs/b"]) == (name, data)
    with pytest.raises(Damaged):
        decode_list(name, data + b" ")


def test_a_pack_never_gets_the_name_of_a_condemned_one() -> None:
    from mltrack.store.entries import CHUNK, encode, raw_digest

    entries = [encode(CHUNK, b"one", raw_digest(b"one"))]
    first, _ = build_pack(entries)
    second, _ = build_pack(entries, {first.name})
    third, data = build_pack(entries, {first.name, second.name})
    assert len({first.name, second.name, third.name}) == 3
    assert packs.hex_of(data) == third.name and third.rows[0] == first.rows[0]


def test_what_lies_in_condemned_packs_only_is_sent_again(place: str, tmp_path: Path, a: Town, b: Town) -> None:
    leave_garbage_of = os.urandom(3000)
    a.record(b"x")
    a.push(place)
    leave_garbage(a, place, leave_garbage_of)
    gc(a, place)
    condemned = condemned_packs(a.remote(place))
    assert len(condemned) == 1
    one = a.record(leave_garbage_of)
    assert a.push(place).bytes > 3000
    gc(a, place)
    assert not condemned & {path[3:] for path in a.remote(place).list("packs")}
    b.pull(place, data=True)
    assert b.whole(one.id) and problems(b, place) == []


def test_data_that_only_a_condemned_pack_has_is_fetched_and_sent_again(place: str, a: Town, b: Town) -> None:
    from mltrack.records import new_id
    from tests.ledger.made import run

    one = a.record(os.urandom(3000))
    a.push(place)
    b.pull(place)
    parts = b.ledger.get(one.id)
    name, data = encode_list(f"packs/{path}" for path in a.remote(place).list("packs"))
    a.remote(place).write(f"condemned/{name}", data)
    b.ledger.seal(run(id=new_id(), artifacts=parts.artifacts, inputs=parts.inputs, code=parts.code))
    assert b.push(place).bytes > 3000
    assert problems(b, place) == []


# -- silent replicas


def test_segments_of_replicas_that_never_return_are_merged(place: str, tmp_path: Path, a: Town, b: Town) -> None:
    a.record(b"first")
    a.push(place)
    ids = set()
    for number in range(15):
        with Town(tmp_path / f"ci{number}") as ci:
            ids.add(ci.record(os.urandom(20)).id)
            ci.push(place)
    gc(a, place)
    gc(a, place)
    assert len(list_segments(a.remote(place))) == 2
    assert set(a.remote(place).list("heads")) == {a.ledger.replica}
    assert b.pull(place, data=True).requests < 40
    assert ids < b.ledger.ids() and all(b.whole(id) for id in ids)
    assert problems(b, place) == []
    for number in range(3):  # they do return
        with Town(tmp_path / f"ci{number}") as ci:
            assert ci.push(place).records == 0
            ci.record(b"again")
            assert ci.push(place).records == 1
    b.pull(place)
    assert problems(b, place) == [] and len(b.ledger.ids()) == 19
    for number in range(12):
        a.ledger.add_event("note", min(ids), str(number))
        a.push(place, grace_s=0.0)
    assert problems(b, place) == []
    gc(b, place, DAY)


def test_a_replica_that_is_at_work_is_not_merged_by_others(place: str, tmp_path: Path, a: Town) -> None:
    for number in range(15):
        with Town(tmp_path / f"ci{number}") as ci:
            ci.record(os.urandom(20))
            ci.push(place)
    gc(a, place, DAY)
    assert len(list_segments(a.remote(place))) == 15


# -- side by side


class Interleaved(Remote):
    """A remote before whose n-th request (a read counts too) somebody else acts."""

    def __init__(self, url: str, cache: Path, acts: dict[int, Callable[[], object]]) -> None:
        super().__init__(url, cache)
        self.acts, self.step = dict(acts), 0
        self.before_removing: Callable[[], object] | None = None

    def _act(self) -> None:
        act = self.acts.pop(self.step, None)
        self.step += 1
        if act is not None:
            act()

    def read(self, path: str) -> bytes | None:
        self._act()
        return super().read(path)

    def read_range(self, path: str, start: int, length: int) -> bytes | None:
        self._act()
        return super().read_range(path, start, length)

    def write(self, path: str, data: bytes, *rest: object) -> None:
        self._act()
        super().write(path, data, *rest)  # type: ignore[arg-type]

    def remove(self, path: str) -> None:
        self._act()
        if path.startswith(("packs/", "indexes/")):
            act, self.before_removing = self.before_removing, None
            if act is not None:
                act()
        super().remove(path)

    def list(self, folder: str) -> dict:
        self._act()
        return super().list(folder)


def scene(root: Path) -> tuple[str, Path]:
    """A remote with garbage that holds what project a is about to push, half of it in a pack that is sparse."""
    url = str(root / "remote")
    with Town(root / "a") as a, Town(root / "b") as b:
        b.record(b"base " * 20)
        b.push(url)
        one = a.record(b"one " * 300, b"two " * 300)
        for blob in (b"one " * 300, b"PACK of the code"):
            leave_garbage(a, url, blob, os.urandom(900))
        leave_garbage(a, url, b"base " * 20, b"two " * 300, b"three " * 300)
        assert one.id
    return url, root


def all_is_there(root: Path, url: str) -> None:
    """After one more push, everything that was published can be had, and nothing is wrong."""
    with Town(root / "a") as a, Town(root / "b") as b, Town(root / "c") as c:
        a.push(url)
        c.pull(url, data=True)
        assert c.ledger.ids() == a.ledger.ids() | b.ledger.ids()
        assert all(c.whole(id) for id in c.ledger.ids())
        assert problems(c, url) == []


def collect_there(remote: Remote, town: Town) -> None:
    """A pass of a gc, which may find that another one is at work."""
    try:
        collect(GcRoad(remote, town.ledger, town.store, objects_of, 0.0, True))
    except RemoteError as error:
        assert "gc" in error.message


def push_beside_gc(root: Path, url: str, places: list[int]) -> int:
    """A push, before whose n-th requests passes of a gc run; how many requests it made."""
    with Town(root / "a") as a, Town(root / "b") as b:

        def passes(count: int) -> None:
            for _ in range(count):
                collect_there(b.remote(url), b)

        acts = {place: partial(passes, places.count(place)) for place in places}
        remote = Interleaved(url, a.state / "remotes" / "x", acts)
        push(remote, a.ledger, a.store, objects_of)
        return remote.step


def gc_beside_push(root: Path, url: str, which: int, place: int) -> int:
    """The first or second pass of a gc, before whose n-th request a whole push runs; how many requests it made."""
    with Town(root / "a") as a, Town(root / "b") as b:
        for _ in range(which):
            collect_there(b.remote(url), b)
        remote = Interleaved(url, b.state / "remotes" / "x", {place: lambda: a.push(url)})
        collect_there(remote, b)
        collect_there(b.remote(url), b)
        return remote.step


def gc_beside_gc(root: Path, url: str, place: int) -> int:
    """Two passes, before whose n-th requests a pass of another gc runs, and a push after each."""
    with Town(root / "a") as a, Town(root / "b") as b, Town(root / "d") as d:
        steps = 0
        for _ in range(2):
            remote = Interleaved(url, b.state / "remotes" / "x", {place: lambda: collect_there(d.remote(url), d)})
            collect_there(remote, b)
            steps = max(steps, remote.step)
        a.push(url)
        collect_there(d.remote(url), d)
        collect_there(b.remote(url), b)
        return steps


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., int]:
    """Play one course of events on a fresh copy of the scene, and look what came of it."""
    scene(tmp_path / "model")

    def run(course: Callable[..., int], *how: object) -> int:
        root = tmp_path / "copy"
        shutil.copytree(tmp_path / "model", root)
        url = str(root / "remote")
        steps = course(root, url, *how)
        all_is_there(root, url)
        shutil.rmtree(root)
        return steps

    return run


def test_a_push_beside_both_passes_of_a_gc_loses_nothing(play: Callable[..., int]) -> None:
    """The passes before each request of a push, both before one, or in two places of it."""
    steps = play(push_beside_gc, [])
    assert steps > 10
    for first in range(steps):
        later = range(first, steps) if SOAK > 1 else sorted({first, first + 1, (first * 7 + steps) // 2 % steps})
        for last in later:
            play(push_beside_gc, [first, last])


def test_a_gc_beside_a_push_removes_nothing_of_it(play: Callable[..., int]) -> None:
    for which in (0, 1):
        for place in range(play(gc_beside_push, which, -1)):
            play(gc_beside_push, which, place)


def test_two_gcs_at_once_lose_nothing(play: Callable[..., int]) -> None:
    for place in range(play(gc_beside_gc, -1)):
        play(gc_beside_gc, place)


@pytest.mark.parametrize("seed", range(1, 4 * SOAK))
def test_replicas_that_merge_each_others_segments_in_turn_lose_no_link(
    place: str, tmp_path: Path, a: Town, b: Town, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one took over from another, which had taken it over from the first, must still be named by the last."""
    from mltrack.sync import merging, silence

    monkeypatch.setattr(merging, "BASE", 3)
    monkeypatch.setattr(silence, "SO_MANY", 2)
    dice = Random(seed)
    for town in (a, b):
        town.record(b"x")
    for number in range(40):
        town = dice.choice((a, b))
        town.ledger.add_event("note", min(town.ledger.ids()), str(number))
        town.push(place, grace_s=0.0)
        if dice.random() < 0.5:
            gc(town, place)
        assert problems(town, place) == [], number
    a.push(place)
    for town in (b, a):
        town.pull(place)
    assert a.state_of_all() == b.state_of_all()


def test_a_push_that_is_killed_before_it_looked_again_looks_with_the_next(play: Callable[..., int]) -> None:
    """Between the look of a gc's second pass at the ledger and its removals a segment appears, and its writer dies."""

    def course(root: Path, url: str) -> int:
        with Town(root / "a") as a, Town(root / "b") as b:

            class Killed(Interleaved):
                """Begins its push before the first pass, and dies as soon as its segment is there."""

                def write(self, path: str, data: bytes, *rest: object) -> None:
                    if not path.startswith("ledger/"):
                        super().write(path, data, *rest)
                        return
                    collect_there(b.remote(url), b)
                    second = b.remote(url)
                    removing = Interleaved(url, b.state / "remotes" / "x", {})
                    removing.before_removing = lambda: second.write(path, data)
                    collect_there(removing, b)
                    raise KeyboardInterrupt

            try:
                push(Killed(url, a.state / "remotes" / "x", {}), a.ledger, a.store, objects_of)
            except KeyboardInterrupt:
                return 0
        raise AssertionError("it was not killed")

    play(course)
