"""The commands in a shell's text: `sh -c "python a.py | tee x"`, or a script of the project.

A careful look, not a shell: words that hold what only a shell can know are passed over. Nothing is started.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mltrack.environments.command import ASSIGNMENT, Command
from mltrack.patterns import lazy

SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash")
MOST_BYTES = 100_000
MOST_COMMANDS = 200

TAKES_VALUE = ("-O", "+O", "--rcfile", "--init-file")
SYSTEMS = ("/usr/", "/bin/", "/sbin/", "/lib/", "/opt/")
"""What lies there is a program like any other, even if a shell runs it."""

PUNCTUATION = ";|&()<>\n"
BEFORE_A_COMMAND = (
    "then",
    "else",
    "elif",
    "do",
    "if",
    "while",
    "until",
    "!",
    "{",
    "time",
    "exec",
    "command",
    "builtin",
)
NO_COMMAND = ("for", "case", "select", "function", "fi", "done", "esac", "}", "in", "[[")
VARIABLE = lazy(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^}$`]*))?\})")
COMMENT = lazy(r"(?m)^\s*#.*$")
CONTINUED = lazy(r"\\\n")


def script_of(command: Command) -> str | None:
    """The text that a shell runs, if this command is a shell that is given one."""
    if not command.argv or Path(command.argv[0]).name not in SHELLS:
        return None
    index, words, has_text = 1, command.argv, False
    while index < len(words) and words[index][:1] in ("-", "+") and words[index] not in ("-", "--"):
        word = words[index]
        is_cluster = word[1:2] not in ("", "-", "+")
        has_text = has_text or (is_cluster and word[0] == "-" and "c" in word)
        index += 2 if word in TAKES_VALUE or (is_cluster and "o" in word) else 1
    if words[index : index + 1] == ("--",):
        index += 1
    if index >= len(words):
        return None
    return words[index] if has_text else read_script(command.cwd / words[index])


def read_script(path: Path) -> str | None:
    """The text of a script of the user's own; None for anything else."""
    if str(path).startswith(SYSTEMS):
        return None
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES)
    except (OSError, ValueError):
        return None
    return None if b"\0" in text else text.decode("utf-8", "surrogateescape")


def commands_in(text: str, command: Command) -> Iterator[Command]:
    """The simple commands of a text in their order, each with the directory and variables that it is started with.

    `command` is the shell that runs it.
    """
    state = replace(command, argv=(), kept=())
    for words in list(simple_commands(text))[:MOST_COMMANDS]:
        words, variables = assigned(words, state.variables)
        if not words:
            state = replace(state, variables=variables)
            continue
        after = change_of_place(words, state)
        if after is not None:
            state = after
            continue
        first = expanded(words[0], variables)
        if first:
            yield replace(state, argv=(*first, *words[1:]), variables=variables)


def simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each command between `;`, `|`, `&&`, newlines and their like, without redirections. What follows
    something that cannot be read is left out."""
    lexer = shlex.shlex(CONTINUED.sub(" ", COMMENT.sub("", text)), posix=True, punctuation_chars=PUNCTUATION)
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    words: list[str] = []
    try:
        tokens = iter(list(lexer))
    except ValueError:  # a quotation that does not close
        return
    for token in tokens:
        if "<<" in token:
            break  # what follows is text for a program
        if set(token) <= set(PUNCTUATION):
            if set(token) & set("<>"):
                next(tokens, None)
            else:
                yield from begun(words)
                words = []
        elif token.startswith("#"):
            yield from begun(words)
            words = []
            while next(tokens, "\n")[:1] != "\n":
                pass
        else:
            words.append(token)
    yield from begun(words)


def begun(words: list[str]) -> Iterator[list[str]]:
    """The command without the shell's own words in front of it."""
    while words and words[0] in BEFORE_A_COMMAND:
        words = words[1:]
    if words and words[0] not in NO_COMMAND:
        yield words


def assigned(words: list[str], variables: Mapping[str, str]) -> tuple[list[str], Mapping[str, str]]:
    """The words behind assignments (`A=1 python`, `export A=1`), and the variables with them."""
    if words[0] in ("export", "declare", "readonly", "local"):
        words = [word for word in words[1:] if not word.startswith("-")]
        rest: list[str] = []
    else:
        rest = words
        while rest and ASSIGNMENT.match(rest[0]):
            rest = rest[1:]
        words = words[: len(words) - len(rest)]
    known = dict(variables)
    for word in words:
        name, is_set, value = word.partition("=")
        text = literal(value, known) if is_set else None
        if text is not None:
            known[name] = text
    return rest, known


def change_of_place(words: list[str], state: Command) -> Command | None:
    """What `cd` and `source bin/activate` leave behind; None for any other command."""
    if words[0] == "cd" and len(words) == 2:
        place = literal(words[1], state.variables)
        return state if place is None else replace(state, cwd=state.cwd / place)
    if words[0] in (".", "source") and len(words) > 1:
        script = literal(words[1], state.variables)
        if script is None or Path(script).name != "activate":
            return state
        programs = (state.cwd / script).parent
        variables = {**state.variables, "PATH": f"{programs}:{state.variables.get('PATH', '')}"}
        return replace(state, variables={**variables, "VIRTUAL_ENV": str(programs.parent)})
    return None


def expanded(word: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """The word that names the program; `$PYTHON` may be several. Nothing where it cannot be known."""
    text = literal(word, variables)
    return () if text is None else tuple(text.split()) if "$" in word else (text,)


def literal(text: str, variables: Mapping[str, str]) -> str | None:
    """A word with the variables that are known put in; None if it holds more than that."""
    known = VARIABLE.sub(lambda found: value_of(found[1] or found[2], found[3], variables), text)
    return None if "$" in known or "`" in known else known


def value_of(name: str, default: str | None, variables: Mapping[str, str]) -> str:
    return variables.get(name) or ("$" if default is None else default)
