"""Parses the options of `mltrack run` without typer, so that the command starts 40 ms earlier.

Whatever it does not know for sure (--help, a wrong option, an abbreviation) it leaves to typer: it returns None. The
options are those of `cli/run.py`; a test compares the two parsers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MANY = {
    "--input": "inputs",
    "--output": "outputs",
    "--params": "params",
    "--metrics": "metrics",
    "--set": "overrides",
    "--tag": "tags",
}
ONE = {
    "--name": "name",
    "--experiment": "experiment",
    "--why": "why",
    "--env": "env",
    "--image": "image",
    "--resume-from": "resume_from",
}
NUMBER = {"--seed": "seed"}
FLAG = {
    "--isolated": "isolated",
    "--strict": "strict",
    "--quiet": "quiet",
    "--trace": "trace",
    "--cached": "cached",
    "--json": "as_json",
}


def parse_run(words: Sequence[str]) -> dict[str, Any] | None:
    """The words after `mltrack run` -> keyword arguments of `start_run`; None for anything out of the ordinary."""
    options: dict[str, Any] = {name: [] for name in MANY.values()}
    at = 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        at += 1
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if word in FLAG:
            options[FLAG[word]] = True
            continue
        if name not in MANY and name not in ONE and name not in NUMBER:
            return None
        if not equals:
            if at == len(words) or words[at].startswith("-"):
                return None
            value, at = words[at], at + 1
        if name in MANY:
            options[MANY[name]].append(value)
        elif name in ONE:
            options[ONE[name]] = value
        else:
            if not value.isdecimal() or not value.isascii():
                return None
            options[NUMBER[name]] = int(value)
    if at == len(words):
        return None
    return {**options, "command": list(words[at:])}
