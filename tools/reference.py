"""Writes docs/reference/cli.md from the commands' own help. `make docs`; a test checks that it is current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mltrack.cli.group import COMMANDS, SECTIONS, load, root

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
INTRODUCTION = """# Commands

Generated from the commands' own help by `make docs`. `RUN` is an id, a name, a tag, a unique prefix of an id, or `@`
(see [concepts](../concepts.md)); exit codes are [here](exit-codes.md).
"""


def help_of(name: str) -> str:
    """The help text of one command, as a terminal of 80 columns shows it; of its subcommands too."""
    parent = root().make_context("mltrack", [], resilient_parsing=True, max_content_width=80, terminal_width=80)
    return "\n\n".join(texts(load(name), name, parent))


def texts(command: Any, name: str, parent: Any) -> list[str]:
    context = command.context_class(command, info_name=name, parent=parent)
    found = [command.get_help(context)]
    for inner, subcommand in getattr(command, "commands", {}).items():
        found += texts(subcommand, inner, context)
    return found


def reference() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, commands in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [f"### mltrack {name}\n\n```text\n{help_of(name)}\n```\n" for name in commands]
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference())
    sys.stdout.write(f"{TARGET.name}: {len(COMMANDS)} commands\n")
