"""Long text goes through the person's pager, in a real terminal; nothing else does, and no pager can fail a command."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
from collections.abc import Sequence

import pytest

from mltrack.cli.words import prepared
from mltrack.errors import UsageError
from mltrack.views import pager

PROGRAM = """
import sys
from mltrack.views.pager import paged
paged("".join(f"line {n}\\n" for n in range(int(sys.argv[1]))))
sys.exit(7)
"""


def typed(lines: int, keys: Sequence[bytes] = (), **environment: str) -> tuple[int, str]:
    """The exit code of a program that pages so many lines on a terminal of ten, and what was to be seen; each key is
    pressed when nothing more comes."""
    child, terminal = pty.fork()
    if child == 0:
        for name in ("MLTRACK_PAGER", "PAGER", "LESS", "LINES", "COLUMNS"):
            os.environ.pop(name, None)
        os.environ.update({"TERM": "xterm", **environment})
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(lines)])
    seen, waiting = b"", list(keys)
    while True:
        ready, _, _ = select.select([terminal], [], [], 0.2 if waiting and seen else 30)
        if not ready:
            assert waiting, "the program hangs"
            os.write(terminal, waiting.pop(0))
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux reports the other end's closing as an I/O error
            break
        if not part:
            break
        seen += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode().replace("\r\n", "\n")


COUNTING = f"{sys.executable} -c 'import sys; print(len(sys.stdin.readlines()), \"came\")'"


def test_what_is_longer_than_the_screen_goes_to_the_pager_and_the_exit_code_stays() -> None:
    assert typed(40, PAGER=COUNTING) == (7, "40 came\n")


def test_what_fits_does_not() -> None:
    code, seen = typed(9, PAGER=COUNTING)
    assert (code, seen.count("line")) == (7, 9)


@pytest.mark.parametrize(
    "environment",
    [
        {"MLTRACK_PAGER": "", "PAGER": "false"},
        {"MLTRACK_PAGER": "cat", "PAGER": "false"},
    ],
)
def test_without_a_pager_all_is_written(environment: dict[str, str]) -> None:
    code, seen = typed(40, **environment)
    assert (code, seen.count("line")) == (7, 40)


@pytest.mark.parametrize(
    ("environment", "note"),
    [
        ({"PAGER": "less -FRX | cat"}, "needs a shell"),
        ({"PAGER": "LESS=FRX less"}, "needs a shell"),
        ({"PAGER": "no-such-pager --at-all"}, "cannot be started"),
        ({"PAGER": "less '"}, "open quote"),
        ({"PAGER": "true"}, "read nothing"),
        ({"PAGER": "false"}, "read nothing"),
    ],
)
def test_a_pager_that_is_of_no_use_loses_no_text(environment: dict[str, str], note: str) -> None:
    code, seen = typed(20_000, **environment)
    assert (code, seen.count("line")) == (7, 20_000)
    assert seen.count("mltrack: the pager") == 1 and note in seen.split("\n")[0]


def test_a_pager_that_is_left_before_the_end_has_had_its_text() -> None:
    reads_some = f"{sys.executable} -c 'import os; print(len(os.read(0, 10)))'"
    assert typed(20_000, PAGER=reads_some) == (7, "10\n")


def test_ctrl_c_belongs_to_the_pager() -> None:
    waits = f"{sys.executable} -c 'import time\ntry:\n print(1, flush=True); time.sleep(30)\nexcept KeyboardInterrupt:\n print(2)'"
    assert typed(40, [b"\x03"], PAGER=waits)[0] == 7


def test_a_wrapped_line_counts_as_it_is_seen() -> None:
    assert not pager.is_longer("x" * 80 + "\n", 40, 3)
    assert pager.is_longer("\x1b[31m" + "x" * 81 + "\x1b[0m\n", 40, 3)
    assert pager.is_longer("日" * 41 + "\n", 40, 3)


def test_words_for_the_screen_are_taken_from_anywhere_but_another_program_s_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MLTRACK_PAGER", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.setenv(name, "x")
    assert prepared(["--no-pager", "diff", "a"]) == prepared(["diff", "a", "--no-pager"]) == ["diff", "a"]
    assert os.environ["MLTRACK_PAGER"] == ""
    assert prepared(["run", "python", "--no-pager"]) == ["run", "python", "--no-pager"]
    assert prepared(["shell", "@", "--", "git", "--no-pager"]) == ["shell", "@", "--", "git", "--no-pager"]
    assert prepared(["diff", "--color=always"]) == ["diff"]
    assert os.environ["FORCE_COLOR"] == "1" and "NO_COLOR" not in os.environ
    assert prepared(["--color", "never", "diff"]) == ["diff"]
    assert os.environ["NO_COLOR"] == "1" and "FORCE_COLOR" not in os.environ
    with pytest.raises(UsageError):
        prepared(["diff", "--color"])


def test_an_option_whose_value_is_left_out_gets_an_empty_one() -> None:
    assert prepared(["diff", "--tool"]) == ["diff", "--tool", ""]
    assert prepared(["diff", "-t", "--json"]) == ["diff", "-t", "", "--json"]
    assert prepared(["diff", "--tool", "meld"]) == ["diff", "--tool", "meld"]
    assert prepared(["ls", "--tool"]) == ["ls", "--tool"]
