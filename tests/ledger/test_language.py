"""What queries mean, and what is said of a text that is none."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mltrack.compare.verdict.grades import GRADES as REAL_GRADES
from mltrack.digest import plain
from mltrack.ledger.language import parser
from mltrack.ledger.language.evaluate import fits
from mltrack.ledger.language.fields import ALIASES, FIELDS, GRADES, NAMED
from mltrack.ledger.language.literals import read_time, version_order
from mltrack.ledger.language.parser import join_words, parse
from mltrack.ledger.language.problems import QueryError
from mltrack.ledger.language.sql import condition
from mltrack.noun_json import to_dict
from mltrack.records import Artifact, CodeState, Environment, MetricSummary
from mltrack.verdicts import Verdict
from tests.ledger.made import run

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=timezone.utc)
RUN = run(
    name="sweep-17",
    status="failed",
    created_at="2026-11-21T01:02:03.000004Z",
    duration_s=7201.0,
    tags=("best", "paper"),
    code=CodeState(commit="9f2a" + "0" * 36, branch="main", dirty=True),
    environment=Environment(python="3.11.7", packages={"numpy": "2.1.0", "torch": "2.10.0+cu121"}),
    params={
        "lr": 0.1,
        "model": "lstm",
        "a b": 1,
        "deep.er": 3,
        "version": "3.10",
        "amp": True,
        "layers": [1, 2],
        "none": None,
    },
    metrics={
        "acc": MetricSummary(0.9, 0.5, 0.95, 10, 9),
        "loss": MetricSummary("NaN", 0.1, "Infinity", 3),
        "a.min": MetricSummary(7, 7, 7, 1),
    },
    artifacts=(
        Artifact("model.pt", "file", "b3:" + "12" * 32, 3 << 30),
        Artifact("log.txt", "file", "b3:" + "34" * 32, 5),
    ),
    verdict=Verdict("within tolerance", "a" * 16),
)
DOCUMENT: Any = plain(to_dict(RUN))


def holds(text: str) -> bool:
    return fits(parse(text, NOW), DOCUMENT)


TRUE = """
metrics.acc > 0.8 and params.model = "lstm" and status = failed and tag:best and created > 2026-11-01 and code.branch = main and artifacts.digest = b3:12.. and duration > 2h
not (name like "other-%")
params.lr in (0.1, 0.01)
metrics.f1 is null
metrics.acc is not null
name like "sweep-%"
name like 'SWEEP-__'
name ~ EEP
name !~ other
params.model != mlp
params.model not in (mlp, cnn)
params."a b" = 1
params.deep.er = 3
params.DEEP is null
metrics.acc.max = 0.95
metrics.acc.min < 0.6
metrics.acc.count = 10
metrics.acc.last_step >= 9
metrics."a.min" = 7
metrics.loss = nan
metrics.loss.max = inf
metrics.loss.max > 1e300
metrics.loss != 3
params.version = 3.10
params.version = "3.10"
params.amp = true
params.amp = TRUE
params.layers = "[1, 2]"
params.layers = [1, 2]
params.none is null
created = 2026-11-21
created = 2026-11
created < 2026-11-22
created <= 2026-11-21
created >= -2d
created = yesterday
created < today
created = "2026-11-21 01:02"
created = 2026-11-21T02:02:03+01:00
duration >= 7201
duration < 2h1m
artifacts.size > 1GiB
artifacts.size < 1kB
artifacts.path = model.pt and artifacts = log.txt
tags != worst
tag:best and tag:paper
status in (failed, lost)
STATUS = Failed
not status = finished or tag:nothing
code.dirty = true
commit = 9f2a
python = 3.11
python >= 3.9
python < 3.12
python <= 3.11
packages.numpy >= 2.1
environment.packages.torch > 2.9
packages.torch = 2.10.0
verdict = "within tolerance"
exit_code is not null and signal is null
command ~ "train.py --lr"
""".strip().splitlines()

FALSE = """
metrics.f1 > 0
metrics.f1 <= 0
metrics.f1 != 0
params.nothing != 3
params.none = 0
metrics.loss > 0
metrics.loss < 0
params.version = 3.1
params.version < 4
params.lr = "0.10x"
params.lr like "0%"
params.amp = 1
params.layers = 1
params.layers > 0
created > 2026-11-21
created < 2026-11-21
created = "2026-11-21 01:03"
tags != best
tags not in (paper, other)
tag:nothing
name = SWEEP-17
name like sweep
python > 3.11
packages.torch < 2.9
metrics.a.min = 7
artifacts.path = model.pt and artifacts.path = other
""".strip().splitlines()


@pytest.mark.parametrize("text", TRUE)
def test_what_holds_of_a_run(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


@pytest.mark.parametrize("text", FALSE)
def test_what_does_not_hold_of_a_run(text: str) -> None:
    assert not holds(text)
    assert holds(f"not ({text})")


def test_and_binds_more_than_or_and_not_binds_most() -> None:
    assert holds("name = x and name = y or status = failed")
    assert not holds("name = x and (name = y or status = failed)")
    assert not holds("not status = failed and name = x")
    assert holds("not (status = failed and name = x)")


WRONG = {
    "metrics.acc >": ("^", 13, "expected a number"),
    "metrics.acc > high": ("^", 14, "expected a number, nan, inf"),
    "and": ("^", 0, "expected a field"),
    "status": ("^", 6, "expected one of"),
    "status = ": ("^", 9, "expected a value"),
    "status = failed)": ("^", 15, "no ( that"),
    "(status = failed": ("^", 16, "expected a )"),
    "status = failed status = lost": ("^", 16, "expected and, or"),
    "status = finshed": ("^", 9, "did you mean finished?"),
    "stats = failed": ("^", 0, "did you mean status?"),
    "metric.acc > 1": ("^", 0, "did you mean metrics.acc?"),
    "metrics > 1": ("^", 0, "metrics.NAME"),
    "params.lr = null": ("^", 12, "is null"),
    "params.lr is 3": ("^", 13, "expected null"),
    "params.lr not = 3": ("^", 14, "expected in or like"),
    "params.lr in 3": ("^", 13, "parentheses"),
    "params.lr in (3": ("^", 15, "comma"),
    "params.lr in ()": ("^", 14, "expected a value"),
    "name = 'open": ("^", 7, "ends this text"),
    "params.x[1 = 3": ("^", 8, "expected a ]"),
    "! status = failed": ("^", 0, "write: not"),
    "created > soon": ("^", 10, "expected a time"),
    "created > 2026-13-01": ("^", 10, "expected a time"),
    "duration > 3parsec": ("^", 11, "expected a duration"),
    "artifacts.size > 3h": ("^", 17, "expected a size"),
    "code.dirty = maybe": ("^", 13, "true or false"),
    "code.dirty < true": ("^", 11, "expected = or !="),
    "metrics.acc like 3": ("^", 12, "is no text"),
    "name like 'a\\'": ("^", 10, "ends this text"),
    "name like a\\": ("^", 10, "takes nothing in"),
    "tag: x": ("^", 4, "expected a tag"),
    "status:failed": ("^", 0, "did you mean status?"),
    "(" * 50 + "status = lost" + ")" * 50: ("^", parser.DEEPEST, "deep"),
    " or ".join(["seed = 1"] * 300): ("^", 300 * 8, "at most"),
    f"seed in ({', '.join(['1'] * 600)})": ("^", 0, "at most"),
    "seed = 1 " * 5000: ("^", 0, "characters"),
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:20])
def test_an_error_points_at_its_place_and_says_what_is_expected(text: str) -> None:
    _, at, words = WRONG[text]
    with pytest.raises(QueryError) as caught:
        parse(text, NOW)
    error = caught.value
    assert words in error.expected
    if len(text) < 100:
        assert error.at == at
        query, caret = f"error: {error.message}", f"hint: {error.hint}"
        assert query.index(text) + at == caret.index("^")
    first, second = str(error).split("\n")
    assert len(first) < 200 and (error.at >= len(text) or len(text) > 100 or first[second.index("^")] == text[error.at])


def test_a_caret_stands_below_wide_letters_too() -> None:
    with pytest.raises(QueryError) as caught:
        parse("name = 実験 = x", NOW)
    assert (caught.value.hint or "").index("^") == len("Not a query: ") + 1 + len("name = ") + 4 + 1


def test_words_of_the_command_line_make_one_query_or_several() -> None:
    assert join_words(["status", "=", "failed"]) == "status = failed"
    assert parse(join_words(["name", "=", "my run"])) == parse('name = "my run"')
    assert parse(join_words(["name", "like", 'a "b" \\%'])) == parse('name like "a \\"b\\" \\\\%"')
    assert parse(join_words(["seed=1 or seed=2", "status=failed"])) == parse("(seed=1 or seed=2) and status=failed")
    assert parse(join_words(["seed=1", "or", "seed=2"])) == parse("seed=1 or seed=2")


def test_times_are_whole_days_hours_or_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert read_time("2026-11-01", NOW) == ("2026-10-31T23:00:00.000000Z", "2026-11-01T23:00:00.000000Z")
        assert read_time("2026-03-29", NOW) == ("2026-03-28T23:00:00.000000Z", "2026-03-29T22:00:00.000000Z")
        assert read_time("2026-12", NOW) == ("2026-11-30T23:00:00.000000Z", "2026-12-31T23:00:00.000000Z")
        assert read_time("2026", NOW) == ("2025-12-31T23:00:00.000000Z", "2026-12-31T23:00:00.000000Z")
        assert read_time("today", NOW) == ("2026-11-21T23:00:00.000000Z", "2026-11-22T23:00:00.000000Z")
        assert read_time("yesterday", NOW) == ("2026-11-20T23:00:00.000000Z", "2026-11-21T23:00:00.000000Z")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert read_time("2026-11-01Z", NOW) == ("2026-11-01T00:00:00.000000Z", "2026-11-02T00:00:00.000000Z")
    assert read_time("2026-11-01 12:00+0200", NOW) == ("2026-11-01T10:00:00.000000Z", "2026-11-01T10:01:00.000000Z")
    assert read_time("2 days ago", NOW) == read_time("-2d", NOW) and read_time("1 Week ago", NOW) is not None
    assert read_time("-1.5h", NOW) == ("2026-11-22T11:00:00.000000Z", "2026-11-22T11:00:00.000001Z")
    for text in ("2026-02-30", "0000-01-01", "9999-12-31", "-9999999999d", "-", "12:00", "2026-11-01 25:00", "٢٠٢٦"):
        assert read_time(text, NOW) is None, text


def test_versions_are_compared_by_their_numbers_up_to_what_is_asked() -> None:
    assert version_order("3.11.7", "3.9") == 1 and version_order("3.9", "3.11.7") == -1
    assert version_order("3.11.7", "3.11") == 0 and version_order("3", "3.0") == 0
    assert version_order("2.10.0+cu121", "2.10.0") == 0 and version_order("main", "3") is None


def test_every_alias_leads_to_a_field_and_grades_are_those_of_verdicts() -> None:
    assert set(ALIASES.values()) <= set(FIELDS) and not set(ALIASES) & set(FIELDS)
    assert set(GRADES) == set(REAL_GRADES)


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(
    ["status", "params.x", "(", ")", "and", "or", "not", "in", "like", "is", "null", "=", "!=", "<", "~", ",", "'", '"', "[", "]", "\\", "3", "2h",
     "1GiB", "2026-11-01", "-2d", "b3:12..", "tag:", "tag:a", "%", "..", "metrics.", "é", "\0", "\ud800", "; DROP TABLE run; --"]
), max_size=12).map(" ".join)))  # fmt: skip
@example("0" * 5000)
@example("params.x = 1e999999")
@example("params.x = 9" + "9" * 290)
@example("params.x = " + "[" * 9000)
@example("created > 99999999999d")
def test_no_text_breaks_the_parser_and_none_of_it_stands_in_sql(text: str) -> None:
    try:
        node = parse(text, NOW)
    except QueryError as error:
        assert 0 <= error.at <= len(text) and error.expected
        return
    sql, bound = condition(node)
    assert sql.count("?") == len(bound) and "DROP" not in sql and "é" not in sql
    fits(node, DOCUMENT)


def test_all_named_families_need_a_name() -> None:
    for family in NAMED:
        with pytest.raises(QueryError, match="NAME"):
            parse(f"{family} = 1")
