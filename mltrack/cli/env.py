"""`mltrack env`: show, compare, check, export, trim and complete environments; the cache of rebuilt ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json, Ref
from mltrack.cli.start import say, working_directory

if TYPE_CHECKING:
    from mltrack.operations.env.seen import Which

env = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)

NOW = "now"
CHECK_FAILED = 1

OptionalRef = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run; by default the environment here, now.", show_default=False)
]
Python = Annotated[
    str | None, typer.Option("--python", metavar="PATH", help="For now: of this interpreter, not the one on the PATH.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there, not on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Write over files that are there.")]


def meant(ref: str | None, python: str | None = None) -> Which:
    """The run of that name, or the environment of now."""
    from mltrack.operations.env.seen import Which

    return Which(Path(working_directory()), None if ref in (None, NOW) else ref, python)


@env.command("show")
def show_environment(ref: OptionalRef = None, python: Python = None, as_json: Json = False) -> None:
    """Show an environment: a run's, or the one here, now.

    Of the one here, now, it shows what a run would record; nothing is kept.
    """
    from mltrack.noun_json import to_dict
    from mltrack.operations.env.look import show
    from mltrack.views.console import show as show_page
    from mltrack.views.console import show_json
    from mltrack.views.environment import environment_page

    shown = show(meant(ref, python), say)
    if as_json:
        show_json(to_dict(shown))
    else:
        show_page(environment_page(shown))


@env.command("diff")
def diff_environments(
    a: Annotated[str, typer.Argument(metavar="[A]", help="A run; by default the newest.")] = "@",
    b: Annotated[str, typer.Argument(metavar="[B]", help="Another run; by default the environment now.")] = NOW,
    python: Python = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when they differ.")] = False,
    as_json: Json = False,
) -> int:
    """Show what differs in two environments.

    `now` stands for the one here, now.
    """
    from mltrack.operations.env.look import diff, differences_json
    from mltrack.views.console import show, show_json
    from mltrack.views.environment import differences_page

    found = diff(meant(a, python if a == NOW else None), meant(b, python if a != NOW else None), say)
    if as_json:
        show_json(differences_json(found))
    else:
        show(differences_page(found))
    return int(exit_code and not found.is_empty)


@env.command("check")
def check_environment(ref: OptionalRef = None, python: Python = None, as_json: Json = False) -> int:
    """Check that an environment could be built here, now.

    Exits 1 when something of it is gone. Without RUN it checks the environment here, now: before any training.
    Nothing is installed.
    """
    from mltrack.noun_json import to_dict
    from mltrack.operations.env.look import check
    from mltrack.views.console import show, show_json
    from mltrack.views.environment import check_page

    found = check(meant(ref, python), say)
    if as_json:
        show_json({"holds": found.holds, **to_dict(found)})
    else:
        show(check_page(found))
    return 0 if found.holds else CHECK_FAILED


@env.command("export")
def export_environment(
    ref: OptionalRef = None,
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="pylock, requirements, conda, dockerfile, ...")
    ] = "pylock",
    output: Output = None,
    force: Force = False,
    python: Python = None,
    as_json: Json = False,
) -> None:
    """Write an environment as a file for other programs.

    With -o, files that it names (wheels that no index has, say) are written beside it.
    """
    from mltrack.noun_json import to_dict
    from mltrack.operations.env.export import ExportRequest, export
    from mltrack.views.console import show, show_json

    found = export(ExportRequest(meant(ref, python), format, output, force), say)
    if as_json:
        show_json(to_dict(found))
    elif output is None:
        show(found.text)
        if found.companions:
            say(f"it names {found.companions[0]}{others(found.companions)}: -o FILE writes that too, beside it")
    else:
        print(f"Wrote {output}{others(found.written)}.")


@env.command("trim")
def trim_environment(
    ref: Ref,
    output: Output = None,
    force: Force = False,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="pylock or requirements.")] = "pylock",
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="NAME", help="Keep this package whatever was seen. Repeatable."),
    ] = None,
    whole: Annotated[bool, typer.Option("--run", help="Prove it by reproducing the whole run.")] = False,
    as_json: Json = False,
) -> int:
    """Leave out what a run did not import.

    Proved by building what is left and importing what the run imported; with --run by reproducing the run. Exits 1,
    and writes nothing, when that does not work.
    """
    from mltrack.noun_json import to_dict
    from mltrack.operations.env.trim import TrimRequest, trim
    from mltrack.views.console import show, show_json
    from mltrack.views.trim import trim_page

    found = trim(TrimRequest(working_directory(), ref, format, output, force, tuple(keep or ()), whole), say)
    if as_json:
        show_json({"holds": found.holds, **to_dict(found)})
    else:
        show(trim_page(found))
    return 0 if found.holds else CHECK_FAILED


@env.command("lock")
def lock_environment(ref: Ref, as_json: Json = False) -> int:
    """Get the hashes that a run's lock lacks.

    The package indexes are asked. Exits 1 when some are not to be had.
    """
    from mltrack.noun_json import to_dict
    from mltrack.operations.env.lock import complete
    from mltrack.views.console import show, show_json
    from mltrack.views.environment import completed_page

    found = complete(working_directory(), ref, say)
    if as_json:
        show_json(to_dict(found))
    else:
        show(completed_page(found))
    return CHECK_FAILED if found.missing else 0


@env.command("cache")
def cached_environments(
    clear: Annotated[bool, typer.Option("--clear", help="Remove those that no process uses.")] = False,
    as_json: Json = False,
) -> None:
    """List the rebuilt environments in the cache.

    Those that `reproduce` built are kept on this machine for the next time.
    """
    import time

    from mltrack.noun_json import to_dict
    from mltrack.operations.env.cache import look_at_cache
    from mltrack.views.console import show, show_json
    from mltrack.views.environment import cache_page

    found = look_at_cache(clear)
    if as_json:
        show_json(to_dict(found.environments))
    else:
        show(cache_page(found, time.time()))


def others(names: tuple[str, ...]) -> str:
    """` and 3 files beside it`."""
    more = len(names) - 1
    return f" and {more} {'file' if more == 1 else 'files'} more" if more > 0 else ""
