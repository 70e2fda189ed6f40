"""A command at a terminal: it has one too, keys and signals reach it, and ours is left as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.executors.driving import PYTHON, Driven, exists, needs_binds, new_root, python, sh, wait_for
from tests.executors.screen import Screen

SHELL = [PYTHON, str(Path(__file__).with_name("shell.py"))]
SEES = "import os, sys; print(*(os.isatty(fd) for fd in (0, 1, 2)), sep=',')"


@pytest.fixture(params=["plain", pytest.param("bound", marks=needs_binds)])
def driven(tmp_path: Path, request: pytest.FixtureRequest) -> Driven:
    """As it is, and with a root directory that only the command sees."""
    options = {"binds": new_root(tmp_path / "root", {f"/{tmp_path.name}/x": ""})} if request.param == "bound" else {}
    return Driven(tmp_path / "runs", **options)


def job(driven: Driven, *argv: str, ground: str = "fg") -> list[str]:
    return [*SHELL, ground, *driven.words(*argv)]


def test_the_command_has_a_terminal_of_the_same_size(driven: Driven) -> None:
    code = SEES + "; print(os.get_terminal_size(1)); print(open('/dev/tty').isatty(), os.tcgetpgrp(0) == os.getpid())"
    with Screen(driven.words(*python(code))) as screen:
        assert screen.await_end() == 0
        assert screen.is_restored
    assert screen.shown == b"True,True,True\r\nos.terminal_size(columns=100, lines=30)\r\nTrue True\r\n"
    assert driven.logged("o") == screen.shown.replace(b"\r\n", b"\n")


def test_a_changed_window_is_passed_on(driven: Driven) -> None:
    code = (
        "import os, signal, time\nsignal.signal(signal.SIGWINCH, lambda *_: (print(os.get_terminal_size(1)), os._exit(3)))\n"
        "print('ready', flush=True)\nwhile True: time.sleep(0.05)"
    )
    with Screen(
        driven.words(*python(code.replace("print(os", "print(end='', flush=True), os.write(1, b'%d %d' % os")))
    ) as screen:
        screen.await_text(b"ready")
        screen.resize(50, 120)
        assert screen.await_end() == 3
    assert b"120 50" in screen.shown


def test_what_is_typed_reaches_the_command_and_is_echoed_once(driven: Driven) -> None:
    with Screen(driven.words(*sh("read a; echo got $a; cat; echo end"))) as screen:
        screen.type(b"first\r")
        screen.await_text(b"first\r\ngot first\r\n")
        screen.type(b"second\r\x04")
        assert screen.await_end() == 0
        assert screen.is_restored
    assert screen.shown == b"second\r\nsecond\r\nend\r\n"


def test_a_program_that_reads_single_keys_gets_them(driven: Driven) -> None:
    code = "import os, tty; tty.setraw(0); os.write(1, b'ready'); print([os.read(0, 1) for _ in range(4)])"
    with Screen(driven.words(*python(code))) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x03\x1a\x00\xff")
        assert screen.await_end() == 0
    assert b"[b'\\x03', b'\\x1a', b'\\x00', b'\\xff']" in screen.shown
    assert driven.result["status"] == "finished"


def test_ctrl_c_interrupts_the_command(driven: Driven) -> None:
    code = "import time\ntry:\n    print('ready', flush=True); [time.sleep(0.05) for _ in range(1200)]\nexcept KeyboardInterrupt:\n    raise SystemExit(4)"
    with Screen(driven.words(*python(code))) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x03")
        assert screen.await_end() == 4
        assert screen.is_restored
    assert driven.result["status"] == "interrupted"


def test_the_third_ctrl_c_kills(driven: Driven) -> None:
    code = "import signal, time; signal.signal(signal.SIGINT, lambda *_: print('no', flush=True)); print('ready', flush=True)\n"
    with Screen(driven.words(*python(code + "while True: time.sleep(0.05)"))) as screen:
        screen.await_text(b"ready")
        for _ in range(2):
            screen.type(b"\x03")
            screen.await_text(b"no\r\n")
        screen.type(b"\x03")
        assert screen.await_end() == 128 + 9
        assert screen.is_restored


def test_ctrl_z_stops_the_job_and_fg_goes_on(driven: Driven) -> None:
    with Screen(job(driven, *sh("echo ready; read a; echo got $a"))) as screen:
        screen.await_text(b"ready")
        for _ in range(2):
            wait_for(lambda: not screen.is_restored)
            screen.type(b"\x1a")
            screen.await_text(b"[stopped by 20, settings same]\r\n")
            screen.type(b"fg\r")
        wait_for(lambda: not screen.is_restored)
        screen.type(b"word\r")
        screen.await_end()
    assert screen.shown.endswith(b"got word\r\n[ended 0, settings same]\r\n")


def test_a_handler_of_ctrl_z_is_run(driven: Driven) -> None:
    code = (
        "import os, signal, time\n"
        "def pause(*_):\n    print('pausing', flush=True); os.kill(os.getpid(), signal.SIGSTOP)\n"
        "signal.signal(signal.SIGTSTP, pause); signal.signal(signal.SIGCONT, lambda *_: (print('resumed'), exit(5)))\n"
        "print('ready', flush=True)\nwhile True: time.sleep(0.05)"
    )
    code = code.replace("signal.SIGSTOP", "signal.SIGTTIN")
    with Screen(job(driven, *python(code))) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x1a")
        screen.await_text(b"pausing")
        screen.await_text(b"[stopped by 21, settings same]")
        screen.type(b"fg\r")
        screen.await_end()
    assert b"resumed\r\n" in screen.shown
    assert screen.shown.endswith(b"[ended 5, settings same]\r\n")


def test_bg_lets_the_job_work_and_leaves_the_keys_alone(driven: Driven, tmp_path: Path) -> None:
    # one process: a shell that starts `sleep` by vfork cannot stop while its child is stopped in between
    wait = f"while not os.path.exists('{tmp_path}/flag'): time.sleep(0.02)"
    with Screen(job(driven, *python(f"import os, time; os.write(1, b'ready\\n')\n{wait}\nprint('done')"))) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x1a")
        screen.await_text(b"[stopped by 20, settings same]\r\n")
        screen.type(b"bg\r")
        screen.await_text(b"bg\r\n")
        (tmp_path / "flag").touch()
        screen.await_end()
    assert screen.shown == b"done\r\n[ended 0, settings same]\r\n"


def test_a_job_started_in_the_background_is_not_stopped(driven: Driven) -> None:
    with Screen(job(driven, *python(SEES), ground="bg")) as screen:
        screen.await_end()
    assert screen.shown == b"True,True,True\r\n[ended 0, settings same]\r\n"


def test_the_terminal_is_restored_when_the_command_is_killed(driven: Driven) -> None:
    with Screen(
        driven.words(*python("import tty, time; tty.setraw(0); print('ready', flush=True); time.sleep(60)"))
    ) as screen:
        screen.await_text(b"ready")
        assert not screen.is_restored
        os.kill(driven.facts["pid"], signal.SIGKILL)
        assert screen.await_end() == 128 + 9
        assert screen.is_restored


def test_the_keeper_restores_the_terminal_when_the_supervisor_is_killed(driven: Driven, tmp_path: Path) -> None:
    code = f"echo ready; until [ -e {tmp_path}/flag ]; do sleep 0.02; done; echo late"
    with Screen(job(driven, *sh(code))) as screen:
        screen.await_text(b"ready")
        assert not screen.is_restored
        os.kill(driven.facts["supervisor"], signal.SIGKILL)
        wait_for(lambda: screen.is_restored)
        screen.await_text(b"[ended -9, ")
        (tmp_path / "flag").touch()
        screen.await_text(b"late\r\n")
        wait_for(lambda: not exists(driven.facts["keeper"]))
    assert driven.logged() == b"ready\nlate\n"


def test_a_closed_window_hangs_up_the_command(driven: Driven) -> None:
    with Screen(driven.words(*python("import time; print('ready', flush=True); time.sleep(60)"))) as screen:
        screen.await_text(b"ready")
        screen.hang_up()
        wait_for(lambda: (driven.runs / "result.json").exists())
    assert (driven.result["signal"], driven.result["status"]) == (1, "interrupted")


def test_stdin_that_is_no_terminal_passes_untouched(driven: Driven) -> None:
    with Screen(driven.words(*python(SEES + "; print(sys.stdin.read())")), stdin=subprocess.PIPE) as screen:
        assert screen.process.stdin is not None
        screen.process.stdin.write(b"some data")
        screen.process.stdin.close()
        assert screen.await_end() == 0
    assert screen.shown == b"False,True,True\r\nsome data\r\n"
    assert driven.logged() == b"False,True,True\nsome data\n"


def test_a_redirected_stream_is_not_a_terminal_and_the_other_is(driven: Driven, tmp_path: Path) -> None:
    for name, sees in (("stdout", b"True,False,True\n"), ("stderr", b"True,True,False\n")):
        one = Driven(tmp_path / name)
        code = SEES.replace("sep=','", "sep=',', file=sys.stdout, flush=True") + "; print('to stderr', file=sys.stderr)"
        with open(tmp_path / f"{name}.txt", "wb") as file, Screen(one.words(*python(code)), **{name: file}) as screen:
            assert screen.await_end() == 0
        written = (tmp_path / f"{name}.txt").read_bytes()
        assert (written, screen.shown) == (
            (sees, b"to stderr\r\n") if name == "stdout" else (b"to stderr\n", sees.replace(b"\n", b"\r\n"))
        )
        assert (one.logged("o"), one.logged("e")) == (sees, b"to stderr\n")


def test_a_progress_bar_keeps_its_states(driven: Driven) -> None:
    with Screen(driven.words(*sh(r"printf '\r 10%%'; printf '\r 50%%'; printf '\r100%%\n'"))) as screen:
        assert screen.await_end() == 0
    assert screen.shown == b"\r 10%\r 50%\r100%\r\n"
    assert [(line.data, line.ends) for line in driven.log] == [
        (b"\r", False),
        (b" 10%\r", False),
        (b" 50%\r", False),
        (b"100%", True),
    ]


def test_quiet_shows_nothing_at_a_terminal(tmp_path: Path) -> None:
    driven = Driven(tmp_path / "runs", quiet=True)
    with Screen(driven.words(*sh("echo out; echo err >&2; read a; echo got $a"))) as screen:
        driven.await_output(b"err")
        screen.type(b"word\r")
        assert screen.await_end() == 0
    assert screen.shown == b"word\r\n"  # the terminal's own echo
    assert driven.logged("o") == b"out\ngot word\n"


def test_in_a_pipeline_the_others_keep_the_foreground(driven: Driven) -> None:
    """The reader of the pipe reads the terminal, as a pager does; our command does not take that from it."""
    reader = (
        "import sys; data = sys.stdin.read(); key = open('/dev/tty').readline(); print('reader', data.strip(), key)"
    )
    words = " ".join(f"'{word}'" for word in driven.words(*sh("echo data")))
    with Screen([*SHELL, "fg", "/bin/sh", "-c", f'{words} | "{sys.executable}" -c "{reader}"']) as screen:
        screen.type(b"key\r")
        screen.await_end()
    assert b"reader data key" in screen.shown


def test_ctrl_c_in_a_pipeline_reaches_the_command(driven: Driven) -> None:
    words = " ".join(f"'{word}'" for word in driven.words(*sh("echo ready; sleep 60")))
    with Screen([*SHELL, "fg", "/bin/sh", "-c", f"{words} | (trap '' INT; cat)"]) as screen:
        screen.await_text(b"ready")
        screen.type(b"\x03")
        wait_for(lambda: (driven.runs / "result.json").exists())
        screen.await_end()
    assert (driven.result["signal"], driven.result["status"]) == (2, "interrupted")


def test_a_command_with_its_output_in_a_pipe_can_read_the_terminal(driven: Driven) -> None:
    words = " ".join(f"'{word}'" for word in driven.words("cat"))
    with Screen([*SHELL, "fg", "/bin/sh", "-c", f"{words} | cat"]) as screen:
        screen.type(b"line\r")
        screen.await_text(b"line\r\nline\r\n")
        screen.type(b"\x03")
        screen.await_end()
    assert b"[ended 0, settings same]" in screen.shown
    assert (driven.result["signal"], driven.result["status"]) == (2, "interrupted")


def test_ctrl_z_and_fg_with_the_output_in_a_file(driven: Driven, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as file:
        words = " ".join(f"'{word}'" for word in driven.words("cat"))
        with Screen([*SHELL, "fg", "/bin/sh", "-c", f"exec {words} > {tmp_path}/out"]) as screen:
            screen.type(b"one\r")
            wait_for(lambda: (tmp_path / "out").read_bytes() == b"one\n")
            screen.type(b"\x1a")
            screen.await_text(b"[stopped by 20, settings same]\r\n")
            screen.type(b"fg\r")
            screen.await_text(b"fg\r\n")
            screen.type(b"two\r\x04")
            screen.await_end()
        assert file.name
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\n"
    assert b"[ended 0, settings same]" in screen.shown


def test_a_background_process_survives_the_end_of_the_command(driven: Driven, tmp_path: Path) -> None:
    code = f"(until [ -e {tmp_path}/flag ]; do sleep 0.02; done; echo late) & echo before; exit 5"
    with Screen(job(driven, *sh(code))) as screen:
        screen.await_text(b"before\r\n[ended 5, settings same]")
        (tmp_path / "flag").touch()
        screen.await_text(b"late\r\n")
        wait_for(lambda: not exists(driven.facts["keeper"]))
    assert driven.logged() == b"before\n"
