"""Where a plot goes: a file, standard output, a terminal that shows pictures, text, or its numbers as JSON."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mltrack.digest import plain
from mltrack.errors import StorageError, UsageError
from mltrack.nouns import noun
from mltrack.operations.running.outputs import note_written

if TYPE_CHECKING:
    from mltrack.plots import Plot
    from mltrack.views.plot.picture import Look

FORMS = ("png", "svg", "pdf")
LARGEST = {"inches": 100.0, "cells": 500.0}
LEAST_DPI, MOST_DPI = 20, 1200
MOST_PIXELS = 250_000_000
SMALLEST = 1.5
"""Inches of a picture."""
PLAIN = {ord("│"): "|", ord("┤"): "+", ord("└"): "+", ord("┬"): "+", ord("─"): "-", ord("…"): "~"}
SIGNS = dict(zip("●■▲◆▼✕✚◀▶⬟★◇", "o#AVvx+<>p*%"))
"""What stands for the signs of curves where a stream's encoding has none of them."""


@noun
class Wish:
    """How a plot is wished for on the command line."""

    output: Path | None = None
    as_text: bool = False
    as_json: bool = False
    size: str | None = None
    dark: bool = False
    dpi: int | None = None
    """Pixels of an inch; None: as usual."""
    legend: str | None = None
    """One of `style.LEGENDS`; None: as usual."""

    @property
    def look(self) -> Look:
        """How a picture is to look. Raises UsageError."""
        from mltrack.views.plot.picture import Look
        from mltrack.views.plot.style import LEGENDS

        if self.legend is not None and self.legend not in LEGENDS:
            raise UsageError(f"--legend {self.legend[:40]} is no place.", f"One of: {', '.join(LEGENDS)}.")
        usual = Look()
        return Look(self.dark, self.dpi or usual.dpi, self.legend or usual.legend)

    def check_pixels(self) -> None:
        """Raises UsageError for a picture that no machine could hold."""
        if self.dpi is None:
            return
        wide, high = self.measures() or (20.0, 20.0)
        if self.output is None or str(self.output).endswith((".svg", ".pdf")):
            raise UsageError("--dpi is for a PNG.", "Such as: -o plot.png --dpi 300")
        if not LEAST_DPI <= self.dpi <= MOST_DPI or wide * high * self.dpi**2 > MOST_PIXELS:
            raise UsageError(
                f"--dpi {self.dpi} is too {'little' if self.dpi < LEAST_DPI else 'much'} for a picture.",
                f"From {LEAST_DPI} to {MOST_DPI}, and {MOST_PIXELS:,} pixels at most.",
            )

    def measures(self) -> tuple[float, float] | None:
        """Width and height that were asked for. Raises UsageError."""
        if self.size is None:
            return None
        wide, sign, high = self.size.lower().replace("×", "x").partition("x")
        try:
            found = float(wide), float(high)
        except ValueError:
            found = 0.0, 0.0
        most = LARGEST["inches" if self.output else "cells"]
        if not sign or not all(SMALLEST <= one <= most for one in found):
            raise UsageError(
                f"--size {self.size[:40]} is no size.", "Such as 10x6: inches of a picture; of a text cells, 100x30."
            )
        return found


def form_of(wish: Wish) -> str | None:
    """The form of the picture that was asked for; None where none was. Raises UsageError for what cannot be."""
    wish.measures()
    wish.check_pixels()
    _ = wish.look
    if wish.output is None:
        return None
    if wish.as_json or wish.as_text:
        asked = "--json" if wish.as_json else "--text"
        raise UsageError(
            f"-o is for a picture, {asked} is none.", f"Leave out one of them; {asked} > FILE writes a file."
        )
    if str(wish.output) == "-":
        return "png"
    ending = wish.output.suffix.lower().removeprefix(".")
    if ending not in FORMS:
        what = f"the ending .{ending[:20]}" if ending else "no ending"
        raise UsageError(f"{wish.output.name[:80]} has {what}.", "Write .png, .svg or .pdf.")
    return ending


def write_picture(plot: Plot, wish: Wish) -> None:
    """Write the picture to its file at once and whole, or to standard output. Raises StorageError."""
    form = form_of(wish)
    assert form is not None and wish.output is not None
    data = picture_of(plot, form, wish)
    if str(wish.output) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    written(wish.output, data)


def picture_of(plot: Plot, form: str, wish: Wish) -> bytes:
    from mltrack.views.plot.picture import picture

    width, height = wish.measures() or (None, None)
    return picture(plot, form, width=width, height=height, look=wish.look)


def written(path: Path, data: bytes) -> None:
    """Put the bytes in a file that is there only when it is complete; a link's target is written."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.new")
    try:
        if target.exists() and not target.is_file():  # a device, a pipe: nothing to replace
            target.write_bytes(data)
            return
        try:
            temporary.write_bytes(data)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        note_written(target)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", "Is there its directory, room on the disk, and permission?"
        ) from error


def rendered(plot: Plot, wish: Wish, stream: TextIO) -> str:
    """What is put out where no file was named."""
    if wish.as_json:
        return json_text(plot)
    from mltrack.views.console import has_colour, is_terminal, speaks_unicode, width_of
    from mltrack.views.plot.terminal import shown, shows_pictures

    if not wish.as_text and is_terminal(stream):
        way = shows_pictures(stream)
        if way is not None:
            return shown(plot, way, wish, stream)
    from mltrack.views.plot.text import text_plot

    width, height = wish.measures() or (None, None)
    made = text_plot(plot, None if width is None else int(width), None if height is None else int(height))
    if wish.legend == "off":
        made = replace(made, has_legend=False)
    text = made.render(width_of(stream), has_colour(stream))
    return text if speaks_unicode(stream) else in_ascii(text)


def in_ascii(text: str) -> str:
    """Dots of braille by how many there are, and letters for signs."""
    table: dict[int, str] = {**PLAIN, **{ord(glyph): letter for glyph, letter in SIGNS.items()}}
    for bits in range(256):
        table[0x2800 + bits] = " .:*#"[min(4, (bin(bits).count("1") + 1) // 2)]
    return text.translate(table)


def plot_json(plot: Plot) -> dict[str, Any]:
    """The plot's numbers as a JSON value: each panel says its kind. NaN and infinities are texts, as elsewhere."""
    return {
        "title": plain(plot.title),
        "panels": [{"kind": type(panel).__name__.lower(), **json_value(panel)} for panel in plot.panels],
        "remarks": plain(list(plot.remarks)),
    }


def json_value(item: Any) -> Any:
    from dataclasses import fields, is_dataclass

    if is_dataclass(item):
        return {field.name: json_value(getattr(item, field.name)) for field in fields(item)}
    if hasattr(item, "tolist"):
        import numpy as np

        values = item.tolist()
        return values if bool(np.isfinite(item).all()) else plain(values)
    if isinstance(item, (list, tuple)):
        return [json_value(one) for one in item]
    return plain(item)


def json_text(plot: Plot) -> str:
    """The same as text, a curve a line: a million numbers one below the other help nobody."""
    import json

    value = plot_json(plot)
    lines = []
    for panel in value["panels"]:
        parts = [f"{json.dumps(name)}: {rows(item)}" for name, item in panel.items()]
        lines.append("{" + ",\n ".join(parts) + "}")
    head, tail = (json.dumps(value[name], ensure_ascii=False) for name in ("title", "remarks"))
    return f'{{"title": {head},\n"panels": [\n{",".join(lines)}\n],\n"remarks": {tail}}}\n'


def rows(item: Any) -> str:
    import json

    if isinstance(item, list) and item and isinstance(item[0], (dict, list)):
        return "[\n  " + ",\n  ".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in item) + "]"
    return json.dumps(item, ensure_ascii=False, allow_nan=False)
