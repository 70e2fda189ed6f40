"""`mltrack shell`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Into, Ref
from mltrack.cli.start import say, working_directory

if TYPE_CHECKING:
    from mltrack.operations.repeating.shell import Left

SHOWN = 3


def shell(
    ref: Ref,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="One command instead of your shell.")
    ] = None,
    url: Annotated[str | None, typer.Option("--from", metavar="URL", help="The remote that has the run.")] = None,
    into: Into = None,
) -> int:
    """Open a shell where a past run can be got again: its code, data and environment, in a directory of their own.

    Nothing is recorded. On leaving, the directory is removed unless something in it was changed, or --into named it.
    Exits with the code of the shell, or of the command.
    """
    from mltrack.cli.again import absolute
    from mltrack.operations.repeating.shell import ShellRequest
    from mltrack.operations.repeating.shell import shell as open_shell
    from mltrack.views.text import clean

    request = ShellRequest(ref, working_directory(), url, into and absolute(into), tuple(command or ()))
    left = open_shell(request, lambda sentence: say(clean(sentence)))
    tell_rest(left)
    return left.exit_code


def tell_rest(left: Left) -> None:
    """What remains: on stderr, and nothing where nothing does."""
    from mltrack.views.text import clean

    if left.is_gone:
        return
    names = ", ".join(left.changed[:SHOWN]) + (" ..." if len(left.changed) > SHOWN else "")
    say(clean(f"the workspace stays in {left.directory}" + (f": {names}" if names else "")))
