"""The half-typed end of a query: which field, operator, value or word of the language may come there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mltrack.ledger.asking import prefixes
from mltrack.ledger.language.fields import (
    ALIASES,
    ANY,
    BOOL,
    FIELDS,
    NAMED,
    NUMBERS,
    SUMMARIES,
    TIME,
    VERSION,
    Field,
    find_field,
)
from mltrack.ledger.language.lexer import KEYWORDS, SIGN, STOPS, WORD, Token, tokens
from mltrack.ledger.language.problems import QueryError
from mltrack.operations.completion.words import MOST, Here, Proposal

FIELD, OPERATOR, NEGATED, VALUE, OPEN, LISTED, LISTED_NEXT, NULL, AFTER = range(9)
"""What comes next in a query."""

COMMON = ("status", "created", "duration", "name", "experiment", "branch", "commit", "dirty", "seed", "exit_code",
          "python", "inputs", "inputs.digest", "artifacts", "verdict", "user", "host", "id", "note")  # fmt: skip
"""The fields that are proposed before anything is typed."""

FAMILIES = {"metrics": ("metric", "last value, or .min .max .count"), "params": ("param", "what it was told"),
            "packages": ("package", "version of a package")}  # fmt: skip
"""What has names behind a dot -> the view with the names, and what it is."""

TEXT_OPERATORS = ("=", "!=", "~", "like", "in", "is null", "is not null")
NUMBER_OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "is null", "is not null")
ANY_OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~", "like", "in", "is null", "is not null")
DATES = ("today", "yesterday", "-1h", "-2d", "-1w")


def query(place: Here, typed: str) -> list[Proposal]:
    """What the whole of a query that begins like this may become, up to its next word."""
    head, partial, before = cut(typed)
    state, field = where(before)
    made = {
        FIELD: lambda: of_fields(place, partial),
        OPERATOR: lambda: operators(field, partial),
        NEGATED: lambda: words(("like", "in"), partial),
        VALUE: lambda: values(place, field, partial),
        OPEN: lambda: words(("(",), partial),
        LISTED: lambda: values(place, field, partial),
        LISTED_NEXT: lambda: words((",", ")"), partial),
        NULL: lambda: words(("null", "not null"), partial),
        AFTER: lambda: words(("and", "or"), partial),
    }[state]()
    return [Proposal(head + one.value, one.story, goes_on=one.goes_on) for one in made if one.value != partial]


def cut(text: str) -> tuple[str, str, list[Token]]:
    """What stands before the word that is being typed, that word, and the tokens before it."""
    try:
        found = tokens(text)[:-1]
    except QueryError:
        return cut_quoted(text)
    if found and found[-1].kind == WORD and not text[-1].isspace() and not text.endswith(('"', "'")):
        return text[: found[-1].at], text[found[-1].at :], found[:-1]
    return text, "", found


def cut_quoted(text: str) -> tuple[str, str, list[Token]]:
    """The same for a text that ends in an open quotation: the longest beginning that can be read is before it."""
    for at in range(len(text) - 1, -1, -1):
        if text[at] in "\"'[!":
            start = at
            while start and not STOPS.match(text[start - 1]):
                start -= 1
            try:
                return text[:start], text[start:], tokens(text[:start])[:-1]
            except QueryError:
                continue
    return "", text, []


def where(before: Sequence[Token]) -> tuple[int, str]:
    """What may come behind these tokens, and the field that is being compared."""
    state, field = FIELD, ""
    for token in before:
        word = token.keyword or (token.text if token.kind == SIGN else "")
        if state in (FIELD, AFTER) and not word:
            state, field = (AFTER if token.text.startswith(("tag:", "tags:")) else OPERATOR), token.text
        else:
            state = NEXT.get((state, word), NEXT.get((state, ""), state))
    return state, field


NEXT = {
    (FIELD, ")"): AFTER,
    **{(OPERATOR, sign): VALUE for sign in ("=", "!=", "<", "<=", ">", ">=", "~", "!~", "like")},
    (OPERATOR, "not"): NEGATED,
    (OPERATOR, "in"): OPEN,
    (OPERATOR, "is"): NULL,
    (NEGATED, "like"): VALUE,
    (NEGATED, "in"): OPEN,
    (OPEN, "("): LISTED,
    (VALUE, ""): AFTER,
    (LISTED, ""): LISTED_NEXT,
    (LISTED_NEXT, ","): LISTED,
    (LISTED_NEXT, ")"): AFTER,
    (NULL, "null"): AFTER,
    **{(AFTER, word): FIELD for word in ("and", "or", "not", "(")},
}
"""What came next, and the word or sign that came ("" for any) -> what comes then."""


def words(known: Sequence[str], partial: str) -> list[Proposal]:
    return [Proposal(one, goes_on=True) for one in known if one.startswith(partial)]


# -- fields


def of_fields(place: Here, partial: str) -> list[Proposal]:
    """The fields of queries; of one that is whole, its operators too."""
    if partial.startswith("tag:"):
        found = [] if place.db is None else prefixes.names(place.db, "tag", partial[4:], MOST)
        return [Proposal(f"tag:{quoted(one)}", "tag") for one in found]
    made = known_fields(place, partial, many=True)
    if "tag:".startswith(partial):
        made.append(Proposal("tag:", "runs with a tag", goes_on=True))
    made += words(("not",), partial) if partial else []
    whole = find_field(partial) if partial and not partial.endswith(".") else None
    if whole is not None and is_there(place, partial):
        made += [Proposal(f"{partial} {one.value}", goes_on=True) for one in operators(partial, "")]
    return made


def single_fields(place: Here, partial: str) -> list[Proposal]:
    """The fields that have one value: what runs are sorted and grouped by."""
    return [Proposal(one.value, one.story, goes_on=one.value.endswith(".")) for one in known_fields(place, partial)]


def known_fields(place: Here, partial: str, many: bool = False) -> list[Proposal]:
    """Fields that begin so: the families of names before anything is typed, the names of one behind its dot."""
    family, dot, name = partial.partition(".")
    if dot and family in FAMILIES:
        return family_names(place, family, name)
    found = [
        Proposal(f"{one}.", story, goes_on=True) for one, (_, story) in FAMILIES.items() if one.startswith(partial)
    ]
    every = COMMON if not partial else dict.fromkeys((*COMMON, *ALIASES, *FIELDS))
    for one in every:
        field = FIELDS[ALIASES.get(one, one)]
        if one.startswith(partial) and (many or not field.many):
            found.append(Proposal(one, story_of(field), goes_on=True))
    return found[:MOST]


def family_names(place: Here, family: str, name: str) -> list[Proposal]:
    """`metrics.loss`, with quotes where the language needs them."""
    if place.db is None:
        return []
    view, _ = FAMILIES[family]
    found = prefixes.names(place.db, view, name.lstrip('"'), MOST)
    return [
        Proposal(field_text(family, one), reach(place, one) if view == "metric" else "", goes_on=True) for one in found
    ]


def field_text(family: str, name: str) -> str:
    """A name as the language reads it: `params."two words"`, `metrics."a.min"`."""
    if family == "metrics" and name.rpartition(".")[2] in SUMMARIES and "." in name:
        return f"{family}.{in_quotes(name)}"
    return f"{family}.{quoted(name)}"


def is_there(place: Here, text: str) -> bool:
    """Is it a field without a name, or does some run have one of that name?"""
    family, dot, name = text.partition(".")
    if not dot or family not in FAMILIES:
        return family not in NAMED or bool(dot)
    bare = name.strip('"')
    return place.db is not None and prefixes.names(place.db, FAMILIES[family][0], bare, 1) == [bare]


def story_of(field: Field) -> str:
    """What a field holds, in a word or in all that there are."""
    return ", ".join(field.choices) or {ANY: ""}.get(field.kind, field.kind)


def reach(place: Here, metric: str) -> str:
    """`0.12 to 3.4`: from the least to the largest last value of a metric."""
    ends = None if place.db is None else prefixes.span(place.db, metric)
    return "" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"


# -- operators and values


def operators(name: str, partial: str) -> list[Proposal]:
    """The operators that a field can be compared by."""
    asked = find_field(name)
    kind = ANY if asked is None else asked.field.kind
    if kind in NUMBERS or kind == TIME:
        known: Sequence[str] = NUMBER_OPERATORS
    elif kind == BOOL:
        known = ("=", "!=", "is null", "is not null")
    else:
        known = ANY_OPERATORS if kind in (ANY, VERSION) else TEXT_OPERATORS
    return words(known, partial)


def values(place: Here, name: str, partial: str) -> list[Proposal]:
    """The values that a field has in some run, or can have."""
    asked = find_field(name)
    if asked is None:
        return []
    bare = partial.lstrip("\"'")
    if asked.field.choices:
        found: Sequence[Any] = asked.field.choices
    elif asked.field.kind == BOOL:
        found = ("true", "false")
    elif asked.field.kind == TIME:
        found = DATES
    else:
        found = () if place.db is None else recorded(place, asked.name, bare)
    texts = [one if isinstance(one, str) else f"{one}" for one in found]
    return [Proposal(value_text(one, partial)) for one in texts if one.startswith(bare)]


def recorded(place: Here, name: str, partial: str) -> Sequence[Any]:
    """What runs have of a field, where an index or the newest runs tell."""
    assert place.db is not None
    family, _, key = name.partition(".")
    if family == "params":
        return prefixes.values(place.db, key, partial, MOST)
    if name in ("name", "tag"):
        return prefixes.names(place.db, "run" if name == "name" else "tag", partial, MOST)
    if name in ("id", "parent.run"):
        return [one.id for one in prefixes.runs_by_id(place.db, partial, MOST)]
    return prefixes.recent(place.db, name, MOST) if name in prefixes.COLUMNS else ()


def value_text(value: str, partial: str) -> str:
    """A value as it would be typed on: in the quotes that somebody began, or in some where it needs them."""
    if partial.startswith("'") and "'" not in value and "\\" not in value:
        return f"'{value}'"
    return in_quotes(value) if partial.startswith('"') else quoted(value)


def quoted(text: str) -> str:
    """A word of the language, in quotes only where it needs them."""
    return in_quotes(text) if not text or STOPS.search(text) or text.lower() in KEYWORDS else text


def in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
