"""verify finds what does not hold, says where a good copy is, and with repair brings it; nothing wrong is ever given."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from mltrack.errors import DataMissing, MltrackError
from mltrack.operations.keeping.verify import Verified, VerifyRequest, verify
from mltrack.store.chunks import MIB
from tests.ledger.made import damage
from tests.operations.keeping import Keeping, flip
from tests.store.samples import noise

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path / "project")


def verified(keeping: Keeping, repair: bool = False, sample: float | None = None) -> Verified:
    with keeping.open() as project:
        return verify(project, VerifyRequest(sample, repair))


def content(keeping: Keeping, digest: str) -> bytes | None:
    with keeping.open() as project:
        try:
            return project.store.get_bytes(digest)
        except DataMissing:
            return None


def aside(keeping: Keeping) -> list[Path]:
    folder = keeping.store / "damaged"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("size", [500, 4 * MIB])
def test_a_damaged_object_is_fetched_from_the_remote_that_holds_it(keeping: Keeping, tmp_path: Path, size: int):
    run = keeping.run({"model": noise(size, b"m"), "other": b"other"})
    keeping.push_to(tmp_path / "remote")
    flip(keeping.packs()[0], noise(size, b"m")[-300:])
    found = verified(keeping)
    (problem,) = found.problems
    assert (problem.kind, problem.run, problem.path) == ("damaged", run.id, "artifact model")
    assert problem.copies == ("remote origin",) and not found.holds
    found = verified(keeping, repair=True)
    assert found.holds and found.problems and all(problem.repaired for problem in found.problems)
    assert content(keeping, run.artifacts[0].digest) == noise(size, b"m")
    for _ in range(2):
        assert verified(keeping) == Verified(())
        (keeping.root / ".mltrack" / "index.db").unlink()  # also when the index is made anew
    assert aside(keeping) == []


def test_a_damaged_object_is_taken_from_the_workspace_while_it_is_still_that_file(keeping: Keeping):
    data, leaf = noise(3000, b"m"), noise(900, b"leaf")
    run = keeping.run({"out/model": data}, {"x/leaf": leaf, "y": b"y"})
    for path, bytes_ in (("out/model", data + b"changed"), ("data/x/leaf", leaf), ("data/y", b"y")):
        (keeping.root / path).parent.mkdir(parents=True, exist_ok=True)
        (keeping.root / path).write_bytes(bytes_)
    (pack,) = keeping.packs()
    flip(pack, data)
    flip(pack, leaf)
    found = verified(keeping)
    assert {problem.path: problem.copies for problem in found.problems} == {
        "artifact out/model": (),
        "input data/x/leaf": ("file data/x/leaf",),
    }
    found = verified(keeping, repair=True)
    assert {problem.path: problem.repaired for problem in found.problems if problem.path} == {
        "artifact out/model": False,
        "input data/x/leaf": True,
    }
    assert not found.holds
    assert content(keeping, run.artifacts[0].digest) is None
    with keeping.open() as project:
        assert project.store.get_bytes(run.inputs[0].digest or "")
    assert [Path(place).name for place in found.aside] == [pack.name] == [path.name for path in aside(keeping)]
    (keeping.root / "out/model").write_bytes(data)
    assert verified(keeping, repair=True).holds
    assert verified(keeping) == Verified(())
    assert content(keeping, run.artifacts[0].digest) == data


def test_a_missing_pack_comes_back_from_the_remote(keeping: Keeping, tmp_path: Path):
    runs = [keeping.run({"model": noise(3 * MIB, b"%d" % n)}, {"a": b"%d" % n}) for n in range(3)]
    keeping.push_to(tmp_path / "remote")
    for pack in keeping.packs():
        pack.unlink()
    found = verified(keeping)
    assert {problem.run for problem in found.problems} == {run.id for run in runs}
    assert all(problem.copies == ("remote origin",) for problem in found.problems)
    assert verified(keeping, repair=True).holds
    assert verified(keeping) == Verified(())
    assert [content(keeping, run.artifacts[0].digest) for run in runs] == [noise(3 * MIB, b"%d" % n) for n in range(3)]


def test_a_damaged_manifest_is_repaired_with_what_it_lists(keeping: Keeping, tmp_path: Path):
    run = keeping.run({}, {"a%03d" % n: b"%d" % n for n in range(300)})  # type: ignore[misc]
    keeping.push_to(tmp_path / "remote")
    digest = run.inputs[0].digest or ""
    with keeping.open() as project:
        (place,) = project.store._index.places([(1, bytes.fromhex(digest[3:]))]).values()
    (pack,) = keeping.packs()
    data = bytearray(pack.read_bytes())
    data[place.offset + place.length // 2] ^= 4
    pack.write_bytes(data)
    (problem,) = verified(keeping).problems
    assert (problem.path, problem.copies) == ("input data", ("remote origin",))
    assert verified(keeping, repair=True).holds
    assert verified(keeping) == Verified(())


def test_of_two_copies_the_sound_one_is_used_without_being_asked(keeping: Keeping):
    """Two processes put the same object at once; one copy rots."""
    run = keeping.run({"model": noise(2000)})
    with keeping.open() as project:
        other = keeping.open()
        with other:
            project.store.put_bytes(b"keeps this pack locked")
            other.store._append([((1, b"x" * 32), (b"",), 0)][:0])
            entry = other.store.read_entry((1, bytes.fromhex(run.artifacts[0].digest[3:])))
            other.store._append([((1, bytes.fromhex(run.artifacts[0].digest[3:])), (entry,), 2000)])
            other.store.flush()
    first, second = (pack for pack in keeping.packs() if noise(2000) in pack.read_bytes())
    for bad in (first, second):
        whole = bad.read_bytes()
        flip(bad, noise(2000))
        assert content(keeping, run.artifacts[0].digest) == noise(2000)
        (keeping.root / ".mltrack" / "index.db").unlink()
        assert content(keeping, run.artifacts[0].digest) == noise(2000)
        bad.write_bytes(whole)
    flip(first, noise(2000))
    assert verified(keeping, repair=True).holds
    assert verified(keeping) == Verified(())
    assert content(keeping, run.artifacts[0].digest) == noise(2000)


def test_damage_that_touches_no_run_is_told_and_taken_away(keeping: Keeping):
    keeping.run({"x": b"x"})
    with keeping.open() as project, project.store:
        project.store.put_bytes(noise(700, b"garbage"))
    flip(keeping.packs()[0], noise(700, b"garbage"))
    (problem,) = verified(keeping).problems
    assert (problem.kind, problem.run) == ("damaged", None)
    assert verified(keeping, repair=True).holds
    assert verified(keeping) == Verified(()) and aside(keeping) == []


def test_a_pack_in_use_is_not_rewritten_and_that_is_said(keeping: Keeping):
    keeping.run({"x": b"x"})
    with keeping.open() as project, project.store:
        project.store.put_bytes(noise(700, b"garbage"))
    with keeping.open() as busy:
        busy.store.put_bytes(b"x")
        flip(keeping.packs()[0], noise(700, b"garbage"))
        before = keeping.packs()
        assert not verified(keeping, repair=True).holds
        assert keeping.packs() == before
    assert verified(keeping, repair=True).holds


def test_a_damaged_record_is_fetched_again(keeping: Keeping, tmp_path: Path):
    run = keeping.run({"x": b"x"}, why="a reason")
    whole_run = keeping.run({"y": b"y"})
    with keeping.open() as project:
        sealed = project.ledger.record_bytes(run.id)
        shown = project.ledger.get(run.id)

    def hurt() -> None:
        with keeping.open() as project:
            damage(project.ledger, run.id, b"a reason", b"another")

    hurt()
    (problem,) = verified(keeping, repair=True).problems
    assert (problem.kind, problem.copies, problem.repaired) == ("record", (), False)
    with keeping.open() as project:
        damage(project.ledger, run.id, b"another", b"a reason")
    keeping.push_to(tmp_path / "remote")
    hurt()
    (problem,) = verified(keeping).problems
    assert (problem.kind, problem.copies) == ("record", ("remote origin",))
    assert verified(keeping, repair=True).holds
    with keeping.open() as project:
        assert project.ledger.record_bytes(run.id) == sealed
        assert project.ledger.get(run.id) == shown
        assert [one.id for _, one in project.ledger.records()] == [run.id, whole_run.id]
    assert verified(keeping) == Verified(())


def test_packages_that_many_records_share_are_mended_too(keeping: Keeping, tmp_path: Path):
    from mltrack.records import Environment

    environment = Environment(packages={"numpy": "2.1.0", "torch": "2.9"})
    runs = [keeping.run({"x": b"%d" % n}, environment=environment) for n in range(3)]
    keeping.push_to(tmp_path / "remote")
    with keeping.open() as project:
        project.ledger.db.execute("UPDATE package_row SET version = '0.0.1' WHERE name = 'numpy'")
    assert {problem.kind for problem in verified(keeping).problems} == {"record"}
    assert verified(keeping, repair=True).holds
    with keeping.open() as project:
        assert all(project.ledger.get(run.id).environment.packages == environment.packages for run in runs)
    assert verified(keeping) == Verified(())


def test_rows_that_say_another_thing_than_the_record_are_found_and_made_again(keeping: Keeping):
    first, second = keeping.run({"x": b"1"}), keeping.run({"x": b"2"})
    with keeping.open() as project:
        project.ledger.db.execute("UPDATE run_row SET host = 'elsewhere' WHERE id = ?", (first.id,))
        before = project.ledger.list()
    (problem,) = verified(keeping).problems
    assert (problem.kind, problem.run) == ("rows", first.id)
    assert verified(keeping, repair=True).holds
    assert verified(keeping) == Verified(())
    with keeping.open() as project:
        assert project.ledger.list() == before and project.ledger.ids() == {first.id, second.id}


def test_a_lost_ledger_is_noticed(keeping: Keeping):
    keeping.run({"x": b"x"})
    for file in (keeping.root / ".mltrack").glob("ledger.db*"):
        file.unlink()
    (problem,) = verified(keeping, repair=True).problems
    assert (problem.kind, problem.repaired) == ("ledger", False)


def test_a_new_project_holds(keeping: Keeping):
    assert verified(keeping) == Verified(())


def test_a_sample_says_how_much_it_was_and_finds_in_the_end(keeping: Keeping):
    keeping.run({"f%d" % n: noise(500 + n, b"%d" % n) for n in range(200)})
    found = verified(keeping, sample=0.05)
    assert found.looked is not None and found.holds
    assert 0 < found.looked.entries < 60 and found.looked.of_entries == 201
    assert 0 < found.looked.size_bytes < found.looked.of_bytes
    assert verified(keeping, sample=1.0).looked.entries == 201  # type: ignore[union-attr]
    flip(keeping.packs()[0], noise(600, b"100"))
    assert any(not verified(keeping, sample=0.05).holds for _ in range(400))


def test_a_sample_of_an_empty_store_holds(keeping: Keeping):
    found = verified(keeping, sample=0.05)
    assert found.looked is not None and found.looked.of_entries == 0 and found.holds


def files_of(state: Path) -> list[str]:
    return sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())


def harmed(path: Path, harm: str, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if harm == "delete":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(data[: chance.randrange(len(data))])
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


@pytest.mark.parametrize("harm", ["flip", "truncate", "delete"])
def test_harm_to_any_file_is_found_or_harmless(keeping: Keeping, tmp_path: Path, harm: str):
    """Every file of `.mltrack` in turn: what is given out is right, or it is refused, and then verify has found it."""
    from mltrack.store import packs

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packs, "PACK_SIZE", 1_000_000)
        runs = [keeping.run({"m": noise(400_000, b"%d" % n)}, {"a": b"a", "b": b"%d" % n}) for n in range(4)]
    with keeping.open() as project, project.store:
        project.stat_cache.flush()
    state = keeping.root / ".mltrack"
    (state / "ledger.db-wal").exists() and sqlite3.connect(state / "ledger.db").close()
    whole = tmp_path / "whole"
    shutil.copytree(state, whole)
    chance = random.Random(harm)
    names = [name for name in files_of(state) if (whole / name).stat().st_size]
    assert {Path(name).name for name in names} >= {"ledger.db", "index.db", "stat.db", "store.json"}
    for name in names * (4 * SOAK if harm != "delete" else 1):
        shutil.rmtree(state)
        shutil.copytree(whole, state)
        harmed(state / name, harm, chance)
        given = {}
        wrong = True
        try:
            holds = verified(keeping).holds
            with keeping.open() as project:
                wrong = project.ledger.ids() != {run.id for run in runs}
                for run in runs if not wrong else ():
                    assert project.ledger.get(run.id) == run
                    given[run.id] = [content(keeping, item.digest) for item in run.artifacts]
        except MltrackError:
            continue  # it is refused, in plain words
        wrong |= any(given.get(run.id) != [noise(400_000, b"%d" % n)] for n, run in enumerate(runs))
        for n, run in enumerate(runs):
            assert given.get(run.id) in (None, [None], [noise(400_000, b"%d" % n)]), name
        assert not wrong or not holds, f"{harm} of {name} was not found"
