from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mltrack.errors import StorageError
from mltrack.live.outputlog import read_log
from mltrack.live.process import is_alive, own_place, start_time
from mltrack.live.rundir import RunDir


def facts_of(pid: int) -> dict[str, object]:
    return {"pid": pid, "start_time": start_time(pid), **vars_of(own_place())}


def vars_of(place: object) -> dict[str, object]:
    return dict(place) if isinstance(place, dict) else dict(vars(place))


def test_a_process_is_alive_until_it_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    facts = facts_of(child.pid)
    assert is_alive(facts) is True
    child.kill()
    deadline = time.monotonic() + 10
    while is_alive(facts) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_alive(facts) is False, "a zombie is dead"
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert is_alive(facts) is False


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start_time": "1"}, False),
        ({"boot_id": "other"}, False),
        ({"host": "elsewhere", "boot_id": "other"}, None),
        ({"pid_namespace": "pid:[1]"}, None),
    ],
)
def test_another_process_with_the_pid_is_not_taken_for_it(change: dict[str, object], told: bool | None) -> None:
    assert is_alive({**facts_of(os.getpid()), **change}) is told


def test_a_directory_is_locked_by_one(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "0123456789abcdef")
    other = RunDir(rundir.path)
    assert other.is_locked_by_other()
    assert not other.try_lock()
    rundir.unlock()
    assert not other.is_locked_by_other()
    assert other.try_lock()
    other.remove()
    assert not rundir.path.exists()


def test_values_are_written_whole(tmp_path: Path) -> None:
    rundir = RunDir.create(tmp_path, "0123456789abcdef")
    rundir.write("start", {"a": 1})
    rundir.write("start", {"a": 2}, durable=True)
    assert rundir.read("start") == {"a": 2}
    assert rundir.read("other") is None
    (rundir.path / "torn.json").write_text('{"a":')
    assert rundir.read("torn") is None
    rundir.remove()


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="runs"):
        RunDir.create(tmp_path / "runs", "0123456789abcdef")


def test_a_log_is_read_in_blocks_of_any_size() -> None:
    data = b"0.001 o hello world\n0.250 e oh\n1.500 O 50%\n1.600 o \n"
    whole = list(read_log([data]))
    assert [(line.at_s, line.stream, line.data, line.ends) for line in whole] == [
        (0.001, "o", b"hello world", True),
        (0.25, "e", b"oh", True),
        (1.5, "o", b"50%", False),
        (1.6, "o", b"", True),
    ]
    assert list(read_log([bytes([byte]) for byte in data])) == whole
