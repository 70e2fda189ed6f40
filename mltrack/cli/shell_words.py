"""A half-typed command line -> its words, and where the last one begins, as bash, zsh and fish read it."""

from __future__ import annotations

from collections.abc import Sequence

from mltrack.nouns import noun

NEEDS_ESCAPE = frozenset("\\\"'`$&|;<>()*?[]{}!# \t~")
"""Signs that bash reads as something else outside of quotes."""


@noun
class Typed:
    """The last word of a line: what it says, and how it is written."""

    text: str
    raw: str
    """As it stands on the line."""
    quote: str = ""
    """The quote that is still open; "" for none."""
    quoted_at: int = 0
    """How much of `text` stands before that quote."""


def split(line: str) -> tuple[list[str], Typed]:
    """The words before the last, and the last, which may be empty or have an open quote."""
    words: list[str] = []
    text, start, quote, quoted_at = "", 0, "", 0
    is_word = False
    at = 0
    while at < len(line):
        sign = line[at]
        if quote:
            if sign == quote:
                quote = ""
            elif sign == "\\" and quote == '"' and line[at + 1 : at + 2] in ('"', "\\", "$", "`"):
                at += 1
                text += line[at]
            else:
                text += sign
        elif sign in "\"'":
            quote, quoted_at, is_word = sign, len(text), True
        elif sign.isspace():
            if is_word:
                words.append(text)
            text, start, is_word = "", at + 1, False
        else:
            if sign == "\\" and at + 1 < len(line):
                at += 1
            text, is_word = text + line[at], True
        at += 1
    return words, Typed(text, line[start:], quote, quoted_at)


def of_command(words: Sequence[str]) -> list[str]:
    """The words behind the command's own name: `A=1 mltrack ls` -> ls."""
    rest = list(words)
    while rest and "=" in rest[0] and rest[0].partition("=")[0].isidentifier():
        rest = rest[1:]
    return rest[1:]


def in_bash(typed: Typed, value: str, breaks: str) -> str | None:
    """What bash is to put in the place of what it takes for the word: only what stands behind a sign of
    COMP_WORDBREAKS, written as the word was begun. None where that cannot be written."""
    if typed.quote:
        rest = value[typed.quoted_at :]
        if typed.quote == "'":
            return None if "'" in rest else rest
        if "!" in rest:
            return None  # bash would look for it in its history
        return "".join(f"\\{sign}" if sign in '"\\$`' else sign for sign in rest)
    last = max(
        (at for at, sign in enumerate(typed.raw) if sign in breaks and typed.raw[at - 1 : at] != "\\"), default=-1
    )
    behind = split(typed.raw[: last + 1])[1].text
    rest = value[len(behind) :]
    return "".join(
        f"\\{sign}" if sign in NEEDS_ESCAPE and not (sign == "~" and value[:1] == "@") else sign for sign in rest
    )
