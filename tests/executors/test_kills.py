"""kill -9 of the supervisor, the command, the keeper, or several at once, at random moments.

The command prints `line N`, then logs step N. Whatever is killed: what it logged is there whole and in order, what it
printed before is in the log, and the directory tells truly how it ended, or that nobody saw it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mltrack.live.process import is_alive
from tests.executors.driving import Driven, exists, sh, soak, wait_for

STEPS = 150
LOOP = (
    'n=0; while [ $n -lt %d ]; do echo line $n; echo "{\\"step\\":$n,\\"x\\":1}" >> $MLTRACK_METRICS; '
    "n=$((n+1)); done; exit 6"
) % STEPS
VICTIMS = [("supervisor",), ("pid",), ("keeper",), ("supervisor", "pid"), ("supervisor", "keeper", "pid")]


def kill(driven: Driven, victims: tuple[str, ...]) -> None:
    facts = driven.facts
    for name in victims:
        try:
            os.kill(facts[name], signal.SIGKILL)
        except ProcessLookupError:
            pass


def steps(driven: Driven) -> list[int]:
    return [json.loads(line)["step"] for line in driven.rundir.metrics.read_bytes().splitlines()]


def settled(driven: Driven) -> bool:
    """May the directory be folded?"""
    return not driven.rundir.is_locked_by_other() and is_alive(driven.facts) is False


@pytest.mark.parametrize("victims", VICTIMS, ids="+".join)
def test_what_was_logged_survives_a_kill(tmp_path: Path, victims: tuple[str, ...]) -> None:
    for number in range(soak(4)):
        driven = Driven(tmp_path / str(number))
        with driven.start(*sh(LOOP), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            facts = driven.facts
            time.sleep(random.uniform(0, 0.03))
            kill(driven, victims)
            process.wait(30)
            wait_for(lambda: settled(driven))  # noqa: B023
        check(driven, victims)
        wait_for(lambda: not any(exists(facts[name]) for name in ("supervisor", "keeper", "pid")))  # noqa: B023


def check(driven: Driven, victims: tuple[str, ...]) -> None:
    logged, printed = steps(driven), driven.logged().split()[1::2]
    assert logged == list(range(len(logged)))
    assert printed == [b"%d" % number for number in range(len(printed))]
    outcome = driven.rundir.read("outcome")
    if "keeper" in victims and "supervisor" in victims:
        assert outcome is None or outcome["exit_code"] == 6  # it may have ended before
        return
    assert outcome is not None
    if outcome["exit_code"] is not None:
        assert outcome["exit_code"] == 6
        assert len(logged) == len(printed) == STEPS
    elif outcome["status"] == "lost":
        assert victims == ("keeper",)
    else:
        assert (outcome["signal"], outcome["status"]) == (9, "failed")
        assert "pid" in victims
        assert len(logged) <= len(printed) <= len(logged) + 1


def test_a_command_outlives_its_supervisor(tmp_path: Path) -> None:
    """Output, journal and outcome are complete, though mltrack was killed right after the start."""
    driven = Driven(tmp_path / "runs")
    code = f"until [ -e {tmp_path}/flag ]; do sleep 0.02; done; echo late hunter22; exit 5"
    with driven.start(*sh(code), stdout=subprocess.PIPE) as process:
        kill(driven, ("supervisor",))
        process.wait(30)
        assert is_alive(driven.facts)
        assert driven.rundir.is_locked_by_other()
        (tmp_path / "flag").touch()
        assert process.stdout is not None
        assert process.stdout.read() == b"late hunter22\n"
    wait_for(lambda: settled(driven))
    outcome = driven.rundir.read("outcome")
    assert outcome is not None
    assert (outcome["exit_code"], outcome["status"]) == (5, "failed")
    assert driven.logged() == b"late <redacted>\n"


def test_a_job_killed_as_a_group_leaves_the_command_alive(tmp_path: Path) -> None:
    """`kill -9 %1` of a shell hits our process group: the supervisor's, and nobody else's."""
    driven = Driven(tmp_path / "runs")
    code = f"until [ -e {tmp_path}/flag ]; do sleep 0.02; done; echo late"
    with driven.start(*sh(code), stdout=subprocess.DEVNULL, start_new_session=True) as process:
        assert driven.facts["pid"]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        (tmp_path / "flag").touch()
        wait_for(lambda: settled(driven))
    assert driven.logged() == b"late\n"


def test_a_kill_at_any_moment_of_the_start_leaves_a_judgeable_directory(tmp_path: Path) -> None:
    """Either the facts of the process are there, or the command never ran."""
    for number in range(soak(8)):
        driven = Driven(tmp_path / str(number))
        with driven.start(*sh(f"touch {tmp_path}/ran{number}"), stdout=subprocess.DEVNULL) as process:
            wait_for(lambda: driven.rundir.artifacts.exists())  # noqa: B023
            time.sleep(random.uniform(0, 0.004))
            process.kill()
            process.wait(30)
            wait_for(lambda: not driven.rundir.is_locked_by_other())  # noqa: B023
        if driven.rundir.read("process") is None:
            assert not (tmp_path / f"ran{number}").exists()
        else:
            assert (driven.rundir.read("outcome") or {}).get("exit_code") == 0
