"""Plots as pictures and as text; which numbers stand in them is not decided here.

`picture.py` makes PNG, SVG and PDF, `text.py` lines for a terminal. Each kind of panel of `mltrack/plots.py` has a
module with two functions:

    draw(axes, panel, style) -> None
        Draw the panel in a matplotlib Axes; `style` is a `style.Style`: its `paper`, `ink`, `faint`, `grid`, and
        `look(number)` for the colour, dash and marker of the curve with that number. Title and legend too (a legend by
        `style.legend(axes, handles, labels)`). Texts by `style.text(...)`, with `**style.plain`, so that none is math.
        Colours from `style` alone, never from rcParams, and nothing that `pyplot` would be needed for.
    draw_text(panel, width, height, colour) -> list[str]
        The panel as `height` lines or so, none wider than `width` cells (at least 20), title and legend among them;
        `colour`: may escape sequences be used? A sign or a word says everything that a colour says.

A module is found by the class of the panel: `kinds.py`.
"""
