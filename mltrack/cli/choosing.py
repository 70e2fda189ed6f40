"""The arguments by which several commands are told which runs they are about, made into one `Choice`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mltrack.cli.options import Branch, Limit, Runs, Since, Sort, Until, Where

GIVEN: dict[str, tuple[Any, Any]] = {
    "words": (Runs, None),
    "where": (Where, None),
    "since": (Since, None),
    "until": (Until, None),
    "branch": (Branch, None),
    "sort": (Sort, ""),
    "limit": (Limit, None),
}
"""Fields of `Choice` -> what typer makes them from, and their defaults."""


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is a `Choice`, for typer: with the argument and the options of one before its
    own."""
    signature = inspect.signature(command, locals={"Choice": object}, eval_str=True)
    _, *own = signature.parameters.values()
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    given = [inspect.Parameter(name, kind, default=value, annotation=of) for name, (of, value) in GIVEN.items()]

    def chosen(**values: Any) -> None:
        from mltrack.operations.seeing.selection import Choice

        words = tuple(values.pop("words") or ())
        return command(Choice(words, **{name: values.pop(name) for name in GIVEN if name != "words"}), **values)

    chosen.__name__, chosen.__doc__, chosen.__annotations__ = command.__name__, command.__doc__, {}
    chosen.__signature__ = signature.replace(parameters=[*given, *own])  # type: ignore[attr-defined]
    return chosen
