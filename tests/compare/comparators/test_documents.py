"""Documents and tables: types, marks at their beginning, how numbers are spelled, and what the project leaves out."""

from __future__ import annotations

import io

import pytest

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Around, Finding, Unreadable, json_files, yaml_files
from mltrack.compare.contents.contents import Held
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.verdict.rules import keys_left_out
from mltrack.verdicts import Measure


def compare(name: str, a: str, b: str) -> Finding:
    return compare_contents(name, Held(a.encode()), Held(b.encode()), Around())


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("a.yaml", "{1: x}", '{"1": x}'),
        ("a.yaml", "a: yes", 'a: "yes"'),
        ("a.yaml", "a: 2026-01-02", 'a: "2026-01-02"'),
        ("a.yaml", "a: 1:30", 'a: "1:30"'),
        ("a.yaml", "{true: x}", '{"true": x}'),
        ("a.yaml", "{yes: x}", '{"yes": x}'),
        ("a.toml", "a = 2026-01-02", 'a = "2026-01-02"'),
        ("a.toml", "a = 10:30:00", 'a = "10:30:00"'),
        ("a.json", '{"a": 1}', '\ufeff{"a": 1}'),
        ("a.csv", "a,b\n1,2\n", "\ufeffa,b\n1,2\n"),
        ("a.csv", "a;b\n1,5;2\n", "a;b\n1.5;2\n"),
        ("a.csv", "a;b\n1,500;2\n", "a;b\n1,5;2\n"),
    ],
)
def test_a_type_counts(name: str, a: str, b: str) -> None:
    assert compare(name, a, b).grade == DIFFERENT
    assert name == "a.csv" or compare(name, a, a + "\n").grade == EQUIVALENT


def test_decimal_commas_are_measured() -> None:
    for head in ("a;b\n", ""):
        found = compare("a.csv", head + "1,5;2,25\n3;4,0\n", head + "1,5;2,75\n3;4,0\n")
        assert found.measure is not None and found.measure.largest == 0.5
    assert compare("a.csv", "a;b\n1,5;2\n", "a;b\n1,50;2\n").grade == EQUIVALENT
    assert compare("a.csv", "a;b\n1,234;2\n", "a;b\n1,235;2\n").measure.largest == "NaN"  # type: ignore[union-attr]


def test_a_byte_order_mark_on_both_sides_is_no_part_of_the_text() -> None:
    found = compare("a.csv", "\ufeffstep,loss\n1,0.5\n", "\ufeffstep,loss\n1,0.75\n")
    assert found.measure == Measure(4, 1, 0.25, 0.5, "row 1, column loss")
    assert compare("a.json", '\ufeff{"a": 1}', '\ufeff{"a": 2}').measure is not None
    assert compare("a.jsonl", '\ufeff{"a": 1}\n{"b": 1}\n', '\ufeff{"a": 1.0}\n{"b": 1}\n').grade == EQUIVALENT
    line = "\ufeffINFO:10:30:0%d: x\n"
    assert compare("a.log", line % 1, line % 2).grade == EQUIVALENT


def test_documents_of_many_small_containers_are_refused_before_they_are_read() -> None:
    with pytest.raises(Unreadable, match="too many values"):
        json_files.parse(b"[" + b"[]," * 1_300_000 + b"[]]")
    with pytest.raises(Unreadable, match="too many values"):
        yaml_files.parse(b"- a\n" * 300_000)


def test_keys_and_columns_that_the_project_leaves_out_are_said() -> None:
    around = Around(ignore=("seconds", "*_s"))

    def of(name: str, a: str, b: str) -> Finding:
        return compare_contents(name, Held(a.encode()), Held(b.encode()), around)

    assert of("a.csv", "n,seconds\n1,2\n", "n,seconds\n1,3\n") == Finding(
        EQUIVALENT, "verdict.ignore leaves out seconds"
    )
    assert of("a.csv", "n,seconds\n1,2\n", "n,seconds\n2,3\n").measure == Measure(4, 1, 1.0, 1.0, "row 1, column n")
    assert of("a.json", '{"a": {"run_s": 1}}', '{"a": {"run_s": 2}}').reason == "verdict.ignore leaves out run_s"
    assert of("a.json", '{"a": 1, "run_s": 1}', '{"a": 2}').measure == Measure(1, 1, 1.0, 1.0, "a")
    assert of("a.jsonl", '{"run_s": 1}\n', '{"run_s": 2}\n').grade == EQUIVALENT


def test_a_duration_that_differs_is_told_with_its_remedy() -> None:
    assert '["a.csv#seconds"]' in compare("a.csv", "n,seconds\n1,2\n", "n,seconds\n1,3\n").reason
    assert '["a.json#run_time"]' in compare("a.json", '{"run_time": 1}', '{"run_time": 2}').reason
    assert "ignore" not in compare("a.json", '{"time*": 1}', '{"time*": 2}').reason
    assert "ignore" not in compare("a.json", '{"loss": 1}', '{"loss": 2}').reason
    assert "ignore" not in compare("a.txt", "ratio 10:11\n", "ratio 10:12\n").reason
    assert keys_left_out("out/a.csv", ["a.csv#seconds", "b/a.csv#n"]) == ("seconds",)
    assert "ignore" in compare("a.txt", "took 10:11\n", "took 10:12\n").reason


def test_a_list_of_keys_that_are_gone_is_cut_and_counted() -> None:
    found = compare("a.json", '{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}', '{"z": [1]}')
    assert found.reason == "a is gone, b is gone, c is gone and 3 more"


def test_a_truth_value_that_is_neither_0_nor_1_is_another() -> None:
    import numpy

    made = io.BytesIO()
    numpy.save(made, numpy.array([True, False, True]))
    other = made.getvalue()[:-1] + b"\2"
    assert compare_contents("a.npy", Held(made.getvalue()), Held(other), Around()).grade == DIFFERENT
