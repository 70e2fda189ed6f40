"""What only a command sees: files of ours at absolute paths, for root and for an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.errors import StartError
from mltrack.executors import Bind, Command
from mltrack.executors.local import execute
from mltrack.live.rundir import RunDir
from tests.executors.driving import DRIVER, Driven, needs_binds, new_root, python, sh

pytestmark = needs_binds
NOBODY = 65534


@pytest.fixture
def nowhere() -> str:
    """A directory at the root of which nothing is there."""
    return f"/mltrack-test-{os.getpid()}"


def mounts(below: Path) -> list[str]:
    """Other programs of the machine, such as engines, mount what they like at any time."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(below) in line]


def test_a_file_and_a_directory_are_seen_where_they_are_bound(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for place in (ours, theirs):
        (place / "set").mkdir(parents=True)
    (ours / "file").write_text("ours")
    (ours / "set" / "a").write_text("a")
    (theirs / "file").write_text("theirs")
    before = mounts(tmp_path)
    driven = Driven(tmp_path / "runs", binds=[[str(ours / name), str(theirs / name)] for name in ("file", "set")])
    done = driven.run(*sh(f"cat {theirs}/file {theirs}/set/a; echo new > {theirs}/set/b; echo more >> {theirs}/file"))
    assert done.stdout == b"oursa"
    assert (theirs / "file").read_text() == "theirs", "nobody else sees it"
    assert os.listdir(theirs / "set") == []
    assert (ours / "set" / "b").read_text() == "new\n"
    assert (ours / "file").read_text() == "oursmore\n"
    assert mounts(tmp_path) == before


def test_what_lies_at_the_root_is_there_and_all_else_too(tmp_path: Path, nowhere: str) -> None:
    driven = Driven(tmp_path / "runs", binds=new_root(tmp_path / "root", {f"{nowhere}/deep/file": "here"}), cwd="/tmp")
    done = driven.run(*sh(f"cat {nowhere}/deep/file; pwd; ls -d /proc/self /etc/passwd /dev/null /tmp {tmp_path}"))
    assert done.stdout.decode().split() == ["here/tmp", "/dev/null", "/etc/passwd", "/proc/self", "/tmp", str(tmp_path)]
    assert not os.path.exists(nowhere)


def test_the_root_is_exchanged_so_that_the_command_may_make_namespaces_of_its_own(tmp_path: Path, nowhere: str) -> None:
    """The kernel refuses a user namespace to a process that was only confined to a directory."""
    if subprocess.run(["unshare", "-U", "true"], check=False).returncode != 0:
        pytest.skip("no user namespaces here at all")
    driven = Driven(tmp_path / "runs", binds=new_root(tmp_path / "root", {f"{nowhere}/file": ""}))
    assert driven.run("unshare", "-U", "true").returncode == 0


def test_a_program_that_only_the_command_sees_is_found(tmp_path: Path, nowhere: str) -> None:
    from mltrack.operations.outside.arrange import Arrangement

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "old").write_text("#!/bin/sh\necho old\n")
    (tmp_path / "bin" / "old").chmod(0o755)
    arrangement = Arrangement(tmp_path / "root")
    for name, text in ((f"{nowhere}/bin/tool", "tool"), (f"{tmp_path}/bin/new", "new")):
        place = arrangement.place_for(name, is_directory=False)
        place.write_text(f"#!/bin/sh\necho {text}\n")
        place.chmod(0o755)
    binds = [(bind.source, bind.target) for bind in arrangement.binds()]
    words = {f"{nowhere}/bin/tool": 0, f"{tmp_path}/bin/new": 0, f"{tmp_path}/bin/old": 0, f"{tmp_path}/bin/none": 127}
    for number, (word, code) in enumerate(words.items()):
        driven = Driven(tmp_path / str(number), binds=binds)
        assert driven.run(word).returncode == code, word
        if code == 0:
            assert driven.logged("o").decode().strip() == word.rpartition("/")[2]


def test_what_cannot_be_bound_stops_the_command_before_it_starts(tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs", binds=[[str(tmp_path), str(tmp_path / "gone\nby")]])
    done = driven.run(*sh(f"touch {tmp_path}/started"))
    assert done.returncode == 125
    assert driven.result["error"] == "StartError"
    assert f"{tmp_path}/gone\nby" in driven.result["message"]
    assert "No such file" in driven.result["message"]
    assert not (tmp_path / "started").exists()


def test_what_is_optional_may_fail(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "run")
    binds = (Bind(str(tmp_path / "gone"), str(tmp_path), is_optional=True),)
    command = Command(("true",), tmp_path, dict(os.environ), 1 << 20, lambda line: line, True, binds=binds)
    assert execute(command, rundir, int).exit_code == 0
    rundir.remove()


def test_without_namespaces_the_command_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a system call filter, or a kernel without them, would have it."""
    from mltrack.executors import mounts as room

    class Filtered:
        def unshare(self, flags: int) -> int:
            import ctypes

            ctypes.set_errno(1)
            return -1

    monkeypatch.setattr(room, "c_library", Filtered)
    assert "does not let" in str(room.why_not())
    rundir = RunDir.create(tmp_path, "run")
    command = Command(
        ("true",), tmp_path, {"PATH": os.environ["PATH"]}, 1 << 20, bytes, True, binds=(Bind("/a", "/b"),)
    )
    with pytest.raises(StartError, match="Operation not permitted"):
        execute(command, rundir, int)
    rundir.remove()


def test_other_systems_are_told_that_they_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from mltrack.executors.mounts import why_not

    monkeypatch.setattr(sys, "platform", "darwin")
    assert why_not() == "this system has no mount namespaces"


# -- an ordinary user


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A directory of an ordinary user who can also read these sources and has an interpreter."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root, with setpriv, can become an ordinary user")
    place = Path(tempfile.mkdtemp(prefix="mltrack-nobody-"))
    os.chown(place, NOBODY, NOBODY)
    try:
        if as_nobody(place, "-c", "import mltrack.executors.local").returncode != 0:
            pytest.skip("an ordinary user can read neither these sources nor an interpreter")
        yield place
    finally:
        shutil.rmtree(place)


def as_nobody(place: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    root = str(DRIVER.parents[2])
    return subprocess.run(
        [*become, "/usr/bin/python3", *words],
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(place)},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_an_ordinary_user_is_himself_and_sees_what_is_bound(nobody: Path, nowhere: str) -> None:
    import json

    for name in ("runs", "theirs"):
        (nobody / name).mkdir()
        os.chown(nobody / name, NOBODY, NOBODY)
    binds = new_root(nobody / "root", {f"{nowhere}/file": "here"})
    for directory, names, files in os.walk(nobody / "root"):
        for name in (*names, *files):
            os.chown(os.path.join(directory, name), NOBODY, NOBODY, follow_symlinks=False)
    code = (
        f"import os; print(os.getuid(), os.getgid(), open('{nowhere}/file').read()); open('{nobody}/theirs/new', 'w')"
    )
    options = json.dumps({"binds": binds})
    done = as_nobody(nobody, str(DRIVER), str(nobody / "runs"), options, "/usr/bin/python3", "-c", code)
    assert done.stdout == f"{NOBODY} {NOBODY} here\n".encode(), done.stderr
    assert (nobody / "theirs" / "new").stat().st_uid == NOBODY
    show = "import os; print(open('/proc/self/status').read())"
    done = as_nobody(nobody, str(DRIVER), str(nobody / "more"), options, "/usr/bin/python3", "-c", show)
    assert b"CapEff:\t0000000000000000" in done.stdout, "the command has no powers in its namespace"


def test_a_command_keeps_its_exit_code_and_its_signal(tmp_path: Path, nowhere: str) -> None:
    binds = new_root(tmp_path / "root", {f"{nowhere}/file": ""})
    assert Driven(tmp_path / "one", binds=binds).run(*python("raise SystemExit(7)")).returncode == 7
    assert Driven(tmp_path / "two", binds=binds).run(*sh("kill -TERM $$")).returncode == 128 + 15
