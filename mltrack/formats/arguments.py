"""The params that a command's own arguments hold: `--lr 0.1`, `--lr=0.1`, `lr=0.1` and flags.

Only the words are known here, not the program's parser, so a few things are a guess: see `find_arguments`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mltrack.formats.launchers import arguments_start
from mltrack.formats.scalars import is_number, parse_scalar, parse_word
from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_OPTION = lazy(r"--([^\s=-][^\s=]*)(?:=(.*))?", re.DOTALL)
_KEY_VALUE = lazy(r"\+{0,2}([A-Za-z_][\w./@-]*)=(?!=)(.*)", re.DOTALL)


@noun
class Argument:
    """One option or `key=value` word of a command."""

    name: str
    """As spelled, without leading dashes or plus signs."""
    form: str
    """`--name value`, `--name=value` or `name=value`."""
    index: int
    """Position of its word in the command."""
    texts: tuple[str, ...]
    """Its values as they stand; none for a flag."""


def params_from_command(command: Sequence[str]) -> dict[str, Any]:
    """The params of a command, by the option's own spelling (`--no-cuda` -> `no-cuda`: True).

    Several values, or an option that stands several times, make a list. Arguments count after the script
    (`python -O train.py`, `python -m train`, `uv run train.py`, `torchrun --nproc-per-node 2 train.py`), up to `--`.
    """
    values: dict[str, list[Any]] = {}
    for argument in find_arguments(command):
        found = [parse_word(text) for text in argument.texts] or [True]
        values.setdefault(argument.name, []).extend(found)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def find_arguments(command: Sequence[str]) -> list[Argument]:
    """The long options and `key=value` words of a command, in order.

    An option takes the word after it, and further words while they are of the same kind (numbers, or text): so
    `--layers 64 32 data.csv` is [64, 32], while `--files a.csv b.csv` is both files. It never takes a word that is an
    option or `key=value`. A negative number is a value. Short options are no params.
    """
    found: list[Argument] = []
    at = arguments_start(command)
    while at < len(command) and command[at] != "--":
        word = command[at]
        option, pair = _OPTION.fullmatch(word), _KEY_VALUE.fullmatch(word)
        if option and option[2] is None:
            texts = _values_after(command, at + 1)
            found.append(Argument(option[1], "--name value", at, texts))
            at += len(texts)
        elif option:
            found.append(Argument(option[1], "--name=value", at, (option[2],)))
        elif pair:
            found.append(Argument(pair[1], "name=value", at, (pair[2],)))
        at += 1
    return found


def _values_after(command: Sequence[str], at: int) -> tuple[str, ...]:
    end = at
    while end < len(command) and _is_value(command[end]):
        if end > at and is_number(parse_scalar(command[end])) != is_number(parse_scalar(command[at])):
            break
        end += 1
    return tuple(command[at:end])


def _is_value(word: str) -> bool:
    if word.startswith("-"):
        return word == "-" or is_number(parse_scalar(word))
    return not _KEY_VALUE.fullmatch(word)
