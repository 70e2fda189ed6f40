"""The two readings of the query language, by SQL and by Python, find the same runs."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.digest import plain
from mltrack.errors import UsageError
from mltrack.ledger import schema
from mltrack.ledger.asking.choosing import chosen
from mltrack.ledger.language.evaluate import fits, text_fits, values
from mltrack.ledger.language.fields import ALIASES, FIELDS, NAMED, SUMMARIES
from mltrack.ledger.language.literals import version_key
from mltrack.ledger.language.parser import parse
from mltrack.ledger.language.problems import QueryError
from mltrack.ledger.language.tree import Every, Node, Not
from mltrack.ledger.ledger import Ledger, RunQuery
from mltrack.noun_json import to_dict
from tests.ledger.questions import field_names, queries, random_run

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


class World:
    """A ledger of random runs, and each run's JSON."""

    def __init__(self, ledger: Ledger, documents: dict[str, dict]) -> None:
        self.ledger = ledger
        self.documents = documents

    def __repr__(self) -> str:
        return "World"

    def ids(self, **query: Any) -> list[str]:
        return chosen(self.ledger.db, RunQuery(include_deleted=True, **query))

    def fitting(self, node: Node) -> set[str]:
        return {id for id, document in self.documents.items() if fits(node, document)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    dice = random.Random(os.environ.get("MLTRACK_SEED_OF_RUNS", "1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "SYNCHRONOUS", "OFF")
        with Ledger.open(tmp_path_factory.mktemp("world") / "ledger.db") as ledger:
            made = [ledger.seal(random_run(dice)).id for _ in range(120)]
            ledger.add_event("tag", made[0], "zzz")
            ledger.add_event("name", made[1], "lstm")
            yield World(ledger, {id: plain(to_dict(ledger.get(id))) for id in made})


@settings(max_examples=150 * SOAK, deadline=None)
@given(queries)
def test_sql_and_python_find_the_same_runs(world: World, text: str) -> None:
    try:
        node = parse(text, NOW)
    except QueryError:
        return
    found = world.ids(where=node)
    assert set(found) == world.fitting(node) and len(set(found)) == len(found)
    assert set(world.ids(where=Not(node))) == set(world.documents) - set(found)


@settings(max_examples=30 * SOAK, deadline=None)
@given(field_names(), st.sampled_from(["", "-"]), queries, st.integers(1, 30))
def test_a_limit_cuts_the_order_and_runs_without_the_field_come_last(
    world: World, field: str, way: str, text: str, limit: int
) -> None:
    try:
        node, sort = parse(text, NOW), f"{way}{field}"
        whole = world.ids(where=node, sort=sort)
    except UsageError:
        return
    assert world.ids(where=node, sort=sort, limit=limit) == whole[:limit]
    assert set(whole) == world.fitting(node)
    wanted = parse(f"{field} is null", NOW).asked  # type: ignore[union-attr]
    found = [values(wanted, world.documents[id]) for id in whole]
    has = [bool(one) and is_ordered(wanted.field.kind, one[0]) for one in found]
    assert has == sorted(has, reverse=True)


def is_ordered(kind: str, value: Any) -> bool:
    """Has it a place among others? NaN has none, and a version without a number."""
    if kind == "version":
        return version_key(value) is not None
    return value != "NaN" or kind not in ("metric", "any")


@settings(max_examples=80 * SOAK, deadline=None)
@given(st.text("aB%_\\é", max_size=8), st.text("abBé%_", max_size=8))
def test_a_pattern_means_what_sqlite_means_by_it(world: World, pattern: str, text: str) -> None:
    (sqlite,) = world.ledger.db.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, pattern)).fetchone()
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 0:
        assert text_fits(text, "like", pattern) is bool(sqlite)


def test_an_empty_query_asks_for_all(world: World) -> None:
    assert parse(" \n") == Every()
    assert len(world.ids(where=parse(""))) == len(world.documents)


@pytest.mark.parametrize(
    "text",
    [
        " and ".join(f'inputs.digest != "b3:{n}"' for n in range(200)),
        " or ".join(f"params.p{n} = {n}" for n in range(200)),
        f"id in ({', '.join(f'a{n}' for n in range(500))})",
        f"params.lr in ({', '.join(map(str, range(500)))})",
        f"packages.numpy not in ({', '.join(f'1.{n}' for n in range(500))})",
        "not (" * 10 + " or ".join(["metrics.acc > nan"] * 200) + ")" * 10,
        "(" * 20 + "seed = 1" + ")" * 20,
        "(params.lr not in (1, true) and (packages.numpy = 2 or " * 10 + "warnings.kind !~ x" + "))" * 10,
        "not (params.lr not in (1, true) and " * 10 + "warnings.kind !~ x" + ")" * 10,
        f"name like '{'%a' * 9000}'",
        f"name ~ {'_' * 19000}",
    ],
    ids=lambda text: text[:20],
)
def test_the_largest_queries_are_answered(world: World, text: str) -> None:
    assert set(world.ids(where=parse(text, NOW), limit=5)) <= world.fitting(parse(text, NOW))


def every_field() -> Iterator[str]:
    yield from FIELDS
    for family in NAMED:
        yield f"{family}.x"
    yield from (f"metrics.x.{part}" for part in SUMMARIES)


def test_no_question_reads_a_record(world: World) -> None:
    read: set[str] = set()

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table == "record":
            read.add(str(column))
        return sqlite3.SQLITE_OK

    world.ledger.db.set_authorizer(note)
    try:
        for field in every_field():
            for limit in (None, 5):
                world.ids(where=parse(f"{field} is null or {field} is not null"), limit=limit)
                asked = parse(f"{field} is null").asked  # type: ignore[union-attr]
                if not asked.field.many:
                    world.ids(sort=field, limit=limit)
                if asked.field.kind in ("text", "id", "any") and not asked.field.choices:
                    assert len(world.ids(where=parse(f"not ({field} = a and {field} = b)"))) == len(world.documents)
    finally:
        world.ledger.db.set_authorizer(None)
    assert read <= {"digest", "position", "imported"}, "the packed text of a record was read"


def test_runs_are_told_apart_by_every_field() -> None:
    """Each field has values in the random runs, so that the comparison above means something."""
    dice = random.Random(5)
    documents = [plain(to_dict(random_run(dice))) for _ in range(200)]
    for field in every_field():
        if field.startswith(("packages.", "environment.", "params.", "metrics.")) and field.endswith((".x", *ENDS)):
            continue
        asked = parse(f"{field} is null").asked  # type: ignore[union-attr]
        found = {str(one) for document in documents for one in values(asked, document)}
        assert len(found) >= 2 or field == "record_digest" or field.startswith("imported."), field


ENDS = tuple(f".x.{part}" for part in SUMMARIES)


def test_every_field_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/query.md").read_text()
    words = set(re.findall(r"[\w.]+", page))
    for name in [*FIELDS, *NAMED, *ALIASES]:
        first, _, last = name.partition(".")
        assert any(word.split(".")[0] == first for word in words), name
        ends = (
            f"{name}",
            f".{last}",
            f".{last}.NAME",
            f"{name}.NAME",
            f".{last.rpartition('.')[2]}",
            f".{name.rpartition('.')[2]}",
        )
        assert words.intersection(ends), name


def test_a_rare_value_and_an_order_by_metric_are_found_along_an_index(world: World) -> None:
    plan = "EXPLAIN QUERY PLAN SELECT run FROM {} WHERE name = ? AND {} > ?"
    for table, column in (("metric", "last"), ("param", "value")):
        (row,) = world.ledger.db.execute(plan.format(f"{table}_row", column), (1, 1)).fetchall()
        assert f"COVERING INDEX {table}_by_value (name=? AND {column}>?)" in row[-1]
        steps = world.ledger.db.execute(plan.format(table, column), ("a", 1)).fetchall()
        assert any(step[-1].startswith(f"SEARCH {table}_row USING") and "(name=?" in step[-1] for step in steps), steps
        assert not any(step[-1].startswith("SCAN") for step in steps)
