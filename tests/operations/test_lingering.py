"""Which processes count as left behind: real ones, in a group of their own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict
from pathlib import Path

from mltrack.live.process import own_place, start_time
from mltrack.live.rundir import RunDir
from mltrack.operations.observing.lingering import is_older, still_running


def rundir_of(tmp_path: Path, pgid: int, began: str | None) -> RunDir:
    rundir = RunDir(tmp_path / "runs" / "r1")
    rundir.path.mkdir(parents=True)
    rundir.write("process", {"pid": pgid, "pgid": pgid, "start_time": began, **asdict(own_place())})
    return rundir


def test_a_process_of_the_commands_group_is_left_behind_until_it_ends(tmp_path: Path) -> None:
    with subprocess.Popen(["sh", "-c", "exec sleep 60"], start_new_session=True) as process:
        rundir = rundir_of(tmp_path, process.pid, None)
        # The command's own process does not count: another one of its group does.
        other = subprocess.Popen(["sleep", "60"], preexec_fn=lambda: os.setpgid(0, 0))
        try:
            assert still_running(rundir, ()) == []
            rundir.write("process", {"pid": 1, "pgid": other.pid, "start_time": None, **asdict(own_place())})
            (warning,) = still_running(rundir, ())
            assert warning.kind == "still-running" and f"sleep ({other.pid})" in warning.message
            rundir.write("process", {"pid": 1, "pgid": other.pid, "start_time": "9" * 18, **asdict(own_place())})
            assert still_running(rundir, ()) == []  # it was there before
            told = {"pid": 1, "pgid": 2**22 + 1, "start_time": start_time(os.getpid()), **asdict(own_place())}
            rundir.write("process", told)
            assert still_running(rundir, (other.pid,)) == []  # a number that is somebody else's now
        finally:
            other.kill()
            other.wait()
            process.kill()


def test_on_another_machine_nothing_is_known(tmp_path: Path) -> None:
    rundir = rundir_of(tmp_path, os.getpgrp(), None)
    rundir.write("process", {**(rundir.read("process") or {}), "boot_id": "another"})
    assert still_running(rundir, ()) == []


def test_ages_are_compared_where_both_are_ticks() -> None:
    assert is_older("5", "10") and not is_older("10", "5") and not is_older("12.5", "20")
