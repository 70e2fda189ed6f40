"""The command line before typer reads it: words for the screen, and options whose value may be left out.

`--no-pager` and `--color` stand before the command or after it, whatever the command. Words of another program's
command line are left alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from mltrack.errors import UsageError

WHEN = ("always", "never", "auto")
CHILDREN = ("run", "preflight")
"""What stands behind these is another program's, from its name on."""
FIELDS = ("plot",)
"""Commands with a --color of their own, for a field; words that say when are for the screen there too."""
OPTIONAL = {"diff": ("--tool", "-t")}
"""Options of a command whose value may be left out; typer gets an empty one."""


def prepared(argv: Sequence[str]) -> list[str]:
    """The command line as typer is to read it; the words for the screen are obeyed. Raises UsageError for a --color
    that is none."""
    kept: list[str] = []
    waiting = list(argv)
    while waiting:
        word = waiting.pop(0)
        if word == "--" or (kept and kept[0] in CHILDREN):
            return [*kept, word, *waiting]
        if word == "--no-pager":
            from mltrack.views.pager import turn_off

            turn_off()
        elif kept and kept[0] in FIELDS and is_field(word, waiting):
            kept.append(word)
        elif word.startswith("--color="):
            set_colour(word.partition("=")[2])
        elif word == "--color":
            set_colour(waiting.pop(0) if waiting else "")
        else:
            kept.append(word)
            if word in OPTIONAL.get(kept[0], ()) and (not waiting or waiting[0].startswith("-")):
                kept.append("")
    return kept


def is_field(word: str, waiting: Sequence[str]) -> bool:
    """Is it a --color with a value that does not say when?"""
    name, sign, value = word.partition("=")
    if not sign:
        value = waiting[0] if waiting else ""
    return name == "--color" and bool(value) and value not in WHEN


def set_colour(when: str) -> None:
    """As the variables do, for this process and what it starts."""
    if when not in WHEN:
        raise UsageError(f"--color is one of: {', '.join(WHEN)}.", "Such as: --color=always")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)
    if when != "auto":
        os.environ["FORCE_COLOR" if when == "always" else "NO_COLOR"] = "1"
