"""The directory of a live run: who may take it, and that it is there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.errors import StorageError
from mltrack.live.rundir import RunDir


def test_a_new_directory_has_its_empty_files(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path / "runs", "abc")
    assert rundir.id == "abc"
    assert [path.read_bytes() for path in (rundir.output, rundir.metrics, rundir.params)] == [b"", b"", b""]
    assert list(rundir.artifacts.iterdir()) == []
    assert rundir.lock_fd is not None
    assert not os.get_inheritable(rundir.lock_fd)
    rundir.remove()
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mltrack.live.rundir import RunDir\n"
        "RunDir.create(Path(sys.argv[1]), 'abc'); print('locked', flush=True); input()"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        rundir = RunDir(tmp_path / "abc")
        assert rundir.is_locked_by_other()
        assert not rundir.try_lock()
        holder.kill()
        holder.wait()
        assert not rundir.is_locked_by_other()
        assert rundir.try_lock()
        assert rundir.try_lock()
        assert not rundir.is_locked_by_other()
    rundir.unlock()


def test_a_process_that_shares_the_lock_keeps_it(tmp_path: Path) -> None:
    """The keeper is forked with the lock; the supervisor's letting go must not free it."""
    rundir = RunDir.create(tmp_path, "abc")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    rundir.unlock()
    assert RunDir(rundir.path).is_locked_by_other()
    os.close(writing)
    os.waitpid(child, 0)
    assert not RunDir(rundir.path).is_locked_by_other()


def test_a_directory_that_is_gone_cannot_be_locked(tmp_path: Path) -> None:
    rundir = RunDir(tmp_path / "gone")
    assert not rundir.try_lock()
    assert not rundir.is_locked_by_other()
    assert rundir.read("start") is None
    rundir.remove()


def test_read_only_artifacts_are_removed_too(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path / "runs", "abc")
    inner = rundir.artifacts / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (rundir.artifacts / "link").symlink_to("/")
    inner.chmod(0o500)
    inner.parent.chmod(0o500)
    rundir.remove()
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_interrupted_write_leaves_the_old_value(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "abc")
    rundir.write("facts", {"path": "odd\udcff name"})
    with pytest.raises(TypeError):
        rundir.write("facts", {"value": object()})
    assert rundir.read("facts") == {"path": "odd\udcff name"}
    assert not [name for name in os.listdir(rundir.path) if name.startswith(".")]
    rundir.remove()


@pytest.mark.needs("mount")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(tmp_path)], check=True)
    try:
        rundir = RunDir.create(tmp_path, "abc")
        with pytest.raises(StorageError, match="No space left on device") as caught:
            rundir.write("facts", {"text": "x" * 100_000})
        assert caught.value.hint
        assert rundir.read("facts") is None
        rundir.unlock()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
