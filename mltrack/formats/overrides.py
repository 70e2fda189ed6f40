"""`--set K=V`: one param changed for one run, in the command or in a declared params file.

What is decided here is a new command and a list of edits; nothing is written. `edits.py` makes an edit.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mltrack.errors import UsageError
from mltrack.formats.arguments import find_arguments, params_from_command
from mltrack.formats.edits import edit_file
from mltrack.formats.params import known_keys, locate_params
from mltrack.formats.scalars import parse_value
from mltrack.nouns import noun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mltrack.formats.arguments import Argument

__all__ = ["Applied", "FileEdit", "Override", "apply_overrides", "edit_file", "parse_override"]


@noun
class Override:
    """One `--set`: the key, the value by the scalar grammar, and the text as given."""

    key: str
    value: Any
    text: str

    @property
    def word(self) -> str:
        """The value as a word of a command: the text, without the quotes that made it text."""
        return self.value if isinstance(self.value, str) else self.text


@noun
class FileEdit:
    """A value to be changed in a params file; `key` is the key within that file."""

    path: str
    key: str
    value: Any
    text: str


@noun
class Applied:
    """What the overrides come to."""

    command: tuple[str, ...]
    edits: tuple[FileEdit, ...]
    how: dict[str, str]
    """For each key what was changed: `{lr} in the command`, `--lr in the command`, `lr= in the command`, or a path."""


def parse_override(text: str) -> Override:
    """`K=V` -> its parts; blanks around K and V do not count. Raises UsageError without a `=` or a key."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise UsageError(f"--set {text!r} is not KEY=VALUE.", "For example: --set lr=0.1")
    return Override(key, parse_value(value), value)


def apply_overrides(
    command: Sequence[str], overrides: Sequence[Override], params_files: Mapping[str, Mapping[str, Any]]
) -> Applied:
    """Apply each override where the first of these is: `{K}` in the command (every one is filled, other braces stay),
    the command's own `--K V`, `--K=V` or `K=V`, the key in a params file (path -> its flattened params).

    Of two overrides of one key the later counts. A flag that is set to true stays and to false goes; a list gives one
    word a value. Raises UsageError for a key that is nowhere, or in several files.
    """
    latest = {override.key: override for override in overrides}
    words, how = _fill(tuple(command), latest)
    edits: list[FileEdit] = []
    for key, override in latest.items():
        if key in how:
            continue
        found = [argument for argument in find_arguments(words) if argument.name == key]
        if found:
            words = _replace(words, found, override)
            how[key] = f"{key}= in the command" if found[0].form == "name=value" else f"--{key} in the command"
            continue
        path, name = _place(override, words, params_files)
        edits.append(FileEdit(path, name, override.value, override.text))
        how[key] = path
    return Applied(words, tuple(edits), how)


def _fill(command: tuple[str, ...], overrides: Mapping[str, Override]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Fill the `{K}` of all keys in one pass, so that a value that holds braces is not filled again."""
    if not overrides or not any("{" in word for word in command):
        return command, {}
    how: dict[str, str] = {}
    pattern = re.compile("|".join(re.escape("{" + key + "}") for key in overrides))

    def word_of(match: re.Match[str]) -> str:
        key = match[0][1:-1]
        how[key] = f"{match[0]} in the command"
        return overrides[key].word

    return tuple(pattern.sub(word_of, word) for word in command), how


def _replace(command: tuple[str, ...], found: list[Argument], override: Override) -> tuple[str, ...]:
    """The command with the first of the found arguments changed and the others, which would repeat it, left out."""
    words = list(command)
    for argument in reversed(found):
        width = 1 + len(argument.texts) if argument.form == "--name value" else 1
        new = _words_of(argument, override, repeated=len(found) > 1, word=words[argument.index])
        words[argument.index : argument.index + width] = new if argument is found[0] else []
    return tuple(words)


def _words_of(argument: Argument, override: Override, repeated: bool, word: str) -> list[str]:
    """The words that give the argument its new value, in the form that it had."""
    if argument.form != "--name value":
        start = word[: word.index("=") + 1]
        if repeated and isinstance(override.value, list):
            return [start + text for text in _items(override.value)]
        return [start + override.word]
    if not argument.texts and isinstance(override.value, bool):
        return [word] if override.value else []
    if not isinstance(override.value, list):
        return [word, override.word]
    if repeated:
        return [part for text in _items(override.value) for part in (word, text)]
    return [word, *_items(override.value)]


def _items(values: list[Any]) -> list[str]:
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def _place(override: Override, command: Sequence[str], files: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The file, and the key in it, that the override means. Raises UsageError if there is none or more than one."""
    key = override.key
    located = locate_params(tuple(files.items()))
    if key in located:
        return located[key]
    several = sorted(name for name, (_, inner) in located.items() if inner == key)
    if several:
        raise UsageError(f"--set {key}: more than one params file has it.", f"Say which: {' or '.join(several)}.")
    exact = [(path, key.removeprefix(f"{path}:")) for path in files if key.startswith(f"{path}:")]
    if exact and exact[0][1] in files[exact[0][0]]:
        return exact[0]
    from shlex import join

    known = known_keys(key, [*located, *params_from_command(command)])
    raise UsageError(
        f"--set {key}: the command has neither {{{key}}}, --{key} nor {key}=, and no params file has the key. {known}",
        f"To pass it to the command: mltrack run -- {join([*command, f'--{key}', override.word])}",
    )
