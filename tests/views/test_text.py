from __future__ import annotations

import math
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.views import text
from tests.compare.strategies import quick

NOW = text.parse_time("2026-11-21T12:00:00Z")


@quick
@given(st.text())
def test_clean_text_moves_no_cursor_and_reaches_any_utf8_terminal(raw: str) -> None:
    clean = text.clean(raw)
    clean.encode()
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in clean)
    assert not set(clean) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029\ufeff")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain é 训练 🚀", "plain é 训练 🚀"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
    ],
)
def test_only_what_would_not_be_seen_is_escaped(raw: str, clean: str) -> None:
    assert text.clean(raw) == clean


def test_wide_and_combining_characters_take_the_cells_of_a_terminal() -> None:
    assert text.cell_width("训练") == 4
    assert text.cell_width("e\u0301") == 1
    assert text.cell_width("🚀a") == 3


@quick
@given(st.text(st.sampled_from("ab训e\u0301🚀")), st.integers(0, 12))
def test_a_shortened_text_fits_and_a_fitting_text_is_untouched(raw: str, width: int) -> None:
    short = text.shorten(raw, width)
    assert text.cell_width(short) <= width
    if text.cell_width(raw) <= width:
        assert short == raw


def test_shortening_keeps_both_ends() -> None:
    assert text.shorten("data/raw/2024/train.csv", 13) == "data/r…in.csv"


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (1288490189, "1.2 GiB"),
     (333 * 2**20, "333 MiB"), (10**18, "888 PiB"), (None, "unknown size")],
)  # fmt: skip
def test_sizes(value: int | None, told: str) -> None:
    assert text.size(value) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 ms"), (0.0424, "42 ms"), (0.9999, "1.0 s"), (4.24, "4.2 s"), (9.96, "10 s"), (59.6, "1 min 00 s"),
     (80.2, "1 min 20 s"), (3599.7, "1 h 00 min"), (7500, "2 h 05 min"), (86400 * 3 + 3600 * 4, "3 d 4 h"),
     (None, "unknown"), (math.nan, "unknown"), (-1, "0 ms")],
)  # fmt: skip
def test_durations(seconds: float | None, told: str) -> None:
    assert text.duration(seconds) == told


@pytest.mark.parametrize(
    ("moment", "told"),
    [("2026-11-21T11:59:30Z", "just now"), ("2026-11-21T12:00:30.5Z", "just now"),
     ("2026-11-21T11:57:00Z", "3 min ago"),
     ("2026-11-21T09:59:59.123456Z", "2 h ago"), ("2026-11-16T12:00:00Z", "5 d ago"),
     ("2026-10-10T12:00:00Z", "6 w ago"),
     ("2026-04-01T12:00:00Z", "7 mo ago"), ("2020-04-01T12:00:00Z", "6 y ago"),
     ("2077-01-02T00:00:00Z", "on 2077-01-02"),
     (None, "at an unknown time")],
)  # fmt: skip
def test_ages(moment: str | None, told: str) -> None:
    assert text.ago(moment, NOW) == told


def test_a_time_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert text.age("yesterday", NOW) == "yesterday"
    assert text.clock_time("2026-11-21T01:02:03.123456Z") == "2026-11-21 01:02:03 UTC"
    assert text.clock_time("2026-11-21T01:02:03+01:00") == "2026-11-21T01:02:03+01:00"
    assert text.clock_time(None) == "unknown"


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (0.0, "0"), (-0.0, "0"), (12, "12"), (0.9166666666, "0.91667"), (2.0, "2"), (123456.789, "123457"),
     (1e7, "1e7"), (1.5e-5, "1.5e-5"), (1e-4, "0.0001"), (-0.25, "-0.25"), (10**15, "1e15"), (1e300, "1e300"),
     (math.nan, "NaN"), (-math.inf, "-Infinity"), ("NaN", "NaN"), (True, "true"), (None, "null"),
     (10**400, "an integer of 1,329 bits")],
)  # fmt: skip
def test_numbers_in_tables(value: object, told: str) -> None:
    assert text.number(value) == told


@quick
@given(st.floats(-1e308, 1e308))
def test_a_number_in_a_table_is_within_a_thousandth_of_a_per_cent_and_short(value: float) -> None:
    told = text.number(value)
    assert len(told) <= 12
    assert math.isclose(float(told), value, rel_tol=1e-4, abs_tol=5e-324)


@pytest.mark.parametrize(
    ("value", "told"),
    [(66.666, "+66.7 %"), (-90.0, "-90 %"), (0.0123, "+0.012 %"), (1234.5, "+1,234 %"), (None, ""), (-1e9, "-1e9 %"),
     (0.5, "+0.5 %"), (99.96, "+100 %")],
)  # fmt: skip
def test_per_cents(value: float | None, told: str) -> None:
    assert text.percent(value) == told


def test_changes_carry_their_sign() -> None:
    assert (text.signed(0.5), text.signed(-2), text.signed(0.0)) == ("+0.5", "-2", "0")


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.1, "0.1"), (1.0, "1.0"), (1, "1"), (True, "true"), (None, "null"), ("sgd", "sgd"), ("1", '"1"'),
     ("1e-3", '"1e-3"'),
     ("true", '"true"'), ("", '""'), (" a", '" a"'), ("[1]", '"[1]"'), ([1, "a", None], "[1, a, null]"),
     ({"k": 0.5}, "{k: 0.5}"), ("-v", "-v"), ("2 layers", "2 layers"), (math.inf, "Infinity"),
     (object, "<class 'object'>"),
     ("a\x1b[0m", "a\\x1b[0m")],
)  # fmt: skip
def test_values_are_shown_exactly_and_texts_are_quoted_only_where_they_mislead(value: object, told: str) -> None:
    assert text.scalar(value) == told


@quick
@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1).map(tuple))
def test_a_shell_reads_the_command_line_back(words: tuple[str, ...]) -> None:
    assert tuple(shlex.split(text.command_line(words))) == words


def test_counts_and_short_names() -> None:
    assert text.count(1, "file") == "1 file"
    assert text.count(12000, "metric") == "12,000 metrics"
    assert text.count(2, "entry", "entries") == "2 entries"
    assert text.short_digest("b3:0123456789abcdef") == "b3:0123456789"
    assert text.short_digest("0123456789abcdef") == "0123456789"
    assert text.short_digest(None) == "no digest"
    assert text.short_id("3kq8f2zxm1n4p7rt") == "3kq8f2zx"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_spelled_as_its_record_spells_it(value: str) -> None:
    assert text.scalar(value) == text.number(value) == text.scalar(float(value)) == value
    assert text.scalar(value.lower()) == f'"{value.lower()}"', "a text that would read as that number"
