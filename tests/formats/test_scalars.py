"""The scalar grammar."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.formats.scalars import parse_scalar, parse_value, parse_word
from mltrack.formats.yaml_nodes import parse_yaml
from tests.formats.soak import examples


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1", 1), ("-7", -7), ("+7", 7), ("007", 7), ("0o17", 15), ("0x1f", 31), (".5", 0.5),
        ("5.", 5.0), ("1E+5", 1e5), (".inf", math.inf), ("-.Inf", -math.inf), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None), ("on", "on"), ("yes", "yes"), ("1_000", "1_000"), ("1:30", "1:30"),
        ("2020-01-02", "2020-01-02"), ("nan", "nan"), ("inf", "inf"), ("1e", "1e"), ("-", "-"), (".", "."),
        ("0b11", "0b11"), ("\u0661", "\u0661"), (" 1", " 1"), ("1234567e890", "1234567e890"), ("tRue", "tRue"),
        ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_a_scalar_is_what_the_core_schema_says(text: str, value: object) -> None:
    found = parse_scalar(text)
    assert found == value and type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_scalar(".nan"))


def test_a_value_may_be_a_flow_collection_or_quoted() -> None:
    assert parse_value("[1, 2.5, a, 'b', null, 1e-3]") == [1, 2.5, "a", "b", None, 0.001]
    assert parse_value("{a: 1, b: [x]}") == {"a": 1, "b": ["x"]}
    assert parse_value('"0.1"') == "0.1"
    assert parse_value("'it''s'") == "it's"
    assert parse_value('["NaN", NaN]') == ["NaN", "NaN"]


@pytest.mark.parametrize("text", ["[a-z]*.csv", "{name}.txt", "'open", "[1, 2", "{a: [}", "[" * 5000])
def test_text_that_only_opens_like_a_collection_stays_text(text: str) -> None:
    assert parse_value(text) == text


def test_a_word_of_a_command_keeps_its_quotes_and_placeholders() -> None:
    assert parse_word("'0.1'") == "'0.1'"
    assert parse_word("{lr}") == "{lr}"
    assert parse_word("[1, 2]") == [1, 2]
    assert parse_word('{"a": 1}') == {"a": 1}


PLAIN = st.one_of(
    st.text(alphabet="+-.0123456789eExoanfINl~truefalsy", max_size=8), st.integers().map(str), st.floats().map(str)
)


@settings(max_examples=examples(300))
@given(
    st.one_of(
        st.text(alphabet="+-.0123456789eExoanfINl~truefalsy", max_size=8), st.integers().map(str), st.floats().map(str)
    )
)
def test_a_plain_scalar_means_the_same_alone_and_in_a_yaml_file(text: str) -> None:
    try:
        node = yaml.compose(f"key: {text}\n")
    except yaml.YAMLError:
        return
    if node.value[0][1].id != "scalar" or node.value[0][1].value != text:
        return
    assert repr(parse_yaml(f"key: {text}\n")["key"]) == repr(parse_scalar(text))


@settings(max_examples=examples(200))
@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()))
def test_what_json_writes_reads_back(value: object) -> None:
    import json

    assert repr(parse_scalar(json.dumps(value))) == repr(value)
