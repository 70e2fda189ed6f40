"""Values -> short texts: sizes, durations, ages, numbers, safe and shortened words. Pure; widths are terminal cells.

Everything that was recorded goes through `clean` before it reaches a terminal: a parameter may hold escape sequences.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

ELLIPSIS = "…"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_JOINERS = "\u200c\u200d"
"""Format characters that shape emoji and words, and do nothing else."""
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def clean(text: str) -> str:
    """The text with control, bidirectional and other invisible characters, and bytes that are not UTF-8, escaped."""
    if text.isprintable():
        return text
    return "".join(char if is_harmless(char) else escaped(char) for char in text)


def without_colour(text: str) -> str:
    """A text that we painted, without the paint."""
    if "\x1b" not in text:
        return text
    return "".join(part.partition("m")[2] if place else part for place, part in enumerate(text.split("\x1b[")))


def is_harmless(char: str) -> bool:
    return char.isprintable() or char in _JOINERS or unicodedata.category(char) in ("Zs", "Cn", "Co")


def escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return _SHORT.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


LEFT_TO_RIGHT = "\u200e"
"""The mark after a text that is written from the right: else a terminal that turns such texts round would take the
numbers behind it along, and two columns would change places."""


def kept_in_place(text: str) -> str:
    """A clean text that does not turn round what follows it on the line."""
    if text.isascii() or not any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text):
        return text
    return text + LEFT_TO_RIGHT


def cell_width(text: str) -> int:
    """How many terminal cells a clean text takes: East Asian wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(char_width, text))


@lru_cache(4096)
def char_width(char: str) -> int:
    if unicodedata.combining(char) or char in (*_JOINERS, LEFT_TO_RIGHT) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """The text in at most `width` cells; what is too long loses its middle."""
    if cell_width(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail = taken(text[::-1], (width - 1) // 2)[::-1]
    return taken(text, width - 1 - cell_width(tail)) + ELLIPSIS + tail


def taken(text: str, width: int) -> str:
    """The longest beginning that fits in `width` cells."""
    used = 0
    for place, char in enumerate(text):
        used += char_width(char)
        if used > width:
            return text[:place]
    return text


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 file`, `3 files`, `12,000 metrics`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(size_bytes: int | None) -> str:
    """`812 B`, `1.2 GiB`."""
    if size_bytes is None:
        return "unknown size"
    value, place = float(size_bytes), 0
    while abs(value) >= 1023.95 and place < len(_UNITS) - 1:
        value, place = value / 1024, place + 1
    return f"{value:.0f} {_UNITS[place]}" if place == 0 or value >= 99.95 else f"{value:.1f} {_UNITS[place]}"


def duration(seconds: float | None) -> str:
    """`42 ms`, `4.2 s`, `1 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def parse_time(moment: str) -> float:
    """`2026-11-21T01:02:03.123456Z` -> seconds since 1970. Raises ValueError for anything else."""
    from datetime import datetime

    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


_AGES = ((86400 * 730, 86400 * 365.25, "y"), (86400 * 60, 86400 * 30.4375, "mo"), (86400 * 14, 86400 * 7, "w"),
         (86400, 86400, "d"), (3600, 3600, "h"), (60, 60, "min"))  # fmt: skip
"""From which age on (in seconds), in which unit, and the unit's name."""


def age(moment: str | None, now: float) -> str:
    """How long ago a time was: `now`, `3 min`, `2 h`, `5 d`, `7 w`, `8 mo`; the date of a time to come."""
    if not moment:
        return ""
    try:
        seconds = now - parse_time(moment)
    except ValueError:
        return moment
    if seconds < -60:
        return moment[:10]
    return next((f"{int(seconds / unit)} {name}" for least, unit, name in _AGES if seconds >= least), "now")


def ago(moment: str | None, now: float) -> str:
    """`just now`, `3 min ago`, `on 2077-01-02`."""
    text = age(moment, now)
    if text == "now":
        return "just now"
    if not text:
        return "at an unknown time"
    return f"on {text}" if "-" in text else f"{text} ago"


def clock_time(moment: str | None) -> str:
    """`2026-11-21 01:02:03 UTC`."""
    if not moment:
        return "unknown"
    return f"{moment[:19].replace('T', ' ')} UTC" if moment.endswith("Z") else moment


def number(value: Any) -> str:
    """A number in about five significant digits, as tables show it; what is not a number as `scalar` shows it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return scalar(value)
    if isinstance(value, float) and not math.isfinite(value):
        return scalar(value)
    if value == 0 or (isinstance(value, int) and abs(value) < 10**15):
        return str(int(value))
    if 1e-4 <= abs(value) < 1e7:
        text = f"{value:.5g}"
        return f"{value:.0f}" if "e" in text else text
    if isinstance(value, int) and value.bit_length() > 1000:
        return scalar(value)
    mantissa, exponent = f"{value:.4e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def signed(value: float) -> str:
    """A change, always with its sign."""
    text = number(value)
    return text if text.startswith("-") or text == "0" else f"+{text}"


def percent(value: float | None) -> str:
    """`+66.7 %`, `-90 %`, `+0.012 %`; empty where there is none."""
    if value is None:
        return ""
    if abs(value) >= 1e6:
        return f"{'+' if value > 0 else '-'}{number(abs(value))} %"
    if abs(value) >= 100:
        return f"{value:+,.0f} %"
    text = f"{value:+.1f}" if abs(value) >= 1 else f"{value:+.2g}"
    return f"{text[:-2] if text.endswith('.0') else text} %"


def scalar(value: Any) -> str:
    """A recorded value, exactly; a text that would read as something else is quoted."""
    if isinstance(value, str):
        return quoted(value) if reads_as_another(value) else clean(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(scalar(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{scalar(key)}: {scalar(item)}' for key, item in value.items())}}}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1000:
        return f"an integer of {value.bit_length():,} bits"
    return json.dumps(value) if value is None or isinstance(value, (bool, int)) else clean(str(value))


def quoted(text: str) -> str:
    return f'"{clean(text)}"'


NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def reads_as_another(text: str) -> bool:
    """Would this text, unquoted, look like a number, a truth value, nothing, or lose its blanks?"""
    if text != text.strip() or text.lower() in ("", "true", "false", "null", "none", "~", "yes", "no", "on", "off"):
        return True
    if text in NOT_FINITE:  # as a record holds such a number
        return False
    try:
        float(text)
    except ValueError:
        return text[0] in "[{\"'"
    return True


def short_digest(digest: str | None) -> str:
    """Enough of a digest to recognise it."""
    if digest is None:
        return "no digest"
    algorithm, colon, digits = digest.partition(":")
    return f"{algorithm}:{digits[:10]}" if colon else digest[:10]


def short_id(run_id: str) -> str:
    return run_id[:8]


def command_line(words: tuple[str, ...]) -> str:
    """A command as one line that a shell would read back as the same words."""
    from shlex import quote

    return " ".join(clean(quote(word)) for word in words)
