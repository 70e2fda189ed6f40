from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys

import pytest

from mltrack.views import console
from mltrack.views.page import Page

PROGRAM = """
import sys
from mltrack.views.console import show, show_json, width_of
from mltrack.views.page import Page
page = Page()
page.line(("✓ déjà vu → …", "green"), "x" * 150)
page.hint("hint")
show(page)
"""


def output(program: str, **environment: str) -> str:
    """What a program writes to a pipe."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def terminal_output(program: str, **environment: str) -> str:
    """What a program writes to a pseudo-terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm", **environment},
    ) as process:  # fmt: skip
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux reports the other end's closing as an I/O error
                break
            if not part:
                break
            parts.append(part)
        os.close(ours)
        process.wait()
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def no_inherited_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_gets_plain_whole_lines() -> None:
    assert output(PROGRAM, COLUMNS="40") == f"✓ déjà vu → …{'x' * 150}\n"


def test_a_terminal_gets_colours_and_hints() -> None:
    assert terminal_output(PROGRAM) == f"\x1b[32m✓ déjà vu → …\x1b[0m{'x' * 150}\nhint\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_a_terminal_may_refuse_colours(environment: dict[str, str]) -> None:
    assert "\x1b" not in terminal_output(PROGRAM, **environment)


def test_a_pipe_may_ask_for_colours() -> None:
    assert "\x1b[32m" in output(PROGRAM, FORCE_COLOR="1")


def test_a_stream_without_our_glyphs_gets_their_stand_ins() -> None:
    assert output(PROGRAM, PYTHONIOENCODING="ascii") == f"+ d\\xe9j\\xe0 vu > ~{'x' * 150}\n"


def test_json_stays_json_on_a_stream_without_unicode() -> None:
    text = output(
        "from mltrack.views.console import show_json; show_json(['é', float('nan')])", PYTHONIOENCODING="ascii"
    )
    assert json.loads(text) == ["é", "NaN"]


def test_columns_tells_the_width_of_a_terminal() -> None:
    program = "import sys; from mltrack.views.console import width_of; print(width_of(sys.stdout))"
    assert terminal_output(program, COLUMNS="57") == "57\n"
    assert terminal_output(program, COLUMNS="wide") == "80\n"
    assert output(program) == "None\n"


def test_a_text_is_shown_as_it_is_on_the_stream_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    console.show("one")
    console.show("two\n", stderr=True)
    assert capsys.readouterr() == ("one\n", "two\n")


def test_a_file_name_that_is_not_utf8_does_not_stop_the_show() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console.write(stream, "caf\udce9\n")
    assert stream.buffer.getvalue() == b"caf\\udce9\n"  # type: ignore[attr-defined]
    stream.close()


def test_the_rich_console_follows_the_same_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.console(stderr=True).no_color
    assert console.console().file is sys.stdout


def test_an_empty_page_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.show(Page())
    assert capsys.readouterr().out == ""
