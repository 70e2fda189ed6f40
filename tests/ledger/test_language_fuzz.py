"""Whatever is typed as a query: an answer or a QueryError, in bounded time, and never a word of it in the SQL."""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrack import ledger
from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.ledger import schema
from mltrack.ledger.asking.queries import RunQuery
from mltrack.ledger.language.evaluate import fits
from mltrack.ledger.language.fields import FIELDS
from mltrack.ledger.language.parser import parse
from mltrack.ledger.language.problems import QueryError
from mltrack.ledger.language.sql import condition
from mltrack.ledger.ledger import Ledger
from mltrack.noun_json import to_dict
from mltrack.operations.asking import Bounds, condition_of
from tests.ledger.questions import queries, random_run

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
MARK = "zq7mark"

PIECES = [
    "and", "or", "NOT", "in", "like", "is", "null", "(", ")", "((", ",", "=", "==", "!=", "<>", "<", "<=", ">=", "~", "!~",
    "!", "'", '"', "\\", "[", "]", "[1, 2]", "{", "tag:", "tags:x", ":", ".", "..", "-", "%", "_", "--", ";", "/*", "?", "?1",
    ":a", "@", "$1", "\0", "\n", "\t", "\ud800", "\U0010ffff", "\u202e", "é", "NaN", "nan", "-inf", "1e999", "1" * 400,
    "9223372036854775808", "0x10", "1_0", "2026", "2026-13", "0001-01-01", "9999-12-31", "-99999999d", "today", "1GiB", "1h30m",
    "true", "id", "status", "params", "params.", "params.lr", 'params."a b"', "metrics.acc", "metrics.acc.min", "metrics..", "packages.numpy",
    "inputs.digest", "created", "duration", "code.dirty", "hardware.gpus.cuda", "warnings.kind", "verdict", "seed", "python",
    "'); DROP TABLE run; --", '" OR 1=1 --', "1; SELECT 1", "json_extract(x)", "run.id", "record.json", "finished", "b3:12..",
]  # fmt: skip

soup = st.lists(st.sampled_from(PIECES), max_size=14).flatmap(
    lambda words: st.sampled_from(["", " "]).map(lambda between: between.join(words))
)
anything = st.one_of(
    soup,
    st.text(max_size=40),
    st.binary(max_size=40).map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.tuples(queries, st.integers(0, 200), st.sampled_from(PIECES)).map(
        lambda made: made[0][: made[1]] + made[2] + made[0][made[1] :]
    ),
)


class Few:
    """A ledger of a few runs, and each run's JSON."""

    def __init__(self, ledger: Ledger, documents: dict[str, Any]) -> None:
        self.ledger = ledger
        self.documents = documents

    def __repr__(self) -> str:
        return "Few"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Few]:
    dice = random.Random(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "SYNCHRONOUS", "OFF")
        with Ledger.open(tmp_path_factory.mktemp("few") / "ledger.db") as ledger:
            made = [ledger.seal(random_run(dice)).id for _ in range(12)]
            yield Few(ledger, {id: plain(to_dict(ledger.get(id))) for id in made})


@settings(max_examples=100 * SOAK, deadline=None)
@given(anything)
@example("params.x = " + "1" * 19_000 + "x")
@example("created > -999999999999d or created < 9999-12-31")
@example("params.lr = '\\'")
@example("params.lr like '\\")
def test_any_text_is_answered_or_refused_at_a_place_in_it(few: Few, text: str) -> None:
    try:
        node = parse(text, NOW)
    except QueryError as error:
        assert error.message.startswith("Not a query") and error.hint
        return
    found = {run.id for run in few.ledger.list(RunQuery(where=node, include_deleted=True, brief=True))}
    assert found == {id for id, document in few.documents.items() if fits(node, document)}


@settings(max_examples=60 * SOAK, deadline=None)
@given(queries)
def test_the_sql_holds_no_word_of_the_query(text: str) -> None:
    marked = re.sub(r'"((?:[^"\\]|\\.)*)"', rf'"{MARK}\1"', text)
    try:
        sql, bound = condition(parse(marked, NOW))
    except QueryError:
        return
    assert MARK not in sql
    assert sql.count("?") == len(bound)
    assert set(re.findall(r"[^\W\d]\w*", sql)) <= OWN_WORDS


OWN_WORDS = {
    word
    for path in Path(ledger.__file__).parent.rglob("*.py")
    for word in re.findall(r"[^\W\d]\w*", path.read_text(encoding="utf-8"))
} | {name.replace(".", "_") for name in FIELDS}
"""What SQL of ours may be made of: words that stand in our own sources."""


@settings(max_examples=40 * SOAK, deadline=None)
@given(st.lists(anything, max_size=4), st.one_of(st.none(), st.text(max_size=12), st.sampled_from(PIECES)))
def test_words_of_a_command_line_are_refused_as_wrong_usage_at_most(words: list[str], since: str | None) -> None:
    try:
        condition_of(words, Bounds(since, since, since))
    except UsageError as error:
        assert error.exit_code == 2 and error.message and error.hint


GROWING: dict[str, Callable[[int], str]] = {
    "parentheses": lambda size: "(" * size,
    "nots": lambda size: "not " * size,
    "quotes": lambda size: "params.x = " + "'\"" * size,
    "backslashes": lambda size: 'params.x = "' + "\\" * size,
    "brackets": lambda size: "params.x = " + "[" * size,
    "digits": lambda size: "params.x = " + "1" * size + "x",
    "grouped digits": lambda size: "params.x = " + "1_1" * size + "x",
    "amounts": lambda size: "duration = '" + "1h " * size + "'",
    "dates": lambda size: "created = '2026-11-01" + " " * size + "x'",
    "blanks": lambda size: "status" + " " * size + "= x",
    "names": lambda size: "statu" + "s" * size + " = finished",
    "choices": lambda size: "status = finishe" + "d" * size,
    "values": lambda size: f"seed in ({', '.join('1' * min(size, 500))}",
    "conditions": lambda size: " or ".join(["a.b = 1"] * size),
}


@pytest.mark.parametrize("family", GROWING)
def test_the_time_of_reading_a_query_grows_no_faster_than_its_length(family: str) -> None:
    make = GROWING[family]
    assert lines_run(make(1600)) <= 2.5 * lines_run(make(800)) + 200


def lines_run(text: str) -> int:
    """How many lines of Python it takes to read a query."""
    lines = 0

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        parse(text, NOW)
    except QueryError:
        pass
    finally:
        sys.settrace(before)
    return lines


def test_patterns_that_match_in_many_ways_are_tried_in_one(few: Few) -> None:
    from mltrack.ledger.language.evaluate import is_like

    assert not is_like("a" * 300, "%a" * 150 + "b")
    assert not is_like("a" * 300, "%_" * 150 + "b")


def test_the_reference_shows_queries_that_can_be_asked() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/query.md").read_text()
    shown = re.findall(r"`((?:[a-z_.]+) (?:=|!=|<|>|>=|<=|~) [^`]+)`", page)
    assert len(shown) > 5
    for text in shown:
        parse(text, NOW)
