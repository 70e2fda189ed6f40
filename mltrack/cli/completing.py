"""`mltrack __complete SHELL ...`: what a half-typed command line may become, for the scripts of `completion`.

The first line of the answer says what follows: `words`, or that the shell is to complete `files`, `directories`,
`commands` or a whole `command` of its own. There is never an error: what cannot be told is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltrack.cli.shell_words import Typed, in_bash, of_command, split
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.operations.completion.words import Here, Proposal

WORDS, FILES, DIRECTORIES, COMMANDS, COMMAND = "words", "files", "directories", "commands", "command"
PLAIN = "plain"
"""To zsh: words that are to stand as they are; it would write `@~1` with a backslash."""
SHOWN = 80
"""Proposals that a shell is given at most; one of many more is no help."""

BY_METAVAR = {
    "RUN": "run", "A": "run", "B": "run", "ID": "hidden", "QUERY": "query", "[-]FIELD": "sort", "FIELD": "field",
    "FIELD,": "fields", "METRIC": "metric", "TAG": "tag", "KIND": "environment", "TIME": "time", "X Y": "field",
    "PATH": FILES, "FILE": FILES, "FILE[:KEY,...]": FILES, "KEY=VALUE": "assignment", "PLACE": FILES,
    "DIR": DIRECTORIES, "URL": DIRECTORIES,
}  # fmt: skip
"""What an argument is called in the help -> the kind of words that it takes."""

BY_NAME = {
    "experiment": "experiment", "branch": "branch", "status": "status", "tags": "tag", "series": "metric",
    "keep": "package", "columns": "columns", "group_by": "fields", "best": "sort", "coloured_by": "field",
}  # fmt: skip
"""Options whose metavar says less than their name."""

SPECIAL = {
    ("push", "name"): "remote", ("pull", "name"): "remote", ("verify", "name"): "remote", ("gc", "name"): "remote",
    ("remote rm", "name"): "remote", ("run", "name"): "name", ("rerun", "name"): "name",
    ("plot", "group_by"): "field", ("plot", "metrics"): "metric", ("plot", "columns"): "",
    ("env export", "format"): "=pylock|requirements|conda|dockerfile", ("env trim", "format"): "=pylock|requirements",
    ("env diff", "a"): "run", ("env diff", "b"): "run", ("compare", "metrics"): "metric",
    ("ls", "form"): "=table|csv|json|jsonl|md", ("compare", "form"): "=table|csv|json|jsonl|md",
    ("export", "form"): "=jsonl|json|csv|parquet", ("ls", "words"): "query",
    ("sql", "form"): "=table|csv|json|jsonl|md",
    ("diff", "section"): "=command|code|environment|hardware|inputs|params|metrics|artifacts|outcome|patch",
}  # fmt: skip
"""Parameters of one command, where the tables above would be wrong; `=a|b` stands for these words."""

OF_RUN = {("checkout", "paths"): FILES, ("get", "path"): WORDS}
"""Arguments that are paths of the run that stands before them, and what follows where it has none that begins so: the
code that is laid out is not looked through."""


@noun
class Answer:
    """What a shell is told: what follows, and the proposals."""

    how: str = WORDS
    found: tuple[Proposal, ...] = ()
    skip: int = 0
    """Of `command`: how many words stand before the other command."""


def complete(argv: Sequence[str]) -> int:
    """Print the answer for one shell: `bash LINE BREAKS`, `fish LINE`, `zsh WORD...`. Returns 0, whatever happens."""
    try:
        lines = list(answered(argv))
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt):
        return 0  # nobody wants to read an error in the middle of a word
    return 0


def answered(argv: Sequence[str]) -> Iterator[str]:
    """The lines for a shell."""
    shell, *rest = argv
    if shell == "zsh":
        words, typed = rest[:-1], Typed(rest[-1], rest[-1])
    else:
        before, typed = split(rest[0])
        words = of_command(before)
    answer = answer_to(words, typed)
    is_plain = shell == "zsh" and answer.how == WORDS and not any(map(needs_quotes, answer.found))
    yield f"{answer.how} {answer.skip}" if answer.how == COMMAND else PLAIN if is_plain else answer.how
    if shell == "bash":
        yield from for_bash(answer.found, typed, rest[1] if len(rest) > 1 else "")
    else:
        yield from (for_zsh if shell == "zsh" else for_fish)(answer.found)


def answer_to(words: Sequence[str], typed: Typed) -> Answer:
    """What the last word may become behind these; in an open quotation also a step further, where there is one way."""
    from mltrack.operations.completion.words import here
    from mltrack.views.proposals import printable

    with here(Path.cwd()) as place:
        answer = told(place, words, typed.text)
        found = printable(answer.found)
        for _ in range(2):  # bash would end the quotation behind the only way
            if not (typed.quote and len(found) == 1 and found[0].goes_on):
                break
            value = found[0].value
            further = printable(told(place, words, value).found) or printable(told(place, words, value + " ").found)
            found = further or found
    return Answer(answer.how, tuple(found[:SHOWN]), answer.skip)


# -- which word it is


def told(place: Here, words: Sequence[str], current: str) -> Answer:
    """The answer for a last word behind others."""
    rest = list(without_screen_words(words))
    if rest[-1:] == ["--color"]:
        return literal(("always", "never", "auto"), current)
    found = command_of(rest)
    if found is None:
        return Answer()
    path, command, args = found
    if not args.count("--") and hasattr(command, "list_commands"):
        return subcommands(command, current, is_root=not path)
    return argument(place, (path, command), args, current)


def without_screen_words(words: Sequence[str]) -> Iterator[str]:
    """The words, less those for the screen that may stand anywhere; a --color that waits for its word stays."""
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
        elif word == "--color" and place + 1 < len(words):
            skip = True
        elif word != "--no-pager" and not word.startswith("--color="):
            yield word


def command_of(words: Sequence[str]) -> tuple[str, Any, list[str]] | None:
    """The command that the words name, its path, and the words behind it; the group itself where none is named yet."""
    from mltrack.cli.group import COMMANDS, load, root

    if not words:
        return "", root(), []
    if words[0] not in COMMANDS:
        return None
    command, rest = load(words[0]), list(words[1:])
    if hasattr(command, "list_commands") and rest:
        inner = command.commands.get(rest[0])
        return None if inner is None else (f"{words[0]} {rest[0]}", inner, rest[1:])
    return words[0], command, rest


def subcommands(command: Any, current: str, is_root: bool) -> Answer:
    from mltrack.cli.group import COMMANDS
    from mltrack.operations.completion.words import Proposal

    if current.startswith("-"):
        known = ("--help", "--version", "--no-pager", "--color=always", "--color=never") if is_root else ("--help",)
        return literal(known, current)
    texts = (
        {name: text for name, (_, text) in COMMANDS.items()}
        if is_root
        else {name: one.get_short_help_str(100) for name, one in command.commands.items()}
    )
    return Answer(WORDS, tuple(Proposal(name, text) for name, text in texts.items() if name.startswith(current)))


def argument(place: Here, which: tuple[str, Any], args: Sequence[str], current: str) -> Answer:
    """The answer for a word of a command: an option, the value of one, or an argument."""
    path, command = which
    options = {name: one for one in command.params if one.param_type_name == "option" for name in names_of(one)}
    wanting, positional, is_over, first = walked(command, options, args)
    if wanting is not None:
        return of_parameter(place, path, wanting, ("", current))
    if first is not None:
        return Answer(COMMANDS if first == len(args) else COMMAND, (), 1 + len(path.split()) + first)
    if current.startswith("-") and not is_over:
        name, equals, value = current.partition("=")
        if equals and name in options and not options[name].is_flag:
            return of_parameter(place, path, options[name], (f"{name}=", value))
        return of_options(command, args, current)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    run = positional[:1]
    for one in arguments:
        if one.nargs == -1 or len(positional) < one.nargs:
            if (one.metavar or "").startswith("-- "):
                return Answer(COMMANDS)
            if run and (path, one.name) in OF_RUN:
                return of_contents(place, run[0], current, OF_RUN[path, one.name])
            return of_argument(place, path, one, (positional, current))
        positional = positional[one.nargs :]
    return Answer()


def walked(
    command: Any, options: dict[str, Any], args: Sequence[str]
) -> tuple[Any | None, list[str], bool, int | None]:
    """The option that waits for its value, the arguments, whether options are over, where another command begins."""
    is_wrapper = not command.allow_interspersed_args
    has_command = any("-- COMMAND" in (one.metavar or "") for one in command.params)
    positional: list[str] = []
    waiting: list[Any] = []
    for place, word in enumerate(args):
        if waiting:
            waiting.pop()
        elif word == "--":
            return None, [*positional, *args[place + 1 :]], True, place + 1 if has_command else None
        elif word.startswith("-") and len(word) > 1 and not word[1:2].isdigit():
            option = options.get(word)
            waiting = [] if option is None or option.is_flag else [option] * option.nargs
        elif is_wrapper:
            return None, positional, True, place
        else:
            positional.append(word)
    return (waiting[0] if waiting else None), positional, False, None


def names_of(option: Any) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def of_options(command: Any, args: Sequence[str], current: str) -> Answer:
    """The options that begin so, less those that were given and count once."""
    from mltrack.operations.completion.words import Proposal

    found = []
    for one in command.params:
        if one.param_type_name == "option" and (one.multiple or not set(names_of(one)).intersection(args)):
            story = (one.help or "").partition(". ")[0]
            found += [Proposal(name, story) for name in names_of(one) if len(name) > 2 or current == name]
    found.append(Proposal("--help", "Show this command's help."))
    return Answer(WORDS, tuple(one for one in found if one.value.startswith(current)))


def of_argument(place: Here, path: str, argument: Any, typed: tuple[Sequence[str], str]) -> Answer:
    """An argument; of a query in several words, the words before are a part of it."""
    before, current = typed
    kinds = kinds_of(path, argument)
    answer = of_kinds(place, kinds, ("", current))
    is_query = kinds == ["query"] or any(word in LANGUAGE or SIGNS.intersection(word) for word in before)
    if not before or " " in current or not is_query or not any("query" in kind for kind in kinds):
        return answer
    more = of_kinds(place, ("query",), (" ".join(before) + " ", current), is_part=True).found
    is_whole = not more or more[0].value in ("and", "or")
    return Answer(answer.how, (*more, *answer.found) if is_whole else more)


def of_contents(place: Here, run: str, current: str, otherwise: str) -> Answer:
    """A path of a run."""
    from mltrack.operations.completion.words import contents

    found = tuple(contents(place, run, current))
    return Answer(WORDS if found else otherwise, found)


SIGNS = frozenset("=<>~(")
LANGUAGE = frozenset(("and", "or", "not", "in", "like", "is"))


def of_parameter(place: Here, path: str, parameter: Any, typed: tuple[str, str]) -> Answer:
    return of_kinds(place, kinds_of(path, parameter), typed)


def kinds_of(path: str, parameter: Any) -> list[str]:
    """The kinds of words that an option or argument takes, by its name and by what the help calls them; `=word` is a
    word itself."""
    special = SPECIAL.get((path, parameter.name), BY_NAME.get(parameter.name))
    if special is not None:
        return [f"={word}" for word in special[1:].split("|")] if special.startswith("=") else [special]
    metavar = str(parameter.metavar or "")
    if metavar in BY_METAVAR:
        return [BY_METAVAR[metavar]]
    if "--remote" in parameter.opts:
        return ["remote"]
    parts = metavar.replace("[", "").replace("]", "").replace("...", "").split("|")
    if parts == ["RUN", "QUERY"]:
        return ["run or query"]
    if len(parts) > 1 and all(len(part) == 1 for part in parts):
        return [f"={part}" for part in parts]
    return [f"={part}" if part.islower() else BY_METAVAR.get(part, "") for part in parts]


def of_kinds(place: Here, kinds: Iterable[str], typed: tuple[str, str], is_part: bool = False) -> Answer:
    """The words of some kinds. `typed`: what stands before in the same word (or, with `is_part`, in others), and what
    is completed."""
    from dataclasses import replace

    from mltrack.operations.completion.words import KINDS, Proposal, proposals

    head, current = typed
    found: list[Proposal] = []
    how = WORDS
    for kind in kinds:
        if kind in (FILES, DIRECTORIES):
            how = kind
        elif kind in KINDS:
            made = proposals(place, kind, head + current if is_part else current)
            found += [replace(one, value=one.value[len(head) :] if is_part else head + one.value) for one in made]
        elif kind.startswith(f"={current}"):
            found.append(Proposal(head + kind[1:]))
    return Answer(WORDS if found else how, tuple(found))


def literal(known: Sequence[str], current: str) -> Answer:
    from mltrack.operations.completion.words import Proposal

    return Answer(WORDS, tuple(Proposal(one) for one in known if one.startswith(current)))


# -- for each shell


def needs_quotes(proposal: Proposal) -> bool:
    """Is there a sign that a shell could take for its own?"""
    value = proposal.value
    starts_badly = not (value[:1].isalnum() or value[:1] in ("-", "@"))
    return starts_badly or not all(sign.isalnum() or sign in "@~-_./:,+" for sign in value)


def for_bash(found: Sequence[Proposal], typed: Typed, breaks: str) -> Iterator[str]:
    """What is to be put in; a blank behind what is whole, as the script tells bash to add none."""
    for one in found:
        text = in_bash(typed, one.value, breaks)
        if text:
            yield text if one.goes_on or typed.quote else f"{text} "


def for_zsh(found: Sequence[Proposal]) -> Iterator[str]:
    """`+` where more is to come, else `=`; then the word and its story as `_describe` takes them."""
    from mltrack.views.proposals import story

    now = time.time()
    for one in found:
        value = one.value.replace("\\", "\\\\").replace(":", "\\:")
        text = story(one, now)
        yield f"{'+' if one.goes_on else '='}{value}{f':{text}' if text else ''}"


def for_fish(found: Sequence[Proposal]) -> Iterator[str]:
    from mltrack.views.proposals import story

    now = time.time()
    for one in found:
        text = story(one, now)
        yield f"{one.value}\t{text}" if text else one.value
