"""Signals to mltrack reach the command; the status says who ended it; `stop` ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mltrack.executors.local import stop
from tests.executors.driving import Driven, exists, needs_binds, new_root, python, sh, wait_for

WAITS = "until [ -e FLAG ]; do sleep 0.02; done"


@pytest.fixture(params=["plain", pytest.param("bound", marks=needs_binds)])
def driven(tmp_path: Path, request: pytest.FixtureRequest) -> Driven:
    """As it is, and with a root directory that only the command sees."""
    options = {"binds": new_root(tmp_path / "root", {f"/{tmp_path.name}/x": ""})} if request.param == "bound" else {}
    return Driven(tmp_path / "runs", **options)


def trapping(name: str, exit_code: int | None = None) -> list[str]:
    """A command that says `ready`, then the name of the signal that it gets; and then exits, if it is to."""
    leave = "" if exit_code is None else f"; os._exit({exit_code})"
    return python(
        f"import os, signal, time\ndef got(number, frame):\n    print('got {name}', flush=True){leave}\n"
        f"signal.signal(signal.SIG{name}, got)\nprint('ready', flush=True)\nwhile True: time.sleep(0.05)"
    )


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "CONT", "TSTP", "WINCH"])
def test_a_signal_is_passed_on(driven: Driven, name: str) -> None:
    with driven.start(*trapping(name, 7), stdout=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait(30) == 7
    assert driven.logged() == f"ready\ngot {name}\n".encode()
    assert driven.result["status"] == ("interrupted" if name in ("INT", "TERM", "HUP") else "failed")


def test_a_signal_reaches_the_whole_group_once(driven: Driven) -> None:
    code = (
        "import os, signal, time\nseen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: (print('got', flush=True), seen.append(1)))\n"
        "child = os.fork(); print('ready', flush=True)\nwhile not seen: time.sleep(0.01)\n"
        "time.sleep(0.2)\nif child: os.wait()\n"
    )
    with driven.start(*python(code), stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: driven.rundir.output.exists() and driven.logged().count(b"ready") == 2)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert driven.logged().count(b"got") == 2


def test_a_command_that_ends_well_after_an_interrupt_is_finished(driven: Driven) -> None:
    with driven.start(*trapping("INT", 0), stdout=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert driven.result["status"] == "finished"


def test_a_python_program_sees_keyboard_interrupt(driven: Driven) -> None:
    code = "import time\ntry:\n    print('ready', flush=True); [time.sleep(0.05) for _ in range(1200)]\nexcept KeyboardInterrupt:\n    print('bye'); raise"
    with driven.start(*python(code), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert driven.logged("o") == b"ready\nbye\n"
    assert (driven.result["signal"], driven.result["status"]) == (2, "interrupted")


def test_the_third_interrupt_kills(driven: Driven) -> None:
    with driven.start(*trapping("INT"), stdout=subprocess.DEVNULL) as process:
        for count in range(3):
            wait_for(lambda: driven.rundir.output.exists() and driven.logged().count(b"\n") == count + 1)  # noqa: B023
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + 9
    assert driven.logged() == b"ready\ngot INT\ngot INT\n"
    assert driven.result["status"] == "interrupted"


def test_signals_that_come_at_the_start_are_not_lost(tmp_path: Path) -> None:
    """At whatever moment of the start it comes, an interrupt ends either the driver, before a command is there, or it.

    The command is no shell: dash loses an interrupt that comes while it forks, with mltrack or without.
    """
    for number in range(12):
        driven = Driven(tmp_path / str(number))
        with driven.start("sleep", "60", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: (driven.rundir.path / "artifacts").exists())  # noqa: B023
            time.sleep(number * 0.0004)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) != 0
        facts = driven.rundir.read("process")
        assert facts is None or not exists(facts["pid"])


def test_a_stopped_command_goes_on(driven: Driven, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    script = "echo ready; " + WAITS.replace("FLAG", str(flag)) + "; echo done"
    with driven.start(*sh(script), stdout=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        pid = driven.facts["pid"]
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T")
        flag.touch()
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == 0
    assert driven.logged() == b"ready\ndone\n"


def test_stop_ends_the_group_politely(driven: Driven) -> None:
    with driven.start(*trapping("TERM", 0), stdout=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        assert stop(driven.facts, driven.rundir, grace_s=20)
        assert process.wait(30) == 0
    assert driven.logged() == b"ready\ngot TERM\n"
    assert driven.result["status"] == "interrupted"


def test_stop_kills_what_does_not_listen(driven: Driven) -> None:
    with driven.start(*sh("trap '' TERM; echo ready; sleep 60"), stdout=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        assert stop(driven.facts, driven.rundir, grace_s=0.1)
        assert process.wait(30) == 128 + 9
    assert driven.result["status"] == "interrupted"


def test_stop_wakes_a_stopped_command_to_end_it(driven: Driven) -> None:
    with driven.start(*trapping("TERM", 3), stdout=subprocess.DEVNULL) as process:
        driven.await_output(b"ready")
        os.kill(driven.facts["pid"], signal.SIGSTOP)
        assert stop(driven.facts, driven.rundir, grace_s=20)
        assert process.wait(30) == 3


def test_there_is_nothing_to_stop_when_the_command_is_gone(driven: Driven) -> None:
    driven.run("true")
    assert not stop(driven.facts, driven.rundir)
    assert driven.rundir.read("stop") is None


def test_a_recycled_pid_is_not_stopped(driven: Driven) -> None:
    driven.run("true")
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        facts = {**driven.facts, "pid": other.pid, "pgid": other.pid}
        assert not stop(facts, driven.rundir)
        assert other.poll() is None
        other.kill()
