"""One run as one row."""

from __future__ import annotations

import math
from typing import Any

from mltrack.digest import plain
from mltrack.flat import FACTS, LISTS, flat, names_of, row_names
from mltrack.ledger.language.evaluate import values
from mltrack.ledger.language.fields import FIELDS, find_field
from mltrack.ledger.language.lexer import tokens
from mltrack.noun_json import to_dict
from mltrack.records import Run
from tests.compare.samples import metric, sample_run
from tests.views.nasty import nasty_runs


def document(run: Run) -> Any:
    return plain(to_dict(run))


def test_every_name_is_one_of_the_query_language_and_says_what_a_query_compares() -> None:
    run = document(sample_run(metrics={"val.max": metric(0.5), "acc": metric(0.25)}, params={"a b": 1, "lr": 0.1}))
    row = flat(run, summaries=True)
    for name, value in row.items():
        words = tokens(name)
        asked = find_field(words[0].text, words[0].closed) if len(words) == 2 else find_field(name)
        assert asked is not None, name
        if asked.name in FIELDS and not asked.field.many and name != "command":
            assert [value] == (values(asked, run) or [None]), name


def test_names_are_in_one_order_whichever_run_comes_first() -> None:
    first, second = flat(document(sample_run(params={"b": 1}))), flat(document(sample_run(params={"a": 1})))
    names = names_of([first, second])
    assert names[: len(FACTS)] == list(FACTS)
    assert names[len(FACTS) :] == ["params.b", "params.a", *(name for name in first if name.startswith("metrics."))]
    assert names_of([dict.fromkeys(row_names(document(run))) for run in nasty_runs()]) == names_of(
        [flat(document(run)) for run in nasty_runs()]
    )


def test_numbers_that_json_cannot_say_are_numbers_and_lists_are_texts() -> None:
    run = sample_run(
        params={"clip": "Infinity", "layers": [1, 2], "none": None, "empty": ""}, metrics={"loss": metric("NaN")},
        tags=("a", "b"), notes=("one", "two"), command=("python", "a b.py"),
    )  # fmt: skip
    row = flat(document(run))
    assert row["params.clip"] == math.inf and math.isnan(row["metrics.loss"])  # type: ignore[arg-type]
    assert (row["params.layers"], row["params.none"], row["params.empty"]) == ("[1,2]", None, "")
    assert (row["tags"], row["notes"], row["command"]) == ("a, b", "one\ntwo", "python 'a b.py'")
    assert all(row[name] is None or str(row[name]).startswith("[") for name in LISTS)


def test_a_metric_that_is_called_like_a_part_of_another_is_quoted() -> None:
    row = flat(document(sample_run(metrics={"val": metric(1.0), "val.max": metric(0.5)})), summaries=True)
    assert (row["metrics.val.max"], row['metrics."val.max"']) == (1.0, 0.5)


def test_what_an_older_record_has_not_is_missing() -> None:
    assert set(flat({"id": "x"}).values()) == {"x", None}
    for run in nasty_runs():
        assert all(value is None or isinstance(value, (str, int, float)) for value in flat(document(run)).values())
