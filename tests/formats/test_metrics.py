"""Metrics files and journals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mltrack.errors import UsageError
from mltrack.formats.metrics import Point, read_journal, read_metrics, read_params_journal


def points(tmp_path: Path, name: str, content: str) -> list[Point]:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return read_metrics(path)


def test_nested_numbers_are_named_by_dots_and_the_rest_is_skipped(tmp_path: Path) -> None:
    text = '{"acc": 0.9, "val": {"loss": 1, "ok": true}, "model": "cnn", "none": null, "matrix": [[1, 2]], "e": {}}'
    assert points(tmp_path, "m.json", text) == [Point("acc", 0.9), Point("val.loss", 1.0), Point("val.ok", 1.0)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.yaml", "acc: 9e-1\nval:\n  loss: 1\n"),
        ("m.toml", "acc = 0.9\n[val]\nloss = 1\n"),
        ("m.csv", "acc,val.loss\n0.9,1\n"),
        ("m.tsv", "acc\tval.loss\n0.9\t1\n"),
        ("m.jsonl", '{"acc": 0.9, "val": {"loss": 1}}\n'),
    ],
)
def test_every_format_tells_the_same_metrics(tmp_path: Path, name: str, text: str) -> None:
    assert points(tmp_path, name, text) == [Point("acc", 0.9), Point("val.loss", 1.0)]


def test_nan_and_infinities_are_numbers_in_every_spelling(tmp_path: Path) -> None:
    for name, text in {
        "a.json": '{"a": NaN, "b": "NaN", "c": Infinity, "d": "-Infinity"}',
        "a.yaml": "a: .nan\nb: nan\nc: .inf\nd: -.inf\n",
        "a.toml": "a = nan\nb = 'NaN'\nc = inf\nd = -inf\n",
        "a.csv": "a,b,c,d\nnan,NaN,inf,-Infinity\n",
    }.items():
        found = points(tmp_path, name, text)
        assert [point.name for point in found] == ["a", "b", "c", "d"], name
        assert math.isnan(found[0].value) and math.isnan(found[1].value)
        assert [point.value for point in found[2:]] == [math.inf, -math.inf]


def test_a_list_of_numbers_is_a_series(tmp_path: Path) -> None:
    text = '{"loss": [0.5, null, 0.25], "val": {"acc": [1]}}'
    assert points(tmp_path, "m.json", text) == [Point("loss", 0.5, 0), Point("loss", 0.25, 2), Point("val.acc", 1.0, 0)]


def test_a_list_of_mappings_is_rows(tmp_path: Path) -> None:
    text = '{"history": [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}], "best": 0.25}'
    assert points(tmp_path, "m.json", text) == [
        Point("history.loss", 0.5, 1),
        Point("history.loss", 0.25, 2),
        Point("best", 0.25),
    ]
    assert points(tmp_path, "n.json", '[{"loss": 1}, {"loss": 2}]') == [Point("loss", 1.0, 0), Point("loss", 2.0, 1)]


def test_the_finest_step_counts_and_the_other_stays_a_metric(tmp_path: Path) -> None:
    text = '{"epoch": 0.5, "step": 10, "loss": 2}\n{"epoch": 1.5, "step": 20.0, "loss": 1}\n{"Epoch": 2.5, "loss": 1}\n'
    assert points(tmp_path, "m.jsonl", text) == [
        Point("epoch", 0.5, 10),
        Point("loss", 2.0, 10),
        Point("epoch", 1.5, 20),
        Point("loss", 1.0, 20),
        Point("loss", 1.0, 2.5),
    ]


def test_csv_rows_have_a_step_column_or_their_number(tmp_path: Path) -> None:
    assert points(tmp_path, "a.csv", "  epoch,   loss\n 1, 0.5\n 2,\n3,abc\n\n4,0.1\n") == [
        Point("loss", 0.5, 1),
        Point("loss", 0.1, 4),
    ]
    assert points(tmp_path, "b.csv", "loss\n3\n2\n") == [Point("loss", 3.0, 0), Point("loss", 2.0, 1)]
    assert points(tmp_path, "c.csv", "epoch,loss\n7,3\n") == [Point("loss", 3.0, 7)]
    assert points(tmp_path, "d.csv", "a;b\n1;2\n") == [Point("a", 1.0), Point("b", 2.0)]
    assert points(tmp_path, "e.csv", "# a,b\r\n1,2\r\n") == [Point("a", 1.0), Point("b", 2.0)]
    assert points(tmp_path, "f.csv", "1,2\n3,4\n") == [
        Point("column1", 1.0, 0),
        Point("column2", 2.0, 0),
        Point("column1", 3.0, 1),
        Point("column2", 4.0, 1),
    ]
    assert points(tmp_path, "g.csv", 'name,"a\nb"\nx,1\n') == [Point("a\nb", 1.0)]
    assert points(tmp_path, "h.csv", "") == []
    assert points(tmp_path, "i.csv", "1,2\n") == [Point("column1", 1.0), Point("column2", 2.0)]


def test_a_torn_last_line_of_jsonl_is_skipped_and_another_is_an_error(tmp_path: Path) -> None:
    assert points(tmp_path, "m.jsonl", '{"a": 1}\n\n{"a": 2}\n{"a": 3') == [Point("a", 1.0, 0), Point("a", 2.0, 1)]
    with pytest.raises(UsageError, match=r"m\.jsonl, line 1: "):
        points(tmp_path, "m.jsonl", '{"a": 1\n{"a": 2}\n')


@pytest.mark.parametrize(
    ("name", "text"), [("m.json", '{"a": '), ("m.yaml", "a: [\n"), ("m.txt", "a"), ("m.csv", 'a\n"\0x')]
)
def test_a_broken_file_is_a_usage_error_that_names_it(tmp_path: Path, name: str, text: str) -> None:
    if name == "m.csv":
        text = "a\n" + "x" * 200_000 + "\n"
    with pytest.raises(UsageError, match=name):
        points(tmp_path, name, text)


def test_a_lone_number_or_a_series_without_a_name_is_called_value(tmp_path: Path) -> None:
    assert points(tmp_path, "m.json", "[1, 2]") == [Point("value", 1.0, 0), Point("value", 2.0, 1)]
    assert points(tmp_path, "n.json", "3") == []


def test_a_number_beyond_a_double_is_no_metric(tmp_path: Path) -> None:
    assert points(tmp_path, "m.json", '{"a": 1' + "0" * 400 + ', "b": 1}') == [Point("b", 1.0)]


def test_the_journal_gives_points_with_step_and_time(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step":3,"t":1700000000.5,"loss":0.1,"val":{"acc":1}}\n{"loss":"NaN","time":7}\n{"step":null,"loss":true,"x":"y"}\n'
    )
    found = list(read_journal(path))
    assert found[:2] == [Point("loss", 0.1, 3, 1700000000.5), Point("val.acc", 1.0, 3, 1700000000.5)]
    assert math.isnan(found[2].value) and found[2].at == 7.0 and found[2].step is None
    assert found[3:] == [Point("loss", 1.0)]


def test_a_step_or_time_that_is_not_finite_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step":NaN,"t":Infinity,"a":1}\n{"step":true,"t":"NaN","time":5,"a":2}\n')
    assert list(read_journal(path)) == [Point("a", 1.0), Point("a", 2.0, None, 5.0)]


def test_junk_in_the_journal_is_counted_and_nothing_raises(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(
        b'{"a":1}\nnot json\n[1]\n\xff\xfe\n\0\0\0\0\n\n{"a":2,"b":"x"}\n{"step":"x","a":3}\n'
        + b"[" * 50_000
        + b'\n{"a":'
    )
    journal = read_journal(path)
    assert [point.value for point in journal] == [1.0, 2.0, 3.0]
    assert journal.junk == 6


def test_a_journal_can_be_cut_at_any_byte(tmp_path: Path) -> None:
    whole = b"".join(json.dumps({"step": n, "loss": n / 7}).encode() + b"\n" for n in range(5))
    path = tmp_path / "metrics.jsonl"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        found = list(read_journal(path))
        complete = whole[:length].count(b"\n") + (whole[length : length + 1] == b"\n")
        assert [point.step for point in found] == list(range(complete))


def test_a_journal_that_is_not_there_has_no_points(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "none")) == []
    assert read_params_journal(tmp_path / "none") == {}


def test_logged_params_are_flattened_and_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "params.jsonl"
    path.write_text('{"lr": 1, "model": {"depth": 2}}\njunk\n{"lr": 0.5, "names": ["a"]}\n{"x":')
    assert read_params_journal(path) == {"lr": 0.5, "model.depth": 2, "names": ["a"]}
