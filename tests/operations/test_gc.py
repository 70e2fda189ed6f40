"""gc: what any record needs stays, and so does what cannot be judged; what is named goes, and is told first."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mltrack.digest import canonical_json
from mltrack.errors import DataMissing, NotFound, RemoteError
from mltrack.ledger.ledger import Ledger, sealed_bytes
from mltrack.live.rundir import RunDir
from mltrack.noun_json import to_dict
from mltrack.operations.edit import remove
from mltrack.operations.keeping.du import du
from mltrack.operations.keeping.gc import DROPPED, PUSHED, UNNAMED, GcReport, GcRequest, gc
from mltrack.operations.keeping.objects import objects_of
from mltrack.operations.keeping.verify import VerifyRequest, verify
from mltrack.records import Artifact, CodeState, Environment, Input, Log, Observation, Rank, Resources, Run, new_id
from mltrack.store.chunks import MIB
from mltrack.store.manifest import ManifestEntry, encode_manifest
from tests.ledger.made import damage
from tests.operations.keeping import Keeping, flip
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path / "project")


def collected(keeping: Keeping, *drop: str, pushed: bool = False, apply: bool = True) -> GcReport:
    with keeping.open() as project:
        return gc(project, GcRequest(drop, pushed, apply))


def put(keeping: Keeping, *blobs: bytes) -> list[str]:
    with keeping.open() as project, project.store:
        return [project.store.put_bytes(blob) for blob in blobs]


def test_what_no_record_names_goes_and_the_rest_stays(keeping: Keeping):
    run = keeping.run({"model": noise(3 * MIB)}, {"a": b"1", "b/c": noise(2000)})
    lost = put(keeping, noise(8 * MIB, b"lost"), b"small and lost")
    told = collected(keeping, apply=False)
    assert {(item.why, item.kind) for item in told.going} == {(UNNAMED, "chunk"), (UNNAMED, "list of chunks")}
    assert keeping.has(*lost) and told.freed_bytes > 8 * MIB
    before = keeping.size()
    done = collected(keeping)
    assert (done.freed_bytes, done.going) == (told.freed_bytes, told.going)
    assert before - keeping.size() == pytest.approx(done.freed_bytes, abs=2000)
    assert not keeping.has(lost[0]) and not keeping.has(lost[1])
    with keeping.open() as project:
        assert project.store.get_bytes(run.artifacts[0].digest) == noise(3 * MIB)
        assert verify(project, VerifyRequest()).problems == ()
    assert collected(keeping).freed_bytes == 0


def test_hidden_runs_and_both_records_of_a_conflict_keep_their_data(keeping: Keeping):
    hidden = keeping.run({"x": b"of a hidden run"})
    one = keeping.run({"x": b"of one"})
    other = keeping.run({"x": b"of the other"}, id=one.id, why="the same id")
    with keeping.open() as project:
        remove(project, hidden.id)
        assert len({record.artifacts for _, record in project.ledger.records()}) == 3
    assert collected(keeping).freed_bytes == 0
    assert keeping.has(*(run.artifacts[0].digest for run in (hidden, one, other)))


def test_what_a_live_run_names_so_far_stays(keeping: Keeping):
    keeping.run({"x": b"x"})
    with keeping.open() as project:
        run = keeping.run_in(project, {"x": noise(4000, b"finished")})
        rundir = RunDir.create(project.runs, new_id())
        (lock,) = (project.store.put_bytes(noise(9000, b"lockfile")),)
        alive = to_dict(run) | {"id": rundir.id, "status": "running", "record_digest": None, "artifacts": []}
        rundir.write("start", {"run": alive, "root": str(project.root), "copy": False})
        facts = {key: alive[key] for key in ("hardware", "code", "inputs", "warnings")}
        rundir.write("beside", facts | {"environment": alive["environment"] | {"lockfile": lock}})
        assert collected(keeping).freed_bytes == 0  # it is not flushed yet
        project.store.flush()
    # its supervisor is gone, the lock of the directory is ours: it counts as alive
    assert collected(keeping).freed_bytes == 0
    assert keeping.has(lock)
    rundir.remove()
    assert collected(keeping).freed_bytes > 9000


def test_a_run_is_dropped_by_name_but_not_what_others_need(keeping: Keeping):
    shared = noise(5000, b"shared")
    one = keeping.run({"own": noise(7000, b"own"), "shared": shared}, name="one")
    other = keeping.run({"shared": shared})
    told = collected(keeping, "one", apply=False)
    assert {(item.why, item.kind) for item in told.going} == {(DROPPED, "artifact")}
    assert [(item.run, item.name, item.on) for item in told.runs] == [(one.id, "one", ())]
    done = collected(keeping, "one")
    assert done.freed_bytes == told.freed_bytes > 7000
    assert keeping.has(other.artifacts[0].digest) and not keeping.has(one.artifacts[0].digest)
    with keeping.open() as project:
        found = verify(project, VerifyRequest())
        assert (found.problems, found.not_fetched) == ((), 1)
        assert project.ledger.get(one.id).artifacts == one.artifacts
    assert collected(keeping).not_here == 1
    with pytest.raises(NotFound):
        collected(keeping, "nobody")


def test_data_that_was_dropped_and_came_back_is_missed_when_it_is_lost_again(keeping: Keeping):
    run = keeping.run({"own": b"own bytes"})
    keeping.run({"other": b"other"})
    collected(keeping, run.id)
    put(keeping, b"own bytes")
    with keeping.open() as project:
        assert verify(project, VerifyRequest()).not_fetched == 0
        assert project.ledger.let_go() == set()
    for pack in keeping.packs():
        pack.unlink()
    with keeping.open() as project:
        assert run.id in {problem.run for problem in verify(project, VerifyRequest()).problems}


def test_pushed_data_goes_when_asked_and_comes_back(keeping: Keeping, tmp_path: Path):
    pushed = keeping.run({"model": noise(40_000, b"pushed"), "both": b"both"}, {"a": noise(500, b"a")})
    keeping.push_to(tmp_path / "remote")
    local = keeping.run({"model": noise(3000, b"local"), "both": b"both"})
    assert collected(keeping).freed_bytes == 0
    told = collected(keeping, pushed=True, apply=False)
    assert {item.why for item in told.going} == {PUSHED} and [item.on for item in told.runs] == [("origin",)]
    assert collected(keeping, pushed=True).freed_bytes > 40_000
    assert keeping.has(*(item.digest for item in local.artifacts), pushed.artifacts[1].digest)
    assert not keeping.has(pushed.artifacts[0].digest)
    with keeping.open() as project:
        from mltrack.operations.share import pull

        assert verify(project, VerifyRequest()).problems == ()
        pull(project, data=True)
        assert project.store.get_bytes(pushed.artifacts[0].digest) == noise(40_000, b"pushed")


def test_what_the_remote_lost_meanwhile_stays_here(keeping: Keeping, tmp_path: Path):
    run = keeping.run({"model": noise(40_000)})
    keeping.push_to(tmp_path / "remote")
    for pack in (tmp_path / "remote" / "packs").rglob("*"):
        if pack.is_file():
            pack.unlink()
    assert collected(keeping, pushed=True).freed_bytes == 0
    assert keeping.has(run.artifacts[0].digest)
    (tmp_path / "remote").rename(tmp_path / "away")
    (tmp_path / "remote").write_text("not a directory")
    with pytest.raises(RemoteError):
        collected(keeping, pushed=True)
    assert keeping.has(run.artifacts[0].digest)


def test_runs_from_elsewhere_whose_data_was_not_fetched_are_no_obstacle(keeping: Keeping, tmp_path: Path):
    from mltrack.operations.share import clone_records

    keeping.run({"model": noise(40_000)}, {"a": b"1"})
    keeping.push_to(tmp_path / "remote")
    with clone_records(str(tmp_path / "remote"), tmp_path / "clone") as project:
        project.store.put_bytes(b"nobody needs this")
        project.store.let_go()
        report = gc(project, GcRequest(apply=True))
        assert (report.not_here, report.packs_removed) == (1, 1)


@pytest.mark.parametrize("harm", ["flip", "remove"])
def test_where_a_manifest_cannot_be_read_nothing_goes_and_the_runs_are_named(keeping: Keeping, harm: str):
    run = keeping.run({}, {"data/a": noise(300, b"a"), "data/b": noise(300, b"b")}, name="poor")
    put(keeping, noise(50_000, b"garbage"))
    with keeping.open() as project:
        manifest = run.inputs[0].digest
        assert manifest is not None
        if harm == "remove":
            from mltrack.store.check import Damage

            project.store.forget([Damage("entry", manifest, None, None, "")])
        else:
            place = project.store._index.places([(1, bytes.fromhex(manifest[3:]))])
            (found,) = place.values()
    if harm == "flip":
        (pack,) = keeping.packs()
        data = bytearray(pack.read_bytes())
        data[found.offset + found.length - 3] ^= 1
        pack.write_bytes(data)
    before = keeping.size()
    with pytest.raises(DataMissing, match=rf"{run.id} \(input data\)"):
        collected(keeping)
    assert keeping.size() == before
    collected(keeping, "poor")
    assert keeping.size() < before - 50_000


def test_a_damaged_record_stops_it(keeping: Keeping):
    run = keeping.run({"x": b"x"})
    with keeping.open() as project:
        damage(project.ledger, run.id, b"finished", b"failed")
    put(keeping, b"garbage")
    with pytest.raises(DataMissing, match="damaged in the ledger"):
        collected(keeping)


def test_a_ledger_that_was_lost_does_not_cost_the_data(keeping: Keeping):
    keeping.run({"x": b"x"})
    for file in keeping.store.parent.glob("ledger.db*"):
        file.unlink()
    before = keeping.size()
    with pytest.raises(DataMissing, match="no record at all"):
        collected(keeping)
    assert keeping.size() == before


def test_a_record_sealed_while_gc_decides_keeps_its_data(keeping: Keeping, monkeypatch: pytest.MonkeyPatch):
    """A writer puts, seals and is gone again, all between the marking and the deleting."""
    from mltrack.operations.keeping import gc as module

    keeping.run({"x": b"x"})
    garbage = put(keeping, noise(9000, b"found there"))
    marked = module.mark

    def then_a_run(*args: object) -> object:
        marks = marked(*args)  # type: ignore[arg-type]
        keeping.run({"again": noise(9000, b"found there")}, {"tree": noise(100, b"t")})
        return marks

    monkeypatch.setattr(module, "mark", then_a_run)
    assert collected(keeping).freed_bytes == 0
    assert keeping.has(*garbage)
    with keeping.open() as project:
        assert verify(project, VerifyRequest()).problems == ()


RECORDER = """
import random, sys, time
from pathlib import Path
from tests.operations.keeping import Keeping
from tests.store.samples import noise

keeping, name, until = Keeping(Path(sys.argv[1])), sys.argv[2], time.time() + float(sys.argv[3])
chance = random.Random(name)
while time.time() < until:
    # some bytes that other runs had, or that were put and given up, and some of its own
    files = {f"f{n}": noise(chance.randrange(60_000), b"pool %d" % chance.randrange(40)) for n in range(3)}
    tree = {f"t{n}": noise(chance.randrange(500), b"leaf %d" % chance.randrange(60)) for n in range(8)}
    with keeping.open() as project:
        if chance.random() < 0.5:
            for data in files.values():
                project.store.put_bytes(data)
            if chance.random() < 0.5:
                project.store.flush()
                continue
        run = keeping.run_in(project, files, tree)
    print(run.id, flush=True)
"""


def test_runs_recorded_while_gc_loops_lose_nothing(keeping: Keeping):
    keeping.run({"x": b"x"})
    root, here = str(keeping.root), Path(__file__).parents[2]
    recorders = [
        subprocess.Popen(
            [sys.executable, "-c", RECORDER, root, f"r{n}", str(3 * SOAK)], stdout=subprocess.PIPE, cwd=here
        )
        for n in range(2)
    ]
    freed = rounds = 0
    chance = random.Random(3)
    while any(process.poll() is None for process in recorders):
        drop = []
        if chance.random() < 0.3:
            with keeping.open() as project:
                drop = sorted(project.ledger.ids() - project.ledger.let_go())[:1]
        freed += collected(keeping, *drop).freed_bytes
        rounds += 1
        time.sleep(0.01)
    said = [line for process in recorders for line in process.communicate()[0].decode().split()]
    assert [process.returncode for process in recorders] == [0, 0]
    assert len(said) > 5 and rounds > 3 and freed > 0
    with keeping.open() as project:
        assert set(said) <= project.ledger.ids()
        assert verify(project, VerifyRequest()).problems == ()


def test_killed_at_any_moment_gc_loses_nothing(keeping: Keeping):
    code = (
        "import sys; from pathlib import Path; from mltrack.project import Project;"
        "from mltrack.operations.keeping.gc import gc, GcRequest; print('ready', flush=True)\n"
        "while True:\n"
        "    with Project(Path(sys.argv[1])) as project:\n"
        "        for number in range(4): project.store.put_bytes(bytes([number]) * 50_000 + sys.argv[2].encode())\n"
        "        project.store.let_go()\n"
        "        gc(project, GcRequest(apply=True))\n"
    )
    for turn in range(4):
        keeping.run({f"m{turn}": noise(20_000, b"%d" % turn)}, {f"t{n}": noise(n, b"%d" % n) for n in range(1, 30)})
    chance = random.Random(5)
    for turn in range(6 * SOAK):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(keeping.root), str(turn)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        with process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(chance.random() * 0.3)
            process.kill()
        with keeping.open() as project:
            assert verify(project, VerifyRequest()).problems == ()
    assert collected(keeping).packs_left == 0
    assert collected(keeping).freed_bytes == 0


def test_the_record_says_the_same_before_and_after(keeping: Keeping):
    run = keeping.run({"x": noise(100)})
    keeping.run({"y": b"y"})
    with keeping.open() as project:
        before = project.ledger.record_bytes(run.id)
    collected(keeping, run.id)
    with keeping.open() as project:
        assert project.ledger.record_bytes(run.id) == before
        assert canonical_json(json.loads(before)) == before


def test_a_damaged_pack_is_left_for_repair(keeping: Keeping):
    run = keeping.run({"x": noise(100, b"needed")})
    put(keeping, noise(50_000, b"garbage"))
    flip(keeping.packs()[0], noise(100, b"needed"))
    report = collected(keeping)
    assert (report.packs_left, report.freed_bytes) == (1, 0)
    with keeping.open() as project:
        assert run.id in {problem.run for problem in verify(project, VerifyRequest()).problems}


def test_what_an_event_adds_to_a_run_stays(keeping: Keeping):
    run = keeping.run({"model": b"m"})
    with keeping.open() as project:
        wheel = project.store.put_bytes(noise(2 * MIB, b"wheel"))
        tree = encode_manifest([ManifestEntry(b"x.whl", "file", 2 * MIB, wheel)])
        wheels, lock = project.store.put_bytes(tree), project.store.put_bytes(b"a lock")
        project.store.flush()
        project.ledger.add_event("environment", run.id, {"wheels": wheels, "lock": lock, "image": 7})
        project.ledger.add_event("environment", run.id, "nonsense")
    with keeping.open() as project:
        assert gc(project, GcRequest(apply=True)).going == ()
        assert verify(project, VerifyRequest()).problems == ()
    with keeping.open() as project:
        assert du(project).totals.logical_bytes > 2 * MIB
    assert keeping.has(wheel, wheels, lock)
    pack = next(
        path
        for path in keeping.store.rglob("*")
        if path.is_file() and noise(2 * MIB, b"wheel")[:99] in path.read_bytes()
    )
    flip(pack, noise(2 * MIB, b"wheel")[:99])
    with keeping.open() as project:
        problems = verify(project, VerifyRequest()).problems
    assert any("wheels" in (problem.path or "") for problem in problems)


def test_what_a_gc_reads_of_a_record_names_every_object_of_it(tmp_path: Path) -> None:
    digests = iter(f"b3:{number:064x}" for number in range(1, 100))
    run = Run(
        schema=1,
        id="0" * 16,
        name=None,
        experiment=None,
        status="finished",
        command=("true",),
        cwd=".",
        series=next(digests),
        log=Log(next(digests), 1),
        code=CodeState(packs=(next(digests),), raw=next(digests)),
        environment=Environment(lockfile=next(digests), trees={"wheels": next(digests)}),
        inputs=(Input("a", "file", next(digests), kept=True),),
        artifacts=(Artifact("b", "file", next(digests), 1),),
        resources=Resources(series=next(digests)),
        observation=Observation(paths=next(digests)),
        ranks=(Rank(0, log=Log(next(digests), 1)),),
    )
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.add_record(sealed_bytes(run))
        [(_, read)] = ledger.records()
    assert objects_of(read) == objects_of(run)
    assert len(objects_of(run)) == 11
