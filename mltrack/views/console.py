"""Where text leaves the program: the standard streams, their width, and whether they show colours.

A pipe gets plain whole lines. `NO_COLOR`, `FORCE_COLOR`, `COLUMNS` and `TERM=dumb` are honoured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from mltrack.views.json import dumps
from mltrack.views.page import Renderable
from mltrack.views.text import clean

if TYPE_CHECKING:
    from rich.console import Console

BLOCK = 1 << 16
"""Characters that are collected before they are written."""

PLAIN_GLYPHS = str.maketrans(
    {"✓": "+", "✗": "x", "●": "*", "■": "#", "→": ">", "▲": "^", "▼": "v", "·": "-", "…": "~", "×": "x", "─": "-",
     "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
     "★": "*", "▽": "v", "≈": "~", "—": "-", "▦": "#", "\u200e": ""}
)  # fmt: skip
"""What stands for our own glyphs where the stream's encoding lacks them; one cell each, so that columns still meet."""


def show(renderable: Renderable | str, *, stderr: bool = False) -> None:
    """Write something to standard output (or error) as that stream can show it."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(renderable, str):
        text = renderable if renderable.endswith("\n") else renderable + "\n"
    else:
        text = renderable.render(width_of(stream), has_colour(stream))
    write(stream, text)


def show_parts(parts: Iterable[str]) -> None:
    """Write a text to standard output as its parts come, as it is."""
    waiting, size = list[str](), 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= BLOCK:
            write(sys.stdout, "".join(waiting))
            waiting, size = [], 0
    write(sys.stdout, "".join(waiting))


def shown_parts(parts: Iterable[str]) -> Iterator[str]:
    """The same for a terminal: what could command it is made visible."""
    return ("\n".join(map(clean, part.split("\n"))) for part in parts)


def show_json(value: Any) -> None:
    """Write a value to standard output as JSON."""
    write(sys.stdout, dumps(value, ascii_only=not speaks_unicode(sys.stdout)) + "\n")


def write(stream: TextIO, text: str) -> None:
    """Write all of a text, replacing what the stream's encoding cannot say, and flush it."""
    stream.write(spoken(stream, text))
    stream.flush()


def spoken(stream: TextIO, text: str) -> str:
    """The text with stand-ins for what the stream's encoding cannot say."""
    encoding = stream.encoding or "utf-8"
    if not speaks_unicode(stream):
        text = text.translate(PLAIN_GLYPHS)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def is_terminal(stream: TextIO) -> bool:
    return not stream.closed and stream.isatty()


def has_colour(stream: TextIO) -> bool:
    """Colours on a terminal that has them; FORCE_COLOR wins over a pipe, NO_COLOR over everything."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """The cells of a terminal's line, by COLUMNS or by asking it; None for a pipe."""
    if not is_terminal(stream):
        return None
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def console(stderr: bool = False) -> Console:
    """A rich console on a standard stream, for what moves (progress); it honours the same variables."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, no_color=not has_colour(stream), width=width_of(stream), highlight=False, markup=False)
