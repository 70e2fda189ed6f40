"""Which workspaces may go: those of ended work in which nobody changed anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mltrack.cli.group import invoke
from mltrack.operations.keeping.workspaces import (
    CHANGED,
    LIVE,
    UNKNOWN,
    UNTOUCHED,
    await_tick,
    changed_files,
    clean,
    hold,
    is_held,
    is_ours,
    mark,
    remove,
    taken,
    workspaces,
)
from mltrack.operations.repeating.shell import settled
from mltrack.project import Project
from mltrack.records import new_id
from tests.helpers import write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.open(tmp_path)


def laid_out(project: Project, is_marked: bool = True) -> Path:
    """A workspace with a file, a link and a directory, that somebody claimed and left."""
    top = project.work / new_id()
    handle = hold(project, top)
    assert handle is not None
    write(top, {"a.txt": "a", "deep/b.txt": "b", "__pycache__/a.pyc": "c"})
    (top / "link").symlink_to("a.txt")
    if is_marked:
        mark(top, "0123456789abcdef", "reproduce")
        await_tick(top)
    os.close(handle)
    return top


def state(project: Project) -> str:
    (one,) = workspaces(project)
    return one.state


def test_an_untouched_one_goes_when_it_is_asked_for(project: Project) -> None:
    top = laid_out(project)
    found = clean(project, apply=False, force=False)
    assert [one.path for one in found.gone] == [str(top)] and top.exists()
    assert found.freed_bytes > 0 and found.gone[0].of == "0123456789abcdef"
    clean(project, apply=True, force=False)
    assert os.listdir(project.work) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda top: (top / "a.txt").write_text("x"), "a.txt"),
        (lambda top: (top / "deep" / "new").touch(), "deep/new"),
        (lambda top: (top / "deep" / "b.txt").rename(top / "c.txt"), "c.txt"),
        (lambda top: (top / "a.txt").chmod(0o755), "a.txt"),
        (lambda top: (top / "other").symlink_to("deep"), "other"),
        (lambda top: write(top, {".git/objects/aa": "a commit of somebody's"}), ".git/objects/aa"),
        (lambda top: write(top, {"deep/__pycache__/notes.txt": "n"}), "deep/__pycache__/notes.txt"),
        (lambda top: write(top, {"my__pycache__/a.pyc": "n"}), "my__pycache__/a.pyc"),
        (lambda top: write(top, {".mltrack/ledger.db": "runs", ".mltrack/store/open/1": "data"}), ".mltrack"),
        (lambda top: write(top, {"deep/.mltrack/ledger.db": "runs"}), "deep/.mltrack"),
    ],
)
def test_one_that_somebody_changed_stays_and_is_named(
    project: Project, change: Callable[[Path], object], named: str
) -> None:
    top = laid_out(project)
    change(top)
    found = clean(project, apply=True, force=False)
    assert [(one.state, one.changed) for one in found.kept] == [(CHANGED, (named,))]
    assert not found.gone
    clean(project, apply=True, force=True)
    assert os.listdir(project.work) == []


def test_a_change_with_an_old_time_counts(project: Project) -> None:
    top = laid_out(project)
    (top / "a.txt").write_text("x")
    os.utime(top / "a.txt", (1, 1))
    assert changed_files(top) == ("a.txt",)


def test_merely_looking_around_changes_nothing(project: Project) -> None:
    top = laid_out(project)
    (top / "a.txt").read_text()
    write(top, {"deep/__pycache__/b.pyc": "x", ".git/index": "refreshed"})
    assert state(project) == UNTOUCHED


def test_one_in_use_never_goes(project: Project) -> None:
    top = laid_out(project)
    handle = hold(project, top)
    assert handle is not None
    assert state(project) == LIVE
    os.set_inheritable(handle, True)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    os.close(handle)
    try:
        clean(project, apply=True, force=True)
        assert top.exists() and state(project) == LIVE, "what was started there still holds it"
    finally:
        child.communicate(b"\n")
    assert state(project) == UNTOUCHED


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc")
@pytest.mark.parametrize("words", [["sleep", "60"], ["sh", "-c", "exec <deep/b.txt; cd /; echo; exec sleep 60"]])
def test_one_that_a_program_works_in_stays_though_it_let_go_of_all_that_it_inherited(
    project: Project, words: list[str]
) -> None:
    top = laid_out(project)
    with subprocess.Popen(words, cwd=top, stdout=subprocess.PIPE) as child:
        try:
            if len(words) > 2:
                assert child.stdout is not None and child.stdout.readline() == b"\n"
            assert is_held(top) and state(project) == LIVE
            settled(project, top)
            clean(project, apply=True, force=True)
            assert not taken(top, force=True) and (top / "a.txt").exists()
        finally:
            child.kill()
    settled(project, top)
    assert os.listdir(project.work) == []


def test_where_a_run_works_that_has_not_been_folded_nothing_goes(project: Project) -> None:
    top = laid_out(project)
    write(project.runs, {f"{new_id()}/start.json": f'{{"root": "{top}/deep"}}'})
    assert state(project) == LIVE


def test_one_whose_end_nobody_told_stays_without_force(project: Project) -> None:
    top = laid_out(project, is_marked=False)
    assert state(project) == UNKNOWN
    assert not clean(project, apply=True, force=False).gone
    assert [one.path for one in clean(project, apply=True, force=True).gone] == [str(top)]


def test_a_copy_that_is_just_being_filled_is_left_alone(project: Project) -> None:
    """An isolated run claims nothing."""
    write(project.work / new_id(), {"a": "a"})
    assert state(project) == LIVE


def test_directories_of_others_are_no_workspaces(project: Project, tmp_path: Path) -> None:
    for name in ("environments", "outside-0123456789abcdef", "mine"):
        write(project.work / name, {"a": "a"})
    assert workspaces(project) == []
    into = tmp_path / new_id()
    assert not is_ours(project, into) and hold(project, into) is None


def test_one_with_directories_that_may_not_be_written_goes_too(project: Project) -> None:
    top = laid_out(project)
    (top / "deep").chmod(0o500)
    remove(top)
    assert os.listdir(project.work) == []


def test_the_command_says_what_would_go_and_needs_to_be_told_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    top, other = laid_out(project), laid_out(project)
    (other / "a.txt").write_text("mine")
    monkeypatch.chdir(project.root)
    assert invoke(["gc", "--workspaces"]) == 0
    said = capsys.readouterr().out
    assert str(top) in said and "changed after its work had ended: a.txt" in said and "--apply" in said
    assert top.exists()
    invoke(["du"])
    assert "in 2, beside the store" in capsys.readouterr().out
    invoke(["gc", "--workspaces", "--apply", "--json"])
    assert not top.exists() and other.exists()
    shutil.rmtree(other)


def test_force_is_for_workspaces_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.cli.app import main

    monkeypatch.chdir(project.root)
    assert main(["gc", "--force"]) == 2
    assert main(["reproduce", "@", "--clean", "--into", "mine"]) == 2, "a directory of the user's is never removed"
