"""Fonts for the signs that our own font lacks, such as Chinese or Devanagari, where this machine has one.

matplotlib keeps a list of fonts and does not notice new ones; they are looked for where the list has none. A sign that
no font has is drawn as a box, in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mltrack.views.plot.style import FONTS

USUAL = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans", "Noto Sans", "Hiragino Sans",
    "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Emoji", "Unifont",
)  # fmt: skip
"""Are tried first, in this order."""
MOST = 4
"""Fonts that are added."""
LOOKED_INTO = 80


def fonts_for(texts: Sequence[str]) -> tuple[str, ...]:
    """Our font, and those that these texts need besides, as far as they are there."""
    signs = {sign for text in texts if not text.isascii() for sign in text if sign.isprintable()}
    if not signs:
        return FONTS
    from matplotlib import font_manager

    own = font_manager.findfont(FONTS[0], fallback_to_default=True)
    missing = without(signs, own)
    found: list[str] = []
    for name, path in candidates(font_manager):
        if not missing or len(found) == MOST:
            break
        rest = without(missing, path)
        if len(rest) < len(missing) and "Last Resort" not in name:
            found.append(name)
            missing = rest
    return (*FONTS, *found)


def without(signs: set[str], path: str) -> set[str]:
    """Those of the signs that a font does not have."""
    from matplotlib.font_manager import get_font

    try:
        known: Any = get_font(path).get_charmap()
    except (OSError, RuntimeError):
        return signs
    return {sign for sign in signs if ord(sign) not in known}


def candidates(manager: Any) -> Iterator[tuple[str, str]]:
    """Names and files of the fonts in matplotlib's list, the usual ones first; then those that it does not know."""
    listed = {font.name: font.fname for font in reversed(manager.fontManager.ttflist)}
    yield from ((name, listed.pop(name)) for name in USUAL if name in listed)
    for path in new_files(manager, listed.values()):
        before = len(manager.fontManager.ttflist)
        try:
            manager.fontManager.addfont(path)
        except Exception:  # of a broken font file anything comes
            continue
        yield from ((font.name, font.fname) for font in manager.fontManager.ttflist[before:][:1])
    yield from sorted(listed.items())


def new_files(manager: Any, known: Iterable[str]) -> list[str]:
    """Font files of this machine that are in no list, those of usual names first, upright ones before others."""
    there = {font.fname for font in manager.fontManager.ttflist} | set(known)
    words = [name.replace(" ", "").lower() for name in ("Noto Sans CJK", *USUAL)]

    def order(path: str) -> tuple[bool, bool, str]:
        name = path.rpartition("/")[2].lower()
        return not name.startswith(tuple(words)), "regular" not in name, path

    return sorted((path for path in manager.findSystemFonts() if path not in there), key=order)[:LOOKED_INTO]
