"""The text of a query -> tokens, each with its place."""

from __future__ import annotations

import re

from mltrack.ledger.language.problems import QueryError
from mltrack.nouns import noun

WORD, SIGN, END = "word", "sign", "end"

OPERATORS = ("!=", "<>", "<=", ">=", "==", "!~", "=", "<", ">", "~")
SAME = {"==": "=", "<>": "!="}
KEYWORDS = ("and", "or", "not", "in", "like", "is", "null")
STOPS = re.compile(r"[\s()\",'=!<>~\[]")
"""What ends the bare part of a word."""


@noun
class Token:
    kind: str
    """`word`, `sign` (an operator, a parenthesis, a comma) or `end`."""
    text: str
    at: int
    quoted: bool = False
    """The word is one quoted text."""
    closed: bool = False
    """The word ends in a quoted text."""
    keyword: str = ""
    """Which of the words of the language it is, if it is one."""


def tokens(text: str) -> list[Token]:
    """The tokens of a query, the end last. Raises QueryError."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign.isspace():
            at += 1
            continue
        operator = next((one for one in OPERATORS if text.startswith(one, at)), None)
        if operator is not None:
            found.append(Token(SIGN, SAME.get(operator, operator), at))
            at += len(operator)
        elif sign in "(),":
            found.append(Token(SIGN, sign, at))
            at += 1
        elif sign == "!":
            raise QueryError(text, at, "expected != here; for the opposite of a condition write: not")
        else:
            token, at = read_word(text, at)
            found.append(token)
    return [*found, Token(END, "", len(text))]


def read_word(text: str, start: int) -> tuple[Token, int]:
    """A word: bare, quoted, or both behind one another, as in `params."a b"`; and where it ends."""
    parts: list[str] = []
    at, quoted = start, 0
    closed = False
    while at < len(text):
        sign = text[at]
        if sign in "\"'":
            part, at = read_quoted(text, at)
            quoted, closed = quoted + 1, True
        elif sign == "[":
            end = text.find("]", at)
            if end < 0:
                raise QueryError(text, at, "expected a ] behind this; or put the word into quotes")
            part, at, closed = text[at : end + 1], end + 1, False
        else:
            stop = STOPS.search(text, at)
            end = stop.start() if stop else len(text)
            if end == at:
                break
            part, at, closed = text[at:end], end, False
        parts.append(part)
    word = "".join(parts)
    if "\0" in word:
        raise QueryError(text, start, "a query has no NUL")
    keyword = word.lower() if not quoted and word.lower() in KEYWORDS else ""
    return Token(WORD, word, start, quoted == len(parts) == 1, closed, keyword), at


def read_quoted(text: str, start: int) -> tuple[str, int]:
    """What stands between quotes, and the place behind them; a backslash takes a quote or itself in."""
    quote, at = text[start], start + 1
    parts: list[str] = []
    while at < len(text):
        sign = text[at]
        if sign == quote:
            return "".join(parts), at + 1
        if sign == "\\" and text[at + 1 : at + 2] in (quote, "\\"):
            at += 1
            sign = text[at]
        parts.append(sign)
        at += 1
    raise QueryError(text, start, f"expected a {quote} that ends this text")
