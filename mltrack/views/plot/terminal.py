"""Pictures in a terminal: which of three protocols it speaks, and a PNG in that one.

Kitty's graphics (kitty, Ghostty, WezTerm, Konsole), iTerm2's inline images (iTerm2, WezTerm, mintty) and sixel (foot,
mlterm, xterm with `-ti vt340`, Windows Terminal). The environment is asked first; the terminal itself is, for no longer
than PATIENCE_S, only where it is one that answers. `MLTRACK_PICTURES=kitty|iterm|sixel|off` decides.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from mltrack.errors import UsageError

if TYPE_CHECKING:
    from mltrack.plots import Plot
    from mltrack.views.plot.out import Wish

KITTY, ITERM, SIXEL, OFF = "kitty", "iterm", "sixel", "off"
VARIABLE = "MLTRACK_PICTURES"
PATIENCE_S = 0.1
CHUNK = 4096
"""Signs of one escape sequence of kitty's."""
COLOURS = 64
"""Of a sixel picture."""
WIDEST = 1200
"""Pixels of a picture in a terminal."""
CELL = (9.0, 18.0)
"""Pixels of a cell where the terminal does not say."""
_ANSWER = re.compile(rb"\x1b\[\?([0-9;]*)c")


def shows_pictures(stream: TextIO) -> str | None:
    """The protocol in which this terminal shows pictures; None where it does not. Raises UsageError."""
    told = os.environ.get(VARIABLE, "").lower()
    if told:
        if told not in (KITTY, ITERM, SIXEL, OFF):
            raise UsageError(f"{VARIABLE}={told[:20]} is no way to show pictures.", "Set kitty, iterm, sixel or off.")
        return None if told == OFF else told
    known = by_environment(os.environ)
    if known is not None:
        return None if known == OFF else known
    return SIXEL if answers_sixel(stream) else None


def by_environment(variables: Mapping[str, str]) -> str | None:
    """What the variables of a terminal say: a protocol, "off", or None where it should be asked itself."""
    term, program = variables.get("TERM", ""), variables.get("TERM_PROGRAM", "")
    if term in ("", "dumb", "linux") or variables.get("CI"):
        return OFF
    if variables.get("TMUX") or variables.get("STY") or term.startswith(("screen", "tmux")):
        return OFF  # they pass pictures on only where they were told to
    if variables.get("KITTY_WINDOW_ID") or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return KITTY
    if program in ("iTerm.app", "WezTerm", "mintty") or variables.get("LC_TERMINAL") == "iTerm2":
        return ITERM
    if term.startswith(("foot", "mlterm", "yaft")):
        return SIXEL
    asks = variables.get("WT_SESSION") or variables.get("XTERM_VERSION") or variables.get("KONSOLE_VERSION")
    return None if asks and not variables.get("SSH_CONNECTION") else OFF


def answers_sixel(stream: TextIO) -> bool:
    """Ask the terminal what it can (primary device attributes): does it answer in time that it knows sixel?"""
    answer = asked(stream, b"\x1b[c", b"c")
    match = _ANSWER.search(answer)
    return match is not None and b"4" in match[1].split(b";")[1:]


def asked(stream: TextIO, question: bytes, end: bytes) -> bytes:
    """What a terminal answers within PATIENCE_S; nothing, where it cannot be asked safely."""
    try:
        import select
        import termios
        import time
        import tty

        source = sys.stdin.fileno()
        if not (os.isatty(source) and stream.isatty()) or os.tcgetpgrp(source) != os.getpgrp():
            return b""
        before = termios.tcgetattr(source)
    except (ImportError, OSError, ValueError, AttributeError):
        return b""
    found, last = b"", time.monotonic() + PATIENCE_S
    try:
        tty.setcbreak(source, termios.TCSANOW)
        if select.select([source], [], [], 0)[0]:
            return b""  # somebody typed ahead: what they typed is theirs
        stream.flush()
        os.write(stream.fileno(), question)
        while not found.endswith(end) and select.select([source], [], [], max(0.0, last - time.monotonic()))[0]:
            found += os.read(source, 64)
    except OSError:
        return b""
    finally:
        termios.tcsetattr(source, termios.TCSANOW, before)
    return found


def shown(plot: Plot, way: str, wish: Wish, stream: TextIO) -> str:
    """The plot as a picture that is as wide as the terminal, in its protocol; then what must be known, as text."""
    from mltrack.views.plot.picture import DPI, beside, picture, size_of

    inches = wish.measures()
    if inches is None or max(inches) > 40:  # a size in cells
        pixels = width_in_pixels(stream)
        wide, high = size_of(plot, None, None, beside(plot) if wish.look.legend == "right" else 0.0)
        factor = min(1.6, max(0.5, pixels / (wide * DPI)))
        inches = (wide * factor, high * factor)
    data = picture(plot, "png", width=inches[0], height=inches[1], look=replace(wish.look, dpi=DPI))
    return {KITTY: in_kitty, ITERM: in_iterm, SIXEL: in_sixel}[way](data)


def width_in_pixels(stream: TextIO) -> float:
    from mltrack.views.console import width_of

    cells = width_of(stream) or 80
    try:
        import fcntl
        import struct
        import termios

        raw = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
        _, columns, width, _ = struct.unpack("HHHH", raw)
        if width and columns:
            return min(float(WIDEST), float(width))
    except (ImportError, OSError, ValueError):
        pass
    return min(float(WIDEST), cells * CELL[0])


def in_kitty(data: bytes) -> str:
    """The picture in chunks of base64; q=2: the terminal answers nothing."""
    from base64 import b64encode

    text = b64encode(data).decode()
    parts = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    found = []
    for place, part in enumerate(parts):
        head = "a=T,f=100,q=2," if place == 0 else ""
        found.append(f"\x1b_G{head}m={int(place < len(parts) - 1)};{part}\x1b\\")
    return "".join(found) + "\n"


def in_iterm(data: bytes) -> str:
    from base64 import b64encode

    return f"\x1b]1337;File=inline=1;size={len(data)}:{b64encode(data).decode()}\x07\n"


def in_sixel(data: bytes) -> str:
    """The picture in at most COLOURS colours, six rows of pixels at a time."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    image = Image.open(BytesIO(data)).convert("RGB").quantize(COLOURS)
    pixels = np.asarray(image)
    palette = (image.getpalette() or [])[: COLOURS * 3]
    parts = [f'\x1bPq"1;1;{pixels.shape[1]};{pixels.shape[0]}']
    for number in range(len(palette) // 3):
        red, green, blue = (round(part / 255 * 100) for part in palette[number * 3 : number * 3 + 3])
        parts.append(f"#{number};2;{red};{green};{blue}")
    for top in range(0, len(pixels), 6):
        parts.append(sixel_rows(pixels[top : top + 6]) + "-")
    return "".join(parts) + "\x1b\\\n"


def sixel_rows(rows: Any) -> str:
    """Six rows of pixels: for each colour in them which of the six have it, run by run."""
    import numpy as np

    weights = (1 << np.arange(len(rows)))[:, None]
    found = []
    for colour in np.unique(rows).tolist():
        bits = ((rows == colour) * weights).sum(axis=0)
        edges = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1], [True])))
        runs = zip(bits[edges[:-1]].tolist(), np.diff(edges).tolist())
        found.append(f"#{colour}" + "".join(sixel_run(chr(63 + bit), many) for bit, many in runs))
    return "$".join(found)


def sixel_run(sign: str, many: int) -> str:
    return f"!{many}{sign}" if many > 3 else sign * many
