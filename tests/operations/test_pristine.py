"""A directory is as it was laid out after whatever a command did in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.operations.observing.listings import STAND_IN_NS
from mltrack.operations.repeating import calibrate
from mltrack.operations.repeating.calibrate import Progress, laid_out_again
from mltrack.operations.repeating.pristine import Pristine
from mltrack.operations.request import Declared, Place, Plan, RunRequest
from mltrack.project import Project
from mltrack.records import Input, Warning
from mltrack.store.keep import keep_path
from tests.compare.samples import sample_run
from tests.helpers import git_repository, write

FILES = {"a.txt": "a", "deep/er/b.txt": "b", ".git-like/x": "x", "cache/c": "c"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    with Project.open(git_repository(tmp_path / "project", {"p": ""})) as found:
        yield found


def everything(top: Path) -> dict[str, object]:
    """All that a program can see of a directory but inode numbers and change times."""
    found: dict[str, object] = {}
    for directory, names, files in os.walk(top):
        for name in [".", *names, *files]:
            path = Path(directory, name)
            seen = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            size = seen.st_size if not path.is_dir() else 0
            found[os.path.relpath(path, top)] = (oct(seen.st_mode), size, seen.st_mtime_ns, content)
    return found


def laid_out(tmp_path: Path) -> Path:
    top = tmp_path / "work"
    write(top, FILES)
    os.symlink("a.txt", top / "link")
    (top / "empty").mkdir()
    (top / "run.sh").write_text("true")
    (top / "run.sh").chmod(0o755)
    return top


def rewrite_with_old_times(top: Path) -> None:
    was = (top / "a.txt").stat()
    (top / "a.txt").write_text("z")
    os.utime(top / "a.txt", ns=(was.st_atime_ns, was.st_mtime_ns))


def lock_a_directory(top: Path) -> None:
    (top / "deep" / "new").mkdir()
    (top / "deep" / "new" / "f").write_text("f")
    (top / "deep" / "new").chmod(0o500)
    (top / "deep").chmod(0o500)


def directory_for_link(top: Path) -> None:
    """The link leads to nowhere, so that no later deed can do anything outside of the test's directory."""
    shutil.rmtree(top / "deep")
    os.symlink("nowhere", top / "deep")


def append(top: Path) -> None:
    with open(top / "a.txt", "a") as file:
        file.write("more")


DEEDS: dict[str, Callable[[Path], object]] = {
    "appended": append,
    "rewritten with its old times": rewrite_with_old_times,
    "removed": lambda top: (top / "deep/er/b.txt").unlink(),
    "a directory removed": lambda top: shutil.rmtree(top / "deep"),
    "made": lambda top: write(top, {"new/one": "1", "cache/d": "d"}),
    "permissions changed": lambda top: (top / "run.sh").chmod(0o600),
    "a directory locked": lock_a_directory,
    "replaced by a directory": lambda top: ((top / "a.txt").unlink(), (top / "a.txt").mkdir()),
    "a directory replaced by a link": directory_for_link,
    "renamed": lambda top: (top / "a.txt").rename(top / "b.txt"),
    "swapped": lambda top: os.replace(top / "a.txt", top / "cache/c"),
    "a link led elsewhere": lambda top: ((top / "link").unlink(), os.symlink("b", top / "link")),
    "only touched": lambda top: os.utime(top / "a.txt"),
    "a pipe made": lambda top: os.mkfifo(top / "pipe"),
    "emptied": lambda top: [shutil.rmtree(one) if one.is_dir() else one.unlink() for one in [*top.iterdir()]],
    "gone": shutil.rmtree,
}


@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_was_done_is_undone(project: Project, tmp_path: Path, deed: str) -> None:
    top = laid_out(tmp_path)
    before = everything(top)
    pristine = Pristine(project.store, [top], tmp_path / "kept", {})
    for _ in range(2):  # what was put back is put back again
        DEEDS[deed](top)
        if deed != "only touched":
            assert not top.exists() or everything(top) != before
        assert pristine.put_back() > 0
        assert everything(top) == before
    assert pristine.put_back() == 0, "what nobody touched is left alone"


@settings(max_examples=30 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
@given(deeds=st.lists(st.sampled_from(sorted(set(DEEDS) - {"gone", "emptied"})), max_size=5))
def test_any_deeds_in_any_order_are_undone(tmp_path_factory: pytest.TempPathFactory, deeds: list[str]) -> None:
    tmp_path = tmp_path_factory.mktemp("deeds")
    top = laid_out(tmp_path)
    before = everything(top)
    pristine = Pristine(None, [top], tmp_path / "kept", {})  # type: ignore[arg-type]  # nothing comes from a store
    for deed in deeds:
        try:
            DEEDS[deed](top)
        except OSError:
            continue  # an earlier deed took what this one needs
    pristine.put_back()
    assert everything(top) == before


def test_an_input_comes_back_from_the_store_and_is_copied_only_when_touched(project: Project, tmp_path: Path) -> None:
    top = laid_out(tmp_path)
    write(top, {"data/train.bin": b"x" * 5_000_000, "data/test.bin": b"y" * 10, "one.bin": b"z" * 2_000_000})
    inputs = {}
    for name, kind in (("data", "directory"), ("one.bin", "file")):
        kept = keep_path(top / name, project.store)
        inputs[top / name] = Input(name, kind, kept.digest, kept=True)
    before = everything(top)
    pristine = Pristine(project.store, [top], tmp_path / "kept", inputs)
    assert sum(path.stat().st_size for path in (tmp_path / "kept").iterdir()) < 100, "large inputs are not copied"
    untouched = (top / "data/train.bin").stat().st_ino
    (top / "data/test.bin").write_bytes(b"damaged")
    (top / "data/extra").write_bytes(b"extra")
    (top / "one.bin").unlink()
    assert pristine.put_back() == 3
    assert everything(top) == before
    assert (top / "data/train.bin").stat().st_ino == untouched
    assert pristine.put_back() == 0


def test_a_stand_in_is_made_again_without_taking_room(project: Project, tmp_path: Path) -> None:
    top = tmp_path / "work"
    top.mkdir()
    with open(top / "large.bin", "wb") as file:
        file.truncate(1 << 34)
    os.utime(top / "large.bin", ns=(STAND_IN_NS, STAND_IN_NS))
    pristine = Pristine(project.store, [top], tmp_path / "kept", {})
    (top / "large.bin").unlink()
    pristine.put_back()
    seen = (top / "large.bin").stat()
    assert (seen.st_size, seen.st_blocks, seen.st_mtime_ns) == (1 << 34, 0, STAND_IN_NS)


def test_the_state_of_a_project_at_the_top_is_not_touched(project: Project, tmp_path: Path) -> None:
    top = laid_out(tmp_path)
    write(top, {".mltrack/ledger": "1"})
    pristine = Pristine(project.store, [top], tmp_path / "kept", {})
    write(top, {".mltrack/ledger": "2", "deep/.mltrack/x": "the command's"})
    pristine.put_back()
    assert (top / ".mltrack/ledger").read_text() == "2"
    assert not (top / "deep/.mltrack").exists()


@pytest.mark.parametrize("where", ["work", "work/deep"])
def test_nothing_is_touched_where_a_link_leads_that_the_command_made(
    project: Project, tmp_path: Path, where: str
) -> None:
    top = laid_out(tmp_path)
    write(tmp_path / "user", {"er/b.txt": "the user's", "deep/er/b.txt": "the user's", "a.txt": "the user's"})
    for path in (tmp_path / "user", tmp_path / "user/er", tmp_path / "user/deep/er"):
        path.chmod(0o500)
    before, theirs = everything(top), everything(tmp_path / "user")
    pristine = Pristine(project.store, [top], tmp_path / "kept", {})
    shutil.rmtree(tmp_path / where)
    os.symlink(tmp_path / "user", tmp_path / where)
    pristine.put_back()
    assert everything(top) == before
    assert everything(tmp_path / "user") == theirs


class Haunted(Pristine):
    """What an earlier command left running writes right after everything was put back, so many times."""

    times = 1

    def put_back(self) -> int:
        done = super().put_back()
        if self.times:
            self.times -= 1
            (Path(os.fsdecode(self._tops[0])) / "late.log").write_text("still here")
        return done


@pytest.mark.parametrize(("times", "goes_on", "worked"), [(0, True, 2), (1, True, 1), (2, False, 1)])
def test_a_repetition_whose_leavings_write_into_the_next_counts_for_nothing(
    project: Project, tmp_path: Path, times: int, goes_on: bool, worked: int
) -> None:
    pristine = Haunted(project.store, [laid_out(tmp_path)], tmp_path / "kept", {})
    pristine.times = times
    said: list[str] = []
    progress = Progress(5, worked=[sample_run(), sample_run()], seeds=[1, 2])
    assert laid_out_again(pristine, progress, said.append) == goes_on
    assert (len(progress.worked), len(progress.seeds), len(progress.failed)) == (worked, worked, 2 - worked)
    assert ("still writes" in "".join(said)) == (times > 0)


def test_a_repetition_of_which_processes_live_on_counts_for_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = sample_run(warnings=())
    left = replace(then, warnings=(Warning("still-running", "The command has ended, and sleep (7) still runs."),))
    ended = iter((then, left, left))
    monkeypatch.setattr(calibrate, "record", lambda *_: next(ended))
    said: list[str] = []
    repetition: Any = SimpleNamespace(then=then, tell=said.append, project=project, root=project.root)
    progress = Progress(5)
    plan = Plan(RunRequest(("x",), project.root), Place(project.root, None), ("x",), ("x",), ".", Declared(), {})
    assert [calibrate.one_more(repetition, plan, None, progress) for _ in range(3)] == [True, True, False]
    assert (len(progress.worked), len(progress.failed)) == (1, 2)
    assert any("sleep (7) still runs" in text for text in said)
