"""The table of commands, and a typer group that imports only the one asked for: forty commands cost as one."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command as build_command

from mltrack.cli.app import WRAPPERS, tell_error
from mltrack.cli.words import prepared
from mltrack.errors import UsageError

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Record": {
        "run": ("run:run", "Run a command and record all that made its result."),
        "preflight": ("preflight:preflight", "Say how well a run could be got again, before it runs."),
        "rerun": ("rerun:rerun", "Run a past run's command again on today's tree, or those of many."),
        "stop": ("edit:stop", "End a running command."),
    },
    "Look": {
        "ls": ("ls:ls", "List runs, newest first; those that fit a query."),
        "show": ("look:show", "Tell the story of one run."),
        "log": ("look:log", "Print the output of a run."),
        "metrics": ("metrics:metrics", "List a run's metrics, or try patterns that find metrics in output."),
        "diff": ("diff:diff", "Show every difference between two runs."),
        "compare": ("compare:compare", "Compare many runs: what differs, the best and the worst."),
        "plot": ("plot:plot", "Draw the metrics of runs, or one field against another."),
        "report": ("report:report", "Write one file that tells the story of a run, or compares runs."),
        "sql": ("sql:sql", "Ask the ledger in SQL; nothing is changed."),
        "blame": ("origin:blame", "Say which run made a file, or used it, by its content."),
        "lineage": ("origin:lineage", "Draw the graph through runs that share content."),
    },
    "Get it again": {
        "reproduce": ("again:reproduce", "Run a past run again from its record, and compare the results."),
        "calibrate": ("calibrate:calibrate", "Repeat a run several times, and measure its noise."),
        "shell": ("shell:shell", "Open a shell in a past run's code, data and environment."),
        "verdict": ("verdict:verdict", "Judge a reproduction or a rerun again, by today's settings."),
        "checkout": ("again:checkout", "Lay out the code and the inputs of a run in a new directory."),
        "get": ("again:get", "Write a file of a run."),
    },
    "Environments": {
        "env": ("env:env", "Show, compare, check, export and trim environments."),
    },
    "Edit": {
        "tag": ("edit:tag", "Attach short words to a run."),
        "note": ("edit:note", "Add a text to a run."),
        "rm": ("edit:rm", "Hide a run. Nothing is deleted."),
        "restore": ("edit:restore", "Bring a hidden run back."),
    },
    "Share": {
        "remote": ("share:remote", "Add, list and remove remotes."),
        "push": ("share:push", "Send runs and their data to a remote."),
        "pull": ("share:pull", "Bring runs, and on request their data, from a remote."),
        "clone": ("share:clone", "Make a project from a remote."),
        "export": ("exchange:export", "Write runs to a file: whole as JSON lines, or flat as CSV or Parquet."),
        "import": ("exchange:import_", "Take runs over from a file."),
    },
    "Take care": {
        "init": ("care:init", "Write a settings file to fill in."),
        "verify": ("care:verify", "Check every digest, here or on a remote."),
        "gc": ("care:gc", "Delete from the store what no run needs."),
        "du": ("care:du", "Say what takes the space of the store."),
        "completion": ("completion:completion", "Let your shell complete commands, runs, names and queries."),
        "doctor": ("care:doctor", "Check that mltrack can work here."),
        "demo": ("care:demo", "See the whole story on a real data set, in a minute."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Commands(TyperGroup):
    """Commands by name, imported when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any | None:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"Did you mean {near[0]}?" if near else "See all commands: mltrack --help"
            raise UsageError(f"There is no command called {args[0]}.", hint)
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """Import one command and build it."""
    place, text = COMMANDS[name]
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"mltrack.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        command = build_command(found)
        command.name, command.help = name, text
        return command
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = {"allow_interspersed_args": False} if name in ("run", "preflight") else {}
    app.command(name, help=found.__doc__, context_settings=settings)(found)
    return build_command(app)


def root() -> Commands:
    """The command `mltrack` itself."""
    version = TyperOption(param_decls=["--version"], is_flag=True, expose_value=False, help="Print the version.")
    no_pager = TyperOption(
        param_decls=["--no-pager"], is_flag=True, expose_value=False, help="Never page; also after the command."
    )
    colour = TyperOption(
        param_decls=["--color"], expose_value=False, metavar="WHEN", help="always, never or auto; also after it."
    )
    group = Commands(
        name="mltrack",
        help="A run you can get again: record, compare and reproduce experiments.",
        params=[version, no_pager, colour],
        rich_markup_mode=None,
    )
    group.epilog = "Begin with: mltrack run -- python train.py"
    return group


def invoke(argv: list[str]) -> int:
    """Run the command line through typer; errors of usage are told here, in our form."""
    argv = prepared(argv)
    try:
        result = root().main(argv or ["--help"], prog_name="mltrack", standalone_mode=False)
    except typer.Exit as error:
        return error.exit_code
    except typer.Abort:
        return 130
    except SystemExit:  # so typer ends when the reader of our output has gone
        return 0
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "mltrack"
        message = error.format_message()
        if message.startswith("Usage:"):  # a group without a command answers with its help
            sys.stderr.write(f"{message}\n")
            return error.exit_code
        tell_error(message, getattr(error, "hint", None) or f"See: {path} --help")
        return 125 if argv[0] in WRAPPERS else error.exit_code
    return result if isinstance(result, int) else 0
