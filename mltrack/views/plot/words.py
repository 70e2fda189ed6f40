"""Texts in a text plot: cut to a width, and painted with one of a few colours that people tell apart. Pure."""

from __future__ import annotations

from mltrack.views.text import cell_width, shorten

COLOURS = (32, 208, 35, 170, 214, 39, 178, 246)
"""Of the 256 of a terminal, those nearest to Okabe and Ito's: blue, vermilion, green,
purple, orange, sky blue, yellow, grey."""


def coloured(text: str, number: int, colour: bool) -> str:
    """The text in the colour of that number."""
    return f"\x1b[38;5;{COLOURS[number % len(COLOURS)]}m{text}\x1b[0m" if colour and text.strip() else text


def faint(text: str, colour: bool) -> str:
    return f"\x1b[2m{text}\x1b[0m" if colour and text.strip() else text


def bold(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour and text.strip() else text


def cut(text: str, width: int) -> str:
    """The text in at most `width` cells."""
    return shorten(text, width)


def padded(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells, shortened in its middle where it is longer."""
    text = shorten(text, width)
    blank = " " * (width - cell_width(text))
    return blank + text if right else text + blank
