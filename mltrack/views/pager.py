"""Long text on a terminal goes through the person's pager, as git's does. Never decides what is shown.

`MLTRACK_PAGER`, then `PAGER`, then less; empty or `cat` means none. A pager that is not there, that reads nothing, that
is left before its end, or that meets a Ctrl-C is no error: the command's own exit code stays, and no text is lost.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from mltrack.patterns import lazy
from mltrack.views.console import has_colour, is_terminal, spoken, width_of, write
from mltrack.views.page import Renderable
from mltrack.views.text import cell_width, clean, without_colour

DEFAULT = "less"
LESS = "FRX"
"""What less is told unless LESS is set: leave if all fits, show colours, leave the text on the screen."""
NONE = ("", "cat")
QUOTED = lazy(r"'[^']*'|\"[^\"$`]*\"|\\.")
SHELL = lazy(r"[|&;<>()$`\n]")
ASSIGNMENT = lazy(r"\s*\w+=")
BLOCK = 1 << 12
"""What a pipe that can be written to takes at once, at least."""
PATIENCE_S = 0.05
"""Between two looks at whether the pager is still there."""


def paged(renderable: Renderable | str) -> None:
    """Write something to standard output: through the pager where that is a terminal too small to show it at once."""
    stream = sys.stdout
    width = width_of(stream)
    if isinstance(renderable, str):
        text = renderable if renderable.endswith("\n") else renderable + "\n"
    else:
        text = renderable.render(width, has_colour(stream))
    if width is not None and is_longer(text, width, height_of(stream)):
        words = pager()
        if words and through(words, stream, text):
            return
    write(stream, text)


def pager() -> list[str]:
    """The words of the person's pager; none where there is to be none, or what they typed has an open quote."""
    from shlex import split

    asked = next((os.environ[name] for name in ("MLTRACK_PAGER", "PAGER") if name in os.environ), DEFAULT)
    if asked.strip() in NONE or (os.environ.get("TERM") == "dumb" and "MLTRACK_PAGER" not in os.environ):
        return []
    if SHELL.search(QUOTED.sub("", asked)) or ASSIGNMENT.match(asked):
        note(f"the pager {asked!r} needs a shell, which is never used here: not paged.")
        return []
    try:
        return split(asked)
    except ValueError:
        note(f"the pager {asked!r} has an open quote: not paged.")
        return []


def note(sentence: str) -> None:
    """Say why there is no pager."""
    sys.stderr.write(f"mltrack: {clean(sentence)}\n")
    sys.stderr.flush()


def turn_off() -> None:
    """No pager in this process, nor in what it starts."""
    os.environ["MLTRACK_PAGER"] = ""


def height_of(stream: TextIO) -> int:
    """The lines of a terminal, by LINES or by asking it."""
    told = os.environ.get("LINES", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).lines or 24
    except (OSError, ValueError):
        return 24


def is_longer(text: str, width: int, height: int) -> bool:
    """Does it take more lines than the screen has beside the prompt, with those that the terminal wraps?"""
    if text.count("\n") >= height:
        return True
    lines = without_colour(text).expandtabs().split("\n")[:-1]
    return sum(max(1, -(-cell_width(line) // width)) for line in lines) >= height


def through(words: list[str], stream: TextIO, text: str) -> bool:
    """Hand a text to the pager and wait until it is left; False where it cannot be started, or read none of it."""
    if not is_terminal(stream):
        return False
    stream.flush()
    # What `more` and `most` take from the name, and less from LESS; LV is the pager of East Asian texts.
    environment = {"LESS": LESS, "LV": "-c", **os.environ}
    source, sink = os.pipe()
    try:
        process = subprocess.Popen(words, stdin=source, env=environment)
    except OSError as error:
        os.close(source)
        os.close(sink)
        note(f"the pager {words[0]} cannot be started ({error.strerror}): not paged.")
        return False
    with left_to_the_pager():
        given = hand_over(sink, spoken(stream, text).encode(stream.encoding or "utf-8", "backslashreplace"), process)
        process.wait()
    left = unread(source)
    os.close(source)
    if left == given:
        note(f"the pager {words[0]} read nothing: not paged.")
    return left < given


def hand_over(sink: int, data: bytes, process: subprocess.Popen[bytes]) -> int:
    """Write to the pager until it has all or has ended, and close; how many bytes went into the pipe. That has a reader
    beside the pager, so that what was not read can be counted: no broken pipe tells of the end."""
    os.set_blocking(sink, False)
    at = 0
    while at < len(data) and process.poll() is None:
        if select.select([], [sink], [], PATIENCE_S)[1]:
            at += os.write(sink, data[at : at + BLOCK])
    os.close(sink)
    return at


def unread(source: int) -> int:
    """The bytes that wait in a pipe."""
    import array
    import fcntl
    import termios

    found = array.array("i", [0])
    fcntl.ioctl(source, termios.FIONREAD, found)
    return found[0]


@contextmanager
def left_to_the_pager() -> Iterator[None]:
    """Ctrl-C means something in a pager (it ends a search), and nothing to who waits for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
