"""Trees, tables, notebooks and markup: what is the same by value is equivalent, and anything else is not."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mltrack.compare.comparators import (
    DIFFERENT,
    EQUIVALENT,
    IDENTICAL,
    Around,
    Finding,
    Unreadable,
    csv_files,
    event_files,
    json_files,
    notebook,
    toml_files,
    xml_files,
    yaml_files,
)
from mltrack.compare.contents.contents import Held, whole
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.measuring import Tally, distance, relative, summary
from mltrack.verdicts import Measure
from tests.compare.comparators.samples import AROUND

quick = settings(max_examples=40 * int(os.environ.get("MLTRACK_SOAK", "1")), deadline=None)
NOWHERE = Around()


def compare(name: str, a: str, b: str) -> Finding:
    return compare_contents(name, Held(a.encode()), Held(b.encode()), NOWHERE)


words = st.sampled_from(["a", "b", "lr", "x y", "é", "loss", "", "007", "1"])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(10**20, 10**20 + 2),
    words,
    st.sampled_from([0.5, -0.25, 1e300]),
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)


def same_values(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_values(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_values, a, b))
    numbers = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (a, b)]
    return a == b if all(numbers) else type(a) is type(b) and a == b


def shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@quick
@given(trees, st.randoms(use_true_random=False), st.sampled_from([None, 1, 4]))
def test_json_in_another_order_and_layout_is_equivalent(tree: Any, order: random.Random, indent: int | None) -> None:
    found = compare("a.json", json.dumps(tree), json.dumps(shuffled(tree, order), indent=indent) + "\n")
    assert found.grade == EQUIVALENT


@quick
@given(trees, trees)
def test_two_json_trees_are_equivalent_only_if_their_values_are_equal(a: Any, b: Any) -> None:
    found = compare("a.json", json.dumps(a), json.dumps(b) + " ")
    assert (found.grade == EQUIVALENT) == same_values(a, b)


@quick
@given(trees, trees)
def test_two_yaml_trees_are_equivalent_only_if_their_values_are_equal(a: Any, b: Any) -> None:
    """JSON is YAML, too."""
    found = compare("a.yaml", json.dumps(a), json.dumps(b) + "\n# told\n")
    assert found.grade != IDENTICAL
    if found.grade == EQUIVALENT:
        assert same_values(a, b)


@pytest.mark.parametrize(
    ("name", "a", "b", "reason"),
    [
        ("a.json", '{"a": [1, 2]}', '{"a": [1, 2, 3]}', "a had 2 elements, has 3"),
        ("a.json", '{"m": {"lr": 1}}', '{"m": {"wd": 1}}', "m.lr is gone, m.wd is new"),
        ("a.json", '{"m": {"lr": 0.5}}', '{"m": {"lr": 0.25}}', "1 of 1 value differs, most of all m.lr by 0.25"),
        ("a.json", '{"x y": "a"}', '{"x y": "b"}', '1 of 1 value differs, among them ["x y"]: "a" then, "b" now'),
        ("a.jsonl", '{"a": 1}\n{"a": 1}\n', '{"a": 1}\n{"a": 2}\n', "1 of 2 values differs, most of all line 2.a by 1"),
        ("a.jsonl", '{"a": 1}\n', '{"a": 1}\n{"a": 2}\n', "1 lines then, 2 now"),
        ("a.csv", "s,l\n1,2\n", "s,l\n1,3\n", "1 of 4 cells differs, most of all row 1, column l by 1"),
        ("a.csv", "1,2\n", "1,3\n", "1 of 2 cells differs, most of all row 1, column 2 by 1"),
        ("a.csv", "s,l\n1,2\n", "s,l\n1,2\n3,4\n", "rows: 1 then, 2 now"),
        ("a.csv", "s,l\n1,2\n", "s,m\n1,2\n", "a column was called 'l', is 'm'"),
        ("a.csv", "s,l\n1,2\n", "s,l,m\n1,2,3\n", "columns: 2 then, 3 now"),
        ("a.csv", "s,l\n1,2\n3,4\n", "s,l\n3,4\n1,2\n", "the same rows in another order"),
        ("a.csv", "s,l\n1,2\n", "s;l\n1;2\n", "its values were separated by ',', are by ';'"),
        ("a.xml", "<a><b>1</b></a>", "<a><b>2</b></a>", 'in a/b the text was "1", is "2"'),
        ("a.xml", "<a><b/></a>", "<a><c/></a>", "in a the element was b, is c"),
    ],
)
def test_a_reason_names_what_differs(name: str, a: str, b: str, reason: str) -> None:
    found = compare(name, a, b)
    assert (found.grade, found.reason) == (DIFFERENT, reason)


@pytest.mark.parametrize(
    "document",
    [
        "[" * 100_000,
        '{"a": 1, "a": 2}',
        '{"a": 1e400}',
        '{"a": ' + "1" * 5000 + "}",
        '{"a": 1',
        "",
    ],
    ids=lambda text: text[:10],
)
def test_json_that_another_reader_might_take_otherwise_is_refused(document: str) -> None:
    with pytest.raises(Unreadable):
        json_files.parse(document.encode())


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{x}: &{x} [{','.join([f'*{y}'] * 10)}]\n" for y, x in zip("abcdef", "bcdefg")
)


@pytest.mark.parametrize(
    "document",
    ["[" * 100_000, "- " * 100_000, BOMB, "a: 1\na: 2\n", "? [a]\n: 1\n", "a: *b\n", "a: \xff"],
    ids=lambda text: text[:9],
)
def test_yaml_that_is_a_trap_is_refused(document: str) -> None:
    with pytest.raises(Unreadable):
        yaml_files.parse(document.encode("latin-1"))


def test_yaml_makes_no_objects() -> None:
    evil = b"a: !!python/object/apply:os.mkdir [made-by-yaml]\n"
    assert yaml_files.parse(evil) == {"a": {"!tag:yaml.org,2002:python/object/apply:os.mkdir": ["made-by-yaml"]}}
    assert not os.path.exists("made-by-yaml")


def test_toml_that_is_none_is_refused() -> None:
    with pytest.raises(Unreadable, match="line 1"):
        toml_files.parse(b"a = \n")
    with pytest.raises(Unreadable):
        toml_files.parse(b"a = " + b"[" * 100_000)


LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "document", [LAUGHS, "<a>", "<a></b>", "", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>']
)
def test_xml_that_is_a_trap_is_refused(document: str) -> None:
    with pytest.raises(Unreadable):
        xml_files.events(document.encode())


cells = st.one_of(
    st.sampled_from(["a", "b,c", 'd"e', "f\ng", "", " h "]),
    st.integers(-5, 5).map(str),
    st.sampled_from(["0.5", "1e3", "nan", "-0.0"]),
)
tables = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=5)
)


def written(rows: list[list[str]], **options: Any) -> str:
    made = io.StringIO()
    csv.writer(made, **options).writerows([["c" + str(i) for i in range(len(rows[0]))], *rows])
    return made.getvalue()


@quick
@given(tables)
def test_a_table_with_other_quotes_and_line_ends_is_equivalent(rows: list[list[str]]) -> None:
    found = compare("a.csv", written(rows), written(rows, quoting=csv.QUOTE_ALL, lineterminator="\n"))
    assert found.grade == EQUIVALENT, found


def is_equal_cell(a: str, b: str) -> bool:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return a == b
    return x == y or (x != x and y != y)


@quick
@given(tables, st.integers(0, 4), st.integers(0, 2), cells)
def test_another_cell_is_a_difference_unless_it_is_the_same_number(
    rows: list[list[str]], row: int, column: int, cell: str
) -> None:
    changed = [list(each) for each in rows]
    old = changed[row % len(rows)][column % len(rows[0])]
    changed[row % len(rows)][column % len(rows[0])] = cell
    assume(old != cell)
    found = compare("a.csv", written(rows), written(changed))
    expected = EQUIVALENT if is_equal_cell(old, cell) else DIFFERENT
    assert found.grade == expected, (old, cell, found)


@quick
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_a_table_is_measured_as_its_numbers_are(pairs: list[tuple[float, float]]) -> None:
    texts = ["x\n" + "".join(f"{pair[side]!r}\n" for pair in pairs) for side in (0, 1)]
    assume(texts[0] != texts[1])
    found = compare("a.csv", *texts)
    changed = [(a, b) for a, b in pairs if a != b]
    if not changed:
        assert found.grade == EQUIVALENT
        return
    if sorted(a for a, _ in pairs) == sorted(b for _, b in pairs) and found.measure is None:
        assert "another order" in found.reason
        return
    assert found.measure is not None
    assert found.measure.changed == len(changed)
    assert found.measure.largest == max(abs(b - a) for a, b in changed)


def test_long_numbers_are_compared_digit_by_digit() -> None:
    assert compare("a.csv", "x\n12345678901234567890\n", "x\n12345678901234567891\n").grade == DIFFERENT
    assert compare("a.csv", "x\n0.1000000000000000055\n", "x\n0.1\n").grade == DIFFERENT
    assert compare("a.csv", "x\n0.10000000000000000000\n", "x\n0.1\n").grade == EQUIVALENT
    assert compare("a.csv", "x\n1e999\n", "x\n2e999\n").grade == DIFFERENT
    assert compare("a.csv", "x\n1e-999\n", "x\n2e-999\n").grade == DIFFERENT
    assert compare("a.csv", "x\n0.0\n", "x\n-0\n").grade == EQUIVALENT
    assert compare("a.csv", "x\ninf\n", "x\nInfinity\n").grade == EQUIVALENT
    assert compare("a.json", '{"x": 12345678901234567890}', '{"x": 12345678901234567891}').grade == DIFFERENT


def test_a_clock_of_its_own_may_be_a_duration_and_counts() -> None:
    assert compare("a.csv", "took\n00:03:12\n", "took\n00:03:13\n").grade == DIFFERENT
    assert compare("a.csv", "took\n00:03:12 in all\n", "took\n00:03:13 in all\n").grade == DIFFERENT
    assert compare("a.json", '{"took": "00:03:12"}', '{"took": "00:03:13"}').grade == DIFFERENT
    assert compare("a.yaml", "took: 00:03:12 h\n", "took: 00:03:13 h\n").grade == DIFFERENT
    assert compare("a.txt", "00:03:12\n", "00:03:13\n").grade == DIFFERENT
    then, now = (Held(b'{"at": "2026-%s"}' % at) for at in (b"01-02 00:03:12", b"11-21 08:03:13"))
    assert compare_contents("a.json", then, now, AROUND).grade == EQUIVALENT


def test_only_blanks_beside_a_number_say_nothing() -> None:
    assert compare("a.csv", "x\n0.5\n", "x\n 0.5\t\n").grade == EQUIVALENT
    assert compare("a.csv", "x\n0.5\n", "x\n0.5\x0b\n").grade == DIFFERENT
    assert compare("a.csv", "x\n5\n", "x\n\u0665\n").grade == DIFFERENT


def test_a_table_that_is_none_is_compared_as_text() -> None:
    assert "no table" in compare("a.csv", 'a,b\n1,"2\n', 'a,b\n1,"3\n').reason
    with pytest.raises(Unreadable):
        csv_files.compare(Held(b"a,b\n\xff,1\n"), Held(b"a,b\n\xff,2\n"), NOWHERE)


@pytest.mark.parametrize(
    "values",
    ["[]", "{}", '{"cells": 1}', '{"cells": [1]}', '{"cells": [{"outputs": 1}]}', '{"cells": [{"metadata": 1}]}'],
)
def test_a_notebook_that_is_none_is_refused(values: str) -> None:
    with pytest.raises(Unreadable):
        notebook.notebook(json.loads(values))


def test_an_image_that_is_no_base64_is_refused() -> None:
    cell = (
        '{"cells": [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {"image/png": "%s"}}]}]}'
    )
    assert compare("a.ipynb", cell % "!!!", cell % "!!?").grade == DIFFERENT
    assert compare("a.ipynb", cell % "AAAA", cell % "AA\\nAA").grade == EQUIVALENT


def test_what_a_file_says_is_made_harmless_in_a_reason() -> None:
    found = compare("a.csv", "\x1b[31mred,b\n1,2\n", "\x1b[31mred,b\n3,2\n")
    assert found.reason == "1 of 4 cells differs, most of all row 1, column \\x1b[31mred by 2"
    assert found.measure is not None and found.measure.where == "row 1, column \\x1b[31mred"
    deep = compare("a.json", "[" * 900 + "1" + "]" * 900, "[" * 900 + "2" + "]" * 900)
    assert len(deep.reason) < 700


def test_a_stream_that_was_cut_elsewhere_is_the_same_stream() -> None:
    def with_streams(*texts: str, error: str = "") -> str:
        outputs = [{"output_type": "stream", "name": "stdout", "text": [text]} for text in texts]
        outputs += [{"output_type": "stream", "name": "stderr", "text": error}] if error else []
        return json.dumps({"cells": [{"cell_type": "code", "source": "", "metadata": {}, "outputs": outputs}]})

    assert compare("a.ipynb", with_streams("a\nb\n"), with_streams("a\n", "b\n")).grade == EQUIVALENT
    assert compare("a.ipynb", with_streams("a\nb\n"), with_streams("a\n", "c\n")).grade == DIFFERENT
    assert compare("a.ipynb", with_streams("a\n"), with_streams("a\n", error="b\n")).grade == DIFFERENT


def test_ids_must_be_replaced_one_for_one() -> None:
    def of(*ids: str) -> str:
        return (
            "<svg>" + "".join(f'<g id="{one}"/><use href="#{one}" clip-path="url(#{one})"/>' for one in ids) + "</svg>"
        )

    first, second, third = "p1a2b3c4d5e", "p1a2b3c4d5f", "p1a2b3c4d60"
    assert compare("a.svg", of(first, second), of(second, third)).grade == EQUIVALENT
    assert compare("a.svg", of(first, second), of(third, third)).grade == DIFFERENT
    assert compare("a.svg", of("weights"), of("bias")).grade == DIFFERENT
    assert compare("a.svg", of("p1a2b3c4d5e"), of("m1a2b3c4d5e")).grade == DIFFERENT


def test_an_event_file_that_was_cut_off_is_refused() -> None:
    from tests.compare.comparators.samples import scalar

    data = scalar("a", 0, 0.5, 1.5) + scalar("a", 1, 0.5, 1.5)
    for end in (-1, -10, -30):
        with pytest.raises(Unreadable):
            event_files.series(Held(data[:end]))
    assert event_files.series(Held(data)) == {"a": [(0, 0.5), (1, 0.5)]}


@pytest.mark.parametrize(
    ("a", "b", "by", "relatively"),
    [
        (1.0, 1.5, 0.5, 0.5),
        (2, 1, 1.0, 0.5),
        (0.0, 1e-9, 1e-9, "Infinity"),
        (1.0, math.nan, "NaN", "NaN"),
        (1.0, math.inf, "Infinity", "Infinity"),
        (-math.inf, math.inf, "Infinity", "Infinity"),
        (10**400, 1.5, "Infinity", "Infinity"),
        (1e308, -1e308, "Infinity", "Infinity"),
        (5e-324, 1.0, 1.0, "Infinity"),
    ],
)
def test_distances_are_as_json_can_hold_them(a: float, b: float, by: float | str, relatively: float | str) -> None:
    assert (distance(a, b), relative(a, b)) == (by, relatively)


def test_a_measure_is_finite_only_if_nothing_differs_but_finite_numbers() -> None:
    tally = Tally()
    assert tally.numbers(1, 1.0, "a") and tally.numbers(math.nan, math.nan, "b") and tally.numbers(-0.0, 0, "c")
    assert tally.measure() == Measure(3, 0)
    tally.numbers(1.0, 1.25, "d")
    assert tally.measure() == Measure(4, 1, 0.25, 0.25, "d")
    tally.numbers(1.0, math.inf, "e")
    tally.others("x", "y", "f")
    tally.numbers(1.0, math.inf, "g")
    assert tally.measure() == Measure(7, 4, "NaN", "NaN", "f")
    assert summary(tally.measure(), "cell") == "4 of 7 cells differ, among them f"


def test_what_is_too_large_for_memory_is_refused() -> None:
    with pytest.raises(Unreadable, match="at most 3"):
        whole(Held(b"1234"), 3)
