"""A query that is none: the error that points at the place."""

from __future__ import annotations

from mltrack.errors import UsageError

AROUND = 50
"""Characters of a long query that are shown on either side of the place."""

PREFIX = "Not a query: "


class QueryError(UsageError):
    """The message shows the query, the hint has a caret below the place and says what was expected there.

    `error: ` is one character longer than `hint: `, by which the two lines begin on a terminal: so is the blank before
    the caret.
    """

    def __init__(self, text: str, at: int, expected: str, unknown: str = "") -> None:
        """`unknown`: the name there that is no field's, of which those who know the runs may have more to say."""
        start = max(0, at - AROUND) if len(text) > 2 * AROUND else 0
        end = at + AROUND if len(text) > 2 * AROUND else len(text)
        before = ("... " if start else "") + one_line(text[start:at])
        behind = one_line(text[at:end]) + (" ..." if end < len(text) else "")
        super().__init__(f"{PREFIX}{before}{behind}", f"{' ' * (len(PREFIX) + 1 + cells(before))}^ {expected}")
        self.text = text
        self.at = at
        self.unknown = unknown
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.message}\n{(self.hint or '')[1:]}"


def one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def cells(text: str) -> int:
    """How wide a terminal draws the text."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)
