"""The text of a query -> its tree. The grammar is in `docs/reference/query.md`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from mltrack.digest import plain
from mltrack.ledger.language.fields import (
    BOOL,
    ID,
    METRIC,
    NAMED,
    NUMBERS,
    TIME,
    Asked,
    find_field,
    nearest_field,
)
from mltrack.ledger.language.lexer import END, SIGN, WORD, Token, tokens
from mltrack.ledger.language.literals import EXPECTED, read
from mltrack.ledger.language.problems import QueryError
from mltrack.ledger.language.tree import Compare, Every, IsNull, Literal, Node, Not, Some

LONGEST = 20_000
"""Characters of a query."""
DEEPEST = 20
"""Parentheses and `not` within one another: each is a call of ours, and SQLite's expressions have a depth too."""
MOST_CONDITIONS = 200
MOST_VALUES = 500

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=", "~", "!~")
NEGATIVE = {"!=": "=", "!~": "~"}


def parse(text: str, now: datetime | None = None) -> Node:
    """The tree of a query; an empty one asks for every run. `now`: from where relative times count.

    Raises QueryError.
    """
    text = plain(text)
    if len(text) > LONGEST:
        raise QueryError(text, LONGEST, f"a query has at most {LONGEST:,} characters")
    return Parser(text, now or datetime.now(timezone.utc)).parse()


def join_words(words: Sequence[str]) -> str:
    """The words of a command line as one query.

    Where each is a query, all must hold; else they are pieces of one, to whose texts the shell has taken the quotes.
    """
    if len(words) > 1 and all(map(is_query, words)):
        return " and ".join(f"({word})" for word in words)
    joined: list[str] = []
    for number, word in enumerate(words):
        before = words[number - 1].lower() if number else ""
        is_value = before in COMPARISONS or before == "like"
        if is_value and (not word or any(sign.isspace() for sign in word)) and word[:1] not in ("'", '"'):
            word = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
        joined.append(word)
    return " ".join(joined)


def is_query(text: str) -> bool:
    try:
        return parse(text) != Every()
    except QueryError:
        return False


class Parser:
    """Reads tokens from left to right, one function a rule of the grammar."""

    def __init__(self, text: str, now: datetime) -> None:
        self.text = text
        self.now = now
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0
        self.conditions = 0
        self.values = 0

    def parse(self) -> Node:
        if self.tokens[0].kind == END:
            return Every()
        node = self.either()
        if self.here.kind != END:
            raise self.wrong(self.misplaced())
        return node

    def misplaced(self) -> str:
        if self.here.text == ")":
            return "there is no ( that this closes"
        return "expected and, or, or the end; a text with blanks or commas needs quotes"

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def wrong(self, expected: str, token: Token | None = None) -> QueryError:
        return QueryError(self.text, (token or self.here).at, expected)

    def take(self, *texts: str) -> Token | None:
        """The token here, if it is one of these signs or words of the language; it is then behind us."""
        token = self.here
        if (token.kind == SIGN and token.text in texts) or (token.keyword and token.keyword in texts):
            self.at += 1
            return token
        return None

    def either(self) -> Node:
        items = [self.both()]
        while self.take("or"):
            items.append(self.both())
        return items[0] if len(items) == 1 else Some(tuple(items))

    def both(self) -> Node:
        items = [self.single()]
        while self.take("and"):
            items.append(self.single())
        return items[0] if len(items) == 1 else Every(tuple(items))

    def single(self) -> Node:
        opened = self.take("not", "(")
        if opened is None:
            return self.condition()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"conditions are at most {DEEPEST} deep", opened)
        if opened.text == "(":
            node = self.either()
            if not self.take(")"):
                raise self.wrong("expected a )" if self.here.kind == END else "expected and, or, or a )")
        else:
            node = Not(self.single())
        self.depth -= 1
        return node

    def condition(self) -> Node:
        token = self.here
        if token.kind != WORD or token.quoted or token.keyword:
            raise self.wrong("expected a field, such as status, params.lr, metrics.acc, tag:WORD")
        self.conditions += 1
        if self.conditions > MOST_CONDITIONS:
            raise self.wrong(f"a query has at most {MOST_CONDITIONS} conditions")
        self.at += 1
        for start in ("tag:", "tags:"):
            if token.text.lower().startswith(start):
                return self.tagged(token, token.text[len(start) :])
        return self.about(self.field(token))

    def tagged(self, token: Token, word: str) -> Node:
        if not word:
            raise QueryError(self.text, token.at + len(token.text), "expected a tag right behind the colon")
        asked = find_field("tag")
        assert asked is not None
        return Compare(asked, "=", (Literal(word),))

    def field(self, token: Token) -> Asked:
        found = find_field(token.text, token.closed)
        if found is not None:
            return found
        name = token.text.rstrip(".")
        if name.lower() in NAMED:
            raise self.wrong(f"{name} has names: write {name}.NAME", token)
        near = nearest_field(name.split(":")[0] if ":" in name else name)
        advice = f"did you mean {near}?" if near else "see docs/reference/query.md"
        if self.here.kind == END and len(self.tokens) == 2 and not near:
            advice = f"a name is asked for by: name = {name[:60]}, a tag by: tag:{name[:60]}"
        said = f"there is no field called {name[:60]}; {advice}"
        raise QueryError(self.text, token.at, said, unknown=name)

    def about(self, asked: Asked) -> Node:
        """What is said of a field."""
        if self.take("is"):
            negated = self.take("not") is not None
            if not self.take("null"):
                raise self.wrong("expected null or not null; values are compared by =")
            return IsNull(asked, negated)
        negated = self.take("not") is not None
        token = self.take("in", "like", *(() if negated else COMPARISONS))
        if token is None:
            wanted = "in or like" if negated else "one of = != < <= > >= ~ in like, or is null"
            raise self.wrong(f"expected {wanted}")
        name = token.keyword or token.text
        negated = negated or name in NEGATIVE
        operator = NEGATIVE.get(name, name)
        if operator == "in":
            return Compare(asked, "=", self.several(asked), negated)
        self.check_operator(asked, operator, token)
        return Compare(asked, operator, (self.value(asked, operator),), negated)

    def check_operator(self, asked: Asked, operator: str, token: Token) -> None:
        kind = asked.field.kind
        if kind == BOOL and operator != "=":
            raise self.wrong(f"expected = or !=: {asked.name} is true or false", token)
        if operator in ("like", "~") and kind in (*NUMBERS, TIME):
            raise self.wrong(f"expected = != < <= > >= or in: {asked.name} is no text", token)

    def several(self, asked: Asked) -> tuple[Literal, ...]:
        """The values behind `in`."""
        if not self.take("("):
            raise self.wrong("expected values in parentheses: (0.1, 0.01)")
        found = [self.value(asked, "=")]
        while self.take(","):
            found.append(self.value(asked, "="))
        if not self.take(")"):
            raise self.wrong("expected a comma or a )")
        return tuple(found)

    def value(self, asked: Asked, operator: str) -> Literal:
        token, field = self.here, asked.field
        if token.kind != WORD or (token.keyword and not token.quoted):
            if token.keyword == "null":
                raise self.wrong("expected a value; whether there is one is asked by: is null")
            plain = (
                "expected a number" if field.kind in NUMBERS else "expected a value: a number, a word or a quoted text"
            )
            raise self.wrong(EXPECTED.get(field.kind, plain))
        self.at += 1
        self.values += 1
        if self.values > MOST_VALUES:
            raise self.wrong(f"a query has at most {MOST_VALUES} values", token)
        literal = read(token.text, field, self.now)
        if literal is None or (field.kind in NUMBERS and literal.number is None):
            example = EXPECTED.get(field.kind, "expected a number")
            raise self.wrong(example + (", nan, inf" if field.kind == METRIC else ""), token)
        if field.kind == ID and operator == "=":
            literal = Literal(token.text.lower().removesuffix(".."))
            if not literal.text:
                raise self.wrong("expected a digest or an id, or the beginning of one", token)
        if field.choices and operator == "=":
            literal = Literal(self.chosen(literal.text, field.choices, token))
        if operator == "like" and (len(token.text) - len(token.text.rstrip("\\"))) % 2:
            raise self.wrong("the \\ at the end takes nothing in", token)
        return literal

    def chosen(self, text: str, choices: tuple[str, ...], token: Token) -> str:
        """A value of a field that has only these."""
        from difflib import get_close_matches

        if text.lower() in choices:
            return text.lower()
        near = get_close_matches(text.lower(), choices, 1)
        quoted = [f'"{one}"' if " " in one else one for one in choices]
        advice = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(quoted)}"
        raise self.wrong(advice, token)
